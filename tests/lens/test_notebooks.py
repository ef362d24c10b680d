"""What a notebook shows of the lens: one line, or a small table whose texts are escaped."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
import torch
from torch import nn

from convlens.lens import Recording, costs_of, explain, record

NAME = "<b>&conv"


@pytest.fixture
def recording() -> Recording:
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module(NAME, nn.Conv2d(1, 2, 3))
    network.add_module("relu", nn.ReLU())
    return record(network, torch.rand(1, 1, 8, 8))


def test_a_repr_is_one_line_without_numbers_of_tensors(recording: Recording) -> None:
    explanation = explain(recording, NAME, (0, 1, 2, 3))
    made = f"{explanation.recorded:.7g}"
    assert repr(recording) == f"<Recording of 2 steps, {NAME} to relu>"
    assert repr(explanation) == f"<Explanation of {NAME}[0,1,2,3] = {made}: sum of 9 terms>"
    assert repr(explanation.pixels()) == (
        "<Region of 9 elements of input, within 0:1 × 0:1 × 2:5 × 3:6>"
    )
    assert repr(costs_of(recording)) == "<Costs of 2 steps: 20 parameters, 648 multiply-adds>"
    assert repr(explain(recording, "input", (0, 0, 0, 0))).endswith(": given>")


def test_a_recording_that_stopped_says_where() -> None:
    stopped = record(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(5, 2)), torch.rand(1, 1, 8, 8))
    assert repr(stopped) == "<Recording of 1 step, 0, stopped at step 1>"
    assert "stopped: step 1" in stopped._repr_html_()


@pytest.mark.parametrize(
    ("show", "rows"),
    [
        (lambda r: r, 3),
        (costs_of, 4),
        (lambda r: explain(r, NAME, (0, 1, 2, 3)), 11),
        (lambda r: explain(r, "relu", (0, 1, 2, 3)), 2),
        (lambda r: explain(r, "relu", (0, 1, 2, 3)).pixels(), 5),
    ],
)
def test_html_is_an_escaped_table(
    recording: Recording, show: Callable[[Recording], Recording], rows: int
) -> None:
    html = show(recording)._repr_html_()
    table = ET.fromstring(f"<div>{html}</div>")
    assert len(list(table.iter("tr"))) == rows
    assert "<b>" not in html


def test_the_table_of_a_long_recording_is_cut() -> None:
    html = record(lambda x: [x := x + 1 for _ in range(100)], torch.ones(1))._repr_html_()
    assert "… 40 more rows …" in html
    assert html.count("<tr>") == 62
