"""The picture with the answer on it, and the walk of a box as a filmstrip."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from convlens.lab import Lab
from convlens.lab.answers.filmstrip import WalkAnswer
from tests.cases.detectors import few_masks
from tests.cases.lab_networks import lab_of, photo
from tests.running.browsing import asking
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")

ROWS, COLUMNS = 100, 151


@pytest.fixture
def boxes(page: Page, detector_site: Served) -> Page:
    """The page as it opens on a detector that found five boxes."""
    page.goto(detector_site.address)
    expect(page.locator(".fs-frame")).to_have_count(11)
    return page


@pytest.fixture(scope="module")
def nothing() -> Iterator[Served]:
    """A detector that finds nothing, since nothing scores what it asks for."""
    lab = Lab(few_masks(least=0.99))
    lab.look(photo(), "cat.png")
    with served(lab) as site:
        yield site


@pytest.fixture(scope="module")
def segments(networks: Path) -> Iterator[Served]:
    with served(lab_of(f"{networks}:Segments", photo(), 16)) as site:
        yield site


def place(box: Locator) -> list[float]:
    """Where a box lies, in pixels of the picture."""
    style = str(box.get_attribute("style"))
    left, top, width, height = (
        float(re.search(rf"{side}: ?([\d.e-]+)%", style)[1]) / 100  # type: ignore[index]
        for side in ("left", "top", "width", "height")
    )
    return [left * COLUMNS, top * ROWS, (left + width) * COLUMNS, (top + height) * ROWS]


def test_a_detector_opens_on_what_it_found(boxes: Page, detector_lab: Lab) -> None:
    found = detector_lab.network()["detections"]
    assert found is not None
    expect(boxes.locator(".pv-box")).to_have_count(5)
    expect(boxes.locator(".pv-box.low")).to_have_count(0)
    for each in found["best"]:
        box = boxes.locator(f'.pv-box[data-found="{each["number"]}"]')
        np.testing.assert_allclose(place(box), each["box"], atol=0.01)
        line = boxes.locator(f'.pv-line[data-found="{each["number"]}"]')
        expect(line.locator(".n")).to_have_text(each["text"])
    best = found["best"][0]
    expect(boxes.locator(".sentence")).to_have_text(
        f"5 boxes scored 50 % or more; the best of 5 is “{best['label']}”, {best['text']}. "
        "Click one to walk it back to the pixels."
    )
    expect(boxes.locator("header .answer")).to_contain_text(f"{best['label']} {best['text']}")
    tick = boxes.locator(".pv-tick")
    expect(tick).to_have_attribute("title", "Here, at 0.05, the network itself stops")
    width = boxes.locator(".pv-range").evaluate("(el) => el.offsetWidth")
    at = tick.evaluate("(el) => el.offsetLeft + 1")
    assert at == pytest.approx(8 + (width - 16) * found["least"], abs=1)


def test_the_frames_are_the_walk_and_none_is_asked_for_twice(
    boxes: Page, detector_lab: Lab
) -> None:
    walk = detector_lab.walk(1, 0)
    stations = walk["stations"]
    expect(boxes.locator(".fs-name")).to_have_text([s["name"] for s in stations])
    briefs = [s["brief"] for s in stations if s["frame"] not in ("box", "score") and s["brief"]]
    for brief in briefs:
        expect(boxes.locator(".fs-brief", has_text=brief).first).to_be_visible()
    chosen = [s for s in stations if s["chosen"] or s["link"] == "chosen"]
    expect(boxes.locator(".fs-link.chosen")).to_have_count(len(chosen))
    with asking(boxes) as asked:
        for k, station in enumerate(stations):
            boxes.locator(f'[data-station="{k}"]').hover()
            text = boxes.locator(".fs-say").inner_text().replace("−", "-")
            assert station["text"][1:] in text
            if station["chosen"]:
                assert text.startswith(station["chosen"]["text"].replace("−", "-"))
            if station["box"]:
                spot = place(boxes.locator(".pv-spot"))
                np.testing.assert_allclose(spot, station["box"], atol=0.01)
    assert asked == []


def test_a_frame_opens_its_number_and_the_word_what_chose_it(
    boxes: Page, detector_lab: Lab
) -> None:
    stations = {s["name"]: (k, s) for k, s in enumerate(detector_lab.walk(1, 0)["stations"])}
    names = {v["id"]: v["name"] for v in detector_lab.network()["values"]}
    for name, near in (("objectness", "window"), ("proposal", "number")):
        k, station = stations[name]
        boxes.locator(f'[data-station="{k}"]').click()
        index = ",".join(map(str, station["index"]))
        expect(boxes).to_have_url(
            re.compile(re.escape(f"#at={names[station['value']]}&index={index}"))
        )
        assert (f"near={near}" in boxes.url) == (near != "window")
        boxes.go_back()
        expect(boxes.locator(".fs-frame")).to_have_count(11)
    choice = stations["box"][1]["chosen"]
    assert choice is not None
    boxes.locator(".fs-link.chosen button").first.click()
    expect(boxes).to_have_url(
        re.compile(f"at={names[choice['value']]}&index={choice['index'][0]}&near=number")
    )


def test_the_keyboard_goes_from_frame_to_frame(boxes: Page, detector_lab: Lab) -> None:
    stations = detector_lab.walk(1, 0)["stations"]
    boxes.locator('[data-station="0"]').focus()
    for _ in range(3):
        boxes.keyboard.press("ArrowRight")
    expect(boxes.locator('[data-station="3"]')).to_be_focused()
    assert stations[3]["text"][1:].split(";")[0] in boxes.locator(".fs-say").inner_text().replace(
        "−", "-"
    )
    boxes.keyboard.press("ArrowLeft")
    expect(boxes.locator('[data-station="2"]')).to_have_attribute("aria-pressed", "true")
    boxes.keyboard.press("Enter")
    expect(boxes).to_have_url(re.compile("cls_score"))


def test_the_maps_of_the_frames_have_the_colours_of_their_numbers(
    boxes: Page, detector_lab: Lab
) -> None:
    walk = detector_lab.walk(1, 0)
    for name in ("samples", "mask"):
        k, numbers = plane(walk, name)
        rows, columns = numbers.shape
        shown = painted(boxes.locator(f'[data-station="{k}"] canvas'))
        for row, column in ((0, 0), (rows - 1, 0), (1, columns - 2)):
            x, y = (int(len(shown) * (at + 0.5) / n) for at, n in ((column, columns), (row, rows)))
            red, _, blue = shown[y, x]
            if abs(numbers[row, column]) > 0.1 * np.abs(numbers).max():
                assert (blue > red) == (numbers[row, column] > 0)


def painted(canvas: Locator) -> npt.NDArray[np.int_]:
    """What a canvas shows, red, green and blue."""
    content = base64.b64decode(canvas.evaluate("(el) => el.toDataURL()").split(",")[1])
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def plane(walk: WalkAnswer, name: str) -> tuple[int, npt.NDArray[np.float32]]:
    """The number of a frame, and what its map shows."""
    k, map = next((k, s["map"]) for k, s in enumerate(walk["stations"]) if s["name"] == name)
    assert map is not None
    rows, columns = map["shown"]
    numbers = walk["numbers"][map["start"] :][: rows * columns]
    return k, numbers.reshape(rows, columns)


def test_another_box_is_walked_when_it_is_clicked(boxes: Page, detector_lab: Lab) -> None:
    other = detector_lab.walk(1, 3)["stations"]
    with asking(boxes) as asked:
        boxes.locator('.pv-line[data-found="3"]').click()
        expect(boxes.locator(".fs-say")).to_contain_text(other[0]["text"][1:])
    assert asked == ["walk"]
    expect(boxes.locator('.pv-line[data-found="3"]')).to_have_attribute("aria-pressed", "true")
    assert "found=3" in boxes.url


def test_below_its_own_score_a_detector_shows_candidates(boxes: Page, detector_lab: Lab) -> None:
    found = detector_lab.network()["detections"]
    assert found is not None
    low = [each for each in found["candidates"] if each["score"] >= 0.01]
    assert low
    boxes.locator(".pv-range input").fill("1")
    expect(boxes.locator(".pv-box.low")).to_have_count(len(low))
    boxes.locator(f'.pv-line[data-found="{low[0]["number"]}"]').click()
    expect(boxes.locator(".fs-name").first).to_have_text("box")
    expect(boxes.locator(".fs-frame")).to_have_count(10)  # it has no mask
    walk = detector_lab.walk(1, low[0]["number"])["stations"]
    expect(boxes.locator(".fs-big")).to_have_text(walk[1]["brief"])


def test_a_detector_that_finds_nothing_shows_how_near_it_came(page: Page, nothing: Served) -> None:
    found = nothing.lab.network()["detections"]
    assert found is not None
    page.goto(nothing.address)
    expect(page.locator(".sentence")).to_have_text(found["sentence"])
    expect(page.locator(".pv-box.low")).to_have_count(10)
    expect(page.locator(".pv-range input")).to_have_value("99")
    expect(page.locator(".fs-name")).to_have_text(
        [s["name"] for s in nothing.lab.walk(1, 0)["stations"]]
    )
    expect(page.locator("header .answer")).to_contain_text("nothing found")
    expect(page.locator(".alert")).to_be_hidden()  # values without numbers have no thumbnail


def test_on_a_phone_the_picture_stays_above_the_frames(page: Page, detector_site: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(detector_site.address)
    page.locator('[data-station="6"]').click()
    expect(page.locator(".fs-row li .fs-say")).to_be_visible()
    top = page.locator(".pv-pin").evaluate("(el) => el.getBoundingClientRect().top")
    assert top == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".fs-open").click()
    expect(page).to_have_url(re.compile("cls_logits"))


def test_a_pixel_of_the_segments_shows_its_scores(page: Page, segments: Served) -> None:
    page.goto(segments.address)
    side = float(page.locator(".pv-stack canvas").evaluate("(el) => el.clientWidth"))
    for y, x in ((3, 5), (12, 2)):
        found = segments.lab.pixel(1, y, x)
        spot = {"x": (x + 0.5) * side / 16, "y": (y + 0.5) * side / 16}
        with asking(page) as asked:
            page.locator(".pv-pixels").click(position=spot)  # type: ignore[arg-type]
            expect(page.locator(".ps-say")).to_have_text(found["sentence"])
        assert asked == ["pixel"]
        lines = page.locator(".ps-line")
        expect(lines.locator("span:nth-child(2)")).to_have_text(
            [s["name"] for s in found["scores"]]
        )
    page.locator(".pv-pixels").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    found = segments.lab.pixel(1, 11, 12)
    expect(page.locator(".ps-say")).to_have_text(found["sentence"])
    page.locator(".ps-line").nth(1).click()
    index = ",".join(map(str, found["scores"][1]["index"]))
    expect(page).to_have_url(re.compile(f"#at=conv&index={index}"))


def test_the_colours_of_the_segments_are_those_of_the_classes(page: Page, segments: Served) -> None:
    codes = segments.lab.segments(1)["codes"].reshape(16, 16)
    listed = segments.lab.network()["segments"]
    assert listed is not None
    page.goto(segments.address)
    page.locator(".pv-range input").fill("100")
    colours = {
        each["label"]: each["colour"] for each in listed["classes"] if not each["background"]
    }
    shown = painted(page.locator(".pv-stack canvas"))
    for y, x in ((1, 1), (8, 3), (14, 14)):
        pixel = shown[int((y + 0.5) * len(shown) / 16), int((x + 0.5) * len(shown) / 16)]
        if int(codes[y, x]) in colours:
            np.testing.assert_allclose(pixel, colours[int(codes[y, x])], atol=1)
