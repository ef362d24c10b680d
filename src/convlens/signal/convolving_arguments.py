"""Read the arguments of scipy.signal's convolutions as SciPy reads them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from convlens.compute.reading.windows import is_several, shown
from convlens.signal.ndimage_arguments import read_array
from convlens.signal.sliding import Numbers

__all__ = [
    "BOUNDARIES",
    "KINDS",
    "METHOD_NAMES",
    "MODES",
    "check_one_of",
    "is_larger",
    "read_arrays",
    "read_axes",
    "read_fill",
    "read_images",
]

KINDS = "biufcO"
"""The kinds of element types that can be convolved, as in `dtype.kind`; SciPy handles objects."""

MODES = ("full", "valid", "same")

METHOD_NAMES = ("auto", "direct", "fft")

BOUNDARIES = {
    "fill": "constant",
    "pad": "constant",
    "wrap": "wrap",
    "circular": "wrap",
    "symm": "symmetric",
    "symmetric": "symmetric",
}
"""The boundaries of `convolve2d`, and the mode of `numpy.pad` for each."""


def read_arrays(in1: Any, in2: Any) -> tuple[Numbers, Numbers]:
    """Return both inputs as arrays; raise TypeError or ValueError unless they can be convolved."""
    one, two = read_array("in1", in1, KINDS), read_array("in2", in2, KINDS)
    if one.ndim != two.ndim:
        raise ValueError(
            f"`in1` has {one.ndim} axes but `in2` {two.ndim}; give both equally many: add axes of "
            "size 1"
        )
    return one, two


def read_images(in1: Any, in2: Any, mode: str, boundary: str) -> tuple[Numbers, Numbers]:
    """Return both inputs as images; raise TypeError or ValueError if an argument does not fit."""
    one, two = read_array("in1", in1, KINDS), read_array("in2", in2, KINDS)
    check_one_of("mode", mode, MODES)
    check_one_of("boundary", boundary, tuple(BOUNDARIES))
    for name, array in (("in1", one), ("in2", two)):
        if array.ndim != 2 or array.size == 0:
            raise ValueError(
                f"`{name}` has shape {array.shape}; give an image with two axes and some elements"
            )
    return one, two


def check_one_of(name: str, value: Any, names: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `names`."""
    if not isinstance(value, str) or value not in names:
        choices = ", ".join(f'"{known}"' for known in names)
        raise ValueError(f"`{name}` (={shown(value)}) must be one of {choices}")


def is_larger(one: Sequence[int], two: Sequence[int], axes: Iterable[int]) -> bool:
    """Return whether `in2` is the larger; raise ValueError unless one is along every axis."""
    pairs = [(one[axis], two[axis]) for axis in axes]
    if all(n >= m for n, m in pairs):
        return False
    if all(m >= n for n, m in pairs):
        return True
    raise ValueError(
        f'`in1` and `in2` have shapes {tuple(one)} and {tuple(two)}; for `mode` "valid" one must '
        "be at least as large as the other along every axis"
    )


def read_axes(axes: Any, count: int) -> list[int]:
    """Return the axes, counted from 0; None means all `count`. Raise ValueError for others."""
    if axes is None:
        return list(range(count))
    try:
        several = axes if is_several(axes) else [axes]
        read = [operator.index(axis) for axis in several]
    except TypeError:
        raise ValueError(
            f"`axes` (={shown(axes)}) must be an integer or several integers"
        ) from None
    if not read or any(not -count <= axis < count for axis in read):
        raise ValueError(f"`axes` (={shown(axes)}) must be one or several, {-count} to {count - 1}")
    read = [axis % count for axis in read]
    if len(set(read)) < len(read):
        raise ValueError(f"`axes` (={shown(axes)}) must name each axis only once")
    return read


def read_fill(fillvalue: Any, dtype: np.dtype[Any]) -> Any:
    """Return the fill value in the element type of the result; raise ValueError if it cannot."""
    value = read_array("fillvalue", fillvalue, KINDS)
    if value.size != 1:
        raise ValueError(f"`fillvalue` has shape {value.shape}; give one number")
    number = value.item()
    if not isinstance(number, Number):
        raise ValueError(f"`fillvalue` (={shown(fillvalue)}) must be a number")
    if isinstance(number, complex) and dtype.kind != "c" and number.imag == 0:
        number = number.real
    try:
        if dtype.kind in "ui":
            number = int(number)
            if not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
                raise OverflowError
        return np.array(number).astype(dtype) if dtype.kind in "bO" else dtype.type(number)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"`fillvalue` (={shown(fillvalue)}) must be a number that {dtype} can hold"
        ) from None
