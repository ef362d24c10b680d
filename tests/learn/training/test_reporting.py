"""The report of a run: its samples open as what was measured."""

from __future__ import annotations

import re
import shlex
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.training.loading import to_network
from convlens.learn.training.reporting import write_report
from convlens.learn.training.starting import train
from convlens.learn.training.validation import Validation, validate
from tests.cases.labelled import class_folders


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "run"
    list(train("digits", "digits", out=folder, epochs=1, threads=1))
    return folder


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command on a page."""
    found = re.findall(r'<code class="command">(.*?)</code>', page.read_text())
    return [shlex.split(unescape(one)) for one in found]


def assert_opens_as_measured(validation: Validation, page: Path, most: float) -> None:
    opened = open_network(str(validation.folder.path))
    said = commands(page)
    assert said
    for _, verb, run, file in said:
        assert (verb, run) == ("lab", str(validation.folder.path))
        number = int(Path(file).name.split("-")[0])
        batch = validation.reading.batch(np.array([number]), None)
        expected = to_network(batch, validation.reading.preparation, torch.device("cpu"))
        assert (read_inputs(opened, file)[0] - expected).abs().max() <= most


def test_digits_open_with_the_ink_that_was_measured(digits_run: Path) -> None:
    validation = validate(digits_run)
    assert_opens_as_measured(validation, write_report(validation), 0.0)


def test_photographs_open_as_the_network_read_them(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})
    list(train("resnet18", tmp_path / "photos", out=tmp_path / "run", epochs=1, size=32, threads=1))
    validation = validate(tmp_path / "run")
    assert_opens_as_measured(validation, write_report(validation), 1e-6)


def test_every_link_names_a_file_beside_the_page(digits_run: Path) -> None:
    page = write_report(validate(digits_run))
    links = re.findall(r'href="([^"]*)"', page.read_text())
    assert len(links) == 2 * len(commands(page))  # of the picture and of its name
    assert all((page.parent / link).is_file() for link in links)
