"""Write register blocks for the derivative to the weight: sums over places, which are in the lanes.

An *outer block* keeps m x v sums in registers, for m channels of the gradient and v taps of the
input. Every step handles the next vector of places: m loads of the gradient, v loads of the input,
shifted by each tap's offset, and m * v multiply-adds. At the end the lanes are added up. Neither
side is packed, and a sum over n places is a sum of n / lanes numbers in each lane.
"""

from __future__ import annotations

from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated
from convlens.compute.kernels.machine import Machine

__all__ = ["add_products", "best_block", "outer_blocks"]

LOAD = 0.85
"""The cost of a load relative to a multiply-add; every second load is unaligned."""


@generated
def add_products(
    g: int, pitch: int, x: int, offsets: int, n: int, to: int, to_pitch: int, kept: int, some: int
) -> None:
    """Add to `to` the sums over n places of rows of g times x shifted by the taps' offsets.

    The rows of g are `pitch` elements apart, those of `to` `to_pitch`. `offsets` has an int64 for
    each tap, in elements. Only the first `kept` rows and `some` taps exist; nothing else is read
    or written.
    """


ARGUMENTS = ", ".join(parameters(add_products))


def best_block(machine: Machine, channels: int, taps: int) -> tuple[int, int]:
    """Return the rows and taps of the fastest block for this many output channels and taps.

    >>> best_block(Machine("any", 64, 32, True, 32768, 2**20), 64, 576)
    (4, 6)
    """
    found = []
    for rows in range(1, min(8, channels) + 1):
        for some in range(1, min(12, taps) + 1):
            if rows * some + rows + 1 <= machine.registers and rows + some <= 12:
                blocks = -(-channels // rows) * -(-taps // some)
                took = max(rows * some, LOAD * 2 * (rows + some)) + 1
                found.append((blocks * took, rows, some))
    return min(found)[1:]


def outer_blocks(rows: int, taps: int) -> str:
    """Return the source of `add_products` for up to `rows` rows and `taps` taps.

    >>> outer_blocks(4, 6).count("fma(")
    48
    """
    lines = [f"def add_products({ARGUMENTS}):"]
    lines += [f"    g{r} = g + min({r}, kept - 1) * pitch * WIDTH" for r in range(rows)]
    lines += [f"    x{v} = x + word(offsets, min({v}, some - 1)) * WIDTH" for v in range(taps)]
    lines += [f"    a{r}_{v} = zero()" for r in range(rows) for v in range(taps)]
    lines += ["    i = 0", "    while i + LANES <= n:"]
    lines += _step(rows, taps, "load({}, i)")
    lines += ["        i += LANES", "    if i < n:"]
    lines += _step(rows, taps, "load_some({}, i, n - i)")
    for r in range(rows):
        lines.append(f"    if kept > {r}:")
        for v in range(taps):
            at = f"{r} * to_pitch + {v}"
            lines.append(f"        if some > {v}:")
            lines.append(f"            put(to, {at}, plus(get(to, {at}), total(a{r}_{v})))")
    return "\n".join(lines) + "\n"


def _step(rows: int, taps: int, load: str) -> list[str]:
    """Return the source for one vector of places."""
    lines = [f"        b{r} = {load.format(f'g{r}')}" for r in range(rows)]
    for v in range(taps):
        lines.append(f"        c = {load.format(f'x{v}')}")
        lines += [f"        a{r}_{v} = fma(b{r}, c, a{r}_{v})" for r in range(rows)]
    return lines
