"""The kernel of one map: the slices of the weight that made it, with the maps they lie on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.lab import Lab
from convlens.lab.answers.kernels import kernels_of
from convlens.lens import explain_value, record

torch.manual_seed(0)
X = torch.randn(1, 4, 7, 6)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.conv2d(x, torch.linspace(-1, 1, 6 * 4 * 6).view(6, 4, 2, 3)),
        lambda x: F.conv2d(x, torch.linspace(-1, 1, 6 * 2 * 6).view(6, 2, 2, 3), groups=2),
        lambda x: F.conv2d(x, torch.linspace(-1, 1, 8 * 6).view(8, 1, 2, 3), groups=4),
        lambda x: F.conv_transpose2d(x, torch.linspace(-1, 1, 4 * 6 * 6).view(4, 6, 2, 3)),
        lambda x: F.conv_transpose2d(x, torch.linspace(-1, 1, 4 * 6).view(4, 1, 2, 3), groups=4),
        lambda x: F.conv3d(x[:, None], torch.linspace(-1, 1, 6 * 8).view(6, 1, 2, 2, 2)),
        lambda x: F.conv1d(x[0], torch.linspace(-1, 1, 6 * 7 * 2).view(6, 7, 2)),
    ],
)
def test_the_kernel_of_a_map_has_the_weights_of_its_terms(call: Callable[[Tensor], Tensor]) -> None:
    recording = record(call, X)
    assert recording.output is not None
    shape = recording.output.shape
    axes = len(recording.values[recording.steps[-1].inputs[1]].shape) - 2
    for map in range(shape[-axes - 1]):
        index = (*([0] * (len(shape) - axes - 1)), map, *(n // 2 for n in shape[-axes:]))
        found = kernels_of(recording, recording.output, map)
        terms = explain_value(recording, recording.output.id, index).terms
        used = {int(i) for i in terms.weight_position}
        weight = recording.values[found["weight"]].tensor
        assert set(terms.weight_source.tolist()) == {found["weight"]}
        size = (found["frames"], found["rows"], found["columns"])
        assert size == (1, 1, *weight.shape[2:])[-3:]
        assert len(found["numbers"]) == found["channels"] * torch.Size(size).numel()
        numbers = set(found["numbers"].tolist())
        assert {float(weight.reshape(-1)[i]) for i in used} <= numbers
        channels = {terms.index(k, recording)[-axes - 1] for k in range(len(terms))}
        first = found["first_channel"]
        assert channels == set(range(first, first + found["channels"]))


def test_a_map_that_is_not_there_and_a_step_without_a_kernel_are_refused(digits: Lab) -> None:
    values = {row["name"]: row["id"] for row in digits.network()["values"]}
    assert digits.kernels(1, values["conv1"], 2)["channels"] == 1
    with pytest.raises(ValueError, match=r"`map` \(=24\) must be below 24, the maps made"):
        digits.kernels(1, values["conv1"], 24)
    for name in ("relu1", "input", "conv1.weight"):
        with pytest.raises(ValueError, match="must be made by a convolution"):
            digits.kernels(1, values[name], 0)
