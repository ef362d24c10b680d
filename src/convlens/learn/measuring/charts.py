"""Draw the curves of a training, and how far its confidences can be trusted, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["calibration", "curve"]

WIDTH, HEIGHT = 480, 248
LEFT, RIGHT, TOP, BOTTOM = 52, 468, 12, 204
"""The edges of the plot; the numbers of the axes are outside of it."""

Point = tuple[float, float]


def curve(points: Sequence[Point], x_name: str, y_name: str) -> str:
    """Return a line through the points whose two numbers are finite, with its axes, as SVG.

    "" if there are fewer than two of them.
    """
    finite = [point for point in points if all(map(math.isfinite, point))]
    if len(finite) < 2:
        return ""
    xs, ys = [x for x, _ in finite], [y for _, y in finite]
    across, up = _ticks(min(xs), max(xs), whole=True), _ticks(min(ys), max(ys))
    x_of = _Scale((min(xs[0], *xs), max(xs)), (LEFT, RIGHT))
    y_of = _Scale((up[0], up[-1]), (BOTTOM, TOP))
    line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in finite)
    x, y = finite[-1]
    parts = [
        *_axes([(x_of(v), f"{v:g}") for v in across], [(y_of(v), f"{v:g}") for v in up], x_name),
        f'<polyline class="line" points="{line}"/>',
        f'<circle class="last" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4"/>',
    ]
    return _svg(parts, f"{y_name} by {x_name}: {ys[0]:.4g} at first, {y:.4g} in the end")


def calibration(
    counts: NDArray[np.int64], right: NDArray[np.int64], confidence: NDArray[np.float64]
) -> str:
    """Return a diagram of accuracy by confidence as SVG; each array has one number an interval.

    `counts` of samples, how many were `right`, and their mean `confidence`. A bar as high as its
    confidence ends at the diagonal.
    """
    bins = len(counts)
    x_of, y_of = _Scale((0, 1), (LEFT, RIGHT)), _Scale((0, 1), (BOTTOM, TOP))
    marks = [0, 0.25, 0.5, 0.75, 1]
    parts = _axes([(x_of(v), f"{v:g}") for v in marks], [(y_of(v), f"{v:g}") for v in marks],
                  "confidence")  # fmt: skip
    parts.append(f'<path class="ideal" d="M{LEFT} {BOTTOM}L{RIGHT} {TOP}"/>')
    for k in np.flatnonzero(counts):
        share, x, width = right[k] / counts[k], x_of(k / bins), (RIGHT - LEFT) / bins
        said = (
            f"{k / bins:.0%} to {(k + 1) / bins:.0%} sure: {share:.0%} right of "
            f"{counts[k]:,} samples, {confidence[k]:.0%} sure on average"
        )
        parts.append(
            f'<g><title>{said}</title><rect class="bar" x="{x + 1:.1f}" y="{y_of(share):.1f}" '
            f'width="{width - 2:.1f}" height="{BOTTOM - y_of(share):.1f}"/>'
            f'<circle class="sure" cx="{x + width / 2:.1f}" cy="{y_of(confidence[k]):.1f}" r="3"/>'
            "</g>"
        )
    return _svg(parts, "accuracy by confidence")


class _Scale:
    """A map from one range of numbers to another."""

    def __init__(self, source: Point, target: Point) -> None:
        self.low, self.span = source[0], (source[1] - source[0]) or 1.0
        self.start, self.length = target[0], target[1] - target[0]

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / self.span * self.length


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return about five round numbers that reach over a range, within it if `whole`.

    >>> _ticks(0.13, 0.92), _ticks(1, 30, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [10.0, 20.0, 30.0])
    """
    rough = (high - low or abs(high) or 1) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.99)
    if whole:
        step = max(step, 1.0)
        first, last = math.ceil(low / step), math.floor(high / step)
    else:
        first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 12) for k in range(first, max(last, first) + 1)]


def _axes(
    across: Sequence[tuple[float, str]], up: Sequence[tuple[float, str]], x_name: str
) -> list[str]:
    parts = []
    for y, said in up:
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    parts += [
        f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{said}</text>'
        for x, said in across
    ]
    middle = (LEFT + RIGHT) // 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 2}" text-anchor="middle">{escape(x_name)}</text>'
    )
    return parts


def _svg(parts: Sequence[str], says: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(says)}">'
        f"{''.join(parts)}</svg>"
    )
