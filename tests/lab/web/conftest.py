"""A browser for the tests of the page, and a page whose console must stay silent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.running.browsing import COUNTING

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-quic"]
FLAGS += ["--disable-extensions", "--renderer-process-limit=1"]

PATIENCE = 20_000
"""The milliseconds after which a test gives up on the page."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing; install it (apt-get install chromium)")
        pytest.skip(f"needs {CHROMIUM} (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Iterator[Page]:
    """One tab for all tests: a new one would take a third of a second each."""
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.add_init_script(COUNTING)
    yield tab
    tab.close()


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """An empty page; the test fails if its console says anything, such as a refused style."""
    said: list[str] = []

    def note(message: ConsoleMessage | Error) -> None:
        said.append(message.text if isinstance(message, ConsoleMessage) else str(message))

    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.on("console", note)
    tab.on("pageerror", note)
    yield tab
    tab.evaluate("location.protocol === 'about:' || sessionStorage.clear()")
    tab.goto("about:blank")
    tab.remove_listener("console", note)
    tab.remove_listener("pageerror", note)
    # Chromium itself reports answers that refuse: a missing token, a file that is not a picture.
    assert [text for text in said if not re.search(r"status of (401|422)", text)] == []
