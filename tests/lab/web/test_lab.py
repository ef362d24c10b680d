"""The page as a whole: walked to the pixels by mouse and by keyboard, restored from its address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from convlens.lens import explain
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import lab_of, recorded
from tests.running.browsing import (
    check_numbers,
    drop_file,
    known_there,
    number_of,
    open_page,
    settled,
    standing_at,
    wait_at,
)
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")


def test_a_dropped_digit_is_walked_from_its_class_to_the_pixels(page: Page, site: Served) -> None:
    picture = DATA / "digit-7.png"
    recording = recorded("digits", picture)
    open_page(page, site.address)
    drop_file(page, "seven.png", picture.read_bytes())
    expect(page.locator(".title")).to_contain_text("seven.png")

    assert recording.output is not None
    best = int(recording.output.tensor.argmax())
    assert best == 7
    page.locator(".scores button").first.click()
    passed = []
    for name in (
        "softmax",
        "linear",
        "flatten",
        "pool2",
        "relu2",
        "conv2",
        "pool1",
        "relu1",
        "conv1",
    ):
        wait_at(page, name)
        known = known_there(recording, page)
        passed.append((name, known.index))
        check_numbers(page, known)
        # A click on the term that matters most goes one layer down.
        page.locator("[data-best], .term .from").first.click()
    assert passed[0] == ("softmax", (0, 7))
    wait_at(page, "input")
    known = known_there(recording, page)
    assert np.float32(number_of(page.locator(".recorded"))) == np.float32(known.recorded)
    row, column = known.index[2:]
    expect(page.locator(".caption")).to_have_text(
        f"It depends on 1 of 64 pixels: row {row}, column {column}"
    )
    # The trail names every number passed, and leads back to each.
    trail = page.locator(".trail button")
    assert trail.count() == len(passed)
    assert "trail=softmax!0,7;linear!0,7;" in page.url
    trail.nth(5).click()
    wait_at(page, "conv2")
    assert standing_at(page)[1] == passed[5][1]
    check_numbers(page, known_there(recording, page))


def test_the_check_of_numbers_can_fail(page: Page, site: Served) -> None:
    picture = DATA / "digit-7.png"
    open_page(page, site.address)
    drop_file(page, "again.png", picture.read_bytes())
    expect(page.locator(".title")).to_contain_text("again.png")
    settled(page)
    page.goto(f"http://{site.host}/#at=conv2&index=0,3,1,2")
    wait_at(page, "conv2")
    recording = recorded("digits", picture)
    check_numbers(page, explain(recording, "conv2", (0, 3, 1, 2)))
    for wrong in (
        explain(recording, "conv2", (0, 3, 1, 1)),
        explain(recording, "conv2", (0, 4, 1, 2)),
        explain(recorded("digits", DATA / "digit-1.png"), "conv2", (0, 3, 1, 2)),
    ):
        with pytest.raises(AssertionError):
            check_numbers(page, wrong)


def test_the_keyboard_alone_walks_to_the_pixels(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.keyboard.press("1")
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".controls .path")).to_have_text("conv2")
    expect(page.locator(".sheet")).to_be_focused()
    for key in ("]", "]", "]", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".readout")).to_contain_text("channel 3 · row 1 · column 2")
    expect(page.locator(".readout b")).to_have_text(re.compile(r"\d"))
    shown = float(page.locator(".readout b").inner_text())
    page.keyboard.press("Enter")
    for name in ("conv2", "pool1", "relu1", "conv1"):
        wait_at(page, name)
        expect(page.locator("[data-best], .term .from").first).to_be_focused()
        if name == "conv2":
            assert standing_at(page)[1] == (0, 3, 1, 2)
            assert number_of(page.locator(".recorded")) == shown
        page.keyboard.press("Enter")
    wait_at(page, "input")
    page.keyboard.press("Backspace")
    wait_at(page, "conv1")
    page.keyboard.press("Escape")
    wait_at(page, "relu1")
    page.keyboard.press("s")
    expect(page.locator('[data-scale="step"]')).to_have_attribute("aria-checked", "true")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(page.locator(".invitation")).to_be_visible()


def test_a_reload_restores_where_one_stands(page: Page, site: Served) -> None:
    open_page(page, site.address)
    assert "token" not in page.url
    page.locator('.row[data-key="/3"]').click()
    expect(page.locator(".controls .path")).to_have_text("conv2")
    page.locator('[data-scale="network"]').click()
    page.locator(".sheet").click(position={"x": 60, "y": 60})
    wait_at(page, "conv2")
    page.locator("[data-best]").click()
    wait_at(page, "pool1")
    before = (page.url, standing_at(page), page.locator(".recorded").get_attribute("data-number"))
    page.reload()
    wait_at(page, "pool1")
    assert (
        page.url,
        standing_at(page),
        page.locator(".recorded").get_attribute("data-number"),
    ) == before
    expect(page.locator('[data-scale="network"]')).to_have_attribute("aria-checked", "true")
    expect(page.locator('.row[aria-selected="true"]')).to_contain_text("pool1")
    page.go_back()
    wait_at(page, "conv2")


def test_a_network_that_raises_shows_what_ran(page: Page, networks: Path) -> None:
    lab = lab_of(f"{networks}:Raises", DATA / "cat.jpg", 32)
    with served(lab) as site:
        open_page(page, site.address)
        expect(page.locator(".row.error")).to_contain_text("linear")
        expect(page.locator(".alert")).to_contain_text("mat1 and mat2")
        page.locator('.row[data-key="/0"]').click()
        expect(page.locator(".controls .path")).to_have_text("conv")
        page.locator(".sheet").click(position={"x": 60, "y": 60})
        wait_at(page, "conv")


def test_state_survives_any_text_in_the_address(page: Page, site: Served) -> None:
    open_page(page, site.address)
    strange: list[Any] = [
        "at=%E0%A4%A",
        "at=conv1&index=0,99,0,0",
        "at=nothing&index=1",
        "&&==",
        "x",
    ]
    for text in [*strange, "at=conv1&index=0,1", "at=conv1&trail=a!b;c", "at=conv1&zoom=1e9"]:
        page.goto(f"http://{site.host}/#{text}")
        page.reload()
        expect(page.locator(".controls .path")).to_have_text(re.compile("softmax|conv1"))
        expect(page.locator(".alert")).to_be_empty()
