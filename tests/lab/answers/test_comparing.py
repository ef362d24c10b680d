import copy
import math

import pytest
import torch

from convlens.lab.answers.comparing import compare
from convlens.lens import record


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )


def test_equal_runs_do_not_differ() -> None:
    net, x = network(), torch.ones(1, 1, 4, 4)
    assert compare(record(net, x), record(net, x)) == {"first": None, "rows": [], "refusal": ""}


def test_the_first_step_that_diverges_is_the_one_whose_weight_changed() -> None:
    net, x = network(), torch.rand(1, 1, 4, 4)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.get_parameter("3.bias")[1] += 0.5
    a, b = record(net, x), record(other, x)
    assert a.output is not None
    assert b.output is not None
    found = compare(a, b)
    assert found["first"] == 3
    [row] = found["rows"]
    assert row["index"] == [0, 1]
    assert row["largest"] == float((a.output.tensor - b.output.tensor).abs().max())
    assert row["bound"] is not None
    assert row["bound"] < row["largest"]


def test_a_difference_within_rounding_is_listed_but_is_not_the_first() -> None:
    net, x = network(), torch.rand(1, 1, 4, 4)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.get_parameter("0.bias").add_(3e-8)
    found = compare(record(net, x), record(other, x))
    assert found["rows"]
    assert found["first"] is None


def test_a_nan_on_one_side_is_a_difference() -> None:
    x = torch.ones(1, 1, 4, 4)
    bad = x.clone()
    bad[0, 0, 0, 0] = math.nan
    found = compare(record(network(), x), record(network(), bad))
    assert found["first"] == 0
    assert math.isnan(found["rows"][0]["largest"])


@pytest.mark.parametrize(
    ("one", "other", "largest", "index"),
    [
        ([1.0, math.inf, 3.0], [2.0, math.inf, 3.5], 1.0, [0]),
        ([1.0, math.inf, 3.0], [1.0, -math.inf, 3.0], math.nan, [1]),
        ([1.0, math.nan], [5.0, math.inf], math.nan, [1]),
        ([1.0, math.nan], [5.0, math.nan], 4.0, [0]),
        ([3e38, 0.0], [-3e38, 0.0], math.inf, [0]),
    ],
)
def test_numbers_that_are_not_finite_differ_unless_they_are_the_same(
    one: list[float], other: list[float], largest: float, index: list[int]
) -> None:
    a, b = (record(torch.neg, torch.tensor(each)) for each in (one, other))
    [row] = compare(a, b)["rows"]
    assert row["index"] == index
    assert row["largest"] == pytest.approx(largest, nan_ok=True)


def test_other_steps_and_other_sizes_are_refused() -> None:
    relu, tanh = torch.nn.ReLU(), torch.nn.Tanh()
    x = torch.ones(1, 3)
    refusal = compare(record(relu, x), record(tanh, x))["refusal"]
    assert "step 0 is `relu` in the first and `tanh` in the second" in refusal
    refusal = compare(record(relu, x), record(relu, torch.ones(1, 4)))["refusal"]
    assert "makes 1×3 in the first and 1×4 in the second" in refusal
    two = torch.nn.Sequential(relu, relu)
    refusal = compare(record(relu, x), record(two, x), ("one", "two"))["refusal"]
    assert refusal.startswith("one and two cannot be compared: the first has 1 steps and the secon")


def test_a_parameter_that_only_one_has_is_named() -> None:
    x = torch.ones(1, 3)
    bare, biased = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3)
    assert "only the second has bias" in compare(record(bare, x), record(biased, x))["refusal"]
    assert "only the first has bias" in compare(record(biased, x), record(bare, x))["refusal"]
    one, two = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    twice, both = torch.nn.Sequential(one, one), torch.nn.Sequential(one, two)
    refusal = compare(record(twice, x), record(both, x))["refusal"]
    assert "only the second has 1." in refusal
