"""Explain LSTM, GRU and plain recurrent layers and cells: sums carried from step to step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.recurrent_layers import RecurrentLayers, RecurrentWeights, bound
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.kinds.unrolling import Unrolled
from convlens.lens.kinds.walking import union_of
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Cost

# Operations element by element: sums of the gates, activations, products; and those of each bias.
_OPERATIONS = {"lstm": (13, 8), "gru": (10, 6), "tanh": (2, 2), "relu": (2, 2)}


class Recurring:
    """value = sum of input x coefficient, the gates inside the coefficients, + biases."""

    name = "recurrent"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature."""
        return bound(recording, step)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each element of the input and of the first states it depends on."""
        layers = RecurrentLayers.of(given)
        if layers.random:
            raise StepRefused(given.step, "it draws random numbers between its layers")
        mask = torch.zeros(given.output(slot).shape, dtype=torch.bool)
        mask[index] = True
        states, cells = layers.asked(slot, mask)
        found = cells if bool(cells.any()) else states
        layer, way, time, sequence, element = found.nonzero()[0].tolist()
        unrolled = Unrolled(layers, sequence, layer, way, time)
        number, size = unrolled.target(found is cells, element)
        if not math.isfinite(number.detach()):
            raise StepRefused(given.step, "not all it reads is finite")
        return unrolled.account(number, size)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the steps before of the same sequence; backwards, the steps after."""
        layers, values = RecurrentLayers.of(given), given.recording.values
        states, cells = layers.asked(slot, mask)
        firsts = [
            torch.zeros(len(layers.weights), layers.directions, cells.shape[3], n, dtype=torch.bool)
            for n in (layers.size, layers.hidden)
        ]
        steps = torch.zeros(layers.valid.shape, dtype=torch.bool)
        for layer in reversed(range(len(layers.weights))):
            steps = torch.zeros(layers.valid.shape, dtype=torch.bool)
            for way in range(layers.directions):
                steps |= _before(layers, layer, way, states, cells, firsts)
            if layer:
                states[layer - 1] |= steps[..., None]
        x = values[layers.input]
        found = {x.id: layers.from_time(steps[..., None].expand(*steps.shape, x.shape[-1]))}
        for id, first in zip(layers.states, firsts, strict=False):
            theirs = first[0, 0] if layers.cell else first.flatten(0, 1)
            found = union_of(found, {id: theirs})
        stored = {id for own in layers.weights for w in own for id in _ids(w)}
        for id in stored:
            if values[id].kind in ("computed", "input"):
                found = union_of(found, {id: masks.everything(mask, values[id].shape)})
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count the products of all weight matrices once for each step of each sequence."""
        layers, values = RecurrentLayers.of(given), given.recording.values
        places, multiply_adds, operations = sum(layers.sizes), 0, 0
        for own in layers.weights:
            for w in own:
                matrices = [w.of_input, w.of_state]
                matrices += [] if w.projection is None else [w.projection]
                multiply_adds += sum(values[id].tensor.numel() for id in matrices)
                plain, biases = _OPERATIONS[layers.kind]
                operations += layers.hidden * (plain + biases * bool(w.biases))
        return Cost(places * multiply_adds, places * operations)


def _ids(w: RecurrentWeights) -> tuple[int, ...]:
    """Return the values of one layer's weights."""
    return (w.of_input, w.of_state, *w.biases, *(() if w.projection is None else (w.projection,)))


def _before(
    layers: RecurrentLayers,
    layer: int,
    way: int,
    states: Tensor,
    cells: Tensor,
    firsts: list[Tensor],
) -> Tensor:
    """Return the steps (time, batch) whose input a layer's states read; mark its first states."""
    steps = states[layer, way].any(-1) | cells[layer, way].any(-1)
    flipped = steps if way else steps.flip(0)
    read = flipped.cumsum(0) > 0
    read = (read if way else read.flip(0)) & layers.valid
    anyone = read.any(0)
    firsts[0][layer, way] |= anyone[:, None]
    if layers.kind == "lstm":
        longer = read.sum(0) > 1
        if layers.weights[layer][way].projection is not None:
            longer = longer | states[layer, way].any(-1).any(0)
        own = cells[layer, way].any(0)
        if layers.size == layers.hidden:
            own = own | states[layer, way].any(0)
        firsts[1][layer, way] |= torch.where(longer[:, None], torch.ones_like(own), own)
    return read
