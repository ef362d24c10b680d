"""The answer on the page: detections walked back, by mouse and by keyboard."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from convlens.lab import Lab
from convlens.learn.opening import Opened
from convlens.learn.tracing import trace
from convlens.lens import Recording, explain_value
from tests.cases.lab_networks import lab_of, photo
from tests.running.browsing import open_page, settled, shown_page, wait_at
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")


def _stations(page: Page) -> list[str]:
    return [str(name) for name in page.locator(".station .name").all_inner_texts()]


def test_a_detection_is_walked_back_with_the_mouse(
    page: Page, detector_site: Served, recording: Recording
) -> None:
    open_page(page, f"{detector_site.address}&least=0")
    rows = page.locator(".detection")
    expect(rows).to_have_count(5)
    best = int(recording.outputs[0]["scores"].argmax())
    assert rows.first.get_attribute("data-detection") == str(best)
    expect(page.locator(".box")).to_have_count(5)
    # Each way: the row of a box, the box of a row.
    rows.nth(2).hover()
    number = rows.nth(2).get_attribute("data-detection")
    expect(page.locator(".box.loud")).to_have_attribute("data-detection", str(number))
    expect(page.locator(".tag text")).to_have_text(re.compile(r"^(cat|dog|bird|cow) \d+ %$"))
    page.locator(f'.box[data-detection="{number}"] .edge').dispatch_event("pointerenter")
    page.locator(".title").hover()
    page.locator(f'.box[data-detection="{best}"]').dispatch_event("pointerenter")
    expect(page.locator(".detection.hot")).to_have_attribute("data-detection", str(best))
    page.locator(f'.box[data-detection="{best}"]').dispatch_event("pointerleave")
    expect(page.locator(".detection.hot")).to_have_count(0)

    page.locator(f'.box[data-detection="{best}"]').dispatch_event("click")
    known = trace(recording, best)
    expect(page.locator(".station")).to_have_count(len(known.stations))
    assert _stations(page) == [station.name for station in known.stations]
    chosen = page.locator(".walk .chosen .name").all_inner_texts()
    assert chosen == [station.name for station in known.stations if station.link == "chosen"]
    assert page.locator(".walk em").all_inner_texts() == ["chosen"] * len(chosen)
    for place, station in enumerate(known.stations):
        page.locator(f'.station[data-station="{place}"]').click()
        expect(page.locator(".station.on .text")).to_have_text(station.text)
        expect(page.locator(".what .index")).to_have_text(
            "[" + ", ".join(map(str, station.index)) + "]"
        )
        assert f"detection={best}&station={place}" in page.url
        shown = float(str(page.locator(".recorded").get_attribute("data-number")))
        tensor = recording.values[station.value].tensor
        assert np.float32(shown) == np.float32(tensor[station.index])
        _check_spot(page, station.box)


def test_samples_lie_as_a_window_and_a_chosen_box_leads_to_what_chose_it(
    page: Page, detector_site: Served, recording: Recording
) -> None:
    open_page(page, f"{detector_site.address}&least=0")
    page.locator('.detection[data-detection="0"]').click()
    stations = {s.name: (n, s) for n, s in enumerate(trace(recording, 0).stations)}
    place, samples = stations["RoI samples"]
    page.locator(f'.station[data-station="{place}"]').click()
    made = explain_value(recording, samples.value, samples.index)
    cells = page.locator(".grid.window td button")
    expect(cells).to_have_count(len(made.terms))
    assert made.terms.arrangement[0] == 1
    shares = [
        float(str(cell.get_attribute("data-number")))
        for cell in page.locator(".grid.kernel td button").all()
    ]
    np.testing.assert_allclose(shares, made.terms.weight, rtol=1e-6)
    expect(page.locator(".between")).to_contain_text("weighed by where the box lies")

    # From the box to the boxes that were kept, and from there to the suppression that kept it.
    page.locator('.station[data-station="0"]').click()
    expect(page.locator(".what .index")).to_have_text("[0, 0]")
    page.locator(".sum .term .from").click()
    link = page.locator(".term .chooser")
    expect(link).to_contain_text("chosen by")
    link.click()
    expect(page.locator(".arithmetic h2")).to_contain_text("nms")
    expect(page.locator(".arithmetic")).to_contain_text("is kept")


def _check_spot(page: Page, box: Any) -> None:
    """The rectangle on the picture is where the station lies in it."""
    width = float(page.locator(".stack canvas").evaluate("(el) => el.clientWidth"))
    edge = page.locator(".spot .edge")
    x, y, w, h = (float(str(edge.get_attribute(name))) for name in ("x", "y", "width", "height"))
    scale = width / 151
    middle = ((box[0] + box[2]) / 2 * scale, (box[1] + box[3]) / 2 * scale)
    assert abs(x + w / 2 - middle[0]) < 1
    assert abs(y + h / 2 - middle[1]) < 1
    assert abs(w - max(7, (box[2] - box[0]) * scale)) < 1
    assert abs(h - max(7, (box[3] - box[1]) * scale)) < 1


def test_the_keyboard_walks_from_station_to_station_and_back(
    page: Page, detector_site: Served
) -> None:
    open_page(page, f"{detector_site.address}&least=0")
    page.keyboard.press("4")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".station.on .name")).to_have_text("box")
    expect(page.locator(".station.on")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".station.on .name")).to_have_text("mask")
    wait_at(page, "roi_heads.mask_predictor.mask_fcn_logits")
    # A term of the station's number, and back again.
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_at(page, "roi_heads.mask_predictor.relu")
    assert "trail=roi_heads.mask_predictor.mask_fcn_logits!" in page.url
    page.keyboard.press("Escape")
    wait_at(page, "roi_heads.mask_predictor.mask_fcn_logits")
    page.keyboard.press("Escape")
    expect(page.locator(".station.on .name")).to_have_text("box")
    page.keyboard.press("Escape")
    expect(page.locator(".station")).to_have_count(0)
    expect(page.locator(".invitation")).to_be_visible()
    assert "detection=" not in page.url


def test_a_reload_restores_the_walk_and_a_click_on_nothing_goes_back(
    page: Page, detector_site: Served
) -> None:
    open_page(page, f"{detector_site.address}&least=0")
    page.locator(".detection").nth(1).click()
    page.locator(".station", has_text="regression").click()
    wait_at(page, "roi_heads.box_predictor.bbox_pred")
    before = (page.url, page.locator(".recorded").get_attribute("data-number"))
    page.reload()
    wait_at(page, "roi_heads.box_predictor.bbox_pred")
    expect(page.locator(".station.on .name")).to_have_text("regression")
    assert (page.url, page.locator(".recorded").get_attribute("data-number")) == before
    page.go_back()
    expect(page.locator(".station.on .name")).to_have_text("box")
    page.go_forward()
    expect(page.locator(".station.on .name")).to_have_text("regression")
    page.locator(".overlay").dispatch_event("click")
    expect(page.locator(".station.on .name")).to_have_text("score")
    # Another step of the network ends the walk.
    page.locator(".row.module").first.click()
    expect(page.locator(".station")).to_have_count(0)


def test_strange_addresses_of_detections_are_as_if_not_there(
    page: Page, detector_site: Served
) -> None:
    open_page(page, detector_site.address)
    for text in (
        "detection=99&station=0",
        "detection=-1",
        "detection=x&station=3",
        "least=1e9&tint=-4",
    ):
        page.goto(f"http://{detector_site.host}/#at=input&{text}")
        page.reload()
        settled(page)
        expect(page.locator(".controls .path")).to_have_text("input")
        expect(page.locator(".station")).to_have_count(0)
        expect(page.locator(".alert")).to_be_empty()


def test_too_high_a_threshold_says_so(page: Page, detector_site: Served) -> None:
    open_page(page, f"{detector_site.address}&least=100")
    expect(page.locator(".detections .none:not(.doubt)")).to_contain_text(
        "with a score of 100 % or more"
    )
    expect(page.locator(".box")).to_have_count(0)
    page.locator(".detections .link").click()
    expect(page.locator(".detection")).to_have_count(5)
    assert "least=0" in page.url


def _count(lab: Lab) -> int:
    found = lab.network()["detections"]
    assert found is not None
    return found["count"]


def test_nothing_found_is_said_in_a_sentence(page: Page, detector: Opened) -> None:
    network: Any = detector.network
    boxes, *others = heads = network.roi_heads.heads
    lab = Lab(detector)
    try:
        network.roi_heads.heads = [dataclasses.replace(boxes, score_thresh=1.5), *others]
        lab.look(photo())
    finally:
        network.roi_heads.heads = heads
    assert _count(lab) == 0
    with shown_page(page, lab):
        expect(page.locator(".detections .none:not(.doubt)")).to_have_text(
            "Nothing was found: no box scored above the network's own threshold."
        )
        expect(page.locator(".blank")).to_contain_text("Empty: its shape is 0×4.")


def test_a_detector_of_another_kind_leads_to_its_scores(page: Page, networks: Path) -> None:
    with shown_page(page, lab_of(f"{networks}:Finds", photo(), 16)):
        expect(page.locator(".detection")).to_have_count(2)
        expect(page.locator(".box")).to_have_count(1)  # the other is nowhere
        page.locator(".detection").first.click()
        expect(page.locator(".what .index")).to_have_text("[1]")
        assert float(str(page.locator(".recorded").get_attribute("data-number"))) == 0.9
        expect(page.locator(".skeleton circle")).to_have_count(17)
        expect(page.locator(".skeleton line")).to_have_count(16)
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator(".detection.on")).to_have_count(0)
