"""Find what one number feeds: every number that a step makes directly of it, and its part in it."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from convlens.lens.explaining import check_readable, checked_index
from convlens.lens.fields import only
from convlens.lens.kinds import Kind, bound
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.convolving import ConvolutionGeometry, Convolving
from convlens.lens.kinds.forward import forward
from convlens.lens.kinds.multiplying import Multiplying
from convlens.lens.kinds.own import OwnConvolving, mode_of
from convlens.lens.kinds.pointwise import CASTS, Pointwise
from convlens.lens.recording import Recording, Step, Value
from convlens.lens.terms import Floats, Ints, floats, ravel, unravel
from convlens.windows import TransposedWindow

MOST_ASKED = 8192
"""The most outputs of one step that are explained one by one."""

_TRIED = 8
"""The outputs that are explained to see whether the rule names the number at all."""

_DECIDED = (Multiplying, Pointwise)
"""Beside these and convolutions, all outputs of a small step are asked."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The outputs of one step that have the number among their terms, as arrays of one length.

    `positions` are flat places in the value `output`. `value` times `weight` is `product`, as
    `explain` gives it for that output. `role` says how the number takes part: as the "term" that is
    read, as the "weight" of the terms, or as the "bias". `rule` is that of an `Explanation`.
    """

    step: Step
    output: int
    role: str
    rule: str
    positions: Ints = field(repr=False)
    value: Floats = field(repr=False)
    weight: Floats = field(repr=False)
    product: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class Feeds:
    """All terms of one step's way that have a number in them: `explain` reversed.

    `refusals` says of each step that reads the number, and is not among the readings, why.
    """

    recording: Recording = field(repr=False)
    value: Value
    index: tuple[int, ...]
    readings: tuple[Reading, ...]
    refusals: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of terms in all readings."""
        return sum(map(len, self.readings))

    def strongest(self, limit: int = 10) -> tuple[tuple[Reading, int], ...]:
        """Return the readings and places in them with the largest products, largest first."""
        sizes = np.concatenate([np.zeros(0), *(np.abs(r.product) for r in self.readings)])
        starts = np.cumsum([0, *map(len, self.readings)])
        order = np.argsort(-sizes, kind="stable")[:limit]
        which = np.searchsorted(starts, order, side="right") - 1
        return tuple(
            (self.readings[r], int(k - starts[r])) for r, k in zip(which, order, strict=True)
        )


def feeds(
    recording: Recording, where: Step | int | str, index: Sequence[int], *, slot: int = 0
) -> Feeds:
    """Return what one number feeds: the terms of `explain` that have it in them.

    Args:
        recording: what `record` returned.
        where: a step, its index, or a name, as for `explain`; "conv.weight" is a parameter.
        index: one integer for each axis of the value; negative ones count from the end.
        slot: which output, of a step or module with several.

    Raises:
        ValueError: there is no such step, name, output or element.

    >>> import torch
    >>> from convlens.lens import record
    >>> network = torch.nn.Conv1d(1, 1, 2, bias=False)
    >>> network.weight.data[:] = torch.tensor([2.0, -1.0])
    >>> recording = record(network, torch.tensor([[[3.0, 4.0, 5.0]]]))
    >>> (reading,) = feeds(recording, "input", (0, 0, 1)).readings
    >>> reading.positions.tolist(), reading.product.tolist()
    ([0, 1], [-4.0, 8.0])
    """
    ids = recording.made(where)
    if not 0 <= operator.index(slot) < len(ids):
        raise ValueError(
            f"`slot` (={slot}) must be one of the {len(ids)} outputs of {where!r}; "
            + (f"use 0 to {len(ids) - 1}" if ids else "it made none")
        )
    return feeds_value(recording, ids[slot], index)


def feeds_value(recording: Recording, id: int, index: Sequence[int]) -> Feeds:
    """Return what an element of any value feeds, as `feeds` does.

    Raises:
        ValueError: there is no such value or element.
    """
    if not 0 <= id < len(recording.values):
        raise ValueError(
            f"`id` (={id}) must be a value of this recording; use 0 to {len(recording.values) - 1}"
        )
    value = recording.values[id]
    at = checked_index(index, value)
    element = (id, ravel(at, value.shape))
    readings: list[Reading] = []
    refusals: dict[str, None] = {}
    for step in recording.steps:
        if id in step.inputs:
            try:
                found = _fed(recording, step, element)
            except (NotImplementedError, ValueError) as error:
                refusals[str(error)] = None
                continue
            readings += found
            if not found:
                refusals[_unnamed(step)] = None
    return Feeds(recording, value, at, tuple(readings), tuple(refusals))


def _where(step: Step) -> str:
    return f"step {step.index} (`{step.op}`, module `{step.module}`)"


def _unnamed(step: Step) -> str:
    """Return why a step that reads a number has no term of it."""
    if not step.outputs:
        return f"{_where(step)} hands it to Python, where it is not followed"
    return f"{_where(step)} has no term of it: its rule names it nowhere, or it reads others of it"


def _fed(recording: Recording, step: Step, element: tuple[int, int]) -> list[Reading]:
    """Return the readings of one step."""
    kind, given = bound(recording, step)
    found: list[Reading] = []
    for slot, output in enumerate(step.outputs):
        check_readable(recording, recording.values[output], step)
        if isinstance(kind, Convolving) and not _repeats_padding(kind, given):
            mine = list(_of_convolution(kind.geometry(given), element))
        elif step.op == "linear" and isinstance(kind, Multiplying) and _is_matrix(given):
            mine = list(_of_linear(given, element))
        else:
            mine = _asked(kind, given, slot, element)
        found += [_computed(recording.values[output], reading) for reading in mine]
    return [reading for reading in found if len(reading)]


def _repeats_padding(kind: Convolving, given: Arguments) -> bool:
    """Return whether the padding of a convolution repeats elements, which then count twice."""
    return isinstance(kind, OwnConvolving) and mode_of(given) != "zeros"


def _is_matrix(given: Arguments) -> bool:
    return len(given.value("weight").shape) == 2


def _computed(output: Value, reading: Reading) -> Reading:
    """Return a reading without the numbers that a change put there."""
    if output.put is None:
        return reading
    kept = ~output.put.reshape(-1).numpy()[reading.positions]
    parts = (reading.positions, reading.value, reading.weight, reading.product)
    return Reading(
        reading.step, reading.output, reading.role, reading.rule, *(part[kept] for part in parts)
    )


def _reading(
    given: Arguments, role: str, positions: Ints, value: Floats | float, weight: Floats | float
) -> Reading:
    """Return a reading of a sum, in the order of its outputs."""
    positions = positions.reshape(-1)
    values = np.broadcast_to(np.asarray(value, np.float64).reshape(-1), positions.shape)
    weights = np.broadcast_to(np.asarray(weight, np.float64).reshape(-1), positions.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        product = values * weights
    order = np.argsort(positions, kind="stable")
    output = given.step.outputs[0]
    return Reading(
        given.step,
        output,
        role,
        "sum",
        positions[order],
        values[order],
        weights[order],
        product[order],
    )


def _number(given: Arguments, element: tuple[int, int]) -> float:
    """Return the number of an element."""
    value = given.recording.values[element[0]]
    return float(value.tensor[unravel(element[1], value.shape)])


def _of_convolution(g: ConvolutionGeometry, element: tuple[int, int]) -> Iterator[Reading]:
    """Yield what a number of the input, the kernel or the bias feeds."""
    id, position = element
    if g.given.id("input") == id:
        yield _of_input(g, unravel(position, tuple(g.x.shape)), _number(g.given, element))
    if g.given.id("weight") == id:
        yield _of_tap(g, unravel(position, tuple(g.weight.shape)), _number(g.given, element))
    if g.given.has("bias") and g.given.id("bias") == id:
        out = g.given.output().shape
        lead, places = out[: -g.axes - 1], out[-g.axes :]
        fed = _places(out, [*map(range, lead), (position,), *map(range, places)])
        yield _reading(g.given, "bias", fed, _number(g.given, element), 1.0)


def _places(shape: Sequence[int], axes: Sequence[Sequence[int] | Ints]) -> Ints:
    """Return the flat positions of a block, which has these indices along each axis."""
    grid = np.ix_(*(np.asarray(axis, np.int64) for axis in axes))
    found: Ints = np.ravel_multi_index(grid, tuple(shape))
    return found


def _of_input(g: ConvolutionGeometry, at: tuple[int, ...], number: float) -> Reading:
    """Return the outputs whose windows hold an element, in every channel of its group."""
    lead, channel, place = at[: -g.axes - 1], at[-g.axes - 1], at[-g.axes :]
    group = channel // g.channels_in
    kernels = range(group * g.channels_out, (group + 1) * g.channels_out)
    outputs, taps = [], []
    for window, i, n in zip(g.windows, place, g.space, strict=True):
        there = np.array(window.readers(i, n), np.int64)
        apart = i + window.before - there * window.stride
        if isinstance(window, TransposedWindow):
            apart = there + window.before - i * window.stride
        outputs.append(there)
        taps.append(apart // window.dilation)
    first = [np.array([channel]), np.arange(g.channels_out)]
    if not g.transposed:
        first = [np.arange(*_ends(kernels)), np.array([channel - group * g.channels_in])]
    weight = floats(g.weight[tuple(map(torch.as_tensor, np.ix_(*first, *taps)))])
    fed = _places(g.given.output().shape, [*((i,) for i in lead), kernels, *outputs])
    return _reading(g.given, "term", fed, number, weight)


def _ends(span: range) -> tuple[int, int]:
    return span.start, span.stop


def _of_tap(g: ConvolutionGeometry, at: tuple[int, ...], number: float) -> Reading:
    """Return all outputs of a tap's map; padding under it counts as 0, as `explain` has it."""
    if g.transposed:
        channel, kernel = at[0], at[0] // g.channels_in * g.channels_out + at[1]
    else:
        channel, kernel = at[0] // g.channels_out * g.channels_in + at[1], at[0]
    out = g.given.output().shape
    outputs, reads = [], []
    axes = zip(g.windows, at[2:], out[-g.axes :], g.space, strict=True)
    for window, tap, many, n in axes:
        there = np.arange(many)
        if isinstance(window, TransposedWindow):
            apart = there + window.before - tap * window.dilation
            meets = (apart % window.stride == 0) & (apart >= 0) & (apart < n * window.stride)
            outputs.append(there[meets])
            reads.append(apart[meets] // window.stride)
        else:
            outputs.append(there)
            reads.append(there * window.stride - window.before + tap * window.dilation)
    lead = out[: -g.axes - 1]
    block = g.x.select(len(lead), channel)
    inside = torch.ones((), dtype=torch.bool)
    for axis, (here, n) in enumerate(zip(reads, g.space, strict=True)):
        place = torch.from_numpy(here)
        block = block.index_select(len(lead) + axis, place.clamp(0, max(n - 1, 0)).to(block.device))
        within = ((place >= 0) & (place < n))[(..., *(None,) * (g.axes - axis - 1))]
        inside = inside & within
    value = np.where(inside.expand(block.shape).numpy(), floats(block), 0.0)
    fed = _places(out, [*map(range, lead), (kernel,), *outputs])
    return _reading(g.given, "weight", fed, value, number)


def _of_linear(given: Arguments, element: tuple[int, int]) -> Iterator[Reading]:
    """Yield what a number of the input, the weight or the bias of a linear layer feeds."""
    (id, position), number = element, _number(given, element)
    x, weight = given.value("input"), given.value("weight")
    outputs, inner = weight.shape
    rows = np.arange(math.prod(x.shape[:-1]))
    if x.id == id:
        row, column = divmod(position, inner)
        fed = row * outputs + np.arange(outputs)
        yield _reading(given, "term", fed, number, floats(weight.tensor[:, column]))
    if weight.id == id:
        unit, column = divmod(position, inner)
        value = floats(x.tensor[..., column]).reshape(-1)
        yield _reading(given, "weight", rows * outputs + unit, value, number)
    if given.has("bias") and given.id("bias") == id:
        yield _reading(given, "bias", rows * outputs + position, number, 1.0)


def _asked(kind: Kind, given: Arguments, slot: int, element: tuple[int, int]) -> list[Reading]:
    """Explain every output that may read the number, and take the terms that have it."""
    places = _candidates(kind, given, slot, element)
    tried = places if len(places) <= MOST_ASKED else places[:_TRIED]
    rows: dict[str, list[tuple[int, float, float, float]]] = {}
    shape, rule = given.output(slot).shape, ""
    for place in tried:
        account = kind.explain(given, slot, unravel(int(place), shape))
        terms, rule = account.terms, account.rule
        roles = (
            ("term", terms.source, terms.position),
            ("weight", terms.weight_source, terms.weight_position),
        )
        for role, source, position in roles:
            for k in np.flatnonzero((source == element[0]) & (position == element[1])):
                row = (int(place), terms.value[k], terms.weight[k], terms.product[k])
                rows.setdefault(role, []).append(row)
        if account.bias_source == element:
            rows.setdefault("bias", []).append((int(place), account.bias, 1.0, account.bias))
    if rows and len(places) > len(tried):
        raise NotImplementedError(
            f"{_where(given.step)} reads it for {len(places)} outputs, more than are asked "
            f"one by one ({MOST_ASKED})"
        )
    return [
        Reading(given.step, given.step.outputs[slot], role, rule, *_columns(mine))
        for role, mine in rows.items()
    ]


def _columns(
    rows: list[tuple[int, float, float, float]],
) -> tuple[Ints, Floats, Floats, Floats]:
    """Return rows of a place and three numbers as arrays."""
    positions = np.array([row[0] for row in rows], np.int64)
    value, weight, product = np.array([row[1:] for row in rows], np.float64).T
    return positions, value, weight, product


def _candidates(kind: Kind, given: Arguments, slot: int, element: tuple[int, int]) -> Ints:
    """Return the flat positions of all outputs that may have a term of the number."""
    value, shape = given.recording.values[element[0]], given.output(slot).shape
    if not isinstance(kind, _DECIDED) and math.prod(shape) <= MOST_ASKED // 16:
        return np.arange(math.prod(shape))
    held = only(value.shape, unravel(element[1], value.shape))
    if isinstance(kind, Pointwise) and given.step.op not in CASTS:  # a losing operand is a term too
        slope = given.step.op == "prelu" and len(held.shape) == 1 < len(shape)
        there = held[(..., *(None,) * (len(shape) - 2))] if slope else held
    else:
        there = forward(given.recording, given.step, slot, {value.id: held}).mask
    found: Ints = there.expand(shape).reshape(-1).nonzero().flatten().numpy()
    return found
