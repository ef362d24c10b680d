"""LSTM, GRU and plain recurrent layers and their cells: sums carried from step to step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.layers import OPS, Layers, Weights, bound
from convlens.lens.kinds.unrolling import Run
from convlens.lens.kinds.walking import union_of
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Cost

__all__ = ["OPS", "Recurring", "bound"]

# Element by element: sums of the gates, activations, products; and what each bias adds.
_OPERATIONS = {"lstm": (13, 8), "gru": (10, 6), "tanh": (2, 2), "relu": (2, 2)}


class Recurring:
    """value = sum of input x coefficient, the gates inside the coefficients, + biases."""

    name = "recurrent"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each input element and each element of the first states it depends on."""
        layers = Layers.of(recording, step)
        if layers.random:
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`, module `{step.module}`) cannot be taken apart: "
                "it draws random numbers between its layers"
            )
        mask = torch.zeros(recording.values[step.outputs[slot]].shape, dtype=torch.bool)
        mask[index] = True
        states, cells = layers.asked(slot, mask)
        found = cells if bool(cells.any()) else states
        layer, way, time, sequence, element = found.nonzero()[0].tolist()
        run = Run(layers, sequence, layer, way, time)
        number, size = run.target(found is cells, element)
        if not math.isfinite(number.detach()):
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`, module `{step.module}`) cannot be taken apart: "
                "not all it reads is finite"
            )
        return run.account(number, size)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Of the same sequence: the steps before (of a layer that goes backwards, behind)."""
        layers = Layers.of(recording, step)
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
        x = recording.values[layers.input]
        found = {x.id: layers.from_time(steps[..., None].expand(*steps.shape, x.shape[-1]))}
        for id, first in zip(layers.states, firsts, strict=False):
            theirs = first[0, 0] if layers.cell else first.flatten(0, 1)
            found = union_of(found, {id: theirs})
        stored = {id for own in layers.weights for w in own for id in _ids(w)}
        for id in stored:
            if recording.values[id].kind in ("computed", "input"):
                found = union_of(found, {id: masks.everything(mask, recording.values[id].shape)})
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """The products of all weight matrices, once for each step of each sequence."""
        layers = Layers.of(recording, step)
        places, multiply_adds, operations = sum(layers.sizes), 0, 0
        for own in layers.weights:
            for w in own:
                matrices = [w.of_input, w.of_state]
                matrices += [] if w.projection is None else [w.projection]
                multiply_adds += sum(recording.values[id].tensor.numel() for id in matrices)
                plain, biases = _OPERATIONS[layers.kind]
                operations += layers.hidden * (plain + biases * bool(w.biases))
        return Cost(places * multiply_adds, places * operations)


def _ids(w: Weights) -> tuple[int, ...]:
    return (w.of_input, w.of_state, *w.biases, *(() if w.projection is None else (w.projection,)))


def _before(
    layers: Layers, layer: int, way: int, states: Tensor, cells: Tensor, firsts: list[Tensor]
) -> Tensor:
    """The steps whose input a layer's asked states read, (time, batch); marks the first states."""
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
