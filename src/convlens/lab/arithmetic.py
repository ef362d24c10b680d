"""An explanation as the page shows it: terms in groups, ranked, with the rest closing the sum."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.lab.outline import source_line
from convlens.lens import Explanation, Recording, Region
from convlens.lens.terms import plain

GROUPS = 24
"""Groups (input channels, or single terms) sent with all their numbers at a time."""
WINDOWS = ("windowed", "region")
"""Kinds whose terms lie as a window does: a convolution's, or what is under a detector's box."""
_NUMBERS = 6_000  # terms in one answer at most, so that wide windows do not make it heavy


def explained(recording: Recording, explanation: Explanation, start: int = 0) -> dict[str, Any]:
    """One explanation, ready for JSON.

    Terms of a window are grouped by input channel, other terms stand alone; groups are ranked by
    the size of their sum. `groups` are those of rank `start` on, `rest` the sum of all that are
    ranked behind them, so that sums of groups + `rest` + bias = total.
    """
    terms = explanation.terms
    window = _window(explanation)
    size = math.prod(window)
    products = terms.product.reshape(-1, size) if len(terms) else np.zeros((0, 1))
    with np.errstate(invalid="ignore", over="ignore"):
        sums = products.sum(1)
        order = np.argsort(-np.abs(sums), kind="stable")
        limit = max(1, min(GROUPS, _NUMBERS // max(size, 1)))
        shown = order[start : start + limit]
        rest = float(sums[order[start + limit :]].sum())
    step, value = explanation.step, explanation.value
    return {
        "value": value.id,
        "index": list(explanation.index),
        "step": step.index if step else None,
        "op": step.op if step else None,
        "source": source_line(step) if step else None,
        "kind": explanation.kind,
        "rule": explanation.rule,
        "formula": explanation.formula,
        "note": explanation.note,
        "call": explanation.call,
        "recorded": plain(explanation.recorded),
        "total": plain(explanation.total),
        "bound": plain(explanation.bound),
        "bias": plain(explanation.bias),
        "bias_source": _element(explanation.bias_source),
        "window": list(window),
        "count": len(terms),
        "products": plain(float(terms.product.sum())) if len(terms) else 0.0,
        "start": start,
        "groups": [_group(recording, explanation, int(g), size, sums[g]) for g in shown],
        "group_count": len(sums),
        "rest": plain(rest),
        "rest_count": max(0, len(sums) - start - limit),
    }


def _window(explanation: Explanation) -> tuple[int, ...]:
    """The shape of one group's terms: the window, or () where every term stands alone."""
    arrangement = explanation.terms.arrangement
    if explanation.kind in WINDOWS and len(arrangement) > 1:
        return tuple(arrangement[1:])
    return ()


def _group(
    recording: Recording, explanation: Explanation, group: int, size: int, total: float
) -> dict[str, Any]:
    terms = explanation.terms
    part = slice(group * size, (group + 1) * size)
    inside = np.flatnonzero(terms.source[part] >= 0)
    channel: int | None = None
    if explanation.kind in WINDOWS:
        channel = group
        if len(inside):
            at = terms.index(group * size + int(inside[0]), recording)
            axes = len(terms.arrangement) - 1
            channel = at[-axes - 1] if len(at) > axes else group
    return {
        "first": group * size,
        "channel": channel,
        "sum": plain(total),
        "source": terms.source[part].tolist(),
        "position": terms.position[part].tolist(),
        "value": numbers_of(terms.value[part]),
        "weight": numbers_of(terms.weight[part]),
        "product": numbers_of(terms.product[part]),
        "weight_source": terms.weight_source[part].tolist(),
        "weight_position": terms.weight_position[part].tolist(),
    }


def numbers_of(array: npt.NDArray[np.float64]) -> list[float | str]:
    """An array for JSON, like `plain`."""
    numbers: list[float | str] = array.tolist()
    return numbers if np.isfinite(array).all() else [plain(float(x)) for x in array]


def _element(source: tuple[int, int] | None) -> list[int] | None:
    return None if source is None else [int(source[0]), int(source[1])]


def lit(region: Region, channels: int) -> dict[str, Any]:
    """The part of an input a number depends on, over its space axes (any sample, any channel).

    `channels` axes come before the space axes. The mask is cut to the box, packed eight positions
    a byte (most significant bit first), in base64.
    """
    mask = region.mask
    ahead = min(channels, mask.ndim)
    flat = mask.any(dim=tuple(range(ahead))) if ahead else mask
    space = tuple(flat.shape)
    count = int(flat.sum())
    box = [
        _ends(flat.any(dim=[a for a in range(flat.ndim) if a != axis]) if flat.ndim > 1 else flat)
        for axis in range(flat.ndim)
    ]
    cut = flat[tuple(slice(low, high) for low, high in box)]
    bits = np.packbits(cut.numpy().reshape(-1))
    return {
        "value": region.value.id,
        "space": list(space),
        "box": [list(ends) for ends in box],
        "count": count,
        "elements": region.count,
        "warning": region.warning,
        "mask": base64.b64encode(bits.tobytes()).decode(),
    }


def _ends(line: Any) -> tuple[int, int]:
    """First and one past the last true position of a boolean line."""
    where = line.nonzero()
    return (int(where[0]), int(where[-1]) + 1) if len(where) else (0, 0)
