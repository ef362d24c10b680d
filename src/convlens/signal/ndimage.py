"""Offer the filters of scipy.ndimage under the same names: a user changes one import.

Arguments, defaults and element types are those of SciPy 1.17. `convlens.compute.conv`, `max_pool`
and `avg_pool` compute in float32 if input and output hold float32, else in float64. SciPy always
uses float64. As there, integers are cut towards zero after every axis of a separable filter.

A sum over n weights is within gamma(n + 2) * sum|x||w| of the exact one; gamma(n) = n u / (1 - n u)
(Higham, *Accuracy and Stability*, 2nd ed., section 3.1). For a large kernel compute may use a
Fourier transform: the error then stays below 1e-5 of the root mean square of the result. An integer
may differ by one from SciPy's if the exact sum is that close to an integer, unless the weights are
integers.

Integer extremes, sums with integer weights (modulo 2**64) and means, until they are cut, are exact.
SciPy computes all three in float64, which is exact up to 2**53 only. Unlike in SciPy, NaN reaches
exactly the windows that contain it and always wins an extreme; weights below 2.2e-16 count; and a
result that its integer type cannot hold raises ValueError.
"""

from __future__ import annotations

from typing import Any

from convlens.signal.filtering import average, blur, extreme, gaussian, weigh
from convlens.signal.ndimage_arguments import read_axis, read_input, read_size

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "maximum_filter",
    "maximum_filter1d",
    "minimum_filter",
    "minimum_filter1d",
    "uniform_filter",
    "uniform_filter1d",
]


def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Correlate an array with weights, as `scipy.ndimage.correlate` does; same shape out.

    `weights` has one axis for each of `axes` (default: all). `mode` names the border: "reflect"
    (c b a | a b c | c b a), "mirror" (c b | a b c | b a), "constant" (`cval`), "nearest" or "wrap".
    Synonyms are "grid-mirror" (for "reflect"), "grid-constant" and "grid-wrap".
    `origin` moves the weights to the left, by one shift for all axes or one for each. `output` is
    an element type or an array to write to. Complex weights are conjugated.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> correlate([2, 8, 0, 4, 1, 9, 9, 0], [1, 3])
    array([ 8, 26,  8, 12,  7, 28, 36,  9])
    """
    return weigh(input, weights, output, mode, cval, origin, axes, turned=False)


def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Convolve an array with weights, as `scipy.ndimage.convolve` does.

    This is `correlate` with the weights reversed and not conjugated.

    >>> convolve([2, 8, 0, 4, 1, 9, 9, 0], [1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    return weigh(input, weights, output, mode, cval, origin, axes, turned=True)


def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Correlate the lines along one axis with weights, as `scipy.ndimage.correlate1d` does.

    Arguments and errors are those of `correlate`.

    >>> correlate1d([[1.0, 2.0, 4.0]], [-1, 1, 0], mode="constant")
    array([[1., 1., 2.]])
    """
    array = read_input(input)
    along = read_axis(axis, array.ndim)
    return weigh(array, weights, output, mode, cval, origin, along, turned=False)


def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Convolve the lines along one axis with weights, as `scipy.ndimage.convolve1d` does.

    >>> convolve1d([[1.0, 2.0, 4.0]], [1, -1, 0], mode="nearest")
    array([[1., 2., 0.]])
    """
    array = read_input(input)
    along = read_axis(axis, array.ndim)
    return weigh(array, weights, output, mode, cval, origin, along, turned=True)


def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    """Blur an array along its axes one after another, as `scipy.ndimage.gaussian_filter` does.

    `sigma` (standard deviation, in elements), `order` (of the derivative, 0 for none), `mode` and
    `radius` take one value for all `axes` or one for each; see `gaussian_filter1d`. A sigma of 0
    leaves its axis as it is.

    >>> gaussian_filter([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], sigma=0.5).round(2)
    array([[0.81, 0.18, 0.01],
           [0.18, 0.64, 0.18],
           [0.01, 0.18, 0.81]])
    """
    return blur(input, sigma, order, output, mode, cval, truncate, radius, axes)


def gaussian_filter1d(
    input: Any,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> Any:
    """Blur the lines along one axis, as `scipy.ndimage.gaussian_filter1d` does.

    The weights are exp(-t**2 / (2 sigma**2)) divided by their sum, for t from -radius to radius. By
    default `radius` is int(truncate * sigma + 0.5). An `order` n > 0 takes the n-th derivative of
    that. All else is as in `correlate`.

    >>> gaussian_filter1d([0.0, 0.0, 1.0, 0.0, 0.0], 1, radius=1).round(3)
    array([0.   , 0.274, 0.452, 0.274, 0.   ])
    """
    taps = gaussian(sigma, order, truncate, radius)
    return correlate1d(input, taps, axis, output, mode, cval, 0)


def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Average over a box, one axis after another, as `scipy.ndimage.uniform_filter` does.

    `size`, `mode` and `origin` take one value for all `axes` or one for each; all else is as in
    `correlate`.

    >>> uniform_filter([1.0, 4.0, 7.0, 1.0], 3)
    array([2., 4., 4., 3.])
    """
    return average(input, size, output, mode, cval, origin, axes)


def uniform_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Average `size` elements along one axis, as `scipy.ndimage.uniform_filter1d` does.

    >>> uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    """
    array = read_input(input)
    along = read_axis(axis, array.ndim)
    return average(array, read_size(size), output, mode, cval, origin, along)


def maximum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Take the largest element of a box around each, as `scipy.ndimage.maximum_filter` does.

    `size`, `mode` and `origin` take one value for all `axes` or one for each. A `footprint` with
    False elements takes one `mode` only. The result is always an element of the window, or `cval`.
    All else is as in `correlate`. Raises TypeError for complex numbers, which have no order.

    >>> maximum_filter([1, 5, 2, 0, 0], size=3)
    array([5, 5, 5, 2, 0])
    """
    return extreme("maximum_filter", input, size, footprint, output, mode, cval, origin, axes)


def minimum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Take the smallest element of a box around each, as `scipy.ndimage.minimum_filter` does.

    Arguments and errors are those of `maximum_filter`.

    >>> minimum_filter([1, 5, 2, 0, 0], size=3)
    array([1, 1, 0, 0, 0])
    """
    return extreme("minimum_filter", input, size, footprint, output, mode, cval, origin, axes)


def maximum_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Take the largest of `size` elements along one axis, as `scipy.ndimage.maximum_filter1d`.

    >>> maximum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([8, 8, 8, 4, 9, 9, 9, 9])
    """
    array = read_input(input)
    along = read_axis(axis, array.ndim)
    size = read_size(size)
    return extreme("maximum_filter", array, size, None, output, mode, cval, origin, along)


def minimum_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Take the smallest of `size` elements along one axis, as `scipy.ndimage.minimum_filter1d`.

    >>> minimum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([2, 0, 0, 0, 1, 1, 0, 0])
    """
    array = read_input(input)
    along = read_axis(axis, array.ndim)
    size = read_size(size)
    return extreme("minimum_filter", array, size, None, output, mode, cval, origin, along)
