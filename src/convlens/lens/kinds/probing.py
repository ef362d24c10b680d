"""Find what a step without a rule reads: change parts of its inputs, and watch its output.

This proves nothing: the region is an upper bound along each axis, as far as the step was run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.recording import Ref
from convlens.lens.repeating import NotRepeated, run_again

_WORK = 2**26
"""The most elements computed, over all runs for one mask."""

_FEW = 64
"""The runs that every step may take, however much it computes."""


def reads(given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
    """Return for each input the slices, along each axis, whose change changes the masked outputs.

    Slices are left out where changing all of them together changes nothing either, whatever stands
    there instead. An axis that would take too many runs counts as read throughout.
    """
    recording, step = given.recording, given.step
    ids = list(dict.fromkeys(step.inputs))
    found = {id: masks.everything(mask, recording.values[id].shape) for id in ids}
    values = [recording.values[id] for id in (*ids, *step.outputs)]
    if any(value.opaque and not _affine(value.tensor) for value in values):
        return found
    size = sum(math.prod(recording.values[id].shape) for id in (*ids, *step.outputs))
    runs = _Runs(given, slot, mask, max(_FEW, _WORK // max(size, 1)))
    if size > _WORK or not bool(mask.any()) or not runs.repeatable():
        return found
    for id in ids:
        shape = recording.values[id].shape
        if 0 in shape:
            continue
        for axis in sorted(range(len(shape)), key=lambda a: (a > 0, shape[a])):
            if shape[axis] < 2:
                continue
            line = torch.zeros(shape[axis], dtype=torch.bool)
            _mark(runs, id, axis, 0, shape[axis], line)
            if bool(line.any()) and not runs.changed(id, axis, ~line, _TOGETHER):
                along = [-1 if a == axis else 1 for a in range(len(shape))]
                found[id] = found[id] & line.view(along)
    return found


def _mark(runs: _Runs, id: int, axis: int, low: int, high: int, line: Tensor) -> None:
    """Mark the slices from `low` to `high` that are read, by halves."""
    chosen = torch.zeros_like(line)
    chosen[low:high] = True
    if not runs.changed(id, axis, chosen, _ALONE):
        return
    if high - low == 1 or runs.left < 2:
        line[low:high] = True
        return
    middle = (low + high) // 2
    _mark(runs, id, axis, low, middle, line)
    _mark(runs, id, axis, middle, high, line)


class _Runs:
    """Runs of one step with one of its inputs changed; `left` is how many more are allowed."""

    def __init__(self, given: Arguments, slot: int, mask: Tensor, left: int) -> None:
        self.given, self.slot, self.left = given, slot, left
        self.mask = mask.contiguous()
        self.plain = self._run(lambda id, x: x)

    def repeatable(self) -> bool:
        """Return whether another run of the step gives what was recorded, but for the last bits."""
        recorded = self.given.output(self.slot).tensor.detach()
        if self.plain is None or recorded.shape != self.mask.shape:
            return False
        wanted = _masked(recorded, self.mask)
        if not wanted.is_floating_point():
            return _same(self.plain, wanted)
        return torch.allclose(self.plain, wanted, rtol=1e-3, atol=1e-6, equal_nan=True)

    def changed(self, id: int, axis: int, chosen: Tensor, others: Sequence[Other]) -> bool:
        """Return whether other numbers in the chosen slices of an input change the outputs."""
        x = self.given.recording.values[id].tensor.detach()
        tried, slices = False, chosen.nonzero().flatten().to(x.device)
        for other in others:
            if self.left < 1:
                return True
            new = _put(x, axis, slices, other)
            if _same(new, x):
                continue
            made = self._run(lambda i, was, new=new: new if i == id else was)  # type: ignore[misc]
            self.left -= 1
            if made is None:
                continue
            tried = True
            if self.plain is None or not _same(made, self.plain):
                return True
        return not tried

    def _run(self, change: Callable[[int, Tensor], Tensor]) -> Tensor | None:
        """Return the masked outputs; None if the step refuses the changed numbers."""
        values = self.given.recording.values

        def tensor(ref: Ref) -> Tensor:
            return change(ref.id, values[ref.id].tensor.detach()).clone()

        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                made = run_again(self.given.step, tensor, self.slot)
            except NotRepeated:
                return None
        return _masked(made, self.mask) if made.shape == self.mask.shape else None


def _affine(x: Tensor) -> bool:
    """Return whether it is quantised by one scale, so that other numbers can be put into it."""
    return x.is_quantized and x.qscheme() == torch.per_tensor_affine


def _put(x: Tensor, axis: int, slices: Tensor, other: Other) -> Tensor:
    """Return the input with other numbers in its slices, of the same dtype."""
    if not x.is_quantized:
        return x.index_copy(axis, slices, other(x, axis, slices).to(x.dtype))
    plain = x.dequantize()
    new = plain.index_copy(axis, slices, other(plain, axis, slices).to(plain.dtype))
    return torch.quantize_per_tensor(new, x.q_scale(), x.q_zero_point(), x.dtype)


Other = Callable[[Tensor, int, Tensor], Tensor]
"""Numbers to stand in slices along an axis: (input, axis, slices) -> what stands there instead."""


def _rolled(x: Tensor, axis: int, slices: Tensor) -> Tensor:
    """Return the slices before them: numbers that the step can take."""
    return x.index_select(axis, (slices - 1) % x.shape[axis])


def _drawn(x: Tensor, axis: int, slices: Tensor) -> Tensor:
    """Return random numbers; for integers, those of the input in another order."""
    part = x.index_select(axis, slices)
    if not (x.is_floating_point() or x.is_complex()):
        return part.flatten().flip(0).view(part.shape)
    generator = torch.Generator().manual_seed(len(slices))
    return 3 * torch.randn(part.shape, generator=generator, dtype=torch.float64).to(x.device) + 1


def _of_size(size: float) -> Other:
    """Return a function that gives large numbers of one sign; integers stay as they are."""

    def other(x: Tensor, axis: int, slices: Tensor) -> Tensor:
        part = x.index_select(axis, slices)
        if not (x.is_floating_point() or x.is_complex()):
            return part
        steps = torch.arange(part.numel(), dtype=torch.float64, device=x.device).view(part.shape)
        return size * (1 + float(x.detach().abs().max())) + steps.sign() * steps.sqrt()

    return other


_ALONE = (_rolled, _drawn)
_TOGETHER = (_rolled, _drawn, _of_size(8.0), _of_size(-8.0), _of_size(0.0))


def _masked(x: Tensor, mask: Tensor) -> Tensor:
    """Return the numbers under a mask."""
    return (x.dequantize() if x.is_quantized else x).cpu()[mask]


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal bit for bit, with NaN equal to NaN."""
    if one.is_quantized:
        one, other = one.dequantize(), other.dequantize()
    equal = one == other
    if one.is_floating_point() or one.is_complex():
        equal = equal | (one.isnan() & other.isnan())
    return bool(equal.all())
