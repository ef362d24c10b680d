"""Sheets: every number within half a step of its code, and itself where it is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from convlens.lab import Lab
from convlens.lab.answers.sheets import MOST_EXACT, SheetAnswer, sheet_of
from convlens.lens import record
from tests.cases.lab_networks import lab_of, noise, recorded


def _size(sheet: SheetAnswer) -> tuple[int, int]:
    return sheet["maps"], sheet["rows"] * sheet["columns"]


def _check_codes(
    low: npt.NDArray[Any], high: npt.NDArray[Any], codes: npt.NDArray[Any], maps: npt.NDArray[Any]
) -> None:
    """Low and high are the maps' own, and every code is its number within half a step."""
    np.testing.assert_array_equal(low, maps.min(1))
    np.testing.assert_array_equal(high, maps.max(1))
    step = (high.astype(float) - low) / 254
    decoded = low[:, None] + (codes - 1.0) * step[:, None]
    assert (codes >= 1).all()
    assert (np.abs(decoded - maps) <= 0.5001 * step[:, None] + 1e-7 * np.abs(maps)).all()


def test_sheets_hold_the_tensors_numbers(residual: Lab, networks: Path) -> None:
    recording = recorded(f"{networks}:Residual", noise(), 24)
    for value in recording.values:
        sheet = residual.sheet(1, value.id)
        assert sheet["shape"] == list(value.shape)
        tensor = value.tensor[0] if sheet["sliced"] else value.tensor
        maps = tensor.reshape(_size(sheet)).double().numpy()
        _check_codes(sheet["low"], sheet["high"], sheet["codes"].reshape(_size(sheet)), maps)
        assert sheet["exact"] is not None
        np.testing.assert_array_equal(sheet["exact"].reshape(_size(sheet)), maps)
        assert sheet["largest"] == float(value.tensor.abs().max())


def test_the_check_of_codes_can_fail(residual: Lab) -> None:
    stem = next(v["id"] for v in residual.network()["values"] if v["name"] == "stem")
    sheet = residual.sheet(1, stem)
    low, high, codes = sheet["low"], sheet["high"], sheet["codes"].reshape(_size(sheet))
    assert sheet["exact"] is not None
    maps = sheet["exact"].reshape(_size(sheet)).astype(np.float64)
    _check_codes(low, high, codes, maps)
    for wrong in (np.roll(maps, 1, 0), np.roll(maps, 1, 1), maps * 1.01):
        with pytest.raises(AssertionError):
            _check_codes(low, high, codes, wrong)


def test_weights_are_one_output_channel_a_sheet(residual: Lab) -> None:
    weight = next(v for v in residual.network()["values"] if v["name"] == "shared.weight")
    assert weight["shape"] == [40, 20, 3, 3]
    header = residual.sheet(1, weight["id"], 7)
    assert header["sliced"]
    assert header["first"] == 7
    assert header["maps"] == 20
    assert header["axes"] == ["output channel", "input channel", "row", "column"]
    with pytest.raises(ValueError, match="`first` \\(=40\\) must be below 40"):
        residual.sheet(1, weight["id"], 40)


def test_what_is_not_finite_is_marked(networks: Path) -> None:
    lab = lab_of(f"{networks}:Strange", noise(), 24)
    recording = recorded(f"{networks}:Strange", noise(), 24)
    seen = set()
    for each in lab.network()["values"]:
        sheet = lab.sheet(1, each["id"])
        low, high, codes = sheet["low"], sheet["high"], sheet["codes"].reshape(_size(sheet))
        tensor = recording.values[each["id"]].tensor
        part = tensor[0] if sheet["sliced"] and tensor.numel() else tensor
        maps = part.double().numpy().reshape(codes.shape) if tensor.numel() else codes
        if tensor.numel():
            np.testing.assert_array_equal(codes == 0, ~np.isfinite(maps))
            assert np.isfinite(low).all()
            assert np.isfinite(high).all()
        assert sheet["exact"] is not None
        np.testing.assert_array_equal(sheet["exact"].reshape(codes.shape), maps)
        seen |= {each["dtype"], "bad" if (codes == 0).any() else ""}
        seen |= {"empty" if 0 in each["shape"] else ""}
    assert {"float32", "bool", "int64", "empty", "bad"} <= seen


def test_codes_run_from_each_maps_low_to_its_high() -> None:
    value = torch.arange(6.0).reshape(1, 2, 1, 3)
    recording = record(lambda x: x * 2, value)
    sheet = sheet_of(recording, recording.values[-1])
    assert sheet["axes"] == ["sample", "channel", "row", "column"]
    np.testing.assert_array_equal(sheet["low"], [0, 6])
    np.testing.assert_array_equal(sheet["high"], [4, 10])
    np.testing.assert_array_equal(sheet["codes"], [1, 128, 255, 1, 128, 255])


def test_a_large_sheet_leaves_out_its_exact_numbers() -> None:
    recording = record(lambda x: x * 2, torch.rand(1, 3, 600, 600))
    value = recording.values[-1]
    sheet = sheet_of(recording, value)
    assert value.tensor.numel() > MOST_EXACT
    assert sheet["exact"] is None


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float64])
def test_numbers_that_float32_cannot_hold_are_exact(dtype: torch.dtype) -> None:
    recording = record(lambda x: x + 1, torch.full((1, 2, 2, 2), 2**24, dtype=dtype))
    exact = sheet_of(recording, recording.values[-1])["exact"]
    np.testing.assert_array_equal(exact, np.full(8, 2**24 + 1))


def test_what_a_sheet_holds_cannot_be_written(residual: Lab) -> None:
    exact = residual.sheet(1, 0)["exact"]
    assert exact is not None
    with pytest.raises(ValueError, match="read-only"):
        exact[0] = 1
