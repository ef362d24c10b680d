"""Measure the stage in Chromium: opening, hovering, clicking, changing, scrolling, memory."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from bench.figures import Figure

SETTLED = "() => document.querySelector('.stage')?.ariaBusy === 'false'"
LIT = "() => document.querySelector('.bench .total b') && document.querySelector('.bench .cells')"

# Say how long an action takes until the page has drawn what it asked for.
ACT = """([selector, key]) => new Promise((resolve, reject) => {
  const stage = document.querySelector('.stage');
  const began = performance.now();
  setTimeout(() => reject(new Error('no answer in 10 s')), 10000);
  new MutationObserver((_, observer) => {
    if (stage.ariaBusy !== 'false') return;
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - began));
  }).observe(stage, { attributes: true, attributeFilter: ['aria-busy'] });
  const el = document.querySelector(selector);
  if (!key) el.click();
  else el.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
})"""

# The milliseconds of each of 64 moves over the cells of a map.
HOVER = """(selector) => {
  const el = document.querySelector(selector);
  const box = el.getBoundingClientRect();
  return Array.from({ length: 64 }, (_, i) => {
    const at = { clientX: box.left + (((i * 37) % 64) + 0.5) / 64 * box.width,
      clientY: box.top + (((i * 23) % 64) + 0.5) / 64 * box.height };
    const event = new PointerEvent('pointermove', { ...at, bubbles: true, pointerType: 'mouse' });
    const began = performance.now();
    el.dispatchEvent(event);
    return performance.now() - began;
  });
}"""

# The frames a second while an element scrolls to its end and back.
SCROLL = """([selector, axis]) => new Promise((resolve) => {
  const all = [...document.querySelectorAll(selector)];
  const room = (el) => (axis ? el.scrollHeight - el.clientHeight : el.scrollWidth - el.clientWidth);
  const el = all.sort((a, b) => room(b) - room(a))[0];
  const most = room(el);
  const began = performance.now();
  let frames = 0;
  const step = (now) => {
    frames += 1;
    const t = (now - began) / 2000;
    el[axis ? 'scrollTop' : 'scrollLeft'] = most * (1 - Math.abs(1 - 2 * t));
    if (t < 1) requestAnimationFrame(step);
    else resolve([1000 * frames / (performance.now() - began), most]);
  };
  requestAnimationFrame(step);
})"""


@contextmanager
def lab(*words: str) -> Iterator[tuple[str, float]]:
    """Yield the address of a lab, and when its command started."""
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "convlens", "lab", "--no-open", *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in server.stdout or ():
            if found := re.search(r"http://\S+", line):
                yield found.group(), began
                break
    finally:
        server.terminate()
        server.wait()


def opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.wait_for_function(SETTLED, polling=10, timeout=60_000)
    return page


def go(page: Page, place: str) -> None:
    page.evaluate("place => { location.hash = place }", place)
    page.wait_for_timeout(400)
    page.wait_for_function(SETTLED, polling=20, timeout=60_000)


def opening(browser: Browser) -> Figure:
    samples = []
    for _ in range(5):
        with lab("digits") as (address, began):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address)
            page.wait_for_function(LIT, polling=10, timeout=60_000)
            samples.append(time.perf_counter() - began)
            page.close()
    return Figure.of("convlens lab to a lit window with its sum", samples, "s", 3, "no click")


def hovering(page: Page, places: list[str], name: str) -> Figure:
    samples: list[float] = []
    for place in places:
        go(page, place)
        page.evaluate(HOVER, ".seat.out .cells")  # once to warm up
        samples += page.evaluate(HOVER, ".seat.out .cells")
        samples += page.evaluate(HOVER, ".seat.in .cells")
    worst = f"95 %: {np.percentile(samples, 95):.1f} ms"
    return Figure.of(f"a move of the pointer, {name}", samples, "ms", 16, worst)


def clicking(page: Page) -> list[Figure]:
    """Return the time of a click and its requests, from distance to distance on ResNet-50."""
    clicks, asked = [], []
    counted: list[str] = []
    page.on("request", lambda request: counted.append(request.url))
    for where in ("conv1", "layer1.1.conv2", "layer2.0.bn1", "layer3.2.conv3", "layer4.2.relu"):
        for near in ("step", "window", "number"):
            go(page, f"at={where}&near=network")
            counted.clear()
            clicks.append(page.evaluate(ACT, [f'[data-choice="{near}"]', ""]))
            asked.append(float(sum("/api/" in url for url in counted)))
    return [
        Figure.of("a click answered and drawn, ResNet-50", clicks, "ms", 100),
        Figure.of("requests a click", asked, "", 1.5),
    ]


def changing(page: Page) -> list[Figure]:
    figures = []
    for where in ("conv1", "layer3.2.conv2", "layer4.2.conv3"):
        go(page, f"at={where}")
        samples = [page.evaluate(ACT, ['[role="spinbutton"]', "ArrowUp"]) for _ in range(10)]
        figures.append(Figure.of(f"a change of {where} to the answer", samples, "ms", 150))
    return figures


def dropping(page: Page, folder: Path) -> Figure:
    photo = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    large = Image.fromarray(photo).resize((4000, 3000))  # 12 megapixels, as from a phone
    samples = []
    for i in range(5):
        file = folder / f"photo{i}.jpg"
        large.save(file, quality=90)
        began = time.perf_counter()
        with page.expect_response("**/api/network*"):
            with page.expect_file_chooser() as chooser:
                page.locator('[aria-label="Picture"]').select_option("file")
            chooser.value.set_files(file)
        page.wait_for_timeout(50)
        page.wait_for_function(SETTLED, polling=10)
        samples.append(time.perf_counter() - began)
    return Figure.of("a 12 MP photo to a lit window, ResNet-50", samples, "s", 3)


def scrolling(page: Page) -> list[Figure]:
    page.wait_for_timeout(1500)
    go(page, "near=network")
    every = "main *, .strip"
    strip, far = page.evaluate(SCROLL, [every, 0])
    go(page, "at=layer4.2.conv3&near=step")
    maps, down = page.evaluate(SCROLL, [".stage *", 1])
    return [
        Figure.of("frames a second on the strip of ResNet-152", [strip], "", None, f"{far} px"),
        Figure.of("frames a second on 2,048 maps", [maps], "", None, f"{down} px; wanted 55"),
    ]


def memory(page: Page) -> Figure:
    """Return what the page's process holds: the largest renderer of the browser."""
    page.wait_for_timeout(500)
    found = [
        process.memory_info().rss
        for process in psutil.process_iter(["cmdline"])
        if "--type=renderer" in (process.info["cmdline"] or ())
    ]
    return Figure.of("memory of the page's process", [max(found) / 2**20], "MB", 300)


def measure() -> list[Figure]:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("page: skipped, there is no chromium on the path", file=sys.stderr)
        return []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            figures = [opening(browser)]
            with lab("digits") as (address, _):
                page = opened(browser, address)
                places = ["at=conv1&index=0,5,6,4", "at=conv2&index=0,8,2,2"]
                places += ["at=pool1&index=0,5,1,1", "at=relu1&index=0,5,6,6"]
                figures.append(hovering(page, places, "digits"))
                page.close()
            with lab("resnet50", "--weights", "none") as (address, _):
                page = opened(browser, address)
                places = ["at=conv1", "at=layer1.1.conv2", "at=layer1.0.add", "at=bn1"]
                figures.append(hovering(page, places, "ResNet-50"))
                figures += clicking(page)
                figures += changing(page)
                figures.append(dropping(page, Path(folder)))
                page.close()
            with lab("resnet152", "--weights", "none") as (address, _):
                page = opened(browser, address)
                figures += [*scrolling(page), memory(page)]
                page.close()
            return figures
        finally:
            browser.close()
