"""Seat a normalization: the map, the mean and deviation it is measured by, scale and shift."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from convlens.lab.answers.bench.seats import Benched, Seats
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.normalizing import OF_ROWS, eps_of, stored


def normalization(number: Benched, seats: Seats) -> None:
    """Seat both maps, and mean, deviation, scale and shift: numbers, or maps where they vary.

    What a layer has not (a root mean square its mean, a layer its scale) has no seat.
    """
    given, lead = number.given, number.lead
    seats.map("in", given.value("input"), lead)
    mean, variance = _stored(number) if stored(given) else _taken(number)
    deviation = (variance + eps_of(given, given.tensor("input").dtype)).sqrt()
    if mean is not None:
        known = (given.id("running_mean"), _own(number, 1)) if stored(given) else (None, ())
        _measure(number, seats, "mean", mean, *known)
    _measure(number, seats, "deviation", deviation)
    for role, name in (("scale", "weight"), ("shift", "bias")):
        if given.has(name):
            parameter = _spread(number, given.tensor(name))
            at = _own(number, len(given.value(name).shape))
            _measure(number, seats, role, parameter, given.id(name), at)
    seats.map("out", number.value, lead)


def _measure(
    number: Benched,
    seats: Seats,
    role: str,
    part: Tensor,
    value: int | None = None,
    at: Sequence[int] = (),
) -> None:
    """Seat one number if a part is one, else what it is at each place of the map."""
    shape = number.value.shape[len(number.lead) :]
    flat = part.reshape(part.shape[len(number.lead) :])
    seats.add(role, flat.reshape(()) if flat.numel() == 1 else flat.expand(shape), value, at)


def _of_rows(given: Arguments) -> bool:
    """Return whether each number is normalized among those of the last axes."""
    return given.step.op in OF_ROWS


def _own(number: Benched, axes: int) -> tuple[int, ...]:
    """Return where the parameters of a map begin, in a parameter of `axes` axes."""
    lead, rank = number.lead, len(number.value.shape)
    if _of_rows(number.given):
        return lead[rank - axes :]
    return lead[1:2]


def _spread(number: Benched, parameter: Tensor) -> Tensor:
    """Return a parameter with the axes of the value, cut to the map."""
    rank = len(number.value.shape)
    if _of_rows(number.given):
        spread = parameter.reshape((1,) * (rank - parameter.dim()) + tuple(parameter.shape))
    else:
        spread = parameter.reshape(1, -1, *(1,) * (rank - 2))
    return _cut(spread, number.lead, range(len(number.lead)))


def _cut(part: Tensor, lead: Sequence[int], axes: Sequence[int]) -> Tensor:
    """Return a part with only the leading index along some axes, whose size becomes 1."""
    for axis in axes:
        if part.shape[axis] > 1:
            part = part.narrow(axis, lead[axis], 1)
    return part


def _stored(number: Benched) -> tuple[Tensor, Tensor]:
    """Return the stored mean and variance of a map."""
    mean = _spread(number, number.given.tensor("running_mean"))
    if not number.given.has("running_var"):
        return mean, torch.ones((1,) * mean.dim(), dtype=torch.float64)
    return mean, _spread(number, number.given.tensor("running_var")).double()


def _taken(number: Benched) -> tuple[Tensor | None, Tensor]:
    """Return mean and variance of the numbers that those of a map are normalized among."""
    given, lead = number.given, number.lead
    x, op = given.tensor("input").detach(), given.step.op
    rank = x.dim()
    if op == "group_norm":
        return _of_groups(x, int(given["num_groups"]), lead)
    if _of_rows(given):
        among = range(rank - len(given["normalized_shape"]), rank)
    else:
        among = range(rank)
    fixed = {"instance_norm": (0, 1)}.get(op, () if _of_rows(given) else (1,))
    axes = [axis for axis in among if axis not in fixed]
    block = _cut(x, lead, [axis for axis in range(len(lead)) if axis not in axes]).double()
    if op == "rms_norm":
        return None, block.square().mean(axes, keepdim=True)
    return block.mean(axes, keepdim=True), block.var(axes, correction=0, keepdim=True)


def _of_groups(x: Tensor, groups: int, lead: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return mean and variance of groups of channels: of one, or of all that lie on a map."""
    size = x.shape[1] // groups
    block = _cut(x, lead, range(min(len(lead), 1)))
    if len(lead) > 1:
        block = block.narrow(1, lead[1] // size * size, size)
    parted = block.double().unflatten(1, (-1, size))
    axes = list(range(2, parted.dim()))
    found = [
        parted.mean(axes, keepdim=True).squeeze(2),
        parted.var(axes, correction=0, keepdim=True).squeeze(2),
    ]
    mean, variance = (part if len(lead) > 1 else part.repeat_interleave(size, 1) for part in found)
    return mean, variance
