"""Interpolation, grid sampling, folding, running sums: linear in their input, coefficient known."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.repeating import run_again
from convlens.lens.terms import Account, Cost, Floats, Ints, Terms, floats

# Each plane (batch, channel) by itself, the same for all.
_PLANEWISE = frozenset(
    """interpolate upsample upsample_nearest upsample_bilinear upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
    upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa""".split()
)
_BY_GRID = frozenset(("grid_sample", "grid_sampler"))
OPS = _PLANEWISE | _BY_GRID | {"fold", "col2im", "cumsum"}


class Resampling:
    """value = sum of coefficient x element; the coefficients are the slopes of a linear step."""

    name = "resampling"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element with a coefficient.

        The coefficients are taken in the recorded dtype, as torch computed them.
        """
        id = _input(step)
        x = recording.values[id].tensor
        if not x.is_floating_point() and step.op != "cumsum":
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`): what lies between whole numbers is rounded; "
                "only floating-point values are taken apart here"
            )
        planewise = step.op in _PLANEWISE
        part = x[index[0] : index[0] + 1, index[1] : index[1] + 1] if planewise else x
        at = (0, 0, *index[2:]) if planewise else index
        with torch.enable_grad():
            leaf = part.detach().clone()
            leaf = (leaf if leaf.is_floating_point() else leaf.double()).requires_grad_()
            out = _replay(recording, step, slot, id, leaf)
            (slope,) = torch.autograd.grad(out[at], leaf)
        part, slope = (each.reshape(each.shape or (1,)) for each in (part, slope))
        place = slope.nonzero(as_tuple=True)
        numbers, weights = floats(part[place]), floats(slope[place])
        indices = [axis.cpu().numpy() for axis in place]
        if planewise:
            indices[0], indices[1] = indices[0] + index[0], indices[1] + index[1]
        positions = np.ravel_multi_index(tuple(indices), tuple(x.shape) or (1,))
        terms = Terms.build(id, positions, numbers, weights)
        recorded = float(recording.values[step.outputs[slot]].tensor[index])
        lost = math.isnan(recorded) and not part.isfinite().all()
        # Coordinates are computed too: a few roundings more than the sum alone.
        count = 4 * len(terms) + 8
        sampled = planewise or step.op in _BY_GRID
        return Account.of_sum(
            terms,
            math.nan if lost else 0.0,
            note="0 × what is not finite is NaN" if lost else "",
            magnitude=_unsteadiness(numbers, indices[2:], count) if sampled else 0.0,
            count=count,
            formula="sum of coefficient × input",
            inside="where it samples is a rounded number too" if sampled else "",
        )

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The elements with a coefficient in any output under the mask."""
        id = _input(step)
        x = recording.values[id]
        wanted, shape = mask, x.shape
        if step.op in _PLANEWISE:
            narrowed = masks.narrow(mask)
            lead = narrowed.shape[:2]
            wanted = narrowed.expand(*lead, *mask.shape[2:])
            shape = (*lead, *x.shape[2:])
        with torch.enable_grad():
            leaf = torch.zeros(shape, requires_grad=True)
            out = _replay(recording, step, slot, id, leaf)
            # Random positive weights: coefficients of two signs cannot cancel by chance.
            weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(0)) + 1
            (slope,) = torch.autograd.grad(out, leaf, weights * wanted)
        found = {id: (slope != 0).expand(x.shape)}
        for grid in step.inputs[1:] if step.op in _BY_GRID else ():  # (n, *places, axes)
            there = masks.collapse(mask, (1,)).movedim(1, -1)
            shape = recording.values[grid].shape
            found[grid] = masks.union(found.get(grid), there.expand(shape))
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One operation an element."""
        return Cost(operations=recording.values[step.outputs[0]].tensor.numel())


def _input(step: Step) -> int:
    """The value that is resampled: the first tensor of the call."""
    return step.inputs[0]


def _unsteadiness(numbers: Floats, indices: list[Ints], count: int) -> float:
    """How much a value moves with its coordinates, which are float32 too, as a magnitude.

    The bound of `count` roundings makes of it five of each coordinate, each times the range of the
    elements around.
    """
    if not numbers.size or not np.isfinite(numbers).all():
        return 0.0
    coordinates = sum(1 + int(axis.max()) for axis in indices)
    return 2.5 * float(np.ptp(numbers)) * coordinates / (4 + math.sqrt(count))


def _replay(recording: Recording, step: Step, slot: int, id: int, leaf: Tensor) -> Tensor:
    def tensor(ref: Ref) -> Tensor:
        return leaf if ref.id == id else recording.values[ref.id].tensor.to(leaf.dtype)

    return run_again(step, tensor, slot)
