"""A step with all its maps: names, ranges and colours are those of the tensors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from convlens.zoo.weights import DATA
from tests.cases.lab_networks import lab_of, npy, recorded
from tests.running.browsing import asking, quiet, tensor_of
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")

# The colours of the cells of a map as the canvas shows them, and those of its numbers.
COLOURS = """async ([selector, left, top, cell, rows, columns, numbers, span]) => {
  const { colour } = await import("/colours.js");
  const shown = document.querySelector(`${selector} canvas`);
  const copy = new OffscreenCanvas(shown.width, shown.height);
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(shown, 0, 0);
  const apart = [];
  for (let i = 0; i < rows * columns; i++) {
    const x = left + ((i % columns) + 0.5) * cell, y = top + (Math.floor(i / columns) + 0.5) * cell;
    const seen = pen.getImageData(Math.round(x), Math.round(y), 1, 1).data;
    apart.push(Math.max(...colour(numbers[i], span).map((c, k) => Math.abs(c - seen[k]))));
  }
  return Math.max(...apart);
}"""

# How many pixels have the colour of what is not finite.
MAGENTA = """() => {
  const { width, height } = document.querySelector(".to canvas");
  const pen = document.querySelector(".to canvas").getContext("2d");
  const { data } = pen.getImageData(0, 0, width, height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i] === 213 && data[i + 1] === 0 && data[i + 2] === 142) count++;
  return count;
}"""


def shown(page: Page, address: str) -> None:
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(".sheet .named")).not_to_be_empty()


def point(page: Page, x: float, y: float) -> int:
    """Point at the maps that go out; return the number of the map that is named there."""
    page.locator(".to .maps").hover(position={"x": x, "y": y})
    found = re.fullmatch(r"map (\d+) .*", page.locator(".named").inner_text())
    assert found is not None
    return int(found[1])


def laid(page: Page, side: str = "to") -> tuple[int, float]:
    """How many maps stand in a row, and the pixels of a cell."""
    maps = page.locator(f".{side} .maps")
    return int(maps.get_attribute("data-across") or 0), float(maps.get_attribute("data-cell") or 0)


def range_of(page: Page) -> list[float]:
    """The least and the largest number that are written beside the map's name."""
    text = page.locator(".named .soft").inner_text().replace("−", "-")
    return [float(part) for part in text.split(" to ")]


def close(written: list[float], known: torch.Tensor) -> None:
    """Four figures of the map's least and largest number."""
    np.testing.assert_allclose(written, [float(known.min()), float(known.max())], rtol=6e-4)


def test_every_map_is_named_with_its_range_and_painted_in_its_numbers_colours(
    page: Page, site: Served
) -> None:
    tensor = tensor_of(recorded("digits", DATA / "digit-3.png"), "conv2")[0]
    shown(page, f"{site.address}&at=conv2&near=step")
    expect(page.locator(".sentence")).to_have_text(
        "48 kernels of 24×3×3 slide over the 24 maps of pool1: 48 maps of 4×4. "
        "Point at a map to see its kernel."
    )
    seen = set()
    across, cell = laid(page)
    for column in (0, 3, across - 1):
        for line in (0, 1, 3):
            known = line * across + column
            map = point(page, column * (4 * cell + 8) + 20, line * (4 * cell + 24) + 30)
            assert map == known
            seen.add(map)
            close(range_of(page), tensor[map])
            expect(page.locator(".which")).to_have_text(f"kernel {map}")
    assert len(seen) == 9
    numbers = tensor[0].reshape(-1).tolist()
    for scale, span in (("unit", tensor[0].abs().max()), ("step", tensor.abs().max())):
        page.locator(f".sheet [data-choice={scale}]").click()
        asked = [".to .maps", 2, 16, cell, 4, 4, numbers, float(span)]
        assert page.evaluate(COLOURS, asked) <= 6, scale
    assert "scale=step" in page.url


def test_the_kernel_of_each_map_lies_beside_it_and_pointing_asks_nothing(
    page: Page, site: Served
) -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    weight = tensor_of(recording, "conv1.weight")
    shown(page, f"{site.address}&at=conv1&near=step&index=0,0,0,0")
    with asking(page) as asked:
        places = [(30.0, 40.0), (110.0, 40.0), (200.0, 130.0), (30.0, 40.0)]
        maps = []
        for x, y in places:
            maps.append(point(page, x, y))
            quiet(page)
            kernel = weight[maps[-1], 0]
            side = 8 * laid(page, "from")[1]
            cell = side / 3
            # A number stands in the middle of a cell, so its corner is looked at.
            corner = [".from .maps", side + 4 - 0.4 * cell, 16 - 0.4 * cell, cell]
            weights = [3, 3, kernel.reshape(-1).tolist(), float(kernel.abs().max())]
            assert page.evaluate(COLOURS, [*corner, *weights]) == 0
    assert len(set(maps)) == 3
    assert asked == []


def test_a_click_opens_the_window_at_the_strongest_number(page: Page, site: Served) -> None:
    tensor = tensor_of(recorded("digits", DATA / "digit-3.png"), "relu1")
    shown(page, f"{site.address}&at=relu1&near=step")
    map = point(page, 150, 130)
    with asking(page) as asked:
        page.locator(".to .maps").click(position={"x": 150, "y": 130})
        expect(page.locator(".bench")).to_be_visible()
    assert asked == ["bench"]
    best = int(tensor[0, map].abs().argmax())
    assert f"index=0,{map},{best // 8},{best % 8}" in page.url


def test_keys_move_between_maps_and_open_one(page: Page, site: Served) -> None:
    shown(page, f"{site.address}&at=conv2&near=step&index=0,0,0,0")
    page.locator(".to .maps").focus()
    below = 1 + laid(page)[0]
    for key, map in (("ArrowRight", 1), ("ArrowDown", below), ("End", 47), ("Home", 0)):
        page.keyboard.press(key)
        expect(page.locator(".named b")).to_have_text(f"map {map}")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".bench")).to_be_visible()
    assert "at=conv2&index=0,1," in page.url


def test_2048_maps_are_one_canvas_that_scrolls(page: Page, networks: Path) -> None:
    spec, picture = f"{networks}:Wide", DATA / "cat.jpg"
    tensor = tensor_of(recorded(spec, picture), "wide")[0]
    with served(lab_of(spec, picture)) as site:
        shown(page, f"{site.address}&at=wide&near=step")
        seen = set()
        for scroll in (0, 3000, 1_000_000):
            page.evaluate(f"document.querySelector('.to .maps').scrollTop = {scroll}")
            for x, y in ((30, 100), (97, 330), (203, 240), (155, 52)):
                seen.add(map := point(page, x, y))
                close(range_of(page), tensor[map])
        assert len(seen) >= 6
        assert max(seen) > 2000
        page.goto("about:blank")


def test_what_is_not_finite_and_what_is_empty_are_said(page: Page, networks: Path) -> None:
    with served(lab_of(f"{networks}:Strange", DATA / "cat.jpg", 24)) as site:
        shown(page, f"{site.address}&at=log%403&near=step&index=0,0,0,0")
        expect(page.locator(".named")).to_have_text("map 0 NaN")
        expect(page.locator(".inspector")).to_contain_text("some numbers are not finite")
        assert page.evaluate(MAGENTA) > 5_000
        page.goto("about:blank")
        page.goto(f"{site.address}&at=getitem%4010&near=step")
        expect(page.locator(".to")).to_contain_text("one of its axes has length 0")
        page.goto("about:blank")


def test_frames_strips_and_samples_lead_to_their_numbers(page: Page, networks: Path) -> None:
    clip, signal = torch.rand(2, 3, 4, 6, 8), torch.rand(1, 2, 64)
    for name, source, at in (("Clip", clip, "conv"), ("Signal", signal, "conv")):
        spec, array = f"{networks}:{name}", npy(source)
        tensor = tensor_of(recorded(spec, array), at)
        with served(lab_of(spec, array)) as site:
            shown(page, f"{site.address}&at={at}&near=step")
            map = point(page, 60, 30)
            close(range_of(page), tensor[0, map])
            if len(tensor) > 1:
                page.locator("[aria-label='next sample']").click()
                expect(page.locator(".picker")).to_have_text(re.compile("sample ‹1"))
                close(range_of(page), tensor[1, map])
            page.goto("about:blank")
