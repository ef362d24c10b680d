"""Count quantised layers, whose weights torch has packed away, and refuse to explain them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from convlens.lens.kinds import probing
from convlens.lens.kinds.arguments import Arguments, KnownAsCalled
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.recording import Step
from convlens.lens.terms import Account, Cost


def packed(step: Step) -> list[Any]:
    """Return the objects that hold a step's packed weights."""
    found: list[Any] = []
    for argument in (*step.args, *step.kwargs.values()):
        parts = argument if isinstance(argument, (list, tuple)) else (argument,)
        found += [part for part in parts if isinstance(part, torch.ScriptObject)]
    return found


def weights(holder: Any) -> list[Tensor] | None:
    """Return the matrices or kernels, then the biases, of one object; None if torch hides them."""
    name = str(holder._type())
    for part, unpack in _UNPACK.items():
        if part in name:
            try:
                weight, bias = getattr(torch.ops.quantized, unpack)(holder)[:2]
            except RuntimeError:  # packed by another library of kernels
                return None
            return [weight] if bias is None else [weight, bias]
    if "CellParams" in name:
        return _of_cell(holder)
    return None


_UNPACK = {
    "LinearPackedParams": "linear_unpack",
    "Conv2dPackedParams": "conv2d_unpack",
    "Conv3dPackedParams": "conv3d_unpack",
}


def _of_cell(holder: Any) -> list[Tensor] | None:
    """Return weights of input and state, then biases, of one layer of a recurrent network."""
    (_, tensors, _, _, holders), _ = holder.__getstate__()
    found: list[Tensor] = []
    for inner in holders:
        theirs = weights(inner)
        if theirs is None:
            return None
        found += theirs[:1]  # the biases are among the tensors
    return sorted([*found, *tensors], key=lambda tensor: -tensor.dim())


def parameters(holder: Any) -> int:
    """Return how many numbers are packed in one object; 0 if torch hides them."""
    return sum(tensor.numel() for tensor in weights(holder) or ())


class Packed(KnownAsCalled):
    """value = a quantised layer's; its weights are 8-bit numbers, packed for the machine."""

    name = "packed"
    exact = False

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Refuse: neither the weights nor the rounded input are values of the recording."""
        raise StepRefused(
            given.step,
            "its weights are packed, and its numbers quantised; explain the network before it was "
            "quantised",
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return everything, except along axes where other numbers were seen to change nothing."""
        return probing.reads(given, slot, mask)

    def cost(self, given: Arguments) -> Cost:
        """Count each weight once for each position it is laid on, as before packing."""
        out = given.output().shape
        operations = math.prod(out)
        total = 0
        for holder in packed(given.step):
            theirs = weights(holder)
            if theirs is None:
                return Cost(operations=operations, uncounted="its weights are packed")
            matrices = sum(tensor.numel() for tensor in theirs if tensor.dim() > 1)
            total += matrices * _places(given, theirs[0].dim())
        return Cost(total, operations)


def _places(given: Arguments, rank: int) -> int:
    """Return on how many positions a weight with `rank` axes is laid."""
    read = given.recording.values[given.step.inputs[0]].shape
    if rank == 2:  # a row at a time; in a recurrent layer, a step of a sequence at a time
        return math.prod(read[:-1])
    laid = read if "transpose" in given.step.op else given.output().shape
    return laid[0] * math.prod(laid[2:])
