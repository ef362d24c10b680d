"""Read a recurrent step: its layers, directions and weights, and the layout of its sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from convlens.lens.kinds.arguments import Arguments, UnboundCall
from convlens.lens.recording import Recording, Ref, Step

CELLS = {"lstm_cell": "lstm", "gru_cell": "gru", "rnn_tanh_cell": "tanh", "rnn_relu_cell": "relu"}
LAYERS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "tanh", "rnn_relu": "relu"}
OPS = (*CELLS, *LAYERS)
_CELL = "input, hx, w_ih, w_hh, b_ih=None, b_hh=None"
_OPTIONS = "params, has_biases, num_layers, dropout, training, bidirectional"
_PADDED, _PACKED = f"input, hx, {_OPTIONS}, batch_first", f"data, batch_sizes, hx, {_OPTIONS}"
_GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


def bound(recording: Recording, step: Step) -> Arguments:
    """Bind a call of a cell, or of a layer on padded or packed sequences, to its signature."""
    signature = _signature(step)
    given = Arguments.of(recording, step, signature)
    if not all(isinstance(each, Ref) for each in (*_states(given), *(given["params"] or ()))):
        why = "was called without its first state or its weights"
        raise UnboundCall(step, signature, "hx", why)
    return given


def _signature(step: Step) -> str:
    """Return the signature of a cell, or of a layer on padded or packed sequences."""
    if step.op in CELLS:
        return _CELL
    third = 2 if step.op != "lstm" else 1
    packed = "batch_sizes" in step.kwargs or (
        len(step.args) > third and isinstance(step.args[third], Ref)
    )
    return _PACKED if packed else _PADDED


def _states(given: Arguments) -> tuple[Any, ...]:
    """Return the first states: that of the cell too for an LSTM."""
    states = given["hx"]
    return tuple(states) if isinstance(states, (tuple, list)) else (states,)


@dataclass(frozen=True)
class RecurrentWeights:
    """The value ids of one layer's weights in one direction; 0 or 2 biases, 0 or 1 projection."""

    of_input: int
    of_state: int
    biases: tuple[int, ...]
    projection: int | None


@dataclass(frozen=True)
class RecurrentLayers:
    """A recurrent step: its input as (time, batch, features), its states, its weights by layer."""

    recording: Recording
    cell: bool
    kind: str
    input: int
    states: tuple[int, ...]
    weights: tuple[tuple[RecurrentWeights, ...], ...]
    batch_first: bool
    sizes: tuple[int, ...]  # for each step, how many sequences have it
    random: bool
    packed: bool

    @classmethod
    def of(cls, given: Arguments) -> RecurrentLayers:
        """Read a step's arguments."""
        recording, op = given.recording, given.step.op
        first = tuple(ref.id for ref in _states(given))
        x = given.value("input" if given.has("input") else "data")
        if op in CELLS:
            biases = tuple(given.id(name) for name in ("b_ih", "b_hh") if given.has(name))
            own = RecurrentWeights(given.id("w_ih"), given.id("w_hh"), biases, None)
            kind, ones = CELLS[op], x.shape[:1]
            return cls(recording, True, kind, x.id, first, ((own,),), False, ones, False, False)
        packed, front = given.has("batch_sizes"), bool(given["batch_first"])
        if packed:
            sizes: tuple[int, ...] = tuple(int(n) for n in given.tensor("batch_sizes"))
        else:
            time, batch = (x.shape[1], x.shape[0]) if front else x.shape[:2]
            sizes = (batch,) * time
        weights = _weights(given)
        random = float(given["dropout"]) > 0 and bool(given["training"]) and len(weights) > 1
        kind = LAYERS[op]
        return cls(recording, False, kind, x.id, first, weights, front, sizes, random, packed)

    @property
    def directions(self) -> int:
        """1, or 2 for a layer that also goes backwards."""
        return len(self.weights[0])

    @property
    def hidden(self) -> int:
        """Number of elements of the state inside, which is the cell's."""
        return self.recording.values[self.weights[0][0].of_state].shape[0] // _GATES[self.kind]

    @property
    def size(self) -> int:
        """Number of elements of the state handed on, per direction."""
        return self.recording.values[self.weights[0][0].of_state].shape[1]

    @property
    def valid(self) -> Tensor:
        """Mask of the steps that each sequence has: (time, batch)."""
        batch = max(self.sizes, default=0)
        return torch.arange(batch) < torch.tensor(self.sizes).view(-1, 1)

    def by_time(self, tensor: Tensor) -> Tensor:
        """Return a tensor in the input's layout as (time, batch, ...); 0 past a sequence's end."""
        if self.packed:
            padded = tensor.new_zeros(*self.valid.shape, *tensor.shape[1:])
            padded[self.valid] = tensor
            return padded
        if self.cell:
            return tensor[None]
        return tensor.transpose(0, 1) if self.batch_first else tensor

    def from_time(self, tensor: Tensor) -> Tensor:
        """Return a tensor (time, batch, ...) in the input's layout."""
        if self.packed:
            return tensor[self.valid]
        if self.cell:
            return tensor[0]
        return tensor.transpose(0, 1) if self.batch_first else tensor

    def asked(self, slot: int, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return a mask of an output as one of all states: (layers, directions, time, batch, size).

        The second mask is of the cells of an LSTM: (layers, directions, time, batch, hidden).
        """
        time, batch = self.valid.shape
        lead = (len(self.weights), self.directions, time, batch)
        states = torch.zeros(*lead, self.size, dtype=torch.bool)
        cells = torch.zeros(*lead, self.hidden, dtype=torch.bool)
        if slot == 0:
            last = self.by_time(mask).unflatten(-1, (self.directions, -1))
            states[-1] = last.movedim(-2, 0)
            return states, cells
        if self.cell:
            cells[0, 0, 0] = mask
            return states, cells
        ends = mask.unflatten(0, lead[:2])
        lengths = self.valid.sum(0)
        everyone = torch.arange(batch)
        into = states if slot == 1 else cells
        into[:, 0, lengths - 1, everyone] = ends[:, 0]
        if self.directions == 2:
            into[:, 1, 0] = ends[:, 1]
        return states, cells


def _weights(given: Arguments) -> tuple[tuple[RecurrentWeights, ...], ...]:
    """Return the flat list of weights by layer and direction."""
    directions = 2 if given["bidirectional"] else 1
    count = int(given["num_layers"]) * directions
    refs = [ref.id for ref in given["params"]]
    each, biased = len(refs) // count, 2 if given["has_biases"] else 0
    own = [
        RecurrentWeights(
            refs[i],
            refs[i + 1],
            tuple(refs[i + 2 : i + 2 + biased]),
            refs[i + 2 + biased] if each > 2 + biased else None,
        )
        for i in range(0, len(refs), each)
    ]
    return tuple(tuple(own[i : i + directions]) for i in range(0, count, directions))
