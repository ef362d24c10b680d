"""Seat what a window reads: convolutions of both directions, and pooling."""

from __future__ import annotations

import math

import numpy as np

from convlens.lab.answers.bench.seats import Benched, Seats, Unseated
from convlens.lens.kinds.convolving import Convolving
from convlens.lens.kinds.pooling import Pooling, PoolingGeometry
from convlens.windows import Window

WHOLE = 2**18
"""All input maps of a group with up to this many numbers come at once."""

RANKED = 64
"""The most input maps that are listed with their sums."""


def convolution(number: Benched, seats: Seats) -> None:
    """Seat the input maps of the group, the kernel of the output map, its bias, and that map."""
    if not isinstance(number.kind, Convolving):
        raise TypeError(f"`{number.step.op}` must be a convolution")
    g, given = number.kind.geometry(number.given), number.given
    if not number.value.dtype.is_floating_point and number.explanation.note:
        raise Unseated("its sum wraps round")
    lead, out = number.index[: -g.axes - 1], number.index[-g.axes - 1]
    group, local = divmod(out, g.channels_out)
    first = group * g.channels_in
    _rank(number, seats, first, g.channels_in)
    x, group_of = given.value("input"), slice(first, first + g.channels_in)
    if g.channels_in * math.prod(g.space) <= WHOLE or seats.channel is None:
        seats.cut("in", x, lead, lambda tensor: tensor[lead][group_of])
    else:
        seats.map("in", x, (*lead, seats.channel))
    seats.detail["first"] = first
    if g.transposed:
        weight = given.value("weight")
        seats.cut("kernel", weight, (local,), lambda tensor: tensor[group_of, local])
    else:
        seats.map("kernel", given.value("weight"), (out,))
    if given.has("bias"):
        seats.map("bias", given.value("bias"), (out,))
    seats.map("out", number.value, (*lead, out))


def _rank(number: Benched, seats: Seats, first: int, channels: int) -> None:
    """List the input maps of a group by what they add, and choose the one to show."""
    products = number.explanation.terms.product
    with np.errstate(invalid="ignore", over="ignore"):
        sums = products.reshape(channels, -1).sum(1) if channels else products
    order = np.argsort(-np.abs(sums), kind="stable")[:RANKED]
    seats.channels = [(first + int(channel), float(sums[channel])) for channel in order]
    seats.others = channels > 1
    wanted = number.channel
    if wanted is not None and first <= wanted < first + channels:
        seats.channel = wanted
    elif channels:
        seats.channel = seats.channels[0][0]


def pooling(number: Benched, seats: Seats) -> None:
    """Seat the map under the windows, and the pooled one."""
    if not isinstance(number.kind, Pooling):
        raise TypeError(f"`{number.step.op}` must be a pooling")
    g = number.kind.geometry(number.given)
    lead, place = number.index[: -len(g.windows)], number.index[-len(g.windows) :]
    seats.map("in", number.given.value("input"), lead)
    seats.map("out", number.value, lead)
    if g.maximum:
        seats.detail["place"] = number.value.slot == 1
    else:
        _divide(g, place, seats)


def _divide(g: PoolingGeometry, place: tuple[int, ...], seats: Seats) -> None:
    """State what an average divides by, here and at every other place."""
    detail, given = seats.detail, g.given
    detail["divisor"] = g.divisor(place)
    if given["divisor_override"]:
        detail["override"] = int(given["divisor_override"])
    detail["counts_padding"] = bool(given["count_include_pad"])
    detail["padded"] = [
        n + window.before + window.after if isinstance(window, Window) else n
        for window, n in zip(g.windows, g.space, strict=True)
    ]
