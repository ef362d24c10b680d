"""The page compares with pictures, weights and networks that the server listed, by their names."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from convlens.lab.answers.others import Other
from convlens.lab.showing import lab_on
from convlens.zoo import model
from tests.running.browsing import asking, at, open_page, settled
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")


@pytest.fixture(scope="module")
def compared() -> Iterator[Served]:
    """A lab that was given other weights, and a network that does not fit."""
    weights = copy.deepcopy(model("digits").state_dict())
    weights["conv2.bias"][1] += 0.5
    given: dict[str, Other] = {"epoch 9": weights, "filters": "filters"}
    with served(lab_on("digits", beside=given)) as site:
        yield site


def menu(page: Page) -> Locator:
    return page.locator('[aria-label="Compare with"]')


def test_two_pictures_are_compared(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&with=digit-5.png")
    expect(page.locator(".compared")).to_contain_text("first different at conv1")
    expect(page.locator(".total .delta")).to_contain_text("there")
    page.locator('.compared [aria-label="End the comparison"]').click()
    settled(page)
    expect(page.locator(".compared")).to_be_hidden()


def test_weights_that_were_given_are_compared(page: Page, compared: Served) -> None:
    open_page(page, compared.address)
    groups = menu(page).locator("optgroup")
    expect(groups.first).to_have_attribute("label", "Weights and networks")
    assert groups.first.locator("option").all_inner_texts() == ["epoch 9", "filters"]
    with asking(page) as asked:
        menu(page).select_option("epoch 9")
        expect(page.locator(".compared")).to_contain_text("first different at conv2, map 1")
    assert [question for question in asked if "?" not in question][:2] == ["beside", "compare"]
    expect(menu(page)).to_have_value("epoch 9")
    assert at(page, "with") == "epoch 9"
    page.locator(".compared .crumb").click()
    settled(page)
    assert at(page, "at") == "conv2"
    expect(page.locator(".total .delta")).to_contain_text("0.5000")


def test_what_does_not_fit_ends_the_comparison_in_a_sentence(page: Page, compared: Served) -> None:
    open_page(page, f"{compared.address}&with=epoch%209")
    expect(page.locator(".compared")).to_be_visible()
    menu(page).select_option("filters")
    expect(page.locator(".alert")).to_contain_text("digits and filters cannot be compared")
    settled(page)
    expect(menu(page)).to_have_value("")
    expect(page.locator(".compared")).to_be_hidden()
    expect(page.locator(".total .delta")).to_be_hidden()
    menu(page).select_option("epoch 9")
    expect(page.locator(".compared")).to_be_visible()
    expect(page.locator(".alert")).to_be_hidden()


def test_a_name_that_was_not_given_is_refused(browser: Browser, compared: Served) -> None:
    page = browser.new_page()  # its console says that the server refused the question
    open_page(page, f"{compared.address}&with=%2Fetc%2Fpasswd")
    expect(page.locator(".alert")).to_contain_text("start it again with --beside")
    expect(menu(page)).to_have_value("")
    page.close()
