"""Compute a number from the seats of its bench alone, as the page does: plain sums of float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from convlens.lab.answers.bench.benching import BenchAnswer
from convlens.lens import Recording, Step
from convlens.lens.kinds import bound
from convlens.lens.kinds.convolving import Convolving
from convlens.lens.kinds.pooling import Pooling
from convlens.windows import AdaptiveWindow, TransposedWindow, Window

Array = npt.NDArray[np.float64]


def seat(bench: BenchAnswer, role: str) -> Array:
    """Return the numbers of a seat in float64, in its shape."""
    row = next(row for row in bench["seats"] if row["role"] == role)
    count = math.prod(row["shape"])
    numbers = bench["numbers"][row["start"] : row["start"] + count]
    return numbers.astype(np.float64).reshape(row["shape"])


def has(bench: BenchAnswer, role: str) -> bool:
    return any(row["role"] == role for row in bench["seats"])


def place(bench: BenchAnswer) -> tuple[int, ...]:
    """Return where the number stands on the seat of its map."""
    row = next(row for row in bench["seats"] if row["role"] == "out")
    return tuple(bench["index"][len(bench["index"]) - len(row["shape"]) :])


def recomputed(recording: Recording, bench: BenchAnswer) -> float:
    """Return the number that the seats give."""
    assert bench["step"] is not None
    with np.errstate(all="ignore"):
        return RULES[bench["family"]](bench, recording, recording.steps[bench["step"]])


def windows_of(
    recording: Recording, step: Step
) -> tuple[Window | TransposedWindow | AdaptiveWindow, ...]:
    kind, given = bound(recording, step)
    assert isinstance(kind, Convolving | Pooling)
    return tuple(kind.geometry(given).windows)


def convolved(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    windows = windows_of(recording, step)
    maps, kernel, at = seat(bench, "in"), seat(bench, "kernel"), place(bench)
    bias = float(seat(bench, "bias")) if has(bench, "bias") else 0.0
    channel, first = bench["channel"], bench["detail"]["first"]
    assert channel is not None
    alone = maps.ndim == len(windows)
    if alone:
        maps, kernel = maps[None], kernel[channel - first][None]
    taps, reads = [], []
    for window, o, n in zip(windows, at, maps.shape[1:], strict=True):
        assert not isinstance(window, AdaptiveWindow)
        taps.append(np.array(window.taps(o, n), int))
        reads.append(np.array(window.reads(o, n), int))
    channels = range(len(maps))
    block = maps[np.ix_(np.array(channels, int), *reads)]
    block = block * kernel[np.ix_(np.array(channels, int), *taps)]
    of_channel = dict(bench["channels"])
    for number, products in zip(channels if not alone else [channel - first], block, strict=True):
        if first + number in of_channel:
            gap = abs(products.sum() - of_channel[first + number])
            assert math.isnan(gap) or gap <= bench["bound"]
    if not alone:
        return float(block.sum()) + bias
    assert bench["others"]
    others = bench["recorded"] - bias - block.sum()
    assert bench["explained"] is not None
    rest = bench["explained"]["products"] - of_channel[channel]
    assert abs(others - rest) <= 2 * bench["bound"]
    return float(block.sum() + rest + bias)


def pooled(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    windows, x, at = windows_of(recording, step), seat(bench, "in"), place(bench)
    reads = [list(window.reads(o, n)) for window, o, n in zip(windows, at, x.shape, strict=True)]
    block = x[np.ix_(*reads)]
    detail = bench["detail"]
    if bench["family"] == "max_pool":
        if not detail["place"]:
            return float(block.max()) if not np.isnan(block).any() else math.nan
        flat = np.arange(x.size).reshape(x.shape)[np.ix_(*reads)]
        return float(flat.reshape(-1)[block.argmax()])
    assert divisor(bench, windows, x.shape, at) == detail["divisor"]
    return float(block.sum()) / detail["divisor"]


def divisor(
    bench: BenchAnswer, windows: tuple[Any, ...], space: tuple[int, ...], at: tuple[int, ...]
) -> int:
    """Return what an average divides by, from the facts of its family."""
    detail, counts = bench["detail"], []
    if "override" in detail:
        return detail["override"]
    for window, n, padded, o in zip(windows, space, detail["padded"], at, strict=True):
        if not detail["counts_padding"]:
            counts.append(len(window.reads(o, n)))
            continue
        start = o * window.stride
        counts.append(min(start + window.size, padded) - start)
    return math.prod(counts)


def multiplied(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    detail = bench["detail"]
    kernel, own = seat(bench, "kernel"), bench["index"][-1:]
    row = kernel[own[0]] if kernel.ndim == 2 else kernel
    products = float((seat(bench, "in") * row).sum()) * detail.get("alpha", 1.0)
    offset = seat(bench, "bias") if has(bench, "bias") else np.zeros(())
    bias = float(offset[own[0]] if offset.ndim else offset)
    return products + detail.get("beta", 1.0) * bias


def shared(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    scores = seat(bench, "in") * (-1 if bench["detail"]["negated"] else 1)
    own = bench["index"][bench["detail"]["dim"]] if bench["index"] else 0
    powers = np.exp(scores - scores.max())
    if bench["detail"]["log"]:
        return float(scores[own] - scores.max() - np.log(powers.sum()))
    return float(powers[own] / powers.sum())


def reduced(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    numbers, name = seat(bench, "in"), step.op
    if name in ("sum", "mean"):
        return float(numbers.sum()) / (1 if name == "sum" else numbers.size)
    return float(numbers.max() if name == "amax" else numbers.var(ddof=1))


def computed(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    """Return the step's own function of the number, and check the curve beside it."""
    x = float(seat(bench, "in")[place(bench)])
    if has(bench, "curve") and math.isfinite(x):
        curve = seat(bench, "curve")
        assert curve[0].min() < x < curve[0].max()
        assert (np.diff(curve[0]) > 0).all()
        low = curve[:, np.searchsorted(curve[0], x) - 1]
        high = curve[:, np.searchsorted(curve[0], x)]
        gap = abs(high[1] - low[1]) + (high[0] - low[0])
        assert math.isnan(gap) or abs(bench["total"] - (low[1] + high[1]) / 2) <= gap
    given: list[Any] = list(step.args)
    given[0] = torch.tensor([x], dtype=torch.float64)
    if step.op == "prelu":
        slopes = recording.values[step.inputs[1]].tensor.double()
        given[1] = slopes[bench["index"][1] % len(slopes)][None]
    kwargs = {name: part for name, part in step.kwargs.items() if name != "inplace"}
    return float(step.function(*given, **kwargs))


def added(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    detail, at = bench["detail"], place(bench)
    second = detail.get("alpha", 1.0) * seat(bench, "in2")[at]
    return float(seat(bench, "in")[at] + {"+": 1, "-": -1}[detail["sign"]] * second)


def scaled(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    one, two = seat(bench, "in")[place(bench)], seat(bench, "in2")[place(bench)]
    return float(one / two if bench["detail"]["sign"] == "/" else one * two)


def joined(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    detail, at = bench["detail"], list(place(bench))
    lead = len(bench["index"]) - len(at)
    if detail["dim"] >= lead:
        at[detail["dim"] - lead] -= detail["offset"]
    return float(seat(bench, "in")[tuple(at)])


def moved(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    """Return what the origin of the number holds, and check all others of its map."""
    origins, numbers = seat(bench, "origin").astype(int), seat(bench, "in").reshape(-1)
    inside = origins >= 0
    assert np.array_equal(seat(bench, "out")[inside], numbers[origins[inside]], equal_nan=True)
    origin = origins[place(bench)]
    assert (origin < 0) == (bench["rule"] == "given")
    return float(numbers[origin]) if origin >= 0 else bench["recorded"]


def normalized(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    at = place(bench)

    def there(role: str, otherwise: float) -> float:
        numbers = seat(bench, role) if has(bench, role) else np.array(otherwise)
        return float(numbers[at] if numbers.shape else numbers)

    centred = seat(bench, "in")[at] - there("mean", 0)
    return float(centred / there("deviation", 1) * there("scale", 1) + there("shift", 0))


def resampled(bench: BenchAnswer, recording: Recording, step: Step) -> float:
    numbers, at = seat(bench, "in"), place(bench)
    rows = [row for row in bench["seats"] if row["role"] == "taps"]
    assert [row["shape"][1] for row in rows] == bench["detail"]["taps"]
    for axis, row in enumerate(rows):  # each leaves one axis less
        first = row["start"] + at[axis] * row["shape"][1] * 2
        taps = bench["numbers"][first : first + row["shape"][1] * 2].reshape(-1, 2)
        inside = taps[taps[:, 0] >= 0].astype(np.float64)
        numbers = np.tensordot(inside[:, 1], numbers[inside[:, 0].astype(int)], 1)
    return float(numbers)


RULES: dict[str, Callable[[BenchAnswer, Recording, Step], float]] = {
    "conv": convolved,
    "transposed": convolved,
    "max_pool": pooled,
    "avg_pool": pooled,
    "linear": multiplied,
    "softmax": shared,
    "reduce": reduced,
    "pointwise": computed,
    "add": added,
    "multiply": scaled,
    "concat": joined,
    "move": moved,
    "norm": normalized,
    "resample": resampled,
}
