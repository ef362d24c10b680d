"""Write Winograd's transforms as texts for kernels, at well-chosen points of evaluation.

A lane is a tile. F(m, 3) makes m outputs of m + 2 inputs x by m + 2 products instead of 3 m. Inputs
and weights are polynomials, multiplied through their values at m + 1 points and infinity. The
points are 0, 1 and -1 for m = 2. For m = 4 they are 0, +-2/3 and +-3/2: a pair of reciprocals saves
multiplications, and points near 1 keep more digits. The errors below are in millionths of the
output's root mean square, in float32, for random numbers summed over channels:

                             64 channels        512 channels
                             rms    largest     rms    largest
    a direct sum             0.43               1.2
    m = 2                    0.26    1.2        0.69    3.3
    m = 4: 0, 1, 2:          1.8    24          4.4    84        (of Lavin & Gray)
           0, 1/2, 3/2:      0.94   11          2.5    28
           0, 3/4, 5/4:      1.1     7.2        2.7    18
           0, 2^-1/2, 2^1/2: 0.80    6.2        2.1    18
           0, 2/3, 3/2:      0.77    5.9        2.0    18

Sources: Lavin & Gray, arXiv 1509.09308; Barabasz et al., *Error analysis and improving the accuracy
of Winograd convolution for deep neural networks*, arXiv 1803.10986, which finds such points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["transforms", "weight_matrix"]

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)}
"""The points where the polynomials are evaluated, except infinity."""


def weight_matrix(m: int) -> np.ndarray[Any, Any]:
    """Return G (m + 2, 3), which turns three weights into their values at the points.

    >>> weight_matrix(2).tolist()
    [[-1.0, -0.0, -0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]]
    """
    rows = []
    for p in POINTS[m]:
        scale = np.prod([p - q for q in POINTS[m] if q != p])
        rows.append([1 / scale, p / scale, p * p / scale])
    return np.array([*rows, [0.0, 0.0, 1.0]])


def _values(m: int, x: str, v: str) -> list[str]:
    """Return lines that set v0, v1 .. to the values of inputs x0, x1 .."""
    if m == 2:
        return [
            f"{v}0 = sub({x}2, {x}0)",
            f"{v}1 = add({x}2, {x}1)",
            f"{v}2 = sub({x}2, {x}1)",
            f"{v}3 = sub({x}3, {x}1)",
        ]
    lines = [
        f"{v}0 = fma(both, {x}2, add({x}0, {x}4))",
        f"{v}5 = fma(both, {x}3, add({x}1, {x}5))",
    ]
    for i, p, other in ((1, "a", "bb"), (3, "b", "aa")):
        lines += [
            f"even = fma({other}, {x}2, {x}4)",
            f"odd = fma({other}, {x}1, {x}3)",
            f"{v}{i} = fma({p}, odd, even)",
            f"{v}{i + 1} = fma(less_{p}, odd, even)",
        ]
    return lines


def _outputs(m: int, x: str, y: str) -> list[str]:
    """Return lines that set y0, y1 .. to the outputs with the values x0, x1 .."""
    if m == 2:
        return [
            f"{y}0 = add({x}0, add({x}1, {x}2))",
            f"{y}1 = add(sub({x}1, {x}2), {x}3)",
        ]
    return [
        f"near = add({x}1, {x}2)",
        f"far = add({x}3, {x}4)",
        f"{y}0 = add({x}0, add(near, far))",
        f"{y}2 = fma(a2, near, mul(b2, far))",
        f"near = sub({x}1, {x}2)",
        f"far = sub({x}3, {x}4)",
        f"{y}1 = fma(a, near, mul(b, far))",
        f"{y}3 = fma(a3, near, fma(b3, far, {x}5))",
    ]


def _constants(m: int, **values: float) -> list[str]:
    return [f"{n} = splat(number({v!r}))" for n, v in values.items()] if m == 4 else []


def transforms(m: int) -> str:
    """Return the text of `transform_row`, `transform_columns` and `inverse` for tiles of m by m.

    >>> "def inverse(" in transforms(2)
    True
    """
    return "\n".join([*_transform_row(m), *_transform_columns(m), *_inverse(m), ""])


def _forward_constants(m: int) -> list[str]:
    _, a, _, b, _ = POINTS[4]
    values = {"a": a, "less_a": -a, "b": b, "less_b": -b, "aa": -a * a, "bb": -b * b}
    return _constants(m, both=-a * a - b * b, **values)


def _transform_row(m: int) -> list[str]:
    """Return `transform_row(line, to, apart, tiles)`: a row of input to m + 2 rows of values.

    The tile in lane i reads elements i * m to i * m + m + 1.
    """
    lines = ["place = line + i * m * WIDTH".replace("m", str(m))]
    for group, first in ((0, 0), (1, m)):
        names = [f"g{group}_{k}" for k in range(m)]
        lines += [f"{n} = load(place, {first} + {k} * LANES)" for k, n in enumerate(names)]
        wanted = range(m) if group == 0 else range(2)
        if m == 2:
            parts = {0: "evens", 1: "odds"}
            lines += [f"x{first + k} = {parts[k]}({', '.join(names)})" for k in wanted]
            continue
        for part in ("evens", "odds"):
            lines += [f"{part}_{k} = {part}({names[2 * k]}, {names[2 * k + 1]})" for k in (0, 1)]
        for k in wanted:
            inner, outer = ("evens", "odds")[k % 2], ("evens", "odds")[k // 2]
            lines.append(f"x{first + k} = {outer}({inner}_0, {inner}_1)")
    lines += _values(m, "x", "v")
    lines += [f"store(to, {k} * apart + i, v{k})" for k in range(m + 2)]
    return [
        "def transform_row(line, to, apart, tiles):",
        *(f"    {line}" for line in _forward_constants(m)),
        "    for i in range(0, tiles, LANES):",
        *(f"        {line}" for line in lines),
    ]


def _transform_columns(m: int) -> list[str]:
    """Return `transform_columns(t, apart, to, between, tiles)`: the same along columns."""
    side = m + 2
    lines = [f"x{k} = load(t, ({k * side} + q) * apart + i)" for k in range(side)]
    lines += _values(m, "x", "v")
    lines += [f"store(to, ({k * side} + q) * between + i, v{k})" for k in range(side)]
    return [
        "def transform_columns(t, apart, to, between, tiles):",
        *(f"    {line}" for line in _forward_constants(m)),
        "    for i in range(0, tiles, LANES):",
        f"        for q in range({side}):",
        *(f"            {line}" for line in lines),
    ]


def _inverse(m: int) -> list[str]:
    """Return `inverse(products, between, to, apart, bias, flag, tiles)`: products to outputs.

    Row i, column j of all tiles goes to row i * m + j of `to`. The word at `flag` becomes 1 if an
    output is infinite or NaN, since only such a number times 0 is not 0.
    """
    side, (_, a, _, b, _) = m + 2, POINTS[4]
    constants = _constants(m, a=a, b=b, a2=a * a, b2=b * b, a3=a**3, b3=b**3)
    lines = []
    for r in range(side):
        lines += [f"x{q} = load(products, {r * side + q} * between + i)" for q in range(side)]
        lines += _outputs(m, "x", f"r{r}_")
    for j in range(m):
        lines += [f"c{r} = r{r}_{j}" for r in range(side)]
        lines += _outputs(m, "c", "y")
        for i in range(m):
            lines += [
                f"y{i} = add(y{i}, begin)",
                f"lost = fma(y{i}, zero(), lost)",
                f"store(to, {i * m + j} * apart + i, y{i})",
            ]
    return [
        "def inverse(products, between, to, apart, bias, flag, tiles):",
        *(f"    {line}" for line in constants),
        "    begin = broadcast(bias, 0)",
        "    lost = zero()",
        "    for i in range(0, tiles, LANES):",
        *(f"        {line}" for line in lines),
        "    if missing(lost, lost) != 0:",
        "        put_word(flag, 0, 1)",
    ]
