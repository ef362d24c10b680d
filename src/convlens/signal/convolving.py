"""Offer the convolutions of scipy.signal under the same names: a user changes one import.

Arguments, defaults, element types and results are those of SciPy 1.17. `convlens.compute.conv`
computes the sums, SciPy what it cannot: extended precision, objects, and integers whose sums may
reach 2^40. Integers are exact. Any other plain sum of n terms is within gamma(n + 2) * sum|x||w| of
the exact one; gamma(n) = n u / (1 - n u) (Higham, *Accuracy and Stability*, 2nd ed., section 3.1).
For finite inputs compute may use a Fourier transform: the error then stays below 1e-5 of the
root mean square of the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import scipy.signal

from convlens.signal.convolving_arguments import (
    BOUNDARIES,
    METHOD_NAMES,
    MODES,
    check_one_of,
    is_larger,
    read_arrays,
    read_axes,
    read_fill,
    read_images,
)
from convlens.signal.ndimage_arguments import read_array
from convlens.signal.sliding import Numbers, correlate_along

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fftconvolve",
    "oaconvolve",
    "sepfir2d",
]


FLOATS = ("float16", "float32", "float64", "complex64", "complex128")

MOST_EXACT = 2**40
"""The limit below which rounding in float64 gives the exact integer, even after a transform."""

Span = tuple[int, int]


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Convolve two arrays with equally many axes, as `scipy.signal.convolve` does.

    `mode` "full" gives size n1 + n2 - 1 along every axis. "same" gives its centre, of the size of
    `in1`, and "valid" the positions where one covers the other. `method` "direct" uses plain sums
    and never a transform; with "auto" and "fft" compute chooses. The element type is that of
    `in1 * in2`. The accuracy is stated at the head of this module.

    Raises ValueError for another mode or method, axes that do not match and an empty array. In
    mode "valid", one array must be at least as large as the other along every axis.

    >>> convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    one, two = read_arrays(in1, in2)
    check_one_of("mode", mode, MODES)
    check_one_of("method", method, METHOD_NAMES)
    if one.ndim == 0:
        return one[()] * two[()]
    axes = [axis for axis in range(one.ndim) if one.shape[axis] != 1 and two.shape[axis] != 1]
    if mode == "valid":
        is_larger(one.shape, two.shape, range(one.ndim))
    if mode == "same" and one.size == 0 and two.size:
        return np.empty(one.shape, np.result_type(one, two))
    for name, array in (("in1", one), ("in2", two)):
        if array.size == 0:
            raise ValueError(f"`{name}` of shape {array.shape} is empty; give it elements")
    dtype = _summed_in(one, two, min(one.size, two.size))
    if dtype is None:
        # Plain sums for integers: SciPy may choose a transform, which rounds large sums.
        plain = method if np.result_type(one, two).kind not in "bui" else "direct"
        return scipy.signal.convolve(one, two, mode, plain)
    y = _convolve(one.astype(dtype), two.astype(dtype), _spans(one, two, axes, mode), mode, method)
    return _rounded_to(y, np.result_type(one, two))


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Correlate two arrays, as `scipy.signal.correlate` does: `convolve` with `in2` reversed.

    Complex numbers in `in2` are conjugated. Arguments, element types and errors are those of
    `convolve`.

    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    one, two = read_arrays(in1, in2)
    return convolve(
        one, np.flip(two).conj() if two.dtype.kind == "c" else np.flip(two), mode, method
    )


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Convolve along some axes and broadcast along the others, as `scipy.signal.fftconvolve` does.

    `axes` is an integer or several; None means all axes. Along the others the sizes are equal or 1.
    Integers become float64. Compute decides whether to use a Fourier transform, and NaN reaches
    only the windows that contain it. An empty array gives an empty result.

    Raises ValueError for arguments that do not fit.

    >>> fftconvolve([[1.0, 2.0], [3.0, 4.0]], [[1.0, 10.0]], axes=1)
    array([[ 1., 12., 20.],
           [ 3., 34., 40.]])
    """
    return _along_axes(scipy.signal.fftconvolve, in1, in2, mode, axes)


def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Convolve arrays of very different sizes, as `scipy.signal.oaconvolve` does.

    Arguments, element types and errors are those of `fftconvolve`.

    >>> oaconvolve([1.0, 2.0, 4.0, 7.0], [1.0, -1.0], mode="valid")
    array([1., 2., 3.])
    """
    return _along_axes(scipy.signal.oaconvolve, in1, in2, mode, axes)


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Any:
    """Convolve two images, as `scipy.signal.convolve2d` does.

    `mode` is as in `convolve`. `boundary` says what surrounds `in1`: "fill" (`fillvalue`
    everywhere), "wrap" (the image again) or "symm" (its mirror image, edges repeated).

    Raises ValueError for what `convolve` refuses, arrays without exactly two axes, another
    boundary, and a `fillvalue` that the element type of the result cannot hold.

    >>> convolve2d([[1, 2], [3, 4]], [[1, 1], [1, 1]], "same", "symm")
    array([[ 4,  6],
           [ 8, 10]])
    """
    one, two = read_images(in1, in2, mode, boundary)
    if mode == "valid" and is_larger(one.shape, two.shape, (0, 1)):
        one, two = two, one
    spans = _spans(one, two, (0, 1), mode)
    return _convolve_image(one, two, spans, boundary, fillvalue)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Any:
    """Correlate two images, as `scipy.signal.correlate2d` does.

    Arguments and errors are those of `convolve2d`. As in SciPy, "same" centres an even `in2` one
    position further on than `correlate`. If `in2` is the larger in mode "valid", the two are
    exchanged, and `in1` is the one that is conjugated.

    >>> correlate2d([[1, 2], [3, 4]], [[1, 10]], "same")
    array([[21,  2],
           [43,  4]])
    """
    one, two = read_images(in1, in2, mode, boundary)
    exchanged = mode == "valid" and is_larger(one.shape, two.shape, (0, 1))
    if exchanged:
        one, two = two, one
    spans = _spans(one, two, (0, 1), mode)
    if mode == "same":
        spans = {axis: (two.shape[axis] // 2, one.shape[axis]) for axis in (0, 1)}
    turned = two[::-1, ::-1]
    y = _convolve_image(
        one, turned.conj() if two.dtype.kind == "c" else turned, spans, boundary, fillvalue
    )
    return y[::-1, ::-1] if exchanged else y


def sepfir2d(input: Any, hrow: Any, hcol: Any, /) -> Any:
    """Convolve the rows of an image with `hrow` and its columns with `hcol`, as SciPy's `sepfir2d`.

    The border mirrors the image and repeats its edge. `hrow` and `hcol` have odd lengths. The
    result is of the smallest type of float32, float64, complex64 and complex128 that holds `input`.

    Raises ValueError for other shapes, TypeError if `hrow` or `hcol` has a wider type.

    >>> sepfir2d([[1.0, 2.0, 4.0]], [1.0, 1.0, 1.0], [2.0])
    array([[ 8., 14., 20.]])
    """
    given = ("input", input), ("hrow", hrow), ("hcol", hcol)
    image, row, column = (read_array(name, value) for name, value in given)
    if image.ndim != 2:
        raise ValueError(f"`input` has shape {image.shape}; give an image, with two axes")
    dtype = np.result_type(image, np.float32)
    if dtype.name not in FLOATS:
        raise TypeError(f"`input` holds {image.dtype} values; convert it to float64 or complex128")
    for name, taps in (("hrow", row), ("hcol", column)):
        if taps.ndim != 1 or taps.size % 2 == 0:
            raise ValueError(f"`{name}` has shape {taps.shape}; give one axis of odd length")
        if not np.can_cast(taps.dtype, dtype, "safe"):
            raise TypeError(
                f"`{name}` holds {taps.dtype} values, too wide for a {dtype} result; widen `input`"
            )
    if image.size == 0:
        return np.empty(image.shape, dtype)
    halves = [(taps.size // 2, taps.size // 2) for taps in (column, row)]
    y = np.pad(image, halves, mode="symmetric").astype(dtype)
    y = correlate_along(y, row[None, ::-1].astype(dtype), {1: (0, 0)})
    return correlate_along(y, column[::-1, None].astype(dtype), {0: (0, 0)})


def _along_axes(peer: Any, in1: Any, in2: Any, mode: str, axes: Any) -> Any:
    """Convolve as `fftconvolve` does; SciPy's function `peer` computes what compute cannot."""
    one, two = read_arrays(in1, in2)
    check_one_of("mode", mode, MODES)
    if one.ndim == 0:
        return one[()] * two[()]
    if one.size == 0 or two.size == 0:
        return np.array([])
    asked = read_axes(axes, one.ndim)
    sliding = [axis for axis in asked if one.shape[axis] != 1 and two.shape[axis] != 1]
    _check_broadcast(one, two, set(range(one.ndim)) - set(sliding))
    if mode == "valid":
        is_larger(one.shape, two.shape, sliding)
    if not sliding:
        return _centred(np.asarray(one * two), one.shape, sliding, mode)
    dtype = np.result_type(*(_as_transformed(array.dtype) for array in (one, two)))
    if dtype.name not in FLOATS:
        return peer(one, two, mode, axes)
    spans = _spans(one, two, sliding, mode)
    return _convolve(one.astype(dtype), two.astype(dtype), spans, mode, "auto")


def _check_broadcast(one: Numbers, two: Numbers, axes: Iterable[int]) -> None:
    """Raise ValueError unless the sizes along each of `axes` are equal or one of them is 1."""
    for axis in axes:
        if one.shape[axis] != two.shape[axis] and 1 not in (one.shape[axis], two.shape[axis]):
            raise ValueError(
                f"`in1` and `in2` have shapes {one.shape} and {two.shape}, whose sizes along axis "
                f"{axis} must be equal or 1; name it in `axes` to convolve along it"
            )


def _convolve(
    one: Numbers, two: Numbers, spans: dict[int, Span], mode: str, method: str
) -> Numbers:
    """Return the parts `spans` of the full convolution; broadcast along the other axes."""
    x, kernel = one, two
    if np.prod([two.shape[axis] for axis in spans]) > np.prod([one.shape[axis] for axis in spans]):
        x, kernel = two, one
    ends: dict[int, tuple[int, int]] = {}
    parts = [slice(None)] * x.ndim
    for axis, (start, count) in spans.items():
        # Output f of the full convolution reads x from f - (size - 1) to f.
        first, last = start - (kernel.shape[axis] - 1), start + count - 1
        n = x.shape[axis]
        ends[axis] = (max(0, -first), max(0, last - (n - 1)))
        parts[axis] = slice(max(0, first), min(n, last + 1))
    turned = np.flip(kernel, tuple(spans)) if spans else kernel
    if np.isfinite(kernel).all() or not any(map(any, ends.values())):
        y = correlate_along(x[tuple(parts)], turned, ends, method)
    else:
        y = _within(x[tuple(parts)], turned, ends)
    return _centred(y, one.shape, list(spans), mode)


def _within(x: Numbers, kernel: Numbers, ends: dict[int, tuple[int, int]]) -> Numbers:
    """Correlate as `correlate_along` does, but never multiply by the zeros before and after x.

    The product of such a zero and an infinite weight would be NaN.

    >>> _within(np.array([1.0, 2.0]), np.array([np.inf, 1.0]), {0: (1, 1)})
    array([ 1., inf, inf])
    """
    shape = list(np.broadcast_shapes(*(_but(array, ends) for array in (x, kernel))))
    for axis, (before, after) in ends.items():
        shape[axis] = before + x.shape[axis] + after - kernel.shape[axis] + 1
    y = np.zeros(shape, x.dtype)
    for taps in np.ndindex(*(kernel.shape[axis] for axis in ends)):
        at, read, written = ([slice(None)] * x.ndim for _ in range(3))
        for axis, tap in zip(ends, taps, strict=True):
            at[axis] = slice(tap, tap + 1)
            first = tap - ends[axis][0]  # the input that the first output reads with this tap
            written[axis], read[axis] = _without_ends(first, shape[axis], x.shape[axis])
        with np.errstate(invalid="ignore", over="ignore"):
            y[tuple(written)] += x[tuple(read)] * kernel[tuple(at)]
    return y


def _without_ends(first: int, outputs: int, inputs: int) -> tuple[slice, slice]:
    """Return the outputs, and the inputs they read, if output 0 reads input `first`."""
    low = max(0, -first)
    high = max(low, min(outputs, inputs - first))
    return slice(low, high), slice(low + first, high + first)


def _but(array: Numbers, axes: Iterable[int]) -> list[int]:
    """Return the shape of an array with 1 in place of the sizes along `axes`."""
    return [1 if axis in axes else n for axis, n in enumerate(array.shape)]


def _centred(y: Numbers, shape: Sequence[int], sliding: Sequence[int], mode: str) -> Numbers:
    """Cut y to `shape` along the axes that did not slide, as SciPy does in mode "same" only."""
    if mode != "same":
        return y
    index = tuple(
        slice(None) if axis in sliding else slice((n - m) // 2, (n - m) // 2 + m)
        for axis, (n, m) in enumerate(zip(y.shape, shape, strict=True))
    )
    return y[index]


def _spans(one: Numbers, two: Numbers, axes: Iterable[int], mode: str) -> dict[int, Span]:
    """Return, for every axis, which part (start, count) of the full convolution a mode gives."""
    spans = {}
    for axis in axes:
        n, m = one.shape[axis], two.shape[axis]
        spans[axis] = {
            "full": (0, n + m - 1),
            "same": ((m - 1) // 2, n),
            "valid": (min(n, m) - 1, abs(n - m) + 1),
        }[mode]
    return spans


def _convolve_image(
    image: Numbers, kernel: Numbers, spans: dict[int, Span], boundary: str, fillvalue: Any
) -> Any:
    """Convolve an image within its boundary; `spans` are counted from the first full output."""
    result = np.result_type(image, kernel)
    fill = read_fill(fillvalue, result)
    pad = BOUNDARIES[boundary]
    dtype = _summed_in(image, kernel, kernel.size, fill)
    if dtype is None:
        wide = _extended(image.astype(result), kernel.shape, spans, pad, fill)
        return scipy.signal.convolve(wide, kernel, "valid", "direct")
    if pad == "constant" and fill == 0 and np.isfinite(kernel).all():
        y = _convolve(image.astype(dtype), kernel.astype(dtype), spans, "full", "auto")
    else:
        wide = _extended(image.astype(result), kernel.shape, spans, pad, fill)
        turned = kernel[::-1, ::-1].astype(dtype)
        y = correlate_along(wide.astype(dtype), turned, {0: (0, 0), 1: (0, 0)})
    return _rounded_to(y, result)


def _extended(
    image: Numbers, size: Sequence[int], spans: dict[int, Span], pad: str, fill: Any
) -> Numbers:
    """Return the part of the padded image that the outputs `spans` read."""
    ends, parts = [], []
    for axis, (start, count) in sorted(spans.items()):
        first, last = start - (size[axis] - 1), start + count - 1
        ends.append((max(0, -first), max(0, last - (image.shape[axis] - 1))))
        parts.append(slice(max(0, first), None))
    options = {"constant_values": fill} if pad == "constant" else {}
    wide = np.pad(image, ends, mode=pad, **options)  # type: ignore[call-overload]
    return np.asarray(wide[tuple(parts)])


def _summed_in(one: Numbers, two: Numbers, terms: int, fill: Any = 0) -> np.dtype[Any] | None:
    """Return the type to sum in, exact for integers; None if only SciPy can compute the sums."""
    dtype = np.result_type(one, two)
    if dtype.kind not in "bui":
        return dtype if dtype.name in FLOATS else None
    largest = max(_largest(one), abs(int(fill))) * _largest(two) * terms
    return np.dtype(np.float64) if largest < MOST_EXACT else None


def _largest(array: Numbers) -> int:
    return max(int(array.max()), -int(array.min()))


def _rounded_to(y: Numbers, dtype: np.dtype[Any]) -> Numbers:
    """Return sums in the type of the result; integers wrap around, as in C."""
    if dtype.kind == "b":
        return y > 0.5
    if dtype.kind in "ui":
        return np.rint(y).astype(np.int64).astype(dtype)
    return y.astype(dtype, copy=False)


def _as_transformed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the real or complex type in which SciPy's Fourier transform would compute."""
    if dtype.kind in "bui":
        return np.dtype(np.float64)
    return np.dtype(np.float32) if dtype.name == "float16" else dtype
