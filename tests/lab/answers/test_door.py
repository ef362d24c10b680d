"""The page opens at a window: the strongest number of the first convolution, away from the edge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lab.answers.door import Door, door_of
from convlens.lab.answers.steps import step_rows
from convlens.lens import record, region
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded

X = torch.linspace(-1, 1, 2 * 9 * 8).sin().mul(7).cos().view(1, 2, 9, 8)
KERNEL = torch.linspace(-1, 1, 3 * 2 * 9).view(3, 2, 3, 3)


def opened(network: Callable[..., object], x: Tensor = X) -> tuple[Door, Tensor, str]:
    recording = record(network, x)
    door = door_of(recording, step_rows(recording))
    assert door is not None
    value = recording.values[door["value"]]
    return door, value.tensor, recording.steps[value.step].op


def test_digits_opens_at_a_whole_window_of_its_first_convolution() -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    door = door_of(recording, step_rows(recording))
    assert door is not None
    value = recording.values[door["value"]]
    assert recording.name_of(value.id) == "conv1"
    inner = value.tensor[:, :, 1:-1, 1:-1]
    assert value.tensor[tuple(door["index"])] == inner.max()
    assert region(recording, value.id, door["index"]).count == 9


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.conv2d(x, KERNEL, stride=2, padding=2, dilation=(2, 1)),
        lambda x: F.conv_transpose2d(x, KERNEL.transpose(0, 1), stride=2, padding=1),
        lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    ],
)
def test_the_window_touches_no_padding(call: Callable[[Tensor], Tensor]) -> None:
    recording = record(call, X)
    row = step_rows(recording)[-1]
    door = door_of(recording, [row])
    assert door is not None
    out = recording.values[door["value"]]
    counts = torch.tensor(
        [
            region(recording, out.id, (0, 0, i, j)).count
            for i in range(out.shape[2])
            for j in range(out.shape[3])
        ]
    ).view(out.shape[2:])
    if row["family"] == "transposed":  # beside the edge fewer inputs may reach an output
        counts = counts + (counts.max() - 1) * (counts > 1)
    whole = counts == counts.max()
    if row["family"] != "transposed":
        assert out.tensor[tuple(door["index"])] == out.tensor[:, :, whole].max()
    assert whole[door["index"][2], door["index"][3]]


def test_kernels_of_one_place_and_bare_functions_come_later() -> None:
    pointwise = nn.Conv2d(2, 4, 1)
    assert opened(lambda x: F.conv2d(pointwise(x), torch.ones(1, 4, 3, 3)))[0]["value"] > 1
    assert opened(lambda x: F.max_pool2d(pointwise(x.relu()), 2))[2] == "conv2d"
    assert opened(lambda x: F.avg_pool2d(x.relu(), 2))[2] == "avg_pool2d"
    assert opened(nn.Sequential(nn.ReLU(), nn.Linear(8, 2)))[2] == "linear"
    assert opened(lambda x: x.relu().exp())[2] == "relu"


def test_numbers_that_are_not_finite_or_not_positive_are_passed_over() -> None:
    def spoiled(x: Tensor) -> Tensor:
        return F.conv2d(x, torch.ones(1, 1, 3, 3), padding=1)

    x = torch.ones(1, 1, 9, 9)
    x[0, 0, 4, 4], x[0, 0, 8, 8] = torch.inf, torch.nan
    x[0, 0, 2, 6] = 2
    door, out, _ = opened(spoiled, x)
    assert out[tuple(door["index"])] == 10
    door, out, _ = opened(spoiled, -torch.ones(1, 1, 9, 9))
    assert out[tuple(door["index"])] == out.min()
    door, out, _ = opened(spoiled, torch.full((1, 1, 9, 9), torch.nan))
    assert door["index"] == [0, 0, 0, 0]


def test_where_nothing_was_computed_there_is_no_door() -> None:
    for network in (lambda x: x, lambda x: x[:, :0], lambda x: x.to_sparse()):
        recording = record(network, X)
        assert door_of(recording, step_rows(recording)) is None
