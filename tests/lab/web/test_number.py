"""The single number: its lines are the terms of `explain_value` and `feeds_value`, ranked."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from convlens.lab import Lab
from convlens.lens import Recording, explain_value, feeds_value
from convlens.lens.terms import unravel
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded
from tests.running.browsing import asking
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")

NUMBERS = [
    ("input", (0, 0, 3, 3)),
    ("conv1", (0, 5, 6, 4)),
    ("conv1", (0, 5, 0, 0)),
    ("relu1", (0, 5, 6, 6)),
    ("pool1", (0, 5, 1, 1)),
    ("conv2", (0, 8, 2, 2)),
    ("flatten", (0, 17)),
    ("linear", (0, 3)),
    ("softmax", (0, 3)),
    ("conv2.weight", (8, 3, 1, 1)),
]


def opened(page: Page, site: Served, name: str, index: tuple[int, ...]) -> None:
    page.goto("about:blank")
    page.goto(f"{site.address}&at={name}&index={','.join(map(str, index))}&near=number")
    expect(page.locator(".number h2")).to_have_count(2)


def lines(page: Page, side: str) -> list[tuple[str, float]]:
    """The elements of a list that open, each with the full number beside it."""
    rows: list[Locator] = page.locator(f".{side} .row:has(.n[title])").all()
    found = []
    for row in rows:
        number = str(row.locator(".n").get_attribute("title"))
        found.append((row.locator(".who").inner_text().strip(), float(number)))
    return found


def value_of(recording: Recording, name: str) -> int:
    return next(v.id for v in recording.values if recording.name_of(v.id) == name)


def spot(recording: Recording, id: int, position: int) -> str:
    """Where an element lies, as the page says it; a picture of one map has no map's name."""
    maps, row, column = [0, 0, 0, *unravel(position, recording.values[id].shape)][-3:]
    if len(recording.values[id].shape) < 3:
        named = recording.name_of(id) in ("linear", "softmax")
        return f"“{column}”" if named else f"number {column}"
    own = recording.values[id].shape[-3]
    return f"{f'map {maps}, ' if own > 1 else ''}row {row}, column {column}"


@pytest.mark.parametrize(("name", "index"), NUMBERS)
def test_lines_are_the_terms_and_the_readers(
    page: Page, site: Served, name: str, index: tuple[int, ...]
) -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    id = value_of(recording, name)
    opened(page, site, name, index)
    known = explain_value(recording, id, index)
    terms = known.terms
    order = np.argsort(-np.abs(terms.product), kind="stable")
    numbers = terms.product
    if known.rule == "chosen":
        order = np.lexsort((-terms.value, terms.weight == 0))
    if known.rule != "sum":
        numbers = terms.value
    inside = [k for k in order.tolist() if terms.source[k] >= 0][:9]
    assert lines(page, "made") == [
        (spot(recording, int(terms.source[k]), int(terms.position[k])), numbers[k]) for k in inside
    ]
    fed = feeds_value(recording, id, index)
    assert lines(page, "feeds") == [
        (spot(recording, reading.output, int(reading.positions[k])), reading.product[k])
        for reading, k in fed.strongest(9)
    ]
    large = page.locator(".inspector .large").inner_text().replace("−", "-")
    assert abs(float(large) - known.recorded) <= 6e-4 * abs(known.recorded)


def test_the_words_are_those_of_the_plan(page: Page, site: Served) -> None:
    for name, index, sentence in (
        ("relu1", (0, 5, 6, 6), "Negative, so it becomes 0: −0.08440 stops here."),
        (
            "linear",
            (0, 3),
            "The score of “3”: all 192 numbers, each times its weight, plus the "
            "bias 0.005978: 18.06.",
        ),
        (
            "softmax",
            (0, 3),
            "“3” scored 18.06. e to that power, divided by the sum over all 10, "
            "is a share of 100.0 %.",
        ),
    ):
        opened(page, site, name, index)
        expect(page.locator(".sentence")).to_have_text(sentence)
    opened(page, site, "conv2", (0, 8, 2, 2))
    expect(page.locator(".made p")).to_have_text(
        re.compile(
            r"The terms add up to 0\.4236, \d\.\de−7 from what the network computed; "
            r"rounding allows 3\.3e−5\."
        )
    )
    expect(page.locator(".made")).to_contain_text("207 others")
    opened(page, site, "conv1", (0, 5, 0, 0))
    expect(page.locator(".made")).to_contain_text("5 beyond the edge")


def test_from_the_answer_to_a_pixel_by_keys_one_question_each(page: Page, site: Served) -> None:
    opened(page, site, "softmax", (0, 3))
    keys = 0
    with asking(page) as asked:
        while "at=input" not in page.url:
            place = page.locator(".crumbs").inner_text()
            sentence = page.locator(".sentence").inner_text()
            page.keyboard.press("Enter")
            expect(page.locator(".crumbs")).not_to_have_text(place)
            expect(page.locator(".sentence")).not_to_have_text(sentence)
            keys += 1
            assert keys <= 10
    assert asked == ["number"] * keys
    page.keyboard.press("Escape")
    expect(page.locator(".crumbs")).to_contain_text("conv1")


def test_a_line_opens_and_the_others_unfold(page: Page, site: Served) -> None:
    opened(page, site, "conv2", (0, 8, 2, 2))
    rows = page.locator(".made .row:has(.n[title])")
    expect(rows).to_have_count(9)
    page.locator(".made .row", has_text="207 others").click()
    expect(rows).to_have_count(200)
    page.locator(".made .row").first.focus()
    page.keyboard.press("ArrowDown")
    second = rows.nth(1).locator(".who").inner_text()
    with asking(page) as asked:
        page.keyboard.press("Enter")
        expect(page.locator(".came")).to_contain_text("conv2")
    assert asked == ["number"]
    expect(page.locator(".inspector .soft").first).to_have_text(f"pool1, {second}")
    expect(rows).to_have_count(4)


def test_a_phone_shows_one_list(page: Page, site: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, site, "pool1", (0, 8, 2, 2))
    expect(page.locator(".feeds")).to_be_hidden()
    for row in page.locator(".made .row").all():
        box = row.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    page.locator("[data-choice=feeds]").click()
    expect(page.locator(".feeds")).to_be_visible()
    expect(page.locator(".made")).to_be_hidden()


def test_parts_of_several_values_are_named(page: Page, residual: Lab) -> None:
    name = next(step["name"] for step in residual.network()["steps"] if step["family"] == "add")
    with served(residual) as site:
        opened(page, site, name.replace("@", "%40"), (0, 3, 4, 5))
        assert page.locator(".made .row b").count() == 2
        page.goto("about:blank")
