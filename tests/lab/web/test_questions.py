"""The questions of the page: one a click, none a hover, none for what it already has."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.cases.lab_networks import lab_of, photo
from tests.running.browsing import asking, open_page, shown_page, wait_at
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")


def test_a_hover_asks_nothing_and_a_click_on_a_number_once(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv2")
    read = set()
    with asking(page) as asked:
        for step in range(12):
            page.locator(".sheet").hover(position={"x": 40 + 31 * step, "y": 40 + 17 * step})
            if "over" in str(page.locator(".sheet").get_attribute("class")):
                expect(page.locator(".readout b")).not_to_have_text("…")
                read.add(page.locator(".readout").inner_text())
    assert asked == []
    assert len(read) > 4
    with asking(page) as asked:
        page.locator(".sheet").click(position={"x": 60, "y": 60})
        wait_at(page, "conv2")
        expect(page.locator(".caption")).to_contain_text("It depends on")
    assert asked == ["number"]
    with asking(page) as asked:
        page.locator('[aria-label="Larger"]').click()
        page.locator('[data-scale="step"]').click()
        expect(page.locator('[data-scale="step"]')).to_have_attribute("aria-checked", "true")
    assert asked == []


def test_following_a_term_is_one_question_with_the_sheet_it_lies_on(
    page: Page, site: Served
) -> None:
    open_page(page, f"{site.address}&at=conv2&index=0,8,2,2")
    wait_at(page, "conv2")
    for name in ("pool1", "relu1", "conv1", "input"):
        with asking(page) as asked:
            page.locator("[data-best], .term .from").first.click()
            wait_at(page, name)
            expect(page.locator(".controls .path")).to_have_text(name)
        assert asked == ["number"], name
    with asking(page) as asked:
        page.locator(".trail button").first.click()
        wait_at(page, "conv2")
    assert asked == ["number"]


def test_a_score_and_a_bar_are_one_question_each(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1")
    with asking(page) as asked:
        page.locator(".scores button").first.click()
        wait_at(page, "softmax")
        expect(page.locator(".bar.opened")).to_have_count(1)
    assert asked == ["number"]
    with asking(page) as asked:
        page.locator(".bar").last.click()
        expect(page.locator(".bar").last).to_have_class("bar opened")
        expect(page.locator(".what .index")).to_have_text("[0, 9]")
    assert asked == ["number"]


def test_a_station_of_a_walk_is_one_question(page: Page, detector_site: Served) -> None:
    open_page(page, f"{detector_site.address}&least=0")
    with asking(page) as asked:
        page.locator(".detection").first.click()
        expect(page.locator(".what .index")).to_have_text("[0, 0]")
    assert sorted(asked) == ["number", "walk"]
    with asking(page) as asked:
        page.locator(".station", has_text="regression").click()
        wait_at(page, "roi_heads.box_predictor.bbox_pred")
    assert asked == ["number"]


def test_a_large_sheet_asks_once_for_each_map_that_is_read(page: Page, networks: Path) -> None:
    lab = lab_of(f"{networks}:Large", photo(), 64)
    with shown_page(page, lab), asking(page) as asked:
        for _ in range(2):
            for x in (20, 24):
                page.locator(".sheet").hover(position={"x": x, "y": 35})
                expect(page.locator(".readout b")).not_to_have_text("…")
    assert asked == ["numbers"]


def test_the_count_of_questions_can_fail(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv2")
    with asking(page) as asked:
        page.locator(".sheet").click(position={"x": 60, "y": 60})
        page.evaluate("fetch('/api/scale?recording=1')")
        wait_at(page, "conv2")
    assert sorted(asked) == ["number", "scale"]
