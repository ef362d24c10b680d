"""A recurrent step's arguments: its layers, directions and weights, and how its steps lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from convlens.lens.kinds.arguments import UnboundCall, bind
from convlens.lens.recording import Recording, Ref, Step

CELLS = {"lstm_cell": "lstm", "gru_cell": "gru", "rnn_tanh_cell": "tanh", "rnn_relu_cell": "relu"}
LAYERS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "tanh", "rnn_relu": "relu"}
OPS = (*CELLS, *LAYERS)
_CELL = "input, hx, w_ih, w_hh, b_ih=None, b_hh=None"
_OPTIONS = "params, has_biases, num_layers, dropout, training, bidirectional"
_PADDED, _PACKED = f"input, hx, {_OPTIONS}, batch_first", f"data, batch_sizes, hx, {_OPTIONS}"
_GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


def bound(step: Step) -> None:
    """Raise UnboundCall unless the call is a cell's, or a layer's on padded or packed sequences."""
    named = bind(step, _signature(step))
    states = named["hx"] if isinstance(named["hx"], (tuple, list)) else (named["hx"],)
    weights = named.get("params", ())
    if not all(isinstance(ref, Ref) for ref in (*states, *weights)):
        raise UnboundCall(f"`{step.op}` was called without its first state or its weights")


def _signature(step: Step) -> str:
    if step.op in CELLS:
        return _CELL
    third = 2 if step.op != "lstm" else 1
    packed = "batch_sizes" in step.kwargs or (
        len(step.args) > third and isinstance(step.args[third], Ref)
    )
    return _PACKED if packed else _PADDED


@dataclass(frozen=True)
class Weights:
    """The value ids of one layer's weights in one direction; 0 or 2 biases, 0 or 1 projection."""

    of_input: int
    of_state: int
    biases: tuple[int, ...]
    projection: int | None


@dataclass(frozen=True)
class Layers:
    """A recurrent step: its input as (time, batch, features), its states, its weights by layer."""

    recording: Recording
    cell: bool
    kind: str
    input: int
    states: tuple[int, ...]
    weights: tuple[tuple[Weights, ...], ...]
    batch_first: bool
    sizes: tuple[int, ...]  # how many sequences have a step t
    random: bool
    packed: bool

    @classmethod
    def of(cls, recording: Recording, step: Step) -> Layers:
        """Read a step's arguments."""
        named = bind(step, _signature(step))
        states = named["hx"] if isinstance(named["hx"], (tuple, list)) else (named["hx"],)
        first = tuple(ref.id for ref in states)
        x: Ref = named["input"] if "input" in named else named["data"]
        shape = recording.values[x.id].shape
        if step.op in CELLS:
            biases = tuple(named[b].id for b in ("b_ih", "b_hh") if named[b] is not None)
            own = Weights(named["w_ih"].id, named["w_hh"].id, biases, None)
            kind, ones = CELLS[step.op], (shape[0],)
            return cls(recording, True, kind, x.id, first, ((own,),), False, ones, False, False)
        packed = "batch_sizes" in named
        front = bool(named.get("batch_first"))
        if packed:
            tensor = recording.values[named["batch_sizes"].id].tensor
            sizes: tuple[int, ...] = tuple(int(n) for n in tensor)
        else:
            time, batch = (shape[1], shape[0]) if front else shape[:2]
            sizes = (batch,) * time
        weights = _weights(named)
        random = float(named["dropout"]) > 0 and bool(named["training"]) and len(weights) > 1
        kind = LAYERS[step.op]
        return cls(recording, False, kind, x.id, first, weights, front, sizes, random, packed)

    @property
    def directions(self) -> int:
        """1, or 2 of a layer that also goes backwards."""
        return len(self.weights[0])

    @property
    def hidden(self) -> int:
        """Elements of the state inside (the cell's)."""
        return self.recording.values[self.weights[0][0].of_state].shape[0] // _GATES[self.kind]

    @property
    def size(self) -> int:
        """Elements of the state handed on, per direction."""
        return self.recording.values[self.weights[0][0].of_state].shape[1]

    @property
    def valid(self) -> Tensor:
        """Which sequence has which step: (time, batch)."""
        batch = max(self.sizes, default=0)
        return torch.arange(batch) < torch.tensor(self.sizes).view(-1, 1)

    def by_time(self, tensor: Tensor) -> Tensor:
        """A tensor laid out as the input, as (time, batch, ...); 0 behind a sequence's end."""
        if self.packed:
            padded = tensor.new_zeros(*self.valid.shape, *tensor.shape[1:])
            padded[self.valid] = tensor
            return padded
        if self.cell:
            return tensor[None]
        return tensor.transpose(0, 1) if self.batch_first else tensor

    def from_time(self, tensor: Tensor) -> Tensor:
        """Back from (time, batch, ...)."""
        if self.packed:
            return tensor[self.valid]
        if self.cell:
            return tensor[0]
        return tensor.transpose(0, 1) if self.batch_first else tensor

    def asked(self, slot: int, mask: Tensor) -> tuple[Tensor, Tensor]:
        """A mask of an output as masks of all states: (layers, directions, time, batch, size).

        The second is of the cells of an LSTM: (layers, directions, time, batch, hidden).
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


def _weights(named: dict[str, Any]) -> tuple[tuple[Weights, ...], ...]:
    """The flat list of weights by layer and direction."""
    directions = 2 if named["bidirectional"] else 1
    count = int(named["num_layers"]) * directions
    refs, each = [ref.id for ref in named["params"]], len(named["params"]) // count
    biased = 2 if named["has_biases"] else 0
    own = [
        Weights(
            refs[i],
            refs[i + 1],
            tuple(refs[i + 2 : i + 2 + biased]),
            refs[i + 2 + biased] if each > 2 + biased else None,
        )
        for i in range(0, len(refs), each)
    ]
    return tuple(tuple(own[i : i + directions]) for i in range(0, count, directions))
