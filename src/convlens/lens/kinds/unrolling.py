"""Unroll a recurrent layer, so that one of its numbers is one sum over all it was made from.

As in attention, what flows (the candidate, the state) is linear, and the gates are weights that it
is multiplied by. Every tanh(a) is written as a x (tanh(a) / a). Then each output is exactly the sum
of coefficient x input element, plus the sum of coefficient x first state, plus biases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds.recurrent_layers import RecurrentLayers
from convlens.lens.terms import Account, Terms, floats


@dataclass
class _Carried:
    """A state on its way: its numbers, linear in the leaves, and their rounding so far."""

    numbers: Tensor
    error: Tensor


class Unrolled:
    """One sequence, run again in float64 as far as one number needs it, with its gates fixed."""

    def __init__(
        self, layers: RecurrentLayers, sequence: int, layer: int, way: int, time: int
    ) -> None:
        self.layers, self.sequence = layers, sequence
        self.leaves: list[tuple[int, Tensor, np.ndarray]] = []  # value, leaf, flat positions
        self.biases: list[Tensor] = []
        values = layers.recording.values
        x = values[layers.input].tensor.detach().cpu()
        length = int(layers.valid[:, sequence].sum())
        places = torch.arange(x.numel()).view(x.shape)
        low, high = self._needed(layer, way, time, length)
        own = layers.by_time(x)[:, sequence].double()
        leaf = own[low[0] : high[0]].clone().requires_grad_()
        at = layers.by_time(places)[low[0] : high[0], sequence].numpy()
        self.leaves.append((layers.input, leaf, at))
        with torch.enable_grad():
            line = _Carried(leaf, torch.zeros_like(leaf))
            for depth in range(layer + 1):
                ways = (way,) if depth == layer else range(layers.directions)
                outs = [self._layer(depth, w, line, low[depth], low, high) for w in ways]
                self.last, self.cells = outs[-1]
                if depth < layer:
                    line = self._joined(
                        [out for out, _ in outs], low[depth], low[depth + 1], high[depth + 1]
                    )
        self.place = time - low[layer]

    def _needed(self, layer: int, way: int, time: int, length: int) -> tuple[list[int], list[int]]:
        """Return for each layer up to this one the first, and the end, of the steps it reads."""
        low, high = [0] * (layer + 1), [0] * (layer + 1)
        for depth in range(layer, -1, -1):
            both = self.layers.directions == 2
            if depth == layer:
                low[depth], high[depth] = (time, length) if way else (0, time + 1)
            elif both:
                low[depth], high[depth] = 0, length
            else:
                low[depth], high[depth] = 0, high[depth + 1]
        return low, high

    def _joined(self, outs: list[_Carried], start: int, low: int, high: int) -> _Carried:
        """Return what both directions of a layer give, as the input of the next."""
        part = slice(low - start, high - start)
        return _Carried(
            torch.cat([out.numbers[part] for out in outs], 1),
            torch.cat([out.error[part] for out in outs], 1),
        )

    def _layer(
        self, depth: int, way: int, line: _Carried, start: int, low: list[int], high: list[int]
    ) -> tuple[_Carried, _Carried]:
        """Run one layer one way over `line`, and return its states and cells, in time order."""
        layers = self.layers
        own = layers.weights[depth][way]
        w_ih, w_hh = self._fixed(own.of_input), self._fixed(own.of_state)
        projection = None if own.projection is None else self._fixed(own.projection)
        bias_ih, bias_hh = (self._bias(id) for id in own.biases) if own.biases else (None, None)
        given = _weighed(w_ih, line, bias_ih)
        state = self._first(0, depth, way)
        cell = self._first(1, depth, way) if layers.kind == "lstm" else state
        states, cells = [], []
        times = range(len(line.numbers))
        for t in reversed(times) if way else times:
            gates = _Carried(given.numbers[t], given.error[t])
            recurrent = _weighed(w_hh, state, bias_hh)
            state, cell = _STEP[layers.kind](gates, recurrent, state, cell)
            if projection is not None:
                state = _weighed(projection, state, None)
            states.append(state)
            cells.append(cell)
        if way:
            states.reverse()
            cells.reverse()
        return _stacked(states), _stacked(cells)

    def _fixed(self, id: int) -> Tensor:
        """Return a weight in float64."""
        return self.layers.recording.values[id].tensor.detach().cpu().double()

    def _bias(self, id: int) -> Tensor:
        """Return a bias as a leaf."""
        bias = self._fixed(id).clone().requires_grad_()
        self.biases.append(bias)
        return bias

    def _first(self, which: int, depth: int, way: int) -> _Carried:
        """Return the first state of a layer, as a leaf."""
        layers = self.layers
        value = layers.recording.values[layers.states[which]]
        if layers.cell:
            at: tuple[int, ...] = (self.sequence,)
        else:
            at = (depth * layers.directions + way, self.sequence)
        leaf = value.tensor.detach().cpu()[at].double().clone().requires_grad_()
        places = torch.arange(value.tensor.numel()).view(value.shape)[at].numpy()
        self.leaves.append((value.id, leaf, places))
        return _Carried(leaf, torch.zeros_like(leaf))

    def target(self, of_cell: bool, element: int) -> tuple[Tensor, float]:
        """Return an element of the last state or cell, and the size that its rounding is of."""
        found = self.cells if of_cell else self.last
        return found.numbers[self.place, element], float(found.error[self.place, element].detach())

    def account(self, number: Tensor, size: float) -> Account:
        """Return a number as every leaf's elements times their coefficients."""
        wanted = [leaf for _, leaf, _ in self.leaves] + self.biases
        slopes = torch.autograd.grad(number, wanted, materialize_grads=True)
        parts = []
        for (id, leaf, at), slope in zip(self.leaves, slopes, strict=False):
            if not bool((slope != 0).any()) and id != self.layers.input:
                continue  # a first state that this number does not depend on
            parts.append(
                [np.full(at.size, id), at.reshape(-1), floats(leaf).reshape(-1),
                 floats(slope).reshape(-1)]
            )  # fmt: skip
        terms = Terms.build(*map(np.concatenate, zip(*parts, strict=True)))
        of_biases = slopes[len(self.leaves) :]
        bias = sum(
            float((s * b.detach()).sum()) for s, b in zip(of_biases, self.biases, strict=True)
        )
        total = float(terms.product.sum()) + bias
        shown = float(np.abs(terms.product).sum()) + abs(bias)
        widths = [self._fixed(w.of_input).shape[1] for own in self.layers.weights for w in own]
        return Account(
            "sum",
            terms,
            total,
            max(size, shown),
            max(*widths, self.layers.size) + len(self.last.numbers),
            bias,
            formula="sum of input × coefficient, the gates inside, + biases",
            note="the coefficients hold the gates, which are made of the same inputs",
        )


def _stacked(parts: list[_Carried]) -> _Carried:
    return _Carried(torch.stack([p.numbers for p in parts]), torch.stack([p.error for p in parts]))


def _weighed(weight: Tensor, line: _Carried, bias: Tensor | None) -> _Carried:
    """Return a matrix times one state or many, + bias; errors have random signs."""
    numbers = line.numbers @ weight.T
    size = line.numbers.detach().abs() @ weight.abs().T
    if bias is not None:
        numbers, size = numbers + bias, size + bias.detach().abs()
    carried = (line.error**2) @ (weight.T**2)
    return _Carried(numbers, (size**2 + carried).sqrt())


def _linear(line: _Carried, function: Any) -> _Carried:
    """Return tanh or relu of a state, written as the number times a fixed ratio."""
    a = line.numbers.detach()
    made = function(a)
    ratio = torch.where(a == 0, torch.ones_like(a), made / a)
    near = a + 1e-6 * line.error > 0  # of a relu: rounding may bring it to the other side
    slope = 1 - made**2 if function is torch.tanh else near.double()
    return _Carried(line.numbers * ratio, slope * line.error + made.abs())


def _gate(line: _Carried) -> _Carried:
    """Return a sigmoid, held fixed."""
    made = torch.sigmoid(line.numbers.detach())
    return _Carried(made, made * (1 - made) * line.error + made)


def _sum(one: _Carried, other: _Carried) -> _Carried:
    """Return the sum of two states."""
    numbers = one.numbers + other.numbers
    error = (one.error**2 + other.error**2).sqrt() + numbers.detach().abs()
    return _Carried(numbers, error)


def _times(gate: _Carried, line: _Carried) -> _Carried:
    """Return a state times a gate."""
    numbers = gate.numbers * line.numbers
    parts = (gate.numbers * line.error) ** 2 + (line.numbers.detach() * gate.error) ** 2
    return _Carried(numbers, parts.sqrt() + numbers.detach().abs())


def _parts(line: _Carried, count: int) -> list[_Carried]:
    """Return the gates, which are in one tensor, one by one."""
    numbers, errors = line.numbers.chunk(count, -1), line.error.chunk(count, -1)
    return [_Carried(n, e) for n, e in zip(numbers, errors, strict=True)]


Made = tuple[_Carried, _Carried]


def _lstm(given: _Carried, recurrent: _Carried, state: _Carried, cell: _Carried) -> Made:
    i, f, g, o = _parts(_sum(given, recurrent), 4)
    cell = _sum(_times(_gate(f), cell), _times(_gate(i), _linear(g, torch.tanh)))
    return _times(_gate(o), _linear(cell, torch.tanh)), cell


def _gru(given: _Carried, recurrent: _Carried, state: _Carried, cell: _Carried) -> Made:
    (i_r, i_z, i_n), (h_r, h_z, h_n) = _parts(given, 3), _parts(recurrent, 3)
    r, z = _gate(_sum(i_r, h_r)), _gate(_sum(i_z, h_z))
    n = _linear(_sum(i_n, _times(r, h_n)), torch.tanh)
    rest = _Carried(1 - z.numbers, z.error)
    state = _sum(_times(rest, n), _times(z, state))
    return state, state


def _tanh(given: _Carried, recurrent: _Carried, state: _Carried, cell: _Carried) -> Made:
    state = _linear(_sum(given, recurrent), torch.tanh)
    return state, state


def _relu(given: _Carried, recurrent: _Carried, state: _Carried, cell: _Carried) -> Made:
    state = _linear(_sum(given, recurrent), torch.relu)
    return state, state


_STEP = {"lstm": _lstm, "gru": _gru, "tanh": _tanh, "relu": _relu}
