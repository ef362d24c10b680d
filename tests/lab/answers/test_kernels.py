"""The kernel of one map: the slices of the weight that made it, with the maps they lie on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.lab import Lab
from convlens.lab.answers import kernels
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
        assert (found["first"], found["maps"]) == (0, shape[-axes - 1])
        assert found["numbers"] is not None
        rows = found["numbers"].reshape(found["maps"], -1)
        assert rows.shape[1] == found["channels"] * torch.Size(size).numel()
        numbers = set(rows[map].tolist())
        assert {float(weight.reshape(-1)[i]) for i in used} <= numbers
        channels = {terms.index(k, recording)[-axes - 1] for k in range(len(terms))}
        first = map // found["outputs"] * found["channels"]
        assert channels == set(range(first, first + found["channels"]))


def test_large_kernels_come_as_codes_and_of_the_largest_only_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = torch.randn(6, 4, 2, 3)
    weight[2] *= 1000
    weight[3, 0, 0] = torch.tensor([float("nan"), float("inf"), 0])
    weight[4] = 0
    recording = record(lambda x: F.conv2d(x, weight), X)
    assert recording.output is not None
    monkeypatch.setattr(kernels, "MOST_EXACT", 6 * 24 - 1)
    found = kernels_of(recording, recording.output, 2)
    assert (found["maps"], found["numbers"]) == (6, None)
    assert found["codes"] is not None
    codes = torch.from_numpy(found["codes"].copy()).reshape(6, 24).double()
    known = weight.flatten(1).double()
    assert torch.equal(codes == 0, ~known.isfinite())
    known = known.nan_to_num(0, 0, 0)
    size = known.abs().amax(1, keepdim=True)
    near = ((codes - 128) / 127 * size - known).abs() <= 0.501 / 127 * size
    assert bool((near | (codes == 0)).all())
    monkeypatch.setattr(kernels, "MOST", 6 * 24 - 1)
    found = kernels_of(recording, recording.output, 2)
    assert (found["first"], found["maps"]) == (2, 1)
    assert found["numbers"] is not None
    assert found["numbers"].tolist() == weight[2].reshape(-1).tolist()


def test_a_map_that_is_not_there_and_a_step_without_a_kernel_are_refused(digits: Lab) -> None:
    values = {row["name"]: row["id"] for row in digits.network()["values"]}
    assert digits.kernels(1, values["conv1"], 2)["channels"] == 1
    with pytest.raises(ValueError, match=r"`map` \(=24\) must be below 24, the maps made"):
        digits.kernels(1, values["conv1"], 24)
    for name in ("relu1", "input", "conv1.weight"):
        with pytest.raises(ValueError, match="must be made by a convolution"):
            digits.kernels(1, values[name], 0)
