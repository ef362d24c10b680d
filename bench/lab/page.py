"""Measure the page in Chromium: until it is usable, after a dropped photo, and a click."""

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
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from bench.figures import Figure

# Says how long after the next press of the pointer the arithmetic shows another number.
WATCH = """() => {
  const place = document.querySelector('.arithmetic');
  const shown = () => place.querySelector('h2')?.textContent;
  const before = shown();
  let began = 0;
  const press = () => { began = performance.now(); };
  addEventListener('pointerdown', press, { once: true, capture: true });
  window.answered = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no answer in 10 s')), 10000);
    new MutationObserver((_, observer) => {
      if (!began || !shown() || shown() === before) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - began));
    }).observe(place, { childList: true, subtree: true, characterData: true });
  });
}"""


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


def usable(page: Page, name: str = "") -> None:
    """Wait until the feature maps of a picture can be clicked."""
    page.wait_for_function(
        """name => document.querySelector('.title')?.textContent.includes(name)
          && !document.querySelector('.progress')?.textContent
          && document.querySelector('.outline [role=treeitem]')
          && document.querySelector('.sheet canvas, .bars button')""",
        arg=name,
        polling=10,
        timeout=60_000,
    )


def opening(browser: Browser) -> Figure:
    samples = []
    for _ in range(5):
        with lab("digits") as (address, began):
            page = browser.new_page()
            page.goto(address)
            usable(page)
            samples.append(time.perf_counter() - began)
            page.close()
    return Figure.of("convlens lab to a usable page", samples, "s", 3, "the browser already runs")


def dropping(browser: Browser, folder: Path) -> list[Figure]:
    photo = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    large = Image.fromarray(photo).resize((4000, 3000))  # 12 megapixels, as from a phone
    dropped, clicks = [], []
    with lab("resnet50", "--weights", "none") as (address, _):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        usable(page)
        for i in range(5):
            file = folder / f"photo{i}.jpg"
            large.save(file, quality=90)
            began = time.perf_counter()
            page.set_input_files("input.file", file)
            usable(page, file.name)
            dropped.append(time.perf_counter() - began)
        for where in ("conv1", "layer1.1.conv2", "layer3.2.conv3", "layer4.2.conv2"):
            page.evaluate("at => { location.hash = `#at=${at}` }", where)
            page.wait_for_function(
                "at => document.querySelector('.maps h2 .path')?.textContent.includes(at)",
                arg=where,
            )
            page.wait_for_selector(".sheet canvas")
            page.wait_for_timeout(300)
            box = page.locator(".sheet canvas").first.bounding_box()
            if box is None:
                raise RuntimeError(f"no feature maps of {where} on the page")
            for i in range(5):
                page.evaluate(WATCH)
                page.mouse.click(box["x"] + 18 + 4 * i, box["y"] + 31 + 4 * i)
                clicks.append(page.evaluate("window.answered"))
    return [
        Figure.of("dropped 12 MP photo to clickable, ResNet-50", dropped, "s", 3),
        Figure.of("a click answered, at the browser", clicks, "ms", 100),
    ]


def measure() -> list[Figure]:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("page: skipped, there is no chromium on the path", file=sys.stderr)
        return []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            return [opening(browser), *dropping(browser, Path(folder))]
        finally:
            browser.close()
