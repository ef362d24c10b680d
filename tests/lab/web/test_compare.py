"""The page compares with pictures, weights and networks that the server listed, by their names."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect
from torch import nn

from convlens.lab.answers.others import Other
from convlens.lab.showing import lab_on
from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.lens import explain, record
from convlens.zoo import model
from convlens.zoo.weights import DATA
from tests.running.browsing import (
    asking,
    at,
    go,
    number,
    open_page,
    read,
    settled,
    shown_page,
    tensor_of,
)
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


def test_the_switch_shows_how_the_number_is_made_there(page: Page, site: Served) -> None:
    opened = open_network("digits")
    x, _ = read_inputs(opened, DATA / "digit-5.png")
    there = explain(record(opened.network, x), "conv1", (0, 5, 6, 4))
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&with=digit-5.png")
    total, delta = page.locator(".total b").first, page.locator(".delta")
    expect(delta).to_have_count(1)
    expect(delta).to_have_text("there 0.9010, difference +0.7757")
    where = page.locator(".seat.out .cells").bounding_box()
    assert where is not None
    with asking(page) as asked:
        page.locator('[data-choice="other"]').click()
        expect(total).to_have_text("0.9010")
    assert asked == ["bench"]
    assert read(total) == pytest.approx(there.recorded, rel=1e-3)
    assert page.locator(".seat.out .cells").bounding_box() == pytest.approx(where, abs=2)
    products = [number(text) for text in page.locator(".product").all_inner_texts()]
    assert products == pytest.approx(list(there.terms.product), abs=6e-3)
    expect(delta).to_have_text("here 1.677, difference +0.7757")
    expect(page.locator(".inspector .large")).to_have_text("0.9010")
    expect(page.locator(".whatif")).to_be_hidden()
    expect(page.locator(".kernel")).to_have_attribute("inert", "")
    page.locator('[data-choice="difference"]').click()
    expect(total).to_have_text("1.677")


def test_other_weights_show_their_kernel(page: Page, compared: Served) -> None:
    open_page(page, f"{compared.address}&at=conv2&index=0,1,2,2&with=epoch%209")
    bias = page.locator(".bias .weight")
    here = read(bias)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator('[data-choice="other"]').click()
    expect(page.locator(".kernel[inert]")).to_be_visible()
    assert read(bias) == pytest.approx(here + 0.5, abs=1e-3)


def test_there_is_shown_of_norms_and_resampling_too(page: Page) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(6), nn.Upsample(scale_factor=2))
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.get_parameter("1.bias").add_(2)
    lab = lab_on(network, torch.rand(1, 3, 8, 8), beside={"other": other})
    seen = record(other.eval(), lab.recording.inputs[0].tensor)
    with shown_page(page, lab, "at=1&index=0,1,2,3&with=other"):
        page.locator('[data-choice="other"]').click()
        expect(page.locator(".delta")).to_have_text(re.compile("^here"))
        made = float(tensor_of(seen, "1")[0, 1, 2, 3])
        assert read(page.locator(".total b").first) == pytest.approx(made, rel=1e-3)
        go(page, "at=2&index=0,1,2,3&with=other")
        made = float(tensor_of(seen, "2")[0, 1, 2, 3])
        assert read(page.locator(".total b").first) == pytest.approx(made, rel=1e-3)


def test_before_a_change_the_kernel_is_the_old_one(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&set=conv1.bias!5:2")
    expect(page.locator(".delta").first).to_contain_text("was 1.677")
    page.locator('[data-choice="other"]').click()
    expect(page.locator(".bias .weight")).to_have_text("0.1750")
    expect(page.locator(".total .delta")).to_contain_text("now 3.502")


def test_a_change_of_size_has_no_number_there(browser: Browser, compared: Served) -> None:
    page = browser.new_page()  # its console says that the server refused the question
    open_page(page, f"{compared.address}&at=conv1&index=0,5,7,7&set=conv1.bias!5:2")
    page.locator('[data-choice="other"]').click()
    expect(page.locator(".total .delta")).to_contain_text("now")
    go(page, "at=conv1&index=0,5,9,9&set=conv1!padding:2")
    expect(page.locator(".seat.out figcaption")).to_contain_text("map 5")
    expect(page.locator('[aria-label="Which map"]')).to_have_count(0)
    assert at(page, "index") == "0,5,9,9"
    expect(page.locator(".kernel")).not_to_have_attribute("inert", "")
    page.close()


def test_a_name_that_was_not_given_is_refused(browser: Browser, compared: Served) -> None:
    page = browser.new_page()  # its console says that the server refused the question
    open_page(page, f"{compared.address}&with=%2Fetc%2Fpasswd")
    expect(page.locator(".alert")).to_contain_text("start it again with --beside")
    expect(menu(page)).to_have_value("")
    page.close()
