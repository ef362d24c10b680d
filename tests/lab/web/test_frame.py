"""The page around the lab: its screen, its names, and the ways a file comes in."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from convlens.zoo.weights import DATA
from tests.running.browsing import drop_file, open_page, settled, wait_at
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")


def test_a_bad_picture_is_answered_with_a_sentence(page: Page, site: Served) -> None:
    open_page(page, site.address)
    title = page.locator(".title").inner_text()
    drop_file(page, "notes.txt", b"these are notes, and no picture")
    expect(page.locator(".alert")).to_contain_text("PNG")
    assert page.locator(".title").inner_text() == title
    page.locator(".alert button").click()
    expect(page.locator(".alert")).to_be_empty()


def test_without_the_token_the_page_says_so(page: Page, site: Served) -> None:
    page.goto(f"http://{site.host}/")
    expect(page.locator(".alert")).to_contain_text("open the address printed in the terminal")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180), (390, 844)])
@pytest.mark.parametrize("place", ["", "&at=conv2&index=0,8,2,2&trail=relu2!0,8,2,2", "&at=input"])
def test_nothing_sticks_out_of_the_screen(
    page: Page, site: Served, width: int, height: int, place: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, site.address + place)
    if "index" in place:
        wait_at(page, "conv2")
    page.locator(".title").evaluate("title => title.append(' a long name'.repeat(30))")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide == width
    if width > 760:
        assert page.evaluate("document.documentElement.scrollHeight") == height
        boxes = [
            page.locator(f".columns > .{c}").bounding_box() for c in ("outline", "maps", "numbers")
        ]
        assert all(box is not None and box["height"] > 600 for box in boxes)


def test_everything_to_press_has_a_name(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv2&index=0,8,2,2")
    wait_at(page, "conv2")
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, [tabindex='0']")].filter((el) =>
          !(el.getAttribute("aria-label") || el.textContent.trim() || el.labels?.length))
          .map((el) => el.outerHTML)"""
    )
    assert nameless == []
    assert page.locator('[role="tree"] [role="treeitem"]').count() > 9
    # One stop for Tab in each of tree and arithmetic; arrows do the rest.
    assert page.locator('[role="treeitem"][tabindex="0"]').count() == 1
    assert page.locator('.go[tabindex="0"]').count() == 1


def test_pictures_of_every_kind_can_be_dropped(page: Page, site: Served) -> None:
    open_page(page, site.address)
    for mode, form in (("P", "GIF"), ("CMYK", "JPEG"), ("L", "WEBP"), ("1", "TIFF")):
        file = io.BytesIO()
        Image.open(DATA / "digit-3.png").convert("RGB").convert(mode).save(file, form)
        drop_file(page, f"three.{form}", file.getvalue())
        expect(page.locator(".title")).to_contain_text(f"three.{form}")
        settled(page)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_nothing_of_a_walk_sticks_out_of_the_screen(
    page: Page, detector_site: Served, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, f"{detector_site.address}&least=0")
    page.locator(".detection").first.click()
    page.locator(".station", has_text="anchor").click()
    wait_at(page, "rpn.head.bbox_pred")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width > 760:
        assert page.evaluate("document.documentElement.scrollHeight") == height
    picture = page.locator(".stack").bounding_box()
    assert picture is not None
    # The picture is on the screen together with the list.
    assert picture["height"] > 100
    assert picture["y"] >= 0
    assert picture["y"] + picture["height"] <= height
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, [tabindex='0']")].filter((el) =>
          !(el.getAttribute("aria-label") || el.textContent.trim() || el.labels?.length))
          .map((el) => el.outerHTML)"""
    )
    assert nameless == []
    assert page.locator('.stop[tabindex="0"]').count() == 1
