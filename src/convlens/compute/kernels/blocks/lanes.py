"""Register blocks with the channels out in the lanes: inputs are spread, weights are the vectors.

A *lane block* keeps m positions of v vectors of channels in registers. A step loads the v vectors
of one tap's weights, one after another in memory, and takes each position's input from wherever it
lies: nothing need be laid out, whatever the stride. The results come out with the channels together
and must be turned over once.
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import generated

__all__ = ["lane_block", "spread_positions"]


@generated
def spread_positions(
    x: int, places: int, offsets: int, steps: int, w: int, bias: int, to: int
) -> None:
    """Compute `positions` results of `vectors` vectors of channels.

    `places` holds an int64 for every position: the elements from `x` to its window. `offsets` holds
    one for each of the `steps`: the elements from there to the input of a tap. `w` are the weights,
    (steps, channels), and the channels start from `bias`. The results are written to `to`,
    (positions, channels).
    """


def lane_block(positions: int, vectors: int) -> str:
    """Return the text of `spread_positions` for that many positions and vectors.

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
