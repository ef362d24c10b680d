"""The answer on the picture: masks, segments, and what a number lights in every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from convlens.lab import Lab
from convlens.learn.opening import open_network
from tests.cases.lab_networks import lab_of, npy, photo
from tests.running.browsing import drawing, open_page, pixels_of, settled, shown_page, wait_at
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")


def test_a_mask_tints_its_pixels(page: Page, detector_site: Served) -> None:
    open_page(page, f"{detector_site.address}&least=100")
    untinted = drawing(page)
    plain = pixels_of(page)
    page.locator(".detections .link").click()
    row = page.locator(".detection").first
    row.hover()
    number = int(str(row.get_attribute("data-detection")))
    expect(page.locator(".box.loud")).to_have_count(1)
    changed = "(was) => document.querySelector('.stack canvas').toDataURL() !== was"
    page.wait_for_function(changed, arg=untinted)
    tinted = np.abs(pixels_of(page) - plain).sum(2) > 8
    mask = detector_site.lab.mask(1, number)
    (top, bottom), (left, right) = mask["box"]
    scale = tinted.shape[1] / 151
    inside = tinted[int(top * scale) : int(bottom * scale), int(left * scale) : int(right * scale)]
    assert tinted.sum() == pytest.approx(inside.sum(), rel=0.1)
    assert tinted.sum() == pytest.approx(mask["count"] * scale**2, rel=0.2)


@pytest.fixture(scope="module")
def video() -> Lab:
    lab = Lab(open_network("r3d_18", weights="none"))
    generator = torch.Generator().manual_seed(0)
    lab.look(npy(torch.rand(1, 3, 8, 56, 56, generator=generator)), "clip.npy")
    return lab


def test_a_pixel_of_the_segments_leads_to_its_winning_score(page: Page, networks: Path) -> None:
    lab = lab_of(f"{networks}:Segments", photo(), 16)
    winners = lab.segments(1)["codes"].reshape(16, 16)
    with shown_page(page, lab) as site:
        segments = lab.network()["segments"]
        assert segments is not None
        rows = page.locator(".segmented .list button")
        expect(rows).to_have_count(len(segments["classes"]))
        share = f"{100 * segments['classes'][0]['share']:.1f} %"
        expect(rows.first.locator(".number")).to_have_text(share)
        side = float(page.locator(".stack canvas").evaluate("(el) => el.clientWidth"))
        for y, x in ((3, 5), (12, 2)):
            page.locator(".overlay").click(
                position={"x": (x + 0.5) * side / 16, "y": (y + 0.5) * side / 16}
            )
            label = int(winners[y, x])
            expect(page.locator(".what .index")).to_have_text(f"[0, {label}, {y}, {x}]")
            expect(page.locator(".standing")).to_contain_text("chosen: the largest of 4 scores")
            expect(page.locator(".spot circle.edge")).to_have_count(1)
        # The score of a class that did not win says who did, and leads there.
        page.goto(f"http://{site.host}/#at=conv&index=0,3,12,2")
        expect(page.locator(".standing")).to_contain_text("not chosen: rank 4 of 4 scores")
        page.locator(".standing .link").click()
        expect(page.locator(".what .index")).to_have_text(f"[0, {winners[12, 2]}, 12, 2]")
        # Without its colours the picture cannot be clicked as a map.
        page.goto(f"http://{site.host}/#at=conv&tint=0")
        page.reload()
        settled(page)
        page.locator(".overlay").dispatch_event("click")
        expect(page.locator(".invitation")).to_be_visible()


def test_a_clips_scores_are_listed_and_lit_in_every_frame(page: Page, video: Lab) -> None:
    with shown_page(page, video) as site:
        best = video.network()["scores"][0]
        expect(page.locator(".scores .label").first).to_have_text(best["label"])
        page.locator(".scores button").first.click()
        wait_at(page, "fc")
        expect(page.locator(".caption")).to_have_text(
            "It depends on all 25088 positions: frames 0–7, rows 0–55, columns 0–55"
        )
        page.goto(f"http://{site.host}/#at=stem.0&index=0,3,4,10,10")
        wait_at(page, "stem.0")
        expect(page.locator(".caption")).to_contain_text("frames 3–5, rows 17–23, columns 17–23")
        pixels = pixels_of(page)
        high, wide = pixels.shape[0] // 2, pixels.shape[1] // 4
        marked = [
            bool((np.abs(frame - (194, 65, 12)).sum(2) < 12).any())
            for y in (0, 1)
            for x in range(4)
            for frame in [pixels[y * high : (y + 1) * high, x * wide : (x + 1) * wide]]
        ]
        assert marked == [False, False, False, True, True, True, False, False]
