"""The page in one file works from the disk, and says what it does not hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from convlens.lab.filing import page_file
from convlens.lab.showing import lab_on, place_of

pytestmark = pytest.mark.xdist_group("lab")


def test_the_file_opens_from_the_disk_at_every_distance(page: Page, tmp_path: Path) -> None:
    lab = lab_on("digits")
    value, index = lab.recording.made("conv2")[0], (0, 8, 2, 2)
    file = tmp_path / "number.html"
    file.write_text(
        page_file(
            lab, place_of(lab.recording, "conv2", index), (value, index), "convlens lab digits"
        )
    )
    page.goto(file.as_uri())
    stage = page.locator("#stage")
    expect(stage).to_contain_text("conv2")
    expect(stage).to_contain_text("0.4236")
    for key in "1234":
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile("at=conv2"))
        expect(stage).not_to_contain_text("this is not in the file")
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}#at=linear&index=0,1")
    expect(stage).to_contain_text("this is not in the file; open it with: convlens lab digits")
    expect(page.locator(".body")).to_be_empty()
    expect(page.locator(".sentence")).to_be_empty()
    expect(page.locator(".inspector .large")).to_be_empty()
    page.go_back()
    page.goto(file.as_uri())
    expect(page.locator(".alert")).to_be_hidden()


def test_what_is_refused_leaves_no_number_of_another_step(page: Page, tmp_path: Path) -> None:
    lab = lab_on("digits")
    value, index = lab.recording.made("conv1")[0], (0, 5, 6, 4)
    file = tmp_path / "number.html"
    place = place_of(lab.recording, "conv1", index)
    file.write_text(page_file(lab, place, (value, index), "convlens lab digits"))
    page.goto(file.as_uri())
    expect(page.locator(".inspector .large")).to_have_text("1.677")
    page.locator(".card", has_text="relu2").click()
    expect(page.locator(".alert")).to_contain_text("this is not in the file")
    expect(page.locator(".bench")).to_have_count(0)
    expect(page.locator(".inspector .large")).to_be_empty()
    page.locator(".card", has_text="conv1").click()
    expect(page.locator(".alert")).to_be_hidden()
    expect(page.locator(".bench .total b").first).to_be_visible()
