"""The bench under a moving pointer: window, products, sums and sentences are those of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from playwright.sync_api import Page

from convlens.lab import Lab
from convlens.learn.opening import open_network
from convlens.lens import Explanation, Recording, explain_value, record
from convlens.lens.terms import unravel
from tests.cases.bench_operations import OPERATIONS, Operations, drawn
from tests.cases.lab_networks import npy
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("lab")

MOVES = 9
"""How often the pointer moves over each of the two maps of an operation."""

ASKING = frozenset(
    """addmm concat_rows flatten mean_maps sum_maps largest_row variance top best attention where
    cumsum pad""".split()
)
"""The operations whose seats hold what one number is made of, or the numbers of one map."""

LONGEST = 16.0
"""The milliseconds that a move may take: those of a frame."""

# Go to a number, then move over the output and the input; after each move say what is shown.
WALK = """async ([hash, at, moves, seed]) => {
  const waiting = async (there) => {
    const later = () => new Promise((go) => setTimeout(go, 10));
    for (let turn = 0; turn < 600 && !there(); turn++) await later();
    if (!there()) throw new Error(`the bench does not show ${at}`);
  };
  location.hash = hash;
  const bench = () => document.querySelector(".bench");
  await waiting(() => bench()?.dataset.at === at && bench().isConnected);
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const over = (seat) => {
    const rows = seat.querySelectorAll(".barrow");
    if (rows.length) {
      const row = rows[Math.floor(random() * rows.length)];
      return row.dispatchEvent(new PointerEvent("pointerenter", { pointerType: "mouse" }));
    }
    const box = seat.querySelector(".over").getBoundingClientRect();
    const [x, y] = [box.left + random() * box.width, box.top + random() * box.height];
    const where = { clientX: x, clientY: y, pointerType: "mouse", bubbles: true };
    seat.querySelector(".cells").dispatchEvent(new PointerEvent("pointermove", where));
  };
  const seen = [];
  const look = (took) => seen.push({
    at: bench().dataset.at, took, family: bench().dataset.family,
    sentence: document.querySelector(".sentence").textContent,
    total: bench().querySelector(".total b")?.title ?? "",
    line: bench().querySelector(".total")?.textContent ?? "",
    products: [...bench().querySelectorAll(".line [title*='×']")].map((each) => each.title),
  });
  look(0);
  for (let move = 0; move < 2 * moves; move++) {
    const seat = bench().querySelector(move < moves ? ".seat.out" : ".seat.in");
    if (!seat) continue;
    const began = performance.now();
    over(seat);
    look(performance.now() - began);
  }
  return seen;
}"""


@dataclass(frozen=True)
class Seen:
    """What the page shows of one number."""

    at: str
    took: float
    family: str
    sentence: str
    total: str
    line: str
    products: list[str]

    def explained(self, recording: Recording) -> Explanation:
        value, index = self.at.split("!")
        return explain_value(recording, int(value), tuple(map(int, index.split(","))))


@pytest.fixture(scope="module")
def network() -> Operations:
    return Operations()


@pytest.fixture(scope="module")
def recording(network: Operations) -> Recording:
    return record(network, drawn(1, 4, 7, 6))


@pytest.fixture(scope="module")
def site(network: Operations) -> Iterator[Served]:
    lab = Lab(open_network(network))
    lab.look(npy(drawn(1, 4, 7, 6)), "x.npy")
    with served(lab) as address:
        yield address


@pytest.fixture
def opened(page: Page, site: Served) -> Page:
    page.goto(site.address)
    page.locator(".bench .seat").first.wait_for()
    return page


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


def walked(page: Page, recording: Recording, name: str) -> list[Seen]:
    """Move over the maps of an operation, from a random number of its output."""
    (value,) = (id for id, names in recording.all_names.items() if name in names)
    shape = recording.values[value].shape
    draw = np.random.default_rng(len(name))
    index = ",".join(str(draw.integers(n)) for n in shape)
    given = [f"at={name}&index={index}", f"{value}!{index}", MOVES, len(name)]
    return [Seen(**each) for each in page.evaluate(WALK, given)]


def where(cells: list[tuple[int, ...]]) -> str:
    """Return rows and columns as the page says them."""
    names = [("position",), ("row", "column"), ("frame", "row", "column")][len(cells[0]) - 1]
    said = []
    for axis, name in enumerate(names):
        at = sorted({cell[axis] for cell in cells})
        if len(at) == 1:
            said.append(f"{name} {at[0]}")
        elif at[-1] - at[0] == len(at) - 1:
            said.append(f"{name}s {at[0]}–{at[-1]}")
        else:
            said.append(f"{name}s {', '.join(map(str, at[:-1]))} and {at[-1]}")
    return ", ".join(said)


def check(seen: Seen, found: Explanation) -> None:
    recorded, own = (number(part) for part in seen.total.split(", computed here as "))
    assert np.float32(recorded) == np.float32(found.recorded)
    assert abs(own - found.total) <= found.bound + 1e-12 * abs(found.total), (own, found.total)
    elsewhere = "Click the cell" in seen.sentence
    check_products(seen, found)
    if elsewhere or seen.family not in ("conv", "transposed", "max_pool", "avg_pool", "resample"):
        return
    check_window(seen, found)
    if seen.family in ("conv", "transposed"):
        check_sum(seen.line, len(found.terms))


def check_products(seen: Seen, found: Explanation) -> None:
    """Every product that the page writes is one of the explanation's, or lies on the border."""
    terms = found.terms
    known = set(zip(terms.value.tolist(), terms.weight.tolist(), strict=True))
    values = {value for value, _ in known} | {0.0}
    near = 1e-5 if seen.family == "resample" else 0.0  # the fractions of axes are rounded, too
    for text in seen.products:
        value, weight, product = (number(part) for part in re.split(" × | = ", text))
        if seen.family in ("conv", "transposed", "linear", "resample"):
            assert value == 0 or any(
                np.isclose(value, v, 1e-6, 0) and np.isclose(weight, w, 1e-6, near)
                for v, w in known
            ), (value, weight)
        assert any(np.isclose(value, v, 1e-6, 0) for v in values)
        assert np.isclose(product, value * weight, 1e-6, 1e-30)


def check_window(seen: Seen, found: Explanation) -> None:
    """The sentence names the rows and columns that the explanation reads."""
    terms = found.terms
    inside = terms.position[terms.position >= 0]
    if not len(inside):
        return
    source = found.recording.values[int(terms.source[terms.position >= 0][0])]
    axes = len(found.value.shape) - 2
    cells = [unravel(int(position), source.shape)[-axes:] for position in inside]
    whole = len(set(cells)) == np.prod(source.shape[-axes:])
    assert where(cells) in seen.sentence or (whole and "all" in seen.sentence), seen.sentence


def check_sum(line: str, count: int) -> None:
    """The parts of a sum that is written out come to what is written after them."""
    parts, total = line.split("=")
    if "product" in parts:
        assert count == 1 or f"the sum of {count} products" in parts
        return
    found = re.findall(r"(?:(^|[+−])\s+)?(−?[\d.]+(?:e−?\d+)?)(?=\s|$)(?! other)", parts.strip())
    numbers = [
        (-1 if sign == "−" else 1) * number(text)
        for sign, text in found
        if "." in text or text == "0"
    ]
    made = number(re.sub("was.*", "", total).strip())
    assert abs(sum(numbers) - made) <= 1e-3 * sum(map(abs, numbers)) + 1e-6, line


def test_every_operation_under_a_moving_pointer(opened: Page, recording: Recording) -> None:
    took, wrong, asking = [], [], set()
    for name in OPERATIONS:
        for seen in walked(opened, recording, name):
            took.append(seen.took)
            if "Click the cell" in seen.sentence:
                asking.add(name)
            try:
                check(seen, seen.explained(recording))
            except AssertionError as error:
                wrong.append(f"{name}: {error} {seen}")
    assert wrong == []
    assert asking <= ASKING
    assert len(took) >= 1000
    assert float(np.median(took)) < LONGEST
