"""Masks go forwards exactly as `reads` takes them back."""

import math

import pytest
import torch
from torch import Tensor, nn

from convlens.lens import Recording, Step, record
from convlens.lens.kinds import bound
from convlens.lens.kinds.forward import forward
from tests.cases.calls import CALLS

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

LARGEST = 80
"""Outputs of more elements are left to the networks."""


def table(seen: Recording, step: Step, slot: int) -> dict[int, Tensor]:
    """Return for each input which of its elements (columns) each output (rows) reads."""
    kind, given = bound(seen, step)
    shape = seen.values[step.outputs[slot]].shape
    found: dict[int, Tensor] = {}
    for o in range(math.prod(shape)):
        mask = torch.zeros(math.prod(shape), dtype=torch.bool)
        mask[o] = True
        for id, theirs in kind.reads(given, slot, mask.view(shape)).items():
            empty = torch.zeros(mask.numel(), theirs.numel(), dtype=torch.bool)
            found.setdefault(id, empty)[o] |= theirs.reshape(-1)
    return found


def check(seen: Recording, step: Step, slot: int) -> None:
    shape = seen.values[step.outputs[slot]].shape
    generator = torch.Generator().manual_seed(3)
    for id, read in table(seen, step, slot).items():
        for share in (0.0, 0.1):
            held = torch.rand(read.shape[1], generator=generator) < share
            held[int(torch.randint(len(held), (), generator=generator))] = True
            got = forward(seen, step, slot, {id: held.view(seen.values[id].shape)})
            truth = (read & held).any(1).view(shape)
            assert got.mask.shape == shape
            assert not bool((truth & ~got.mask).any())
            assert not got.exact or torch.equal(got.mask, truth)
            assert got.exact or not bound(seen, step)[0].exact


@pytest.mark.parametrize("name", CALLS)
def test_what_reaches_an_output_is_what_it_reads(name: str) -> None:
    call, inputs = CALLS[name]
    seen = record(call, *inputs)
    for step in seen:
        for slot, output in enumerate(step.outputs):
            shape = seen.values[output].shape
            try:
                if 0 < math.prod(shape) <= LARGEST and all(map(len, (step.inputs,))):
                    check(seen, step, slot)
            except NotImplementedError:  # no region is known
                continue


def test_a_tap_reaches_what_it_is_laid_on() -> None:
    """The first tap of a kernel lies on padding at the first place, and so does not reach it."""
    for layer in (nn.Conv1d(1, 2, 3, padding=1), nn.ConvTranspose1d(1, 2, 3, padding=1)):
        seen = record(layer, torch.ones(1, 1, 4))
        (weight,) = (value for value in seen.values if value.name == "weight")
        for at in range(layer.weight.numel()):
            held = torch.zeros(layer.weight.numel(), dtype=torch.bool)
            held[at] = True
            got = forward(seen, seen.step(0), 0, {weight.id: held.view(weight.shape)})
            with torch.no_grad():
                other = record(layer, torch.ones(1, 1, 4)).values[weight.id].tensor.clone()
                other.view(-1)[at] += 1
                function, x = seen.step(0).function, torch.ones(1, 1, 4)
                made = function(x, other, layer.bias, padding=1)
            assert seen.output is not None
            assert torch.equal(got.mask, made != seen.output.tensor)
