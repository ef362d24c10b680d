"""Quantised layers, whose weights are packed away in an object of torch's: counted, not told."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from convlens.lens.kinds import probing
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Cost


def packed(step: Step) -> list[Any]:
    """The objects that hold a step's packed weights."""
    found: list[Any] = []
    for argument in (*step.args, *step.kwargs.values()):
        parts = argument if isinstance(argument, (list, tuple)) else (argument,)
        found += [part for part in parts if isinstance(part, torch.ScriptObject)]
    return found


def weights(holder: Any) -> list[Tensor] | None:
    """The matrices or kernels, then the biases, of one such object; None where torch hides them."""
    name = str(holder._type())
    for part, unpack in _UNPACK.items():
        if part in name:
            try:
                weight, bias = getattr(torch.ops.quantized, unpack)(holder)[:2]
            except RuntimeError:  # packed for another engine
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
    """Weights of the input and of the state, then biases, of one layer of a recurrent network."""
    (_, tensors, _, _, holders), _ = holder.__getstate__()
    found: list[Tensor] = []
    for inner in holders:
        theirs = weights(inner)
        if theirs is None:
            return None
        found += theirs[:1]  # the biases stand beside
    return sorted([*found, *tensors], key=lambda tensor: -tensor.dim())


def parameters(holder: Any) -> int:
    """How many numbers are packed in one object; 0 where torch hides them."""
    return sum(tensor.numel() for tensor in weights(holder) or ())


class Packed:
    """value = a quantised layer's; its weights are 8-bit numbers, packed for the machine."""

    name = "packed"
    exact = False

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """Refuse: neither the weights nor the rounded input are values of the recording."""
        raise NotImplementedError(
            f"step {step.index} (`{step.op}`, module `{step.module}`) cannot be taken apart: its "
            "weights are packed, and its numbers quantised; explain the network before it was "
            "quantised"
        )

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Everything, except along axes where changing the rest is seen to change nothing."""
        return probing.reads(recording, step, slot, mask)

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Each weight once for each position it is laid on, as of the layer before packing."""
        out = recording.values[step.outputs[0]].shape
        operations = math.prod(out)
        total = 0
        for holder in packed(step):
            theirs = weights(holder)
            if theirs is None:
                return Cost(operations=operations, uncounted="its weights are packed")
            matrices = sum(tensor.numel() for tensor in theirs if tensor.dim() > 1)
            total += matrices * self._places(recording, step, theirs[0].dim())
        return Cost(total, operations)

    def _places(self, recording: Recording, step: Step, rank: int) -> int:
        """How many positions a weight of so many axes is laid on."""
        out, given = (recording.values[ids[0]].shape for ids in (step.outputs, step.inputs))
        if rank == 2:  # a row at a time; of a recurrent layer, a step of a sequence at a time
            return math.prod(given[:-1])
        laid = given if "transpose" in step.op else out
        return laid[0] * math.prod(laid[2:])
