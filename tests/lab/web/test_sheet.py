"""The maps on the page: their numbers, their zoom, strips and frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from convlens.zoo.weights import DATA
from tests.cases.lab_networks import lab_of, npy, recorded
from tests.running.browsing import (
    check_numbers,
    check_point,
    drawn,
    known_there,
    open_page,
    standing_at,
    tensor_of,
    wait_at,
)
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")


def test_2048_maps_are_one_sheet_with_the_tensors_numbers(page: Page, networks: Path) -> None:
    spec, picture = f"{networks}:Wide", DATA / "cat.jpg"
    recording = recorded(spec, picture)
    lab = lab_of(spec, picture)
    with served(lab) as site:
        open_page(page, site.address)
        expect(page.locator(".controls h2")).to_contain_text("2048×7×7")
        tensor = tensor_of(recording, "wide")
        seen = set()
        for scroll in (0, 2000, 100_000):
            page.evaluate(f"document.querySelector('.sheet').scrollTop = {scroll}")
            drawn(page)
            for x, y in ((40, 51), (203, 161), (333, 300), (110, 90), (420, 222), (260, 410)):
                seen.add(check_point(page, tensor, x, y))
        seen.discard(None)
        assert len(seen) >= 4
        assert max(index[1] for index in seen if index) > 1800


def test_zooming_in_prints_the_numbers_and_keeps_the_place(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=relu1&index=0,2,3,4")
    wait_at(page, "relu1")
    page.locator(".sheet").focus()
    for _ in range(8):
        page.keyboard.press("+")
    assert "zoom=8" in page.url
    wait_at(page, "relu1")
    assert standing_at(page)[1] == (0, 2, 3, 4)
    page.keyboard.press("0")
    assert "zoom" not in page.url


def test_a_click_between_maps_goes_one_back(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,6,3,3&trail=relu1!0,6,3,3")
    wait_at(page, "conv1")
    page.locator(".sheet").click(position={"x": 3, "y": 3})
    wait_at(page, "relu1")
    page.locator(".sheet").click(position={"x": 3, "y": 3})
    expect(page.locator(".invitation")).to_be_visible()


def test_a_signal_is_strips_and_its_region_is_said(page: Page, networks: Path) -> None:
    spec = f"{networks}:Signal"
    array = npy(torch.sin(torch.linspace(0, 40, 256)).reshape(1, 1, 256).repeat(1, 2, 1))
    lab = lab_of(spec, array)
    recording = recorded(spec, array)
    with served(lab) as site:
        open_page(page, f"{site.address}&at=conv&index=0,3,100")
        wait_at(page, "conv")
        check_numbers(page, known_there(recording, page))
        expect(page.locator(".caption")).to_have_text(
            "It depends on 9 of 256 positions: positions 96–104"
        )
        expect(page.locator(".readout")).to_contain_text("channel 3 · position 100")


def test_a_clip_has_frames_to_turn(page: Page, networks: Path) -> None:
    spec = f"{networks}:Clip"
    array = npy(torch.rand(1, 3, 5, 12, 16, generator=torch.Generator().manual_seed(0)))
    lab = lab_of(spec, array)
    recording = recorded(spec, array)
    with served(lab) as site:
        open_page(page, f"{site.address}&at=conv")
        expect(page.locator(".slider")).to_contain_text("frame")
        page.locator(".sheet").focus()
        page.keyboard.press(".")
        page.keyboard.press(".")
        expect(page.locator(".slider output")).to_have_text("2")
        page.keyboard.press("]")
        page.keyboard.press("Enter")
        wait_at(page, "conv")
        assert standing_at(page)[1] == (0, 1, 2, 0, 0)
        check_numbers(page, known_there(recording, page))
        expect(page.locator(".caption")).to_contain_text("frames 1–3, rows 0–1, columns 0–1")
