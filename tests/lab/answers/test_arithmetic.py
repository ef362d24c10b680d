"""Explanations on the page: they close, equal the lens, and hold every term once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convlens.lab import Lab
from convlens.lab.answers.arithmetic import GROUPS, Explained, Ranking
from convlens.lens import explain_value
from tests.cases.lab_networks import noise, recorded


def _explained(lab: Lab, value: int, index: tuple[int, ...]) -> Explained:
    found = lab.bench(1, value, index)["explained"]
    assert found is not None
    return found


def test_explanations_close_and_equal_the_lens(residual: Lab, networks: Path) -> None:
    recording = recorded(f"{networks}:Residual", noise(), 24)
    generator = np.random.default_rng(0)
    for value in recording.values:
        index = tuple(int(generator.integers(n)) for n in value.shape)
        found = _explained(residual, value.id, index)
        known = explain_value(recording, value.id, index)
        assert found["recorded"] == known.recorded == float(value.tensor[index])
        assert (found["total"], found["bound"], found["bias"]) == (
            known.total,
            known.bound,
            known.bias,
        )
        sums = [group["sum"] for group in found["groups"]]
        assert sums == sorted(sums, key=lambda x: -abs(x))
        if known.rule == "sum":
            closed = sum(sums) + found["rest"] + found["bias"]
            assert abs(closed - found["total"]) <= 1e-12 * (1 + np.abs(known.terms.product).sum())


def test_further_groups_complete_the_terms(residual: Lab, networks: Path) -> None:
    recording = recorded(f"{networks}:Residual", noise(), 24)
    conv = next(v["id"] for v in residual.network()["values"] if v["name"] == "block.0")
    known = explain_value(recording, conv, (0, 1, 5, 5))
    first = _explained(residual, conv, (0, 1, 5, 5))
    assert first["group_count"] == 40
    assert len(first["groups"]) == GROUPS
    rest = Ranking(recording, known).terms(GROUPS)
    groups = first["groups"] + rest["groups"]
    assert {group["channel"] for group in groups} == set(range(40))
    assert len(groups) == 40
    assert rest["rest_count"] == 0
    products = np.zeros(len(known.terms))
    for group in groups:
        products[group["first"] : group["first"] + len(group["product"])] = group["product"]
    np.testing.assert_array_equal(products, known.terms.product)


def test_grouped_convolutions_name_the_channels_they_read(residual: Lab) -> None:
    shared = next(v["id"] for v in residual.network()["values"] if v["name"] == "shared")
    found = _explained(residual, shared, (0, 33, 5, 5))
    assert {group["channel"] for group in found["groups"]} <= set(range(20, 40))
    assert found["window"] == [3, 3]
