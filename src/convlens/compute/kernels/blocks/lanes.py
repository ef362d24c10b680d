"""Write register blocks with output channels in the lanes: vectors of weights, broadcast inputs.

A *lane block* keeps m positions of v vectors of channels in registers. A step loads the v vectors
of one tap's weights, which are contiguous, and reads the input of each position in place: nothing
is packed, whatever the stride. The results have the channels innermost and must be transposed once.
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import generated

__all__ = ["lane_block", "spread_positions"]


@generated
def spread_positions(
    x: int, places: int, offsets: int, steps: int, w: int, bias: int, to: int
) -> None:
    """Compute `positions` results of `vectors` vectors of channels.

    `places` holds an int64 per position: the offset of its window from `x`, in elements. `offsets`
    holds one per step: the further offset of a tap's input. `w` are the weights, (steps, channels);
    the channels start from `bias`. The results are written to `to`, (positions, channels).
    """


def lane_block(positions: int, vectors: int) -> str:
    """Return the source of `spread_positions` for these numbers of positions and vectors.

    >>> lane_block(2, 3).count("fma(")
    6
    """
    lines = ["def spread_positions(x, places, offsets, steps, w, bias, to):"]
    for p in range(positions):
        lines.append(f"    p{p} = x + word(places, {p}) * WIDTH")
        lines += [f"    a{p}_{v} = load(bias, {v} * LANES)" for v in range(vectors)]
    lines += ["    for step in range(steps):", "        at = word(offsets, step)"]
    lines += [f"        w{v} = load(w, {v} * LANES)" for v in range(vectors)]
    for p in range(positions):
        lines.append(f"        b = broadcast(p{p}, at)")
        lines += [f"        a{p}_{v} = fma(w{v}, b, a{p}_{v})" for v in range(vectors)]
    lines.append(f"        w += {vectors} * LANES * WIDTH")
    for p in range(positions):
        lines += [f"    store(to, {p * vectors + v} * LANES, a{p}_{v})" for v in range(vectors)]
    return "\n".join(lines) + "\n"
