"""Compute the filters of scipy.ndimage: weighted sums, means and extremes under a border."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from convlens.compute.memory.arena import within_memory
from convlens.compute.reading.windows import shown
from convlens.signal.footprints import extreme_under, holds
from convlens.signal.ndimage_arguments import (
    LARGEST,
    extend,
    one_each,
    read_array,
    read_axes,
    read_border,
    read_input,
    read_integer,
    read_lead,
    read_number,
    read_target,
    read_windows,
    to_type,
)
from convlens.signal.sliding import MOST_AXES, Ends, Numbers, correlate_along, pool_along
from convlens.signal.whole_numbers import beyond_doubles, is_whole, whole_means, whole_sums

__all__ = ["average", "blur", "extreme", "gaussian", "weigh"]

MOST_DERIVATIVES = 100
"""The highest derivative of a Gaussian; the powers of t in higher ones overflow float64."""

SINGLE = ("float32", "complex64")
"""The types computed in float32 (or complex64), if both input and result have one of them."""

Windows = list[tuple[int, int, int, str]]


@within_memory("`input` padded for these `weights`")
def weigh(
    input: Any,
    weights: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    *,
    turned: bool,
) -> Numbers:
    """Correlate, or convolve if `turned`, with the arguments of `scipy.ndimage.correlate`.

    >>> weigh([1, 2, 4], [-1, 1], None, "nearest", 0, 0, None, turned=False)
    array([0, 1, 2])
    """
    array = read_input(input)
    along = read_axes(axes, array.ndim)
    kernel = _read_weights(weights, len(along), turned)
    border = read_border(mode)
    complex_sums = "c" in (array.dtype.kind, kernel.dtype.kind)
    _check_cval(cval, array)
    target = read_target(output, array, complex_sums=complex_sums)
    ends = _ends(kernel.shape, along, array.ndim, origin, turned)
    if array.size == 0:
        return target.take(np.zeros(array.shape, target.dtype))
    kernel = np.expand_dims(kernel, tuple(set(range(array.ndim)) - set(along)))
    ends = {axis: pair for axis, pair in ends.items() if kernel.shape[axis] > 1}
    if target.dtype.kind in "ui" and beyond_doubles(array, kernel, border, cval):
        return target.take(whole_sums(array, kernel, ends, border, cval))
    working = _working_type(array.dtype, target.dtype, complex_sums)
    x, ends = _bordered(array, ends, border, cval, working)
    y = correlate_along(x, kernel.astype(working), ends)
    whole = array.dtype.kind in "bui" and is_whole(cval) and is_whole(kernel)
    return target.take(np.rint(y) if whole else y)


@within_memory("a Gaussian of this `sigma`, `truncate` or `radius`")
def gaussian(sigma: float, order: int, truncate: float, radius: Any) -> Numbers:
    """Return the weights that `gaussian_filter1d` passes to `correlate1d`.

    >>> gaussian(1.0, 0, 4.0, 1).round(3)
    array([0.274, 0.452, 0.274])
    """
    sigma = _real("sigma", sigma)
    derivative = read_integer("order", order)
    if not 0 <= derivative <= MOST_DERIVATIVES:
        raise ValueError(f"`order` (={shown(order)}) must be 0 to {MOST_DERIVATIVES}")
    variance = sigma**2
    if not 0 < variance < float("inf"):
        raise ValueError(f"`sigma` (={sigma!r}) must be above 0, its square also and finite")
    reach = _reach(sigma, truncate, radius)
    t = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 / variance * t**2)
    weights /= weights.sum()
    # Each derivative of q(t) exp(-t^2 / (2 s^2)) is another polynomial times the exponential.
    factor = np.polynomial.Polynomial([1.0])
    for _ in range(derivative):
        factor = factor.deriv() - factor * np.polynomial.Polynomial([0.0, 1.0 / variance])
    return np.asarray((factor(t) * weights)[::-1])


def _reach(sigma: float, truncate: Any, radius: Any) -> int:
    """Return how many elements the weights of a Gaussian reach from their middle."""
    if radius is None:
        name, reach = "sigma", _real("truncate", truncate) * sigma + 0.5
    else:
        name, reach = "radius", read_integer("radius", radius)
    if not 0 <= reach < LARGEST:
        source = f"`sigma` (={sigma!r}) and `truncate` (={truncate!r}) give a radius of {reach}"
        fault = source if name == "sigma" else f"`radius` (={shown(radius)}) is out of range"
        raise ValueError(f"{fault}; it must be 0 to {LARGEST - 1}")
    return int(reach)


def _real(name: str, value: Any) -> float:
    try:
        return float(read_number(name, value))
    except OverflowError:
        raise ValueError(
            f"`{name}` (={shown(value)}) must be a number that float64 holds"
        ) from None


@within_memory("a Gaussian of this `sigma`, `truncate` or `radius`")
def blur(
    input: Any,
    sigma: Any,
    order: Any,
    output: Any,
    mode: Any,
    cval: Any,
    truncate: float,
    radius: Any,
    axes: Any,
) -> Numbers:
    """Filter with a Gaussian along one axis after another, as `gaussian_filter` does.

    >>> blur([[0.0, 8.0]], 0.5, 0, None, "nearest", 0.0, 4.0, None, 1).round(2)
    array([[0.85, 7.15]])
    """
    array = read_input(input)
    target = read_target(output, array, complex_sums=array.dtype.kind == "c")
    along = read_axes(axes, array.ndim)
    given = (("sigma", sigma), ("order", order), ("mode", mode), ("radius", radius))
    settings = [one_each(name, value, len(along)) for name, value in given]
    passes = [
        (axis, gaussian(width, derivative, truncate, reach), border)
        for axis, width, derivative, border, reach in zip(along, *settings, strict=True)
        if _is_some("sigma", width)
    ]
    y = array
    for axis, taps, border in passes:
        y = weigh(y, taps, target.dtype, border, cval, 0, axis, turned=False)
    return target.take(y if passes else array.copy())


def _is_some(name: str, sigma: Any) -> bool:
    """Return whether `sigma` blurs at all; like SciPy, treat 1e-15 and less as 0."""
    width = _real(name, sigma)
    if not width >= 0:
        raise ValueError(f"`{name}` (={shown(sigma)}) must be 0 or more; 0 leaves an axis as it is")
    return width > 1e-15


@within_memory("`input` padded for this `size`")
def average(
    input: Any, size: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any
) -> Numbers:
    """Average over a box along one axis after another, as `uniform_filter` does.

    >>> average([[2, 8, 0, 4]], 3, None, "reflect", 0.0, 0, 1)
    array([[4, 3, 4, 2]])
    """
    array = read_input(input)
    complex_sums = array.dtype.kind == "c"
    target = read_target(output, array, complex_sums=complex_sums)
    windows = read_windows(array.ndim, size, mode, origin, axes)
    _check_cval(cval, array)
    if array.size == 0 or not windows:
        return target.take(array.copy())
    y = array
    for axis, extent, lead, border in windows:
        ends: Ends = {axis: (lead, extent - 1 - lead)}
        box = np.ones([extent if a == axis else 1 for a in range(y.ndim)], np.int64)
        if target.dtype.kind in "ui" and beyond_doubles(y, box, border, cval):
            y = to_type(whole_means(y, box, ends, border, cval), target.dtype)
            continue
        working = _working_type(y.dtype, target.dtype, complex_sums)
        x, rest = _bordered(y, ends, border, cval, working)
        means = pool_along("avg_pool", x, {axis: extent}, rest)
        if y.dtype.kind in "bui" and is_whole(cval):
            means = np.rint(means * extent) / extent  # exact, whichever method compute used
        y = to_type(means, target.dtype)
    return target.take(y)


@within_memory("`input` padded for this `size` or `footprint`")
def extreme(
    name: str,
    input: Any,
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
) -> Numbers:
    """Take the maximum or minimum over a box, as the function `name` of scipy.ndimage does.

    >>> extreme("minimum_filter", [3, 1, 2], 2, None, None, "nearest", 0, 0, None)
    array([3, 1, 1])
    """
    array = read_input(input)
    if array.dtype.kind == "c":
        raise TypeError("`input` holds complex values, which have no order; filter its real part")
    target = read_target(output, array)
    _check_cval(cval, array)
    if footprint is not None:
        if size is not None:
            advice = "`size` is ignored because `footprint` is given; leave one out"
            warnings.warn(advice, UserWarning, stacklevel=3)
        along = read_axes(axes, array.ndim)
        mask = _read_footprint(footprint, len(along))
        if not mask.all():
            border = read_border(mode)
            ends = _ends(mask.shape, along, array.ndim, origin, turned=False)
            mask = np.expand_dims(mask, tuple(set(range(array.ndim)) - set(along)))
            least = name == "minimum_filter"
            return target.take(
                extreme_under(array, mask, ends, border, cval, target.dtype, least=least)
            )
        size = mask.shape
    if size is None:
        raise ValueError("`size` and `footprint` are both missing; give one")
    windows = read_windows(array.ndim, size, mode, origin, axes)
    if array.size == 0 or not windows:
        return target.take(array.copy())
    return target.take(_extreme_of(array, windows, cval, target.dtype, name == "minimum_filter"))


def _extreme_of(
    array: Numbers, windows: Windows, cval: Any, dtype: np.dtype[Any], least: bool
) -> Numbers:
    """Take extremes over all axes at once if the border cannot win, else axis by axis."""
    inside = all(
        border == "edge" or (border == "symmetric" and lead == extent // 2)
        for _, extent, lead, border in windows
    )
    if inside and len(windows) <= MOST_AXES and dtype == array.dtype:
        sizes = {axis: extent for axis, extent, _, _ in windows}
        ends = {axis: (lead, extent - 1 - lead) for axis, extent, lead, _ in windows}
        return _pooled(array, sizes, ends, least)
    y = array
    for axis, extent, lead, border in windows:
        around: Ends = {axis: (lead, extent - 1 - lead)}
        if border == "constant" and not holds(y.dtype, cval):
            mask = np.ones([extent if a == axis else 1 for a in range(y.ndim)], bool)
            y = extreme_under(y, mask, around, border, cval, dtype, least=least)
        else:
            x = extend(y, around, border, cval)
            y = to_type(_pooled(x, {axis: extent}, {axis: (0, 0)}, least), dtype)
    return y


def _pooled(x: Numbers, sizes: dict[int, int], ends: Ends, least: bool) -> Numbers:
    """Take extremes as maxima of types compute knows; negation or `~` turns minima to maxima."""
    turn = np.negative if x.dtype.kind == "f" else np.invert
    y = turn(x) if least else x
    middle = None
    if x.dtype.kind == "b":
        y = y.view(np.uint8)
    elif x.dtype.kind == "u" and x.dtype.itemsize > 1:
        # Compute has no unsigned integers of this width, only signed: shift the range.
        middle = x.dtype.type(1 << (8 * x.dtype.itemsize - 1))
        y = (y ^ middle).view(f"i{x.dtype.itemsize}")
    found = pool_along("max_pool", y, sizes, ends).view(x.dtype)
    if middle is not None:
        found = found ^ middle
    return np.asarray(turn(found) if least else found)


def _ends(
    size: tuple[int, ...], along: tuple[int, ...], count: int, origin: Any, turned: bool
) -> dict[int, tuple[int, int]]:
    """Return how many elements the weights read (before, after) each element along each axis."""
    # As in SciPy, the axes of the weights follow the order of the array's axes, not of `axes`.
    places = sorted(along)
    shifts = one_each("origin", origin, len(along))
    shift_of = dict(zip(along if len(along) < count else places, shifts, strict=True))
    leads = [
        read_lead(extent, shift_of[axis], turned) for axis, extent in zip(places, size, strict=True)
    ]
    rows = zip(places, leads, size, strict=True)
    return {axis: (lead, extent - 1 - lead) for axis, lead, extent in rows}


def _read_weights(weights: Any, count: int, turned: bool) -> Numbers:
    """Return the weights to correlate with: integers, float64 or complex128."""
    kernel = read_array("weights", weights)
    if kernel.dtype.kind not in "bui":  # integers stay: float64 cannot hold all beyond 2**53
        kernel = kernel.astype(np.complex128 if kernel.dtype.kind == "c" else np.float64)
    if kernel.ndim != count or kernel.size == 0:
        raise ValueError(
            f"`weights` has shape {kernel.shape}, but must have an axis for each of the {count} "
            "`axes` along which `input` is filtered, and at least one element"
        )
    return np.flip(kernel) if turned else kernel.conj()


def _read_footprint(footprint: Any, count: int) -> Numbers:
    mask = read_array("footprint", footprint).astype(bool)
    if mask.ndim != count or not mask.any():
        raise ValueError(
            f"`footprint` has shape {mask.shape}, but must have an axis for each of the {count} "
            "`axes` along which `input` is filtered, and an element that is True"
        )
    return mask


def _check_cval(cval: Any, array: Numbers) -> None:
    number = read_number("cval", cval, imaginary=array.dtype.kind == "c")
    if array.dtype.kind in "fc" and isinstance(number, int) and abs(number) >= 2**1023:
        raise ValueError(f"`cval` (={shown(cval)}) must be a number that float64 holds")


def _working_type(given: np.dtype[Any], wanted: np.dtype[Any], complex_sums: bool) -> np.dtype[Any]:
    single = given.name in SINGLE and wanted.name in SINGLE
    if complex_sums:
        return np.dtype(np.complex64 if single else np.complex128)
    return np.dtype(np.float32 if single else np.float64)


def _bordered(
    x: Numbers, ends: Ends, border: str, cval: Any, working: np.dtype[Any]
) -> tuple[Numbers, dict[int, tuple[int, int]]]:
    """Return x padded in the working type, and the zero padding left to compute, by axis."""
    if border == "constant" and cval == 0:
        return x.astype(working, copy=False), dict(ends)
    if border == "constant":
        x = x.astype(working, copy=False)
    return extend(x, ends, border, cval).astype(working, copy=False), dict.fromkeys(ends, (0, 0))
