"""The lab's page as a reader uses it: opened, clicked, and read back number by number."""

from __future__ import annotations

import base64
import contextlib
import io
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from playwright.sync_api import Locator, Page, Request, expect

from convlens.lab import Lab
from convlens.lens import Explanation, Recording, explain_value
from tests.running.serving import Served, served


def drop_file(page: Page, name: str, content: bytes) -> None:
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


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    settled(page)


def settled(page: Page) -> None:
    expect(page.locator(".lab")).to_have_attribute("aria-busy", "false")


def drawn(page: Page) -> None:
    """Wait for two frames: a scroll is noticed before one and drawn before the next."""
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


def number_of(locator: Locator) -> float:
    """The full number of an element, which shows it shortened."""
    number = float(str(locator.get_attribute("data-number")))
    shown = locator.inner_text().replace("−", "-").replace("∞", "inf")
    assert abs(float(shown) - number) <= 0.005 * abs(number) + 0.006, (shown, number)
    return number


def standing_at(page: Page) -> tuple[str, tuple[int, ...]]:
    """The value and index the page stands at, from its heading."""
    name = page.locator(".what .path").inner_text()
    index = page.locator(".what .index").inner_text().strip("[]")
    return name, tuple(int(i) for i in index.split(",")) if index else ()


def known_there(recording: Recording, page: Page) -> Explanation:
    """What the lens says of the number the page stands at."""
    name, index = standing_at(page)
    value = next(v for v in recording.values if recording.name_of(v.id) == name)
    return explain_value(recording, value.id, index)


def wait_at(page: Page, name: str) -> None:
    expect(page.locator(".what .path")).to_have_text(name)


def check_single(shown: list[float], known: npt.NDArray[np.float64]) -> None:
    """The same float32 numbers; the shortest text of one reads back as that very number."""
    np.testing.assert_array_equal(np.asarray(shown, np.float32), known.astype(np.float32))


def check_numbers(page: Page, known: Explanation) -> None:
    """Every number of the opened channel, or of the listed terms, is the explanation's."""
    check_single([number_of(page.locator(".recorded"))], np.array([known.recorded]))
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
        check_single(cells["window"], terms.value[part])
        if "kernel" in cells:
            check_single(cells["kernel"], terms.weight[part])
            np.testing.assert_array_equal(cells["products"], terms.product[part])
    elif len(terms):
        order = np.argsort(-np.abs(terms.product), kind="stable")
        for row, term in list(zip(page.locator(".term").all(), order, strict=False))[:6]:
            shown = float(str(row.locator(".from").get_attribute("data-number")))
            check_single([shown], terms.value[term : term + 1])
    if known.rule == "sum":
        assert number_of(page.locator(".total .number")) == known.total


def tensor_of(recording: Recording, name: str) -> torch.Tensor:
    """The tensor of a value by its name."""
    return next(v.tensor for v in recording.values if recording.name_of(v.id) == name)


def check_point(page: Page, tensor: torch.Tensor, x: int, y: int) -> tuple[int, ...] | None:
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


@contextlib.contextmanager
def shown_page(page: Page, lab: Lab) -> Iterator[Served]:
    """The page on a lab of its own, left before that is closed."""
    with served(lab) as site:
        open_page(page, site.address)
        yield site
        page.goto("about:blank")


@contextlib.contextmanager
def asking(page: Page) -> Iterator[list[str]]:
    """The questions that the page asks meanwhile, by name."""
    asked: list[str] = []

    def note(request: Request) -> None:
        path = urlsplit(request.url).path
        if path.startswith("/api/"):
            asked.append(path.removeprefix("/api/"))

    page.on("request", note)
    yield asked
    drawn(page)
    page.remove_listener("request", note)


def drawing(page: Page) -> str:
    return str(page.locator(".stack canvas").evaluate("(el) => el.toDataURL()"))


def pixels_of(page: Page) -> npt.NDArray[np.int_]:
    """What the canvas of the picture shows, without the lines over it."""
    content = base64.b64decode(drawing(page).split(",")[1])
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).astype(int)
