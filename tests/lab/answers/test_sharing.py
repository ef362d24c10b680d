"""The Python that the page shares computes the number that the page shows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.lab.showing import lab_on
from convlens.learn.opening import open_network
from convlens.zoo.weights import DATA
from tests.running.commands import run as run_command


def run(text: str, **given: object) -> str:
    """The first line that the text prints."""
    said: list[str] = []
    space: dict[str, Any] = {"print": lambda found: said.append(str(found)), **given}
    exec(compile(text, "shared", "exec"), space)
    return said[0].splitlines()[0]


def shared(lab: Lab, at: str, index: tuple[int, ...], **given: object) -> str:
    """Run what the page shares of a number, and compare it with the number."""
    value = lab.recording.values[lab.recording.made(at)[0]]
    text = lab.python(lab.network()["recording"], value.id, index)["text"]
    assert run(text, **given).endswith(f" = {float(value.tensor[index])!r}")
    return text


def test_a_network_of_the_zoo_on_its_example() -> None:
    assert shared(lab_on("digits"), "conv1", (0, 5, 6, 4)) == (
        "import convlens\n\n"
        "opened = convlens.open_network('digits')\n"
        "x, _ = convlens.read_inputs(opened)\n"
        "recording = convlens.record(opened.network, x)\n"
        "print(convlens.explain(recording, 'conv1', (0, 5, 6, 4)))\n"
    )


def test_options_a_path_and_a_file_with_arguments(tmp_path: Path) -> None:
    file = tmp_path / "it's mine.py"
    file.write_text(
        "from torch import nn\nimport torch\n"
        "def build(width):\n torch.manual_seed(0)\n return nn.Conv2d(3, width, 3)\n"
    )
    opened = open_network(f"{file}:build(width=2)", size=(9, 12), normalize="imagenet")
    text = shared(lab_on(opened, str(DATA / "cat.jpg")), "", (0, 1, 2, 3))
    assert "size=(9, 12), normalize='imagenet')" in text
    assert "cat.jpg" in text


def test_a_module_in_training_and_pixels_of_the_caller() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Dropout(0.5))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    text = shared(lab_on(network, pixels), "1", (0, 1, 2, 3), network=network, picture=pixels)
    assert "# network: your Sequential" in text
    assert "# picture: your ndarray" in text


def test_a_recording_and_a_second_output() -> None:
    lab = lab_on(lambda x: torch.max(x, 1), torch.tensor([[3.0, 7.0]]))
    second = lab.recording.output_ids[1]
    text = lab.python(1, second, (0,))["text"]
    assert run(text, recording=lab.recording).endswith("= 1.0")
    with pytest.raises(ValueError, match="must lie in the value's shape"):
        lab.python(1, second, (1,))


def test_a_dropped_picture_keeps_its_name() -> None:
    lab = lab_on("digits")
    lab.look((DATA / "digit-3.png").read_bytes(), "mine.png")
    assert (
        "read_inputs(opened, 'mine.png')"
        in lab.python(2, lab.recording.made("conv1")[0], (0, 0, 0, 0))["text"]
    )


def test_the_command_writes_the_page_at_the_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "number.html"
    lab = lab_on("digits")
    value = lab.recording.made("conv1")[0]
    text = lab.python(1, value, (0, 5, 6, 4))["command"]
    assert text == "convlens show digits --at conv1 --index 0,5,6,4 --out number.html"
    *words, _ = shlex.split(text)[1:]
    run_command(capsys, *words, str(out))
    assert out.read_text().startswith("<!doctype html>")
    lab.look((DATA / "digit-8.png").read_bytes(), "my 8.png")
    assert "show digits 'my 8.png' --at" in lab.python(2, value, (0, 5, 6, 4))["command"]


def test_no_command_names_a_module_of_the_caller() -> None:
    lab = lab_on(nn.Conv2d(1, 1, 1), torch.ones(1, 1, 2, 2))
    assert lab.python(1, lab.recording.output_ids[0], (0, 0, 0, 0))["command"] == ""


def test_a_figure_is_a_file_of_its_form(digits: Lab) -> None:
    value = next(row["id"] for row in digits.network()["values"] if row["name"] == "conv1")
    svg = bytes(digits.figure(1, value, (0, 5, 6, 4))["content"])
    assert svg.startswith(b"<svg")
    assert b"1.677" in svg
    png = bytes(digits.figure(1, value, (0, 5, 6, 4), "png", dark=True)["content"])
    assert png.startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="must be 'svg' or 'png'"):
        digits.figure(1, value, (0, 5, 6, 4), "gif")
