"""The frame of the stage: its door, its distances, its keys, and what is asked of the lab."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from convlens.lab import Lab
from convlens.learn.opening import open_network
from convlens.lens import explain
from tests.cases.lab_networks import lab_of, photo
from tests.running.browsing import (
    asking,
    at,
    drop_file,
    go,
    move_over,
    number,
    open_page,
    quiet,
    read,
    settled,
    settled_address,
    shown_page,
    tensor_of,
)
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(
    not AXE.exists() and not os.environ.get("CI"),
    reason="axe-core is not installed (./run check brings it)",
)


def test_the_door_is_the_first_convolution_with_its_sum(page: Page, site: Served) -> None:
    open_page(page, site.address)
    expect(page.locator(".sentence")).to_have_text(
        "Kernel 5 lies on rows 5–7, columns 3–5 of the picture. Every number is multiplied by the "
        "weight on it; the 9 products add up to 1.502, with the bias 0.1750 to 1.677."
    )
    expect(page.locator(".crumbs")).to_contain_text("digits")
    assert read(page.locator(".total b").first) == 1.677
    expect(page.locator(".answer")).to_contain_text("3 100.0 %")


def test_a_hover_asks_nothing_and_the_numbers_are_pythons(
    page: Page, site: Served, digits: Lab
) -> None:
    open_page(page, site.address)
    cells = page.locator(".seat.out .cells")
    with asking(page) as asked:
        for row, column in ((0, 0), (3, 5), (7, 7), (6, 1)):
            move_over(page, cells, (row + 0.5) / 8, (column + 0.5) / 8)
            known = explain(digits.recording, "conv1", (0, 5, row, column))
            assert at(page, "index") == f"0,5,{row},{column}"
            shown = read(page.locator(".total b").first)
            assert shown == pytest.approx(known.recorded, rel=6e-4)
            products = [number(text) for text in page.locator(".product").all_inner_texts()]
            assert products == pytest.approx(list(known.terms.product), abs=6e-3)
    assert asked == []


@pytest.mark.parametrize(
    ("near", "question"), [("step", "sheets"), ("number", "number"), ("window", "bench")]
)
def test_a_click_asks_one_question(page: Page, site: Served, near: str, question: str) -> None:
    open_page(page, f"{site.address}&at=conv2&index=0,8,2,2&near=network")
    quiet(page)
    with asking(page) as asked:
        page.locator(f'[data-choice="{near}"]').click()
        settled(page)
        quiet(page)
    assert asked == [question]


def test_back_and_forward_follow_the_reader(page: Page, site: Served) -> None:
    open_page(page, site.address)
    go(page, "at=conv2&index=0,8,2,2&near=number")
    expect(page.locator(".crumb[aria-current]")).to_have_text("row 2, column 2")
    page.locator('[data-choice="window"]').click()
    settled(page)
    page.go_back()
    settled(page)
    assert at(page, "near") == "number"
    page.go_forward()
    settled(page)
    assert at(page, "near") == ""


def test_from_the_answer_to_a_pixel_by_keyboard(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.locator(".answer button").focus()
    keys = ["Enter", "4", *["+"] * 8]
    assert len(keys) <= 10
    for key in keys:
        page.keyboard.press(key)
        quiet(page)
        settled(page)
    assert at(page, "at") == "input"
    assert at(page, "near") == "number"


def test_keys_move_the_window_and_the_distance(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.keyboard.press("ArrowLeft")
    assert at(page, "index") == "0,5,6,3"
    page.keyboard.press(".")
    assert at(page, "index") == "0,5,6,4"
    page.keyboard.press("]")
    settled(page)
    assert at(page, "index").startswith("0,6,")
    for key, near in (("1", "network"), ("2", "step"), ("4", "number"), ("3", "")):
        page.keyboard.press(key)
        settled(page)
        assert at(page, "near") == near
    page.keyboard.press("f")
    settled(page)
    assert at(page, "way") == "feeds"
    page.keyboard.press("ArrowUp")
    assert at(page, "from") != ""


def test_play_fills_the_map_and_a_hover_wins(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.keyboard.press(" ")
    page.wait_for_timeout(800)
    expect(page.locator(".icon.play")).to_have_attribute("aria-label", "Pause")
    assert at(page, "index") != "0,5,6,4"
    move_over(page, page.locator(".seat.out .cells"), 0.5, 0.5)
    expect(page.locator(".icon.play")).to_have_attribute("aria-label", "Play")


def test_a_turned_weight_is_replayed_exactly_and_undone(
    page: Page, site: Served, digits: Lab
) -> None:
    open_page(page, site.address)
    weight = page.locator(".weights .weight").nth(4)
    before = read(page.locator(".total b").first)
    weight.focus()
    with asking(page) as asked:
        page.keyboard.press("PageUp")
        quiet(page)
        settled(page)
    assert "replay" in asked
    expect(page.locator(".total .delta")).to_contain_text(f"was {before}")
    name, to = at(page, "set").split("!")[0], float(at(page, "set").rsplit(":", 1)[1])
    assert name == "conv1.weight"
    old = explain(digits.recording, "conv1", (0, 5, 6, 4))
    known = old.recorded + (to - float(old.terms.weight[4])) * float(old.terms.value[4])
    assert read(page.locator(".total b").first) == pytest.approx(known, rel=6e-4)
    page.locator(".undo").click()
    quiet(page)
    settled(page)
    assert read(page.locator(".total b").first) == before
    assert at(page, "set") == ""


def test_an_address_with_changes_opens_them(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=softmax&index=0,3&set=conv1!5:mute;conv1.bias!0:3")
    quiet(page)
    settled(page)
    expect(page.locator(".undo")).to_have_text("Undo 2 changes")
    expect(page.locator(".total .delta")).to_contain_text("was 1")


def test_arrow_after_arrow_turns_the_same_weight(page: Page, site: Served, digits: Lab) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4")
    page.locator(".middle .weight").nth(8).focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
        settled_address(page)
        settled(page)
    assert at(page, "index") == "0,5,6,4"
    turned = float(at(page, "set").partition(":")[2])
    kernel = tensor_of(digits.recording, "conv1.weight")[5, 0]
    assert turned == pytest.approx(float(kernel[2, 2] + 3 * kernel.abs().max() / 20), rel=1e-5)


def test_a_map_that_is_switched_off_is_not_said_to_be_a_sum(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&set=conv1!5:mute")
    settled(page)
    expect(page.locator(".sentence")).to_have_text(
        "This map is switched off: each of its numbers is 0."
    )
    assert read(page.locator(".total b").first) == 0
    assert page.locator(".total span.soft").count() == 0
    go(page, "at=conv1&index=0,5,6,4&set=conv1!0,5,6,4:2.5")
    expect(page.locator(".sentence")).to_have_text(
        "You put 2.500 here in place of what was computed."
    )
    move_over(page, page.locator(".seat.out .cells"), 0.1, 0.1)
    expect(page.locator(".sentence")).to_contain_text("Kernel 5 lies on")


def test_a_change_that_breaks_the_network_shows_where(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.locator(".whatif select").first.select_option("3")
    quiet(page)
    settled(page)
    assert at(page, "set").endswith("stride:3")
    expect(page.locator(".alert, .sentence").first).to_be_attached()
    page.locator(".undo").click()
    quiet(page)
    settled(page)
    assert at(page, "set") == ""


def test_the_menus_open_another_network_and_another_picture(page: Page) -> None:
    lab = lab_of("digits", photo(), None)
    with shown_page(page, lab):
        page.locator('[aria-label="Picture"]').select_option("sample:digit-7.png")
        expect(page.locator(".answer b")).to_have_text("7")
        page.locator('[aria-label="Network"]').select_option("mobilenet_v3_small")
        expect(page.locator(".band")).to_contain_text("Random weights")
        expect(page.locator(".answer b")).to_have_text(re.compile(r"class \d+"))


def test_a_program_is_never_run_and_other_files_are_refused_in_a_sentence(
    page: Page, site: Served
) -> None:
    open_page(page, site.address)
    with asking(page) as asked:
        drop_file(page, "net.py", b"import os")
        expect(page.locator(".alert")).to_contain_text("convlens lab net.py")
    assert asked == []
    drop_file(page, "picture.png", b"no picture")
    expect(page.locator(".alert")).to_contain_text("must be a PNG, JPEG")


def test_find_goes_to_a_step_and_to_a_number(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.keyboard.press("Control+k")
    page.keyboard.type("conv2[0,8,2,2]")
    page.keyboard.press("Enter")
    settled(page)
    assert (at(page, "at"), at(page, "index")) == ("conv2", "0,8,2,2")
    page.keyboard.press("Control+k")
    page.keyboard.type("nothing of this name")
    expect(page.locator(".find")).to_contain_text("Nothing has this name")
    page.keyboard.press("Escape")


def test_the_tour_goes_through_what_is_open(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=linear&index=0,3")
    page.keyboard.press("?")
    stops = 0
    while page.locator(".tour").is_visible():
        stops += 1
        page.locator(".tour .strong").click()
        settled(page)
        assert stops < 20
    assert stops == 8


@pytest.mark.parametrize(
    "place", ["at=nowhere&index=1,2", "at=conv1&index=9,9,9,9", "near=far&set=a!b"]
)
def test_an_address_that_names_what_is_not_there_opens_the_door(
    page: Page, site: Served, place: str
) -> None:
    open_page(page, f"{site.address}&{place}")
    expect(page.locator(".seat.out figcaption b")).to_have_text("conv1")


def test_a_failing_network_opens_on_its_failing_call(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.stem = nn.Conv2d(3, 4, 3, stride=2)\n"
        "        self.head = nn.Linear(32, 10)\n\n"
        "    def forward(self, x):\n"
        "        return self.head(torch.relu(self.stem(x)).flatten(1))\n"
    )
    lab = lab_of(f"{file}:Net", photo(), 64)
    with shown_page(page, lab):
        expect(page.locator(".sentence")).to_have_text(
            "`linear` multiplies 3844 numbers with weights for 32."
        )
        expect(page.locator(".failure .operand")).to_have_count(4)
        expect(page.locator(".chain")).to_contain_text("stem")
        page.locator(".chain button").nth(1).click()
        settled(page)
        assert (at(page, "at"), at(page, "near")) == ("stem", "step")


def test_without_storage_the_page_works(browser: Browser, site: Served) -> None:
    page = browser.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', "
        "{ get() { throw new DOMException('denied', 'SecurityError'); } });"
    )
    open_page(page, site.address)
    expect(page.locator(".total b").first).to_have_text("1.677")
    page.close()


def test_an_expired_token_says_what_to_do(page: Page, site: Served) -> None:
    open_page(page, site.address.replace("token=", "token=expired-"))
    expect(page.locator(".alert")).to_contain_text("open the address printed in the terminal")


def places() -> list[str]:
    return [
        "",
        "near=network",
        "at=conv2&index=0,8,2,2&near=step",
        "at=conv2&index=0,8,2,2&near=number",
        "at=conv2&index=0,8,2,2&way=feeds",
        "at=pool1&index=0,5,1,1",
        "at=relu1&index=0,5,6,6",
        "at=linear&index=0,3",
        "at=softmax&index=0,3",
        "set=conv1.bias!5:2",
        "with=digit-5.png",
    ]


@needs_axe
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 390),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
        pytest.param("light", 390, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing(page: Page, site: Served, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    open_page(page, site.address)
    try:
        for place in places():
            go(page, place)
            quiet(page)
            page.evaluate(AXE.read_text())
            found = page.evaluate("async () => (await axe.run()).violations")
            said = [(each["id"], [n["html"][:160] for n in each["nodes"]][:3]) for each in found]
            assert said == [], f"{place}: {json.dumps(said, indent=1)}"
    finally:
        page.emulate_media(color_scheme="light")


@needs_axe
def test_axe_can_find_something(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.evaluate(AXE.read_text())
    page.evaluate("document.querySelector('.stage').append(document.createElement('button'))")
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [each["id"] for each in found] == ["button-name"]


@pytest.mark.parametrize("actions", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_random_actions_leave_the_page_whole(page: Page, site: Served, actions: int) -> None:
    open_page(page, site.address)
    chance = random.Random(1)
    keys = "1 2 3 4 + - f [ ] { } . , ArrowLeft ArrowRight ArrowUp ArrowDown Enter Escape ?".split()
    for _ in range(actions):
        if chance.random() < 0.5:
            page.keyboard.press(chance.choice(keys))
        elif chance.random() < 0.6:
            page.mouse.move(chance.uniform(0, 1280), chance.uniform(140, 800))
        else:
            page.mouse.click(chance.uniform(0, 1280), chance.uniform(140, 800))
    quiet(page)
    page.keyboard.press("Escape")
    go(page, "at=conv1&index=0,5,6,4")
    quiet(page)
    settled(page)
    expect(page.locator(".alert")).to_be_hidden()
    assert read(page.locator(".total b").first) == pytest.approx(1.677)


def test_no_request_leaves_the_machine(page: Page, site: Served) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, site.address)
    go(page, "at=conv2&index=0,8,2,2&near=number")
    assert len(asked) > 5
    assert all(url.startswith((f"http://{site.host}/", "data:", "about:")) for url in asked)


def test_the_stage_stands_beside_an_article(page: Page, site: Served) -> None:
    open_page(page, site.address)
    page.evaluate("document.getElementById('stage').style.width = '740px'")
    expect(page.locator(".bench.stacked")).to_be_visible()
    seats = [page.locator(f".seat.{seat} .cells").bounding_box() for seat in ("in", "out")]
    assert seats[0] is not None
    assert seats[1] is not None
    assert abs(seats[0]["y"] - seats[1]["y"]) < 60  # the two maps stand side by side
    assert seats[1]["x"] + seats[1]["width"] <= 740
    bar = page.locator(".acts").bounding_box()
    assert bar is not None
    assert bar["y"] < 200  # no bar of a phone


def test_a_network_of_the_zoo_opens_too(page: Page) -> None:
    lab = Lab(open_network("mobilenet_v3_small", weights="none", size=64, crop=64))
    lab.look(photo(), "cat.png")
    with shown_page(page, lab):
        expect(page.locator(".sentence")).to_contain_text("lies on")
        expect(page.locator(".band")).to_be_visible()


def test_a_narrow_header_has_its_menus_behind_a_button(page: Page, site: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, site.address)
    share = page.locator('[aria-label="Share"]')
    expect(share).to_be_hidden()
    page.locator(".more").click()
    expect(share).to_be_visible()
    page.locator(".more").click()
    page.keyboard.press("Control+k")
    page.keyboard.type("softmax")
    page.keyboard.press("Enter")
    settled(page)
    assert at(page, "at") == "softmax"


def test_a_change_that_stops_the_network_says_where(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&set=pool1!stride:1")
    expect(page.locator(".alert")).to_contain_text("With this change the network stops at linear")
    page.locator(".undo").click()
    expect(page.locator(".alert")).to_be_hidden()
