"""The weights of the terms are the coefficients that float64 autograd gives."""

import math

import pytest
import torch
from torch import Tensor

from convlens.lens import Explanation, Recording, Step, explain, record
from convlens.lens.recording import Ref
from convlens.lens.trees import replace_refs, tensors_in
from tests.cases.elements import elements_of
from tests.cases.networks import NETWORKS, build


def coefficients(seen: Recording, step: Step, index: tuple[int, ...], data: int) -> Tensor:
    """Return how an output element changes with every element of one input: the oracle."""
    leaf = seen.values[data].tensor.double().requires_grad_()

    def tensor(ref: Ref) -> Tensor:
        recorded = seen.values[ref.id].tensor
        if ref.id == data:
            return leaf.clone()
        return recorded.double() if recorded.is_floating_point() else recorded

    args, kwargs = replace_refs((step.args, step.kwargs), tensor)
    with torch.enable_grad():
        made = step.function(*args, **kwargs)
        out = tensors_in(args if made is None else made)[0]
    (grad,) = torch.autograd.grad(out[index], leaf, materialize_grads=True)
    return grad


def from_terms(explanation: Explanation, id: int) -> Tensor:
    """Return the coefficient of each element of an input, as the terms give it."""
    shape = explanation.recording.values[id].shape
    made = torch.zeros(math.prod(shape), dtype=torch.float64)
    mine = explanation.terms.source == id
    made.index_add_(
        0,
        torch.from_numpy(explanation.terms.position[mine]),
        torch.from_numpy(explanation.terms.weight[mine]),
    )
    return made.view(shape)


LINEAR = ("conv", "linear", "avg_pool", "interpolate", "cat", "permute", "transpose", "mean", "pad",
          "batch_norm", "pixel_shuffle", "add", "sub", "getitem", "flatten", "view", "amax",
          "max_pool", "relu", "sigmoid", "softmax", "gelu", "hardswish", "silu", "elu")  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "in place"])
def test_coefficients_are_those_of_autograd(name: str) -> None:
    network, inputs = build(name)
    seen = record(network, *inputs)
    compared = 0
    for step, slot, index in elements_of(seen, 2):
        if slot or not step.op.startswith(LINEAR) or not step.inputs:
            continue
        if not seen.values[step.outputs[0]].dtype.is_floating_point:
            continue
        explanation = explain(seen, step, index)
        if not len(explanation.terms):
            continue
        data = int(explanation.terms.source.max())
        truth = coefficients(seen, step, index, data)
        assert torch.allclose(from_terms(explanation, data), truth, rtol=2e-6, atol=1e-7)
        compared += 1
    assert compared > 0


def test_the_autograd_oracle_can_fail() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    step = seen.step("conv1")
    explanation = explain(seen, step, (0, 3, 1, 1))
    truth = coefficients(seen, step, (0, 3, 1, 2), step.inputs[0])
    assert not torch.allclose(from_terms(explanation, step.inputs[0]), truth, atol=1e-7)
