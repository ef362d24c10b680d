"""What is wrong in a layer is named, the worst first, and what is sound is not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from convlens.learn.measuring.layers import (
    LayerNumbers,
    LayersLine,
    UnitCount,
    cut_layers,
    faults,
    read_layers,
)
from convlens.learn.measuring.lines import add_line

SOUND = {f"conv{k}": LayerNumbers(2.0, 0.5 * k, 0.001) for k in (1, 2, 3)}


def line(**changes: LayerNumbers | UnitCount) -> LayersLine:
    layers = SOUND | {k: v for k, v in changes.items() if isinstance(v, LayerNumbers)}
    units = {k: v for k, v in changes.items() if isinstance(v, UnitCount)}
    return LayersLine(40, 2, 359, layers, units)


def said(**changes: LayerNumbers | UnitCount) -> list[str]:
    return [fault.sentence for fault in faults(line(**changes))]


def test_sound_layers_have_no_fault() -> None:
    assert (
        said(relu=UnitCount(3, 16), gelu=UnitCount(0, 2), frozen=LayerNumbers(1, math.nan, 0)) == []
    )
    assert faults(LayersLine(1, 1, 5)) == []


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (LayerNumbers(1, 300, 0.001), "fc: its gradient is 240 times the median: exploding"),
        (LayerNumbers(1, 1e-6, 0.001), "fc: its gradient is 1e-06 of the median: vanishing"),
        (LayerNumbers(1, 0, 0.001), "fc: its gradient is 0: it does not learn"),
        (
            LayerNumbers(1, 1, 0.25),
            "fc: one step changes its weights by 25%: the rate is too high for it",
        ),
        (
            UnitCount(37, 64),
            "fc: 37 of 64 channels are 0 for all 359 held-out samples: dead",
        ),
        (UnitCount(64, 64), "fc: all 64 channels are 0 for all 359 held-out samples: dead"),
    ],
)
def test_each_fault_is_a_sentence(numbers: LayerNumbers | UnitCount, sentence: str) -> None:
    assert said(fc=numbers) == [sentence]


def test_just_within_the_limits_is_sound() -> None:
    found = said(
        large=LayerNumbers(1, 99, 0.1), small=LayerNumbers(1, 2e-4, 0), relu=UnitCount(15, 61)
    )
    assert found == []


def test_the_worst_comes_first() -> None:
    found = faults(
        line(
            tiny=LayerNumbers(1, 1e-9, 0),
            relu=UnitCount(8, 16),
            relu2=UnitCount(16, 16),
            huge=LayerNumbers(1, 1e5, 0.5),
        )
    )
    assert [fault.layer for fault in found] == ["huge", "relu2", "huge", "tiny", "relu"]


def test_the_first_steps_may_be_large() -> None:
    assert faults(LayersLine(5, 1, 9, {"fc": LayerNumbers(1, 1, 0.9)})) == []


def test_lines_are_read_as_written_and_cut(tmp_path: Path) -> None:
    path = tmp_path / "layers.jsonl"
    lines = [
        LayersLine(
            10 * k, k, 9, {"größe": LayerNumbers(1.5, 0.25, 0.125)}, {"relu#2": UnitCount(k, 4)}
        )
        for k in (1, 2, 3)
    ]
    for one in lines:
        add_line(path, one)
    assert read_layers(path) == lines
    assert read_layers(path, last=2) == lines[1:]
    assert read_layers(path, last=9) == lines
    with path.open("a") as file:
        file.write('{"step": 4')
    assert read_layers(path) == lines
    assert cut_layers(path, 20) == lines[:2] == read_layers(path)


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "layers.jsonl"
    add_line(path, LayersLine(1, 1, 9, {"bn": LayerNumbers(1, math.nan, math.inf)}))
    assert "null, null" in path.read_text()
    assert math.isnan(read_layers(path)[0].layers["bn"].gradient)


@pytest.mark.parametrize("row", ["{}", "[1]", "x", '{"step": 1, "layers": {"a": [1]}}'])
def test_another_file_is_refused(row: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.jsonl"
    path.write_text(f"{row}\n")
    with pytest.raises(ValueError, match="must be a record of layers, and its line 1 is not one"):
        read_layers(path)
