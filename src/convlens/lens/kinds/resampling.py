"""Explain interpolation, grid sampling, folding and running sums: linear, by their coefficients."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownAsCalled
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.recording import Ref, Value
from convlens.lens.repeating import run_again
from convlens.lens.terms import Account, Cost, Floats, Ints, Terms, floats

# These treat each plane (batch, channel) by itself, and all in the same way.
PLANEWISE = frozenset(
    """interpolate upsample upsample_nearest upsample_bilinear upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
    upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa""".split()
)
_BY_GRID = frozenset(("grid_sample", "grid_sampler"))
OPS = PLANEWISE | _BY_GRID | {"fold", "col2im", "cumsum"}


class Resampling(KnownAsCalled):
    """value = sum of coefficient x element; the coefficients are the slopes of a linear step."""

    name = "resampling"
    exact = True

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each element with a coefficient.

        The coefficients are taken in the recorded dtype, as torch computed them.
        """
        step, x = given.step, resampled(given)
        if not x.dtype.is_floating_point and step.op != "cumsum":
            why = "it rounds what lies between whole numbers; only floating-point values are summed"
            raise StepRefused(step, why)
        part, slope, place = _coefficients(given, slot, index)
        numbers, weights = floats(part[place]), floats(slope[place])
        indices = [axis.cpu().numpy() for axis in place]
        planewise = step.op in PLANEWISE
        if planewise:
            indices[0], indices[1] = indices[0] + index[0], indices[1] + index[1]
        positions = np.ravel_multi_index(tuple(indices), x.shape or (1,))
        terms = Terms.build(x.id, positions, numbers, weights)
        lost = math.isnan(given.recorded(slot, index)) and not part.isfinite().all()
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

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the elements with a coefficient in any output under the mask."""
        step, x = given.step, resampled(given)
        wanted, shape = mask, x.shape
        if step.op in PLANEWISE:
            narrowed = masks.narrow(mask)
            lead = narrowed.shape[:2]
            wanted = narrowed.expand(*lead, *mask.shape[2:])
            shape = (*lead, *x.shape[2:])
        with torch.enable_grad():
            leaf = torch.zeros(shape, requires_grad=True)
            out = run_on(given, slot, leaf)
            # Random positive weights: coefficients of two signs cannot cancel by chance.
            weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(0)) + 1
            (slope,) = torch.autograd.grad(out, leaf, weights * wanted)
        found = {x.id: (slope != 0).expand(x.shape)}
        for grid in step.inputs[1:] if step.op in _BY_GRID else ():  # (n, *places, axes)
            there = masks.collapse(mask, (1,)).movedim(1, -1)
            shape = given.recording.values[grid].shape
            found[grid] = masks.union(found.get(grid), there.expand(shape))
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count one operation an element."""
        return Cost(operations=given.output().tensor.numel())


def resampled(given: Arguments) -> Value:
    """Return the value that is resampled: the first tensor of the call."""
    return given.recording.values[given.step.inputs[0]]


def _coefficients(
    given: Arguments, slot: int, index: tuple[int, ...]
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return the elements an output may read, their coefficients, and where these are not 0."""
    x, at = resampled(given).tensor, index
    if given.step.op in PLANEWISE:
        x = x[index[0] : index[0] + 1, index[1] : index[1] + 1]
        at = (0, 0, *index[2:])
    with torch.enable_grad():
        leaf = x.detach().clone()
        leaf = (leaf if leaf.is_floating_point() else leaf.double()).requires_grad_()
        (slope,) = torch.autograd.grad(run_on(given, slot, leaf)[at], leaf)
    x, slope = (each.reshape(each.shape or (1,)) for each in (x, slope))
    return x, slope, slope.nonzero(as_tuple=True)


def _unsteadiness(numbers: Floats, indices: list[Ints], count: int) -> float:
    """Return how much a value moves with its coordinates, which are float32 too, as a magnitude.

    The bound of `count` roundings turns it into five roundings of each coordinate, each times the
    range of the elements around.
    """
    if not numbers.size or not np.isfinite(numbers).all():
        return 0.0
    coordinates = sum(1 + int(axis.max()) for axis in indices)
    return 2.5 * float(np.ptp(numbers)) * coordinates / (4 + math.sqrt(count))


def run_on(given: Arguments, slot: int, leaf: Tensor) -> Tensor:
    """Run the step again on a leaf in place of what it resamples."""
    own, values = given.step.inputs[0], given.recording.values

    def tensor(ref: Ref) -> Tensor:
        return leaf if ref.id == own else values[ref.id].tensor.to(leaf.dtype)

    return run_again(given.step, tensor, slot)
