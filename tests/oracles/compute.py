"""What the operations of `convlens.compute` must give on a case, by NumPy and SciPy; how near."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, floor
from typing import Any

import numpy as np
from scipy import signal

from convlens.compute import plan
from convlens.compute.methods import METHODS, refused
from convlens.compute.planning import plan_pool
from convlens.compute.problems import Problem
from convlens.compute.reading.options import read_pool, read_weighted
from tests.cases.problems import Case

Numbers = np.ndarray[Any, Any]
Pairs = list[tuple[int, int]]
PAD_MODES: dict[str, Any] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def oracle_conv(
    x: Numbers,
    weight: Numbers,
    bias: Numbers | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Numbers:
    """Convolve by `scipy.signal.correlate` of what `numpy.pad` gives, every stride-th of it.

    Like all here, it wants a batch of at least one.
    """
    axes = weight.ndim - 2
    kernel = spread(weight, several(dilation, axes))
    ends = pairs(padding, kernel.shape[2:])
    padded = np.pad(x, [(0, 0), (0, 0), *ends], mode=PAD_MODES[padding_mode])
    every = tuple(slice(None, None, step) for step in several(stride, axes))
    each, out = weight.shape[1], len(weight) // groups

    def one(n: int, k: int, c: int) -> Numbers:
        image, kernel_of_one = padded[n, k // out * each + c], kernel[k, c].conj()
        return np.asarray(correlate(image, kernel_of_one)[every])

    rows = [
        [sum(one(n, k, c) for c in range(each)) for k in range(len(weight))] for n in range(len(x))
    ]
    return with_bias(np.array(rows), bias)


def oracle_conv_transpose(
    x: Numbers,
    weight: Numbers,
    bias: Numbers | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Numbers:
    """Convolve, with a flip and in full, the input with zeros between; cut, add zeros behind."""
    axes = weight.ndim - 2
    kernel = spread(weight, several(dilation, axes))
    stretched = spread(x, several(stride, axes))
    each, out = x.shape[1] // groups, weight.shape[1]
    rows = [
        [
            sum(
                convolve(stretched[n, c], kernel[c, k % out])
                for c in range(k // out * each, (k // out + 1) * each)
            )
            for k in range(out * groups)
        ]
        for n in range(len(x))
    ]
    y = np.array(rows)
    added = several(output_padding, axes)
    y = np.pad(y, [(0, 0), (0, 0), *((0, count) for count in added)])
    ends = pairs(padding, kernel.shape[2:])
    for axis, (low, high) in enumerate(ends, start=2):
        y = y.take(range(low, y.shape[axis] - high), axis=axis)
    return with_bias(y, bias)


def oracle_pool(
    operation: str,
    x: Numbers,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Numbers:
    """Pool by `numpy.pad` and `sliding_window_view`, every stride-th window of it."""
    axes = x.ndim - 2 if isinstance(size, int) else len(size)
    sizes, dilations = several(size, axes), several(dilation, axes)
    strides = sizes if stride is None else several(stride, axes)
    ends = pairs(padding, sizes)
    extents = [d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True)]
    leads = [(0, 0)] * (x.ndim - axes)
    space = x.shape[-axes:]
    hangs = [
        overhang(n, *end, extent, step) if ceil_mode else 0
        for n, end, extent, step in zip(space, ends, extents, strides, strict=True)
    ]
    fill = -np.inf if operation == "max_pool" else 0

    def windows(values: Numbers, inside: float, beyond: float) -> Numbers:
        padded = np.pad(values, [*leads, *ends], constant_values=inside)
        padded = np.pad(padded, [*leads, *((0, hang) for hang in hangs)], constant_values=beyond)
        view = np.lib.stride_tricks.sliding_window_view(padded, extents, tuple(range(-axes, 0)))
        steps = tuple(slice(None, None, step) for step in strides)
        holes = tuple(slice(None, None, step) for step in dilations)
        index: tuple[Any, ...] = (..., *steps, *[slice(None)] * axes)
        inner: tuple[Any, ...] = (..., *holes)
        return np.asarray(view[index][inner])

    over = tuple(range(-axes, 0))
    if operation == "max_pool":
        return np.asarray(windows(x, fill, fill).max(axis=over))
    counted = windows(np.ones_like(x.real), float(count_include_pad), 0).sum(axis=over)
    return np.asarray(windows(x, 0, 0).sum(axis=over) / np.maximum(counted, 1))


def correlate(image: Numbers, kernel: Numbers) -> Numbers:
    """Correlate where the kernel fits; SciPy knows no integers without end, so objects slide."""
    if image.dtype != object:
        return np.asarray(signal.correlate(image, kernel, mode="valid", method="direct"))
    endless = np.vectorize(int, otypes=[object])  # NumPy mixes in integers of its own
    windows = np.lib.stride_tricks.sliding_window_view(endless(image), kernel.shape)
    return np.asarray((windows * endless(kernel)).sum(axis=tuple(range(-kernel.ndim, 0))))


def convolve(image: Numbers, kernel: Numbers) -> Numbers:
    """Convolve, with a flip, wherever the kernel touches."""
    if image.dtype != object:
        return np.asarray(signal.convolve(image, kernel, mode="full", method="direct"))
    return correlate(np.pad(image, [(n - 1, n - 1) for n in kernel.shape]), np.flip(kernel))


def overhang(n: int, low: int, high: int, extent: int, step: int) -> int:
    """Return how far the window that rounding up adds would hang over; 0 if it is not allowed."""
    places = (low + n + high - extent) / step
    start = ceil(places) * step
    allowed = ceil(places) > floor(places) and start < low + n
    return start + extent - (low + n + high) if allowed else 0


def spread(values: Numbers, steps: Sequence[int]) -> Numbers:
    """Return the values with step - 1 zeros between any two along the axes of space."""
    space = [step * (n - 1) + 1 for n, step in zip(values.shape[2:], steps, strict=True)]
    whole = np.zeros((*values.shape[:2], *space), values.dtype)
    places: tuple[Any, ...] = (..., *(slice(None, None, step) for step in steps))
    whole[places] = values
    return whole


def several(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def pairs(padding: Any, extents: Sequence[int]) -> Pairs:
    names: dict[Any, Pairs] = {
        "valid": [(0, 0)] * len(extents),
        "same": [((e - 1) // 2, e // 2) for e in extents],
        "full": [(e - 1, e - 1) for e in extents],
    }
    if isinstance(padding, str):
        return names[padding]
    if isinstance(padding, int):
        return [(padding, padding)] * len(extents)
    return [(entry, entry) if isinstance(entry, int) else entry for entry in padding]


def with_bias(y: Numbers, bias: Numbers | None) -> Numbers:
    return y if bias is None else y + bias.reshape(-1, *[1] * (y.ndim - 2))


def indices_agree(x: Numbers, y: Numbers, places: Numbers, axes: int) -> bool:
    """Tell whether x holds y at the places; -1 stands for a window of padding."""
    flat = x.reshape(*x.shape[:-axes], -1)
    at = places.reshape(*places.shape[:-axes], -1)
    taken = np.take_along_axis(flat, np.maximum(at, 0), axis=-1).reshape(y.shape)
    return bool(np.all((taken == y) | ((places < 0) & np.isneginf(y))))


UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
LEAST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}
REAL = {"complex64": "float32", "complex128": "float64"}


def check_sum(found: Numbers, exact: Numbers, total: Numbers, terms: int, dtype: str) -> None:
    """Raise unless every sum lies within gamma(terms + 2) * total + half a unit in the last place.

    `total` is the same sum over absolute values; it is summed in float32, float64 for double, and
    rounded once to `dtype`. The exact sum was itself summed in float64, which doubles the
    allowance there. A complex product is two real ones, so a complex sum has twice the terms, and
    the bound holds for either part. Higham, *Accuracy and Stability*, 2nd ed., section 3.1.
    """
    if dtype in REAL:
        for part in ("real", "imag"):
            real = REAL[dtype]
            check_sum(getattr(found, part), getattr(exact, part), total, 2 * terms + 1, real)
        return
    unit = UNIT["float64"] if dtype == "float64" else UNIT["float32"]
    gamma = (terms + 2) * unit / (1 - (terms + 2) * unit)
    gamma *= 2 if dtype == "float64" else 1
    least = (terms + 2) * LEAST["float64" if dtype == "float64" else "float32"]
    rounding = UNIT[dtype] * np.abs(exact) * (1 + gamma) + LEAST[dtype] / 2
    if found.shape != exact.shape:
        raise AssertionError(f"shape {found.shape}, expected {exact.shape}")
    error = np.abs(found.astype(np.float64) - exact)
    allowed = gamma * total + rounding + least
    if not np.all(error <= allowed):
        place = np.unravel_index(np.argmax(error - allowed), error.shape)
        raise AssertionError(
            f"{found[place]} at {place}, expected {exact[place]} within {allowed[place]}"
        )


ORACLES: dict[str, Callable[..., Numbers]] = {
    "conv": oracle_conv,
    "conv_transpose": oracle_conv_transpose,
}


def whole_numbers(shape: tuple[int, ...], seed: int, least: int = -4) -> Numbers:
    """Return small integers in float64, whose sums of products are exact in any order."""
    return np.random.default_rng(seed).integers(least, 5, shape).astype(np.float64)


def arrays_of(case: Case) -> tuple[Numbers, Numbers, Numbers]:
    """Return x, weight and bias; the last two are empty for pooling."""
    groups = case.options.get("groups", 1)
    out = case.weight[1] * groups if case.operation == "conv_transpose" else (*case.weight, 0)[0]
    weight = whole_numbers(case.weight or (0,), 2)
    return whole_numbers(case.x, 1), weight, whole_numbers((out,), 3)


def expected_of(case: Case, x: Numbers, weight: Numbers, bias: Numbers | None) -> Numbers:
    """Return what SciPy and NumPy make of a case."""
    if not case.weight:
        return oracle_pool(case.operation, x, case.size, **case.options)
    batched = x.ndim == weight.ndim
    y = ORACLES[case.operation](x if batched else x[None], weight, bias, **case.options)
    return y if batched else y[0]


def methods_of(case: Case, dtype: str = "float64", exact: bool = True) -> list[str]:
    """Return the names of the methods that can do a case, by default those that only sum."""
    x, weight, bias = (part.astype("float64") for part in arrays_of(case))
    problem: Problem
    if case.weight:
        transposed = case.operation == "conv_transpose"
        problem = read_weighted(x, weight, bias, transposed=transposed, **case.options)
    else:
        problem = read_pool(case.operation, x, case.size, **case.options)
    problem = replace(problem, dtype=dtype)
    names = [name for name in METHODS if refused(name, problem) is None]
    return [name for name in names if METHODS[name].exact or not exact]


def computed_of(
    case: Case, x: Any, weight: Any, bias: Any, method: str = "auto", **more: Any
) -> Any:
    """Return what a method of ours makes of a case."""
    options = case.options | more
    if not case.weight:
        return plan_pool(case.operation, x, case.size, method=method, **options)(x)
    transposed = case.operation == "conv_transpose"
    return plan(x, weight, bias, transposed=transposed, method=method, **options)(x)
