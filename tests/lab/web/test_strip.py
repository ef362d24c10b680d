"""The strip and the network: frames are regions, costs are sums, blocks unfold, keys move."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from convlens.lab import Lab
from convlens.lens import Recording, Region, SetNumber, reach, replay
from tests.cases.lab_networks import lab_of, noise
from tests.running.browsing import at, drawn, go, move_over, open_page, settled, shown_page
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")

CHAIN = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return x + self.relu(self.conv(x))


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = nn.Sequential(*[Block() for _ in range(3)])
        self.branch = nn.Conv2d(4, 2, 1)
        self.head = nn.Conv2d(4, 5, 1)

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.blocks(x)), self.branch(x)
"""

# Where the frames lie on their thumbnails, in shares of them, by the name of the card.
FRAMES = """() => Object.fromEntries([...document.querySelectorAll(".strip li")].map((li) => {
  const [thumb, frame] = [".thumb", ".frame"].map((at) => li.querySelector(at));
  const [a, b] = [thumb, frame].map((el) => el.getBoundingClientRect());
  const shares = [(b.top - a.top) / a.height, (b.bottom - a.top) / a.height,
    (b.left - a.left) / a.width, (b.right - a.left) / a.width];
  return [li.querySelector(".name").textContent, frame.hidden ? null : shares];
}))"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    path = tmp_path_factory.mktemp("chain") / "chain.py"
    path.write_text(CHAIN)
    return lab_of(f"{path}:Chain", noise(), 24, "noise.png")


def card(page: Page, key: str) -> Locator:
    return page.locator(f'.strip .card[data-key="{key}"]')


def keys(page: Page) -> list[str]:
    """The cards that are shown, once their thumbnails are."""
    expect(page.locator(".strip .thumb canvas").first).to_be_visible()
    return [str(each.get_attribute("data-key")) for each in page.locator(".strip .card").all()]


def boxes(regions: tuple[Region, ...], recording: Recording) -> dict[str, list[range]]:
    """Rows and columns of each region, by the name of its value."""
    planes = {}
    for region in regions:
        name = "picture" if region.value.kind == "input" else recording.names[region.value.id]
        if len(region.value.shape) == 4 and region.count:
            planes[name] = list(region.box[2:])
    return planes


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("conv1", (0, 5, 6, 4)),
        ("conv2", (0, 8, 0, 3)),
        ("pool1", (0, 20, 1, 2)),
        ("relu2", (0, 1, 3, 0)),
    ],
)
def test_the_frames_are_the_regions_of_python(
    page: Page, site: Served, digits: Lab, name: str, index: tuple[int, ...]
) -> None:
    open_page(page, f"{site.address}&at={name}&index={','.join(map(str, index))}")
    keys(page)
    recording = digits.recording
    way = reach(recording, recording.made(name)[0], index)
    known = boxes((*way.earlier, *way.later), recording)
    known[name] = [range(i, i + 1) for i in index[2:]]
    sizes: dict[str, tuple[int, ...]] = {
        recording.names[v.id]: v.shape[2:] for v in recording.values if len(v.shape) == 4
    }
    sizes["picture"] = recording.inputs[0].shape[2:]
    shown = page.evaluate(FRAMES)
    assert len(known) == 7
    for each, box in known.items():
        size = sizes[each]
        if all(len(axis) == n for axis, n in zip(box, size, strict=True)):
            assert shown[each] is None, each
        else:
            ends = [end for axis in box for end in (axis.start, axis.stop)]
            expected = [end / size[i // 2] for i, end in enumerate(ends)]
            assert shown[each] == pytest.approx(expected, abs=0.01), each


def test_the_frames_follow_the_pointer(page: Page, site: Served, digits: Lab) -> None:
    open_page(page, site.address)
    keys(page)
    move_over(page, page.locator(".seat.out .cells"), 2.5 / 8, 1.5 / 8)
    drawn(page)
    shown = page.evaluate(FRAMES)
    assert shown["picture"] == pytest.approx([1 / 8, 4 / 8, 0, 3 / 8], abs=0.01)
    assert shown["conv1"] == pytest.approx([2 / 8, 3 / 8, 1 / 8, 2 / 8], abs=0.01)


def test_a_changed_number_marks_the_cards_that_it_reaches(
    page: Page, site: Served, digits: Lab
) -> None:
    open_page(page, f"{site.address}&set=conv2.weight!8,0,2,2:40")
    expect(page.locator(".strip .changed").first).to_be_visible()
    recording = digits.recording
    other = replay(recording, [SetNumber("conv2.weight", (8, 0, 2, 2), 40.0)])
    names = ("conv2", "relu2", "pool2", "linear", "softmax")
    made = [(recording.made(name)[0], name) for name in names]
    differ = [
        n for id, n in made if not torch.equal(recording.values[id].tensor, other.values[id].tensor)
    ]
    marked = page.locator(".strip .changed .name").all_inner_texts()
    assert marked == differ
    assert len(differ) > 2


@pytest.mark.parametrize("cost", ["multiply–adds", "weights", "numbers", "time"])
def test_the_bars_are_what_the_steps_cost(page: Page, site: Served, digits: Lab, cost: str) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&near=network")
    page.locator(f'.costs [data-choice="{cost}"]').click()
    shown = [str(bar.get_attribute("title")) for bar in page.locator(".strip .cost").all()]
    steps = [step for step in digits.network()["steps"] if not step["plumbing"]]
    assert len(shown) == 1 + len(steps)
    for text, step in zip(shown[1:], steps, strict=True):
        known = {
            "multiply–adds": step["multiply_adds"],
            "weights": step["weights"],
            "numbers": prod(digits.recording.values[step["outputs"][0]].shape),
            "time": 1000 * step["seconds"],
        }[cost]
        assert float(
            text.removesuffix(f" {cost}").removesuffix(" ms").replace(" ", "")
        ) == pytest.approx(known, rel=6e-4)


def test_equal_blocks_unfold_in_place_and_fold_again(page: Page, chain: Lab) -> None:
    with shown_page(page, chain, "at=stem&near=network"):
        folded = keys(page)
        assert "blocks.0×3" in folded
        page.locator(".strip .unfold").first.click()
        expect(card(page, "blocks.1")).to_be_visible()
        assert at(page, "open") == "blocks.0×3"
        page.locator(".strip .fold").click()
        expect(card(page, "blocks.0×3")).to_be_visible()
        assert keys(page) == folded
        assert at(page, "open") == ""


def test_keys_step_open_and_unfold(page: Page, chain: Lab) -> None:
    with shown_page(page, chain, "at=stem&near=network"):
        order = keys(page)
        card(page, order[1]).focus()
        page.keyboard.press("ArrowRight")
        settled(page)
        expect(page.locator(".strip .card:focus")).to_have_attribute("data-key", order[2])
        assert (
            page.locator('.strip .card[aria-current="step"]').get_attribute("data-key") == order[2]
        )
        page.keyboard.press("+")
        expect(page.locator(".strip .card:focus")).to_have_attribute("data-key", "blocks.0")
        page.keyboard.press("-")
        expect(page.locator(".strip .card:focus")).to_have_attribute("data-key", "blocks.0×3")
        page.keyboard.press("Enter")
        settled(page)
        assert at(page, "near") == "step"


def test_near_a_number_other_branches_wait(page: Page, chain: Lab) -> None:
    with shown_page(page, chain, "at=head&index=0,1,3,3"):
        assert "branch" not in page.locator(".strip .name").all_inner_texts()
        others = page.locator(".strip .others")
        expect(others).to_have_text("+ 1 on other branches")
        others.click()
        expect(page.locator(".strip .out .name")).to_have_text(["branch"])
        assert "branch" in page.locator(".strip .name").all_inner_texts()


def test_plumbing_is_a_dot_that_leads_to_it(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&near=network")
    page.get_by_role("button", name="flatten, only hands numbers on").click()
    settled(page)
    assert at(page, "at") == "flatten"


def test_a_failing_network_ends_with_the_call_that_failed(page: Page, networks: Path) -> None:
    lab = lab_of(f"{networks}:Raises", noise(), 24, "noise.png")
    with shown_page(page, lab):
        last = page.locator(".strip li").last
        expect(last).to_have_class("failed")
        fault = lab.network()["fault"]
        assert fault is not None
        assert last.locator(".card").get_attribute("title") == fault["sentence"]
        page.locator('[data-choice="network"]').click()
        settled(page)
        page.locator(".strip .card").nth(1).click()
        settled(page)
        last.locator(".card").click()
        settled(page)
        expect(page.locator(".sentence")).to_have_text(fault["sentence"])


def test_a_comparison_marks_the_first_card_that_differs(page: Page, site: Served) -> None:
    open_page(page, f"{site.address}&at=conv1&index=0,5,6,4&near=network")
    go(page, "at=conv1&index=0,5,6,4&near=network&with=random")
    expect(page.locator(".strip .first")).to_have_count(1)
    marked = page.locator(".strip li").filter(has=page.locator(".first"))
    expect(marked.locator(".name")).to_have_text("conv1")
    assert page.locator(".strip .apart").first.get_attribute("title") == "equal"
