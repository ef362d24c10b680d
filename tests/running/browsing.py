"""The lab's page as a reader uses it: opened, moved over, clicked, and read."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import torch
from playwright.sync_api import Locator, Page, Request, expect

from convlens.lab import Lab
from convlens.lens import Recording
from tests.running.serving import Served, served

SIGNS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{INFINITY}": "inf"})


def drop_file(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page, as the mouse would."""
    page.evaluate(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name));
          for (const type of ["dragover", "drop"]) {
            const init = { dataTransfer: data, bubbles: true, cancelable: true };
            document.querySelector(".stage").dispatchEvent(new DragEvent(type, init));
          }
        }""",
        [name, base64.b64encode(content).decode()],
    )


def open_page(page: Page, address: str) -> None:
    page.goto("about:blank")
    page.goto(address)
    settled(page)


def settled(page: Page) -> None:
    """Wait until the page has drawn what it was asked for."""
    expect(page.locator(".stage")).to_have_attribute("aria-busy", "false")


def go(page: Page, place: str) -> None:
    """Go to another address of the same page."""
    page.evaluate("(place) => { location.hash = place; }", place)
    drawn(page)
    settled(page)


def drawn(page: Page) -> None:
    """Wait for two frames: a change is noticed before one and drawn before the next."""
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


def number(text: str) -> float:
    """The number that a text of the page begins with."""
    found = re.match(r"[-+]?(?:inf|nan|[\d.]+(?:e[-+]?\d+)?)", text.strip().translate(SIGNS), re.I)
    assert found is not None, text
    return float(found[0])


def read(locator: Locator) -> float:
    return number(locator.inner_text())


def at(page: Page, part: str) -> str:
    """A part of the address, such as `index`."""
    settled_address(page)
    return parse_qs(urlsplit(page.url).fragment).get(part, [""])[0]


COUNTING = """(() => {
  const { setTimeout: start, clearTimeout: stop, fetch: ask } = window, timers = new Set();
  const read = Response.prototype.arrayBuffer;
  let asked = 0;
  const during = (answer) => {
    asked++;
    const done = () => { asked--; };
    answer.then(done, done);
    return answer;
  };
  window.setTimeout = (call, delay = 0, ...given) => {
    const timer = start(() => { timers.delete(timer); call(...given); }, delay);
    if (delay < 1000) timers.add(timer);
    return timer;
  };
  window.clearTimeout = (timer) => { timers.delete(timer); stop(timer); };
  window.fetch = (...given) => during(ask(...given));
  Response.prototype.arrayBuffer = function () { return during(read.call(this)); };
  window.waitsFor = () => timers.size + asked;
})()"""
"""A script that runs before a page's own, and counts the timers and answers it waits for."""


def quiet(page: Page, most: int = 5_000) -> None:
    """Wait until the page waits for no timer and no answer and has drawn, or some milliseconds."""
    page.evaluate(
        """(most) => new Promise((go) => {
          const end = performance.now() + most;
          const waits = window.waitsFor ?? (() => true); // a page that does not count
          const look = (now) => (waits() && now < end ? requestAnimationFrame(look) : go());
          requestAnimationFrame(look);
        })""",
        most,
    )
    drawn(page)


def settled_address(page: Page) -> None:
    """Wait until a hover has been written to the address, after a fifth of a second."""
    quiet(page, 260)


def tensor_of(recording: Recording, name: str) -> torch.Tensor:
    """The tensor of a value by its name."""
    return next(v.tensor for v in recording.values if recording.name_of(v.id) == name)


def move_over(page: Page, cells: Locator, row: float, column: float) -> None:
    """Move the mouse over a place of a map, both given as shares of its height and width."""
    box = cells.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + column * box["width"], box["y"] + row * box["height"])


@contextlib.contextmanager
def shown_page(page: Page, lab: Lab, place: str = "") -> Iterator[Served]:
    """The page on a lab of its own, left before that is closed."""
    with served(lab) as site:
        open_page(page, f"{site.address}&{place}" if place else site.address)
        yield site
        page.goto("about:blank")


@contextlib.contextmanager
def asking(page: Page) -> Iterator[list[str]]:
    """The requests that the page makes meanwhile: the questions by name, others by address."""
    asked: list[str] = []

    def note(request: Request) -> None:
        path = urlsplit(request.url).path
        asked.append(path.removeprefix("/api/"))

    page.on("request", note)
    yield asked
    drawn(page)
    page.remove_listener("request", note)
