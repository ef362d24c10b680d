"""The facts of a map and its sample equal NumPy's, whatever numbers they hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.lab.answers import sheets
from convlens.lab.answers.facts import FactsRow, StatisticsRow, facts_of
from convlens.lens import record


def facts(x: Tensor, index: tuple[int, ...]) -> FactsRow:
    recording = record(lambda x: x + 0 if x.dtype != torch.bool else x & x, x)
    assert recording.output is not None
    found = facts_of(recording, recording.output, index)
    assert found is not None
    return found


def check(found: StatisticsRow, x: np.ndarray) -> None:
    finite = x[np.isfinite(x)].astype(np.float64)
    assert found["count"] == x.size
    assert (found["low"], found["high"]) == (finite.min(), finite.max())
    assert found["mean"] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
    assert found["deviation"] == pytest.approx(finite.std(), rel=1e-9, abs=1e-9)
    assert found["zeros"] == int((x == 0).sum())
    assert found["nans"] == int(np.isnan(x).sum())
    assert found["infinite"] == int(np.isinf(x).sum())


@pytest.mark.parametrize("at_once", [2**22, 40])
def test_the_map_and_its_sample_are_summed_up(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "AT_ONCE", at_once)
    torch.manual_seed(0)
    x = (torch.randn(2, 5, 4, 6) * 3 + 100).relu()
    x[1, 2] = torch.tensor([[0.0] * 6] * 2 + [[torch.nan, torch.inf, 1, 2, 3, -torch.inf]] * 2)
    x[1, 3] = 7
    x[0, 4] = 7
    for index in ((1, 2, 0, 0), (1, 3, 2, 1), (0, 1, 3, 5)):
        found = facts(x, index)
        check(found["map"], x[index[:2]].numpy())
        check(found["sample"], x[index[0]].numpy())
        assert (found["number"], found["maps"], found["constant"]) == (index[1], 5, 1)


@pytest.mark.parametrize(
    ("make", "index", "part"),
    [
        (lambda: torch.arange(5), (3,), slice(None)),
        (lambda: torch.tensor(3.0), (), ...),
        (lambda: torch.arange(6).view(1, 6) % 2 == 0, (0, 3), slice(None)),
        (lambda: torch.arange(12.0).view(3, 4), (1, 2), slice(None)),
        (lambda: torch.arange(24.0).view(2, 3, 4), (1, 2, 0), (1, 2)),
        (lambda: torch.arange(48.0).view(1, 2, 2, 3, 4), (0, 1, 0, 2, 3), (0, 1, 0)),
        (lambda: torch.arange(4, dtype=torch.bfloat16).view(1, 1, 2, 2), (0, 0, 1, 1), (0, 0)),
    ],
)
def test_the_map_is_the_one_of_the_sheet(
    make: Callable[[], Tensor], index: tuple[int, ...], part: Any
) -> None:
    x = make()
    check(facts(x, index)["map"], np.atleast_1d(x.double().numpy())[part])


def test_where_nothing_is_finite_there_are_no_ends() -> None:
    found = facts(torch.full((1, 1, 2, 2), torch.nan), (0, 0, 1, 1))["map"]
    assert math.isnan(found["low"])
    assert math.isnan(found["deviation"])
    assert (found["nans"], found["zeros"], found["count"]) == (4, 0, 4)


def test_maps_of_a_single_number_are_not_constant() -> None:
    assert facts(torch.ones(1, 8, 1, 1), (0, 2, 0, 0))["constant"] == 0
