"""The page as a widget in the notebooks that people have: JupyterLab and marimo, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect
from torch import nn

from convlens.lab.showing import lab_on
from convlens.lens import Recording, explain, record
from tests.running.browsing import move_over, read
from tests.running.hosting import jupyterlab, marimo

pytestmark = [pytest.mark.xdist_group("lab"), pytest.mark.slow]

SHIPPED = """import convlens
convlens.show("digits")"""

OWN = """import torch
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())
convlens.show(network, torch.arange(25.0).reshape(1, 1, 5, 5), at="0", index=(0, 1, 1, 1))"""

START = 60_000
"""The milliseconds in which a notebook draws its first stage: a kernel starts and imports torch."""


@pytest.fixture(scope="module")
def digits() -> Recording:
    return lab_on("digits").recording


@pytest.fixture(scope="module")
def jupyter(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with jupyterlab(tmp_path_factory.mktemp("jupyter"), [SHIPPED, OWN]) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.locator(".jp-Cell .cm-content").first.click(timeout=START)
        for _ in range(2):
            page.keyboard.press("Shift+Enter")
        expect(page.locator(".stage .total")).to_have_count(2, timeout=START)
        yield page
        page.close()


def known_of_own() -> float:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    recording = record(network, torch.arange(25.0).reshape(1, 1, 5, 5))
    return explain(recording, "0", (0, 1, 1, 1)).recorded


def follows(page: Page, stage: Locator, recording: Recording) -> None:
    """Move the window, go to the number and back: each time the number is Python's."""
    known = explain(recording, "conv1", (0, 5, 3, 5)).recorded
    move_over(page, stage.locator(".seat.out .cells"), 3.5 / 8, 5.5 / 8)
    expect(stage.locator(".total b").first).not_to_have_text("1.677")
    assert read(stage.locator(".total b").first) == pytest.approx(known, rel=6e-4)
    stage.locator('[data-choice="number"]').click()
    expect(stage).to_have_attribute("data-near", "number")
    expect(stage.locator(".body")).to_contain_text("Made of")
    expect(stage).to_have_attribute("aria-busy", "false")
    assert read(stage.locator(".inspector .large")) == pytest.approx(known, rel=6e-4)
    stage.locator('[data-choice="window"]').click()
    expect(stage.locator(".total")).to_be_visible()


def test_in_jupyterlab_the_numbers_are_pythons(jupyter: Page, digits: Recording) -> None:
    first, second = jupyter.locator(".stage").all()
    follows(jupyter, first, digits)
    assert read(second.locator(".total b").first) == pytest.approx(known_of_own(), rel=6e-4)
    assert jupyter.evaluate("document.documentElement.dataset.zoom ?? ''") == ""
    assert "convlens" not in jupyter.title()


def test_in_jupyterlab_two_stages_leave_each_other_alone(jupyter: Page) -> None:
    first, second = jupyter.locator(".stage").all()
    first.locator(".sentence").click()
    jupyter.keyboard.press("1")
    expect(first).to_have_attribute("data-near", "network")
    expect(second).to_have_attribute("data-near", "window")
    assert jupyter.locator(".jp-MarkdownCell").count() == 0  # the notebook's own 1 makes a heading
    jupyter.keyboard.press("3")
    expect(first).to_have_attribute("data-near", "window")
    for stage in (first, second):
        stage.locator(".find input").focus()
        expect(stage.locator(".find li").first).to_be_visible()
    ids = jupyter.locator(".stage [id]").evaluate_all("all => all.map((el) => el.id)")
    assert len(ids) == len(set(ids)) > 0


def test_in_jupyterlab_the_stage_is_as_dark_as_the_notebook(jupyter: Page) -> None:
    stage = jupyter.locator(".stage").first
    for theme in ("Dark", "Light"):
        command = f"apputils:change-theme', {{theme: 'JupyterLab {theme}'}}"
        jupyter.evaluate(f"void jupyterapp.commands.execute('{command})")
        expect(stage).to_have_attribute("data-theme", theme.lower())
        expect(stage.locator(".seat.out canvas").first).to_be_visible()
    height, room = stage.evaluate("el => [el.offsetHeight, innerHeight]")
    assert 320 <= height < room


def test_in_jupyterlab_a_kernel_that_starts_again_is_told_at_once(jupyter: Page) -> None:
    stage = jupyter.locator(".stage").first
    jupyter.evaluate("void jupyterapp.commands.execute('kernelmenu:restart')")
    jupyter.locator(".jp-Dialog button.jp-mod-accept").last.click()
    jupyter.wait_for_function(
        "jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
    )
    stage.locator(".answer button").click()
    expect(stage.locator(".alert")).to_contain_text("run the cell again", timeout=10_000)


def test_in_marimo_the_numbers_are_pythons(
    browser: Browser, tmp_path: Path, digits: Recording
) -> None:
    with marimo(tmp_path, [SHIPPED, OWN]) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        expect(page.locator(".stage .total")).to_have_count(2, timeout=START)
        first, second = page.locator(".stage").all()
        follows(page, first, digits)
        assert read(second.locator(".total b").first) == pytest.approx(known_of_own(), rel=6e-4)
        first.locator(".sentence").click()
        page.keyboard.press("1")
        expect(first).to_have_attribute("data-near", "network")
        expect(second).to_have_attribute("data-near", "window")
        page.close()
