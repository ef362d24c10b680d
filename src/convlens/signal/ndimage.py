"""The names and signatures of scipy.ndimage's filters: a user changes one import.

Arguments, defaults, element types and results are those of SciPy 1.17, computed by
`convlens.compute.conv`, `max_pool` and `avg_pool`. Arithmetic is in float32 where input and output
hold float32 (SciPy's is always in float64), else in float64; results in integers are then cut
towards zero, after every axis of a separable filter, as SciPy does. A sum over n weights lies
within gamma(n + 2) * sum|x||w| of the exact one, gamma(n) = n u / (1 - n u) (Higham, *Accuracy and
Stability*, 2nd ed., section 3.1), unless so large a kernel was left to a Fourier transform: then
within 1e-5 of the root mean square of the result. So an integer may differ by one from SciPy's
where the exact sum lies that near to a whole number; with whole weights it never does.

Integers are exact where SciPy, which computes them all in float64, ends at 2**53: extremes are
elements of their window, sums with whole weights are exact modulo 2**64 and means of integers
before they are cut, if the result is one of integers.

Where SciPy has no rule, ours: not-a-number reaches the windows that contain it, no others, and
always wins a maximum; a weight below 2.2e-16 still counts; what integers cannot hold is refused.
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

    `weights` has one axis for every one of `axes` (all unless given). `mode` says what lies beyond
    the border: "reflect" (d c b a | a b c d | d c b a), "constant" (`cval`), "nearest", "mirror"
    (d c b | a b c d | c b a), "wrap", or a synonym "grid-mirror", "grid-constant", "grid-wrap".
    `origin` moves the weights to the left, one shift for all axes or one each; `output` is an
    element type or an array to write to. Complex weights are conjugated.

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

    That is `correlate` with the weights turned round and not conjugated.

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

    `sigma` (standard deviation, in elements), `order` (0, or the derivative taken), `mode` and
    `radius` are one for all `axes` or one each; see `gaussian_filter1d`. Axes of sigma 0 are left
    as they are.

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

    The weights are exp(-t**2 / (2 sigma**2)) for t up to `radius`, int(truncate * sigma + 0.5)
    unless given, divided by their sum; for `order` n > 0 the n-th derivative of that. All else is
    as in `correlate`.

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

    `size`, `mode` and `origin` are one for all `axes` or one each; all else is as in `correlate`.

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
    """Take the largest element of a box round each, as `scipy.ndimage.maximum_filter` does.

    `size`, `mode` and `origin` are one for all `axes` or one each; with a `footprint` that leaves
    elements of its box out, there is one `mode`. The result is an element of the window, whatever
    its type. All else is as in `correlate`; complex numbers have no largest (TypeError).

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
    """Take the smallest element of a box round each, as `scipy.ndimage.minimum_filter` does.

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
