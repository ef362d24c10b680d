"""Marked positions: unpacked as the page unpacks them, they are the mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.lab import Lab
from convlens.lab.answers.marking import lit
from convlens.lens import explain_value
from tests.cases.lab_networks import marked, noise, recorded


def test_the_lit_region_is_the_lens_region(residual: Lab, networks: Path) -> None:
    recording = recorded(f"{networks}:Residual", noise(), 24)
    shared = next(v["id"] for v in residual.network()["values"] if v["name"] == "shared")
    region = residual.number(1, shared, (0, 3, 0, 12))["region"]
    assert region is not None
    mask = explain_value(recording, shared, (0, 3, 0, 12)).pixels().mask.any(0).any(0)
    np.testing.assert_array_equal(marked(region), mask.numpy())
    assert region["count"] == int(mask.sum()) == 3 * 5
    assert region["warning"] == ""


@pytest.mark.parametrize("shape", [(), (7,), (5, 6), (3, 4, 5)])
def test_marks_are_the_true_positions(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(shape, generator=generator) > 0.7
    for each in (mask, torch.ones(shape).bool(), torch.zeros(shape).bool()):
        found = lit(each, "loose")
        np.testing.assert_array_equal(marked(found), each.numpy())
        assert (found["count"], found["warning"]) == (int(each.sum()), "loose")
        assert found["space"] == list(shape)
