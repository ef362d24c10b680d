"""The lab's page in a real browser: what a reader does, and that it shows the tensor's numbers."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from convlens.lab import Lab
from convlens.learn.opening import open_network, read_inputs
from convlens.lens import Explanation, Recording, explain, explain_value, record
from convlens.zoo.weights import DATA
from tests.running.serving import Served, served

pytestmark = pytest.mark.xdist_group("browser")  # one Chromium at a time: it takes a gigabyte

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-quic"]
FLAGS += ["--disable-extensions", "--renderer-process-limit=1"]

PATIENCE = 60_000
"""In milliseconds: what the page does not show by then does not come."""

expect.set_options(timeout=PATIENCE)

NETWORKS = '''
import torch
import torch.nn.functional as F
from torch import nn


class Wide(nn.Module):
    """2,048 maps of 7x7 at its end, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 64, 7, stride=8, padding=3)
        self.pool = nn.AvgPool2d(4)
        self.wide = nn.Conv2d(64, 2048, 1)

    def forward(self, x):
        return self.wide(F.relu(self.pool(self.stem(x))))


class Signal(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(2, 6, 9, padding=4)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean(-1))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).flatten(1))
'''


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing; install it (apt-get install chromium)")
        pytest.skip(f"needs {CHROMIUM} (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page; the test fails where its console says anything, a refused style or script too."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    # Chromium itself reports answers that refuse: no token, and no picture.
    assert [text for text in said if not re.search(r"status of (401|422)", text)] == []


@pytest.fixture(scope="module")
def digits() -> Iterator[Served]:
    opened = open_network("digits")
    lab = Lab(opened)
    assert opened.example is not None
    lab.look(opened.example)
    with served(lab) as site:
        yield site


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "nets.py"
    path.write_text(NETWORKS)
    return path


def _recorded(spec: str, source: bytes | Path, size: int | None = None) -> Recording:
    """The same network on the same picture, recorded by the test itself."""
    opened = open_network(spec, size=size)
    return record(opened.network, read_inputs(opened, source)[0])


def _npy(array: torch.Tensor) -> bytes:
    file = io.BytesIO()
    np.save(file, array.numpy())
    return file.getvalue()


def _drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page, as the mouse would."""
    page.evaluate(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name));
          const lab = document.querySelector(".lab");
          for (const type of ["dragover", "drop"]) {
            const init = { dataTransfer: data, bubbles: true, cancelable: true };
            lab.dispatchEvent(new DragEvent(type, init));
          }
        }""",
        [name, base64.b64encode(content).decode()],
    )


def _open(page: Page, address: str) -> None:
    page.goto(address)
    _settled(page)


def _settled(page: Page) -> None:
    expect(page.locator(".lab")).to_have_attribute("aria-busy", "false")


def _drawn(page: Page) -> None:
    """Wait for two pictures of the page: a scroll is told before one and drawn before the next."""
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


def _number(locator: Locator) -> float:
    """The full number an element stands for; what it shows is that number, shortened."""
    number = float(str(locator.get_attribute("data-number")))
    shown = locator.inner_text().replace("−", "-").replace("∞", "inf")
    assert abs(float(shown) - number) <= 0.005 * abs(number) + 0.006, (shown, number)
    return number


def _at(page: Page) -> tuple[str, tuple[int, ...]]:
    """The value and index the page stands at, from its heading."""
    name = page.locator(".what .path").inner_text()
    index = page.locator(".what .index").inner_text().strip("[]")
    return name, tuple(int(i) for i in index.split(",")) if index else ()


def _known(recording: Recording, page: Page) -> Explanation:
    """What the lens says of the number the page stands at."""
    name, index = _at(page)
    value = next(v for v in recording.values if recording.name_of(v.id) == name)
    return explain_value(recording, value.id, index)


def _wait_at(page: Page, name: str) -> None:
    expect(page.locator(".what .path")).to_have_text(name)


def _check_single(told: list[float], known: npt.NDArray[np.float64]) -> None:
    """The same float32 numbers; the shortest text of one reads back as that very number."""
    np.testing.assert_array_equal(np.asarray(told, np.float32), known.astype(np.float32))


def _check_numbers(page: Page, known: Explanation) -> None:
    """Every number of the opened channel, or of the listed terms, is the explanation's."""
    _check_single([_number(page.locator(".recorded"))], np.array([known.recorded]))
    terms = known.terms
    if page.locator(".group").count():
        group = page.locator(".group.open").first
        cells = {
            part: [float(str(cell.get_attribute("data-number"))) for cell in locator.all()]
            for part in ("window", "kernel", "products")
            if (locator := group.locator(f".{part} .go")).count()
        }
        size = len(cells["window"])
        sums = terms.product.reshape(-1, size).sum(1)
        first = int(np.argmax(np.abs(sums))) * size
        part = slice(first, first + size)
        _check_single(cells["window"], terms.value[part])
        if "kernel" in cells:
            _check_single(cells["kernel"], terms.weight[part])
            np.testing.assert_array_equal(cells["products"], terms.product[part])
    elif len(terms):
        order = np.argsort(-np.abs(terms.product), kind="stable")
        for row, term in list(zip(page.locator(".term").all(), order, strict=False))[:6]:
            told = float(str(row.locator(".from").get_attribute("data-number")))
            _check_single([told], terms.value[term : term + 1])
    if known.rule == "sum":
        assert _number(page.locator(".total .number")) == known.total


# The walk


def test_a_dropped_digit_is_walked_from_its_class_to_the_pixels(page: Page, digits: Served) -> None:
    picture = DATA / "digit-7.png"
    recording = _recorded("digits", picture)
    _open(page, digits.address)
    _drop(page, "seven.png", picture.read_bytes())
    expect(page.locator(".title")).to_contain_text("seven.png")

    assert recording.output is not None
    best = int(recording.output.tensor.argmax())
    assert best == 7
    page.locator(".scores button").first.click()
    passed = []
    for name in (
        "softmax",
        "linear",
        "flatten",
        "pool2",
        "relu2",
        "conv2",
        "pool1",
        "relu1",
        "conv1",
    ):
        _wait_at(page, name)
        known = _known(recording, page)
        passed.append((name, known.index))
        _check_numbers(page, known)
        # A click on the term that matters most goes one layer down.
        page.locator("[data-best], .term .from").first.click()
    assert passed[0] == ("softmax", (0, 7))
    _wait_at(page, "input")
    known = _known(recording, page)
    assert np.float32(_number(page.locator(".recorded"))) == np.float32(known.recorded)
    row, column = known.index[2:]
    expect(page.locator(".caption")).to_have_text(
        f"It depends on 1 of 64 pixels: row {row}, column {column}"
    )
    # The trail names every number passed, and leads back to each.
    trail = page.locator(".trail button")
    assert trail.count() == len(passed)
    assert "trail=softmax!0,7;linear!0,7;" in page.url
    trail.nth(5).click()
    _wait_at(page, "conv2")
    assert _at(page)[1] == passed[5][1]
    _check_numbers(page, _known(recording, page))


def test_the_check_of_numbers_can_fail(page: Page, digits: Served) -> None:
    picture = DATA / "digit-7.png"
    _open(page, digits.address)
    _drop(page, "again.png", picture.read_bytes())
    expect(page.locator(".title")).to_contain_text("again.png")
    _settled(page)
    page.goto(f"http://{digits.host}/#at=conv2&index=0,3,1,2")
    _wait_at(page, "conv2")
    recording = _recorded("digits", picture)
    _check_numbers(page, explain(recording, "conv2", (0, 3, 1, 2)))
    for wrong in (
        explain(recording, "conv2", (0, 3, 1, 1)),
        explain(recording, "conv2", (0, 4, 1, 2)),
        explain(_recorded("digits", DATA / "digit-1.png"), "conv2", (0, 3, 1, 2)),
    ):
        with pytest.raises(AssertionError):
            _check_numbers(page, wrong)


def test_the_keyboard_alone_walks_to_the_pixels(page: Page, digits: Served) -> None:
    _open(page, digits.address)
    page.keyboard.press("1")
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".controls .path")).to_have_text("conv2")
    expect(page.locator(".sheet")).to_be_focused()
    for key in ("]", "]", "]", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".readout")).to_contain_text("channel 3 · row 1 · column 2")
    expect(page.locator(".readout b")).to_have_text(re.compile(r"\d"))
    shown = float(page.locator(".readout b").inner_text())
    page.keyboard.press("Enter")
    for name in ("conv2", "pool1", "relu1", "conv1"):
        _wait_at(page, name)
        expect(page.locator("[data-best], .term .from").first).to_be_focused()
        if name == "conv2":
            assert _at(page)[1] == (0, 3, 1, 2)
            assert _number(page.locator(".recorded")) == shown
        page.keyboard.press("Enter")
    _wait_at(page, "input")
    page.keyboard.press("Backspace")
    _wait_at(page, "conv1")
    page.keyboard.press("Escape")
    _wait_at(page, "relu1")
    page.keyboard.press("s")
    expect(page.locator('[data-scale="step"]')).to_have_attribute("aria-checked", "true")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(page.locator(".invitation")).to_be_visible()


def test_a_reload_restores_where_one_stands(page: Page, digits: Served) -> None:
    _open(page, digits.address)
    assert "token" not in page.url
    page.locator('.row[data-key="/3"]').click()
    expect(page.locator(".controls .path")).to_have_text("conv2")
    page.locator('[data-scale="network"]').click()
    page.locator(".sheet").click(position={"x": 60, "y": 60})
    _wait_at(page, "conv2")
    page.locator("[data-best]").click()
    _wait_at(page, "pool1")
    before = (page.url, _at(page), page.locator(".recorded").get_attribute("data-number"))
    page.reload()
    _wait_at(page, "pool1")
    assert (page.url, _at(page), page.locator(".recorded").get_attribute("data-number")) == before
    expect(page.locator('[data-scale="network"]')).to_have_attribute("aria-checked", "true")
    expect(page.locator('.row[aria-selected="true"]')).to_contain_text("pool1")
    page.go_back()
    _wait_at(page, "conv2")


def test_a_bad_picture_is_answered_with_a_sentence(page: Page, digits: Served) -> None:
    _open(page, digits.address)
    title = page.locator(".title").inner_text()
    _drop(page, "notes.txt", b"these are notes, and no picture")
    expect(page.locator(".alert")).to_contain_text("PNG")
    assert page.locator(".title").inner_text() == title
    page.locator(".alert button").click()
    expect(page.locator(".alert")).to_be_empty()


def test_without_the_token_the_page_says_so(page: Page, digits: Served) -> None:
    page.goto(f"http://{digits.host}/")
    expect(page.locator(".alert")).to_contain_text("open the address printed in the terminal")


# Maps


def _tensor(recording: Recording, name: str) -> torch.Tensor:
    return next(v.tensor for v in recording.values if recording.name_of(v.id) == name)


def test_2048_maps_are_one_sheet_with_the_tensors_numbers(page: Page, written: Path) -> None:
    spec, picture = f"{written}:Wide", DATA / "cat.jpg"
    recording = _recorded(spec, picture)
    lab = Lab(open_network(spec))
    lab.look(picture)
    with served(lab) as site:
        _open(page, site.address)
        expect(page.locator(".controls h2")).to_contain_text("2048×7×7")
        tensor = _tensor(recording, "wide")
        seen = set()
        for scroll in (0, 2000, 100_000):
            page.evaluate(f"document.querySelector('.sheet').scrollTop = {scroll}")
            _drawn(page)
            for x, y in ((40, 51), (203, 161), (333, 300), (110, 90), (420, 222), (260, 410)):
                seen.add(_check_point(page, tensor, x, y))
        seen.discard(None)
        assert len(seen) >= 4
        assert max(index[1] for index in seen if index) > 1800


def _check_point(page: Page, tensor: torch.Tensor, x: int, y: int) -> tuple[int, ...] | None:
    """Click there: number, index and colour agree with the tensor; None between maps."""
    page.locator(".sheet").hover(position={"x": x, "y": y})
    if "over" not in str(page.locator(".sheet").get_attribute("class")):
        return None
    box = page.locator(".sheet").bounding_box()
    assert box is not None
    shot = page.screenshot(clip={"x": box["x"] + x, "y": box["y"] + y, "width": 1, "height": 1})
    red, _, blue = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))[0, 0].astype(int)
    page.locator(".sheet").click(position={"x": x, "y": y})
    found = re.search(r"index=([\d,]+)", page.url)
    assert found is not None
    index = tuple(int(i) for i in found[1].split(","))
    number = float(tensor[index])
    expect(page.locator(".readout b")).to_have_text(re.compile(r"^-?\d"))
    assert np.float32(page.locator(".readout b").inner_text()) == np.float32(number)
    unit = float(tensor[index[:2]].abs().max())
    if abs(number) > 0.1 * unit:
        # Positive is blue, negative is red.
        assert (blue > red) == (number > 0)
    return index


def test_zooming_in_prints_the_numbers_and_keeps_the_place(page: Page, digits: Served) -> None:
    _open(page, f"{digits.address}&at=relu1&index=0,2,3,4")
    _wait_at(page, "relu1")
    page.locator(".sheet").focus()
    for _ in range(8):
        page.keyboard.press("+")
    assert "zoom=8" in page.url
    _wait_at(page, "relu1")
    assert _at(page)[1] == (0, 2, 3, 4)
    page.keyboard.press("0")
    assert "zoom" not in page.url


def test_a_click_between_maps_goes_one_back(page: Page, digits: Served) -> None:
    _open(page, f"{digits.address}&at=conv1&index=0,6,3,3&trail=relu1!0,6,3,3")
    _wait_at(page, "conv1")
    page.locator(".sheet").click(position={"x": 3, "y": 3})
    _wait_at(page, "relu1")
    page.locator(".sheet").click(position={"x": 3, "y": 3})
    expect(page.locator(".invitation")).to_be_visible()


def test_a_signal_is_strips_and_its_region_is_said(page: Page, written: Path) -> None:
    spec = f"{written}:Signal"
    array = _npy(torch.sin(torch.linspace(0, 40, 256)).reshape(1, 1, 256).repeat(1, 2, 1))
    lab = Lab(open_network(spec))
    lab.look(array)
    recording = _recorded(spec, array)
    with served(lab) as site:
        _open(page, f"{site.address}&at=conv&index=0,3,100")
        _wait_at(page, "conv")
        _check_numbers(page, _known(recording, page))
        expect(page.locator(".caption")).to_have_text(
            "It depends on 9 of 256 positions: positions 96–104"
        )
        expect(page.locator(".readout")).to_contain_text("channel 3 · position 100")


def test_a_clip_has_frames_to_turn(page: Page, written: Path) -> None:
    spec = f"{written}:Clip"
    array = _npy(torch.rand(1, 3, 5, 12, 16, generator=torch.Generator().manual_seed(0)))
    lab = Lab(open_network(spec))
    lab.look(array)
    recording = _recorded(spec, array)
    with served(lab) as site:
        _open(page, f"{site.address}&at=conv")
        expect(page.locator(".slider")).to_contain_text("frame")
        page.locator(".sheet").focus()
        page.keyboard.press(".")
        page.keyboard.press(".")
        expect(page.locator(".slider output")).to_have_text("2")
        page.keyboard.press("]")
        page.keyboard.press("Enter")
        _wait_at(page, "conv")
        assert _at(page)[1] == (0, 1, 2, 0, 0)
        _check_numbers(page, _known(recording, page))
        expect(page.locator(".caption")).to_contain_text("frames 1–3, rows 0–1, columns 0–1")


def test_a_network_that_raises_shows_what_ran(page: Page, written: Path) -> None:
    lab = Lab(open_network(f"{written}:Raises", size=32))
    lab.look(DATA / "cat.jpg")
    with served(lab) as site:
        _open(page, site.address)
        expect(page.locator(".row.error")).to_contain_text("linear")
        expect(page.locator(".alert")).to_contain_text("mat1 and mat2")
        page.locator('.row[data-key="/0"]').click()
        expect(page.locator(".controls .path")).to_have_text("conv")
        page.locator(".sheet").click(position={"x": 60, "y": 60})
        _wait_at(page, "conv")


# The screen


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180), (390, 844)])
@pytest.mark.parametrize("place", ["", "&at=conv2&index=0,8,2,2&trail=relu2!0,8,2,2", "&at=input"])
def test_nothing_sticks_out_of_the_screen(
    page: Page, digits: Served, width: int, height: int, place: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    _open(page, digits.address + place)
    if "index" in place:
        _wait_at(page, "conv2")
    page.locator(".title").evaluate("title => title.append(' a long name'.repeat(30))")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide == width
    if width > 760:
        assert page.evaluate("document.documentElement.scrollHeight") == height
        boxes = [
            page.locator(f".columns > .{c}").bounding_box() for c in ("outline", "maps", "numbers")
        ]
        assert all(box is not None and box["height"] > 600 for box in boxes)


def test_everything_to_press_has_a_name(page: Page, digits: Served) -> None:
    _open(page, f"{digits.address}&at=conv2&index=0,8,2,2")
    _wait_at(page, "conv2")
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


def test_pictures_of_every_kind_can_be_dropped(page: Page, digits: Served) -> None:
    _open(page, digits.address)
    for mode, form in (("P", "GIF"), ("CMYK", "JPEG"), ("L", "WEBP"), ("1", "TIFF")):
        file = io.BytesIO()
        Image.open(DATA / "digit-3.png").convert("RGB").convert(mode).save(file, form)
        _drop(page, f"three.{form}", file.getvalue())
        expect(page.locator(".title")).to_contain_text(f"three.{form}")
        _settled(page)


def test_state_survives_any_text_in_the_address(page: Page, digits: Served) -> None:
    _open(page, digits.address)
    strange: list[Any] = [
        "at=%E0%A4%A",
        "at=conv1&index=0,99,0,0",
        "at=nothing&index=1",
        "&&==",
        "x",
    ]
    for text in [*strange, "at=conv1&index=0,1", "at=conv1&trail=a!b;c", "at=conv1&zoom=1e9"]:
        page.goto(f"http://{digits.host}/#{text}")
        page.reload()
        expect(page.locator(".controls .path")).to_have_text(re.compile("softmax|conv1"))
        expect(page.locator(".alert")).to_be_empty()
