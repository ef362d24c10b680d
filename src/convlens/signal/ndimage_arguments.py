"""Read the arguments of scipy.ndimage's filters: borders, axes, origins and outputs."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from convlens.compute.reading.windows import is_several, shown
from convlens.integers import in_reach
from convlens.signal.sliding import Ends, Numbers

__all__ = [
    "BORDERS",
    "LARGEST",
    "Target",
    "extend",
    "one_each",
    "read_array",
    "read_axes",
    "read_axis",
    "read_border",
    "read_input",
    "read_integer",
    "read_lead",
    "read_number",
    "read_size",
    "read_target",
    "read_windows",
    "to_type",
]

BORDERS = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "constant": "constant",
    "grid-constant": "constant",
    "nearest": "edge",
    "mirror": "reflect",
    "wrap": "wrap",
    "grid-wrap": "wrap",
}
"""The borders of scipy.ndimage, and the mode of `numpy.pad` for each; "grid-*" are synonyms."""

LARGEST = 2**28
"""The largest window along one axis, in elements; its border alone takes gigabytes."""

FILTERED = (*"?bBhHiIlLqQ", "e", "f", "d", "F", "D")
"""The `dtype.char` of the element types that can be filtered."""


class Target:
    """The element type of a result, and the user's array to write it to, or None."""

    def __init__(self, dtype: np.dtype[Any], array: Numbers | None) -> None:
        self.dtype = dtype
        self.array = array

    def take(self, y: Numbers) -> Numbers:
        """Return y in the target's type, written to the user's array if there is one."""
        y = to_type(y, self.dtype)
        if self.array is None:
            return y
        self.array[...] = y
        return self.array


def read_array(name: str, value: Any, kinds: str = "biufc") -> Numbers:
    """Return an array of numbers; `kinds` are the accepted values of `dtype.kind`.

    Raises TypeError for anything else, ValueError for rows of different lengths.

    >>> read_array("weights", [1, 2])
    array([1, 2])
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` is a masked array; masks are not supported: use .filled()")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"`{name}` (={shown(value)}) must be an array of numbers, with rows of equal length"
        ) from None
    except (TypeError, RuntimeError):
        raise TypeError(
            f"`{name}` cannot be converted to a NumPy array; pass numbers only, and a tensor "
            "as .detach().cpu().numpy()"
        ) from None
    odd = array.dtype.kind == "O" and not all(isinstance(part, Number) for part in array.flat)
    if array.dtype.kind not in kinds or odd:
        raise TypeError(
            f"`{name}` holds {array.dtype} values; convert it to integers, float64 or complex128"
        )
    return array


def read_number(name: str, value: Any, *, imaginary: bool = False) -> Any:
    """Return one real number, or with `imaginary` a complex one; integers may be any size.

    >>> read_number("cval", np.float32(0.5))
    np.float32(0.5)
    """
    if isinstance(value, int):
        return value
    array = read_array(name, value, "biufc" if imaginary else "biuf")
    if array.ndim != 0:
        raise ValueError(f"`{name}` (={shown(value)}) must be one number")
    return array[()]


def read_input(value: Any) -> Numbers:
    """Return the array to filter in native byte order; raise TypeError unless it is `FILTERED`."""
    array = read_array("input", value)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.char not in FILTERED:
        raise TypeError(
            f"`input` holds {array.dtype} values; convert it to integers, float64 or complex128"
        )
    return array


def read_target(output: Any, array: Numbers, *, complex_sums: bool = False) -> Target:
    """Read `output`: None, an element type, or an array with the shape of the input.

    With `complex_sums`, its element type must be complex.
    """
    if output is None:
        wide = np.promote_types(array.dtype, np.complex64)
        return Target(wide if complex_sums else array.dtype, None)
    if isinstance(output, type | np.dtype | str):
        try:
            target = Target(np.dtype(output), None)
        except TypeError:
            raise TypeError(f"`output` (={shown(output)}) must name an element type") from None
    else:
        given = output if isinstance(output, np.ndarray) else np.empty(0)
        if given.shape != array.shape or given is not output:
            raise ValueError(
                f"`output` (={shown(output)}) must be None, an element type or an array of shape "
                f"{array.shape}"
            )
        if not given.flags.writeable:
            raise ValueError("`output` is read-only; pass a writeable array")
        target = Target(given.dtype, given)
    if target.dtype.char not in FILTERED:
        raise TypeError(f"`output` cannot be {target.dtype}; use a numeric type, such as float64")
    if complex_sums and target.dtype.kind != "c":
        raise ValueError(f"`output` of {target.dtype} has no imaginary part; use complex128")
    return target


def read_border(mode: Any) -> str:
    """Return the mode of `numpy.pad` for a border.

    >>> read_border("nearest")
    'edge'
    """
    if not isinstance(mode, str) or mode not in BORDERS:
        names = ", ".join(f'"{name}"' for name in BORDERS)
        raise ValueError(f"`mode` (={shown(mode)}) must be one of {names}")
    return BORDERS[mode]


def read_axis(axis: Any, count: int, name: str = "axis") -> int:
    """Return an axis counted from the front; raise ValueError if there is no such axis.

    >>> read_axis(-1, 3)
    2
    """
    number = read_integer(name, axis)
    if not -count <= number < count:
        raise ValueError(f"`{name}` (={axis}) must be one of the {count} axes of `input`, from 0")
    return number % count


def read_axes(axes: Any, count: int) -> tuple[int, ...]:
    """Return the axes to filter, counted from the front, in the given order; None means all.

    >>> read_axes((-1, 0), 3), read_axes(None, 2)
    ((2, 0), (0, 1))
    """
    if axes is None:
        return tuple(range(count))
    several = axes if is_several(axes) else [axes]
    read = tuple(read_axis(axis, count, "axes") for axis in several)
    if len(set(read)) < len(read):
        raise ValueError(f"`axes` (={shown(axes)}) must name each axis only once")
    return read


def one_each(name: str, value: Any, count: int) -> list[Any]:
    """Return one value per axis, from one value for all or a sequence of `count`.

    >>> one_each("mode", "wrap", 2), one_each("sigma", (1, 2), 2)
    (['wrap', 'wrap'], [1, 2])
    """
    if not is_several(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(
            f"`{name}` (={shown(value)}) has {len(values)} entries for {count} axes; give one "
            "value for all, or one per axis"
        )
    return values


def read_integer(name: str, value: Any) -> int:
    """Return a plain int; reject booleans and floats, even 1.0."""
    if not isinstance(value, bool | np.bool_):
        try:
            return in_reach(name, operator.index(value))
        except TypeError:
            pass
    raise TypeError(f"`{name}` (={shown(value)}) must be an integer")


def read_lead(size: int, origin: Any, turned: bool = False) -> int:
    """Return how many elements before its own a window reads; `origin` moves it to the left.

    With `turned`, the window was reversed, and its origin with it.

    >>> read_lead(3, 0), read_lead(4, 0), read_lead(3, 1), read_lead(4, 0, turned=True)
    (1, 2, 2, 1)
    """
    shift = read_integer("origin", origin)
    lead = (size - 1) // 2 - shift if turned else size // 2 + shift
    if not 0 <= lead < size:
        low, high = -(size // 2), (size - 1) // 2
        raise ValueError(f"`origin` (={origin}) must be {low} to {high} for a size of {size}")
    return lead


def read_size(size: Any) -> int:
    """Return the elements of a window along one axis, 1 to `LARGEST`."""
    extent = read_integer("size", size)
    if not 1 <= extent <= LARGEST:
        raise ValueError(f"`size` (={size}) must be 1 to {LARGEST}")
    return extent


def read_windows(
    count: int, size: Any, mode: Any, origin: Any, axes: Any
) -> list[tuple[int, int, int, str]]:
    """Return (axis, size, lead, border) for every axis whose window has several elements.

    `lead` counts the elements that a window reads before its own; `border` is a `numpy.pad` mode.

    >>> read_windows(2, (3, 1), "nearest", 0, None)
    [(0, 3, 1, 'edge')]
    """
    along = read_axes(axes, count)
    given = (("size", size), ("origin", origin), ("mode", mode))
    settings = [one_each(name, value, len(along)) for name, value in given]
    settings[0] = [read_size(extent) for extent in settings[0]]
    return [
        (axis, extent, read_lead(extent, shift), read_border(border))
        for axis, extent, shift, border in zip(along, *settings, strict=True)
        if extent > 1
    ]


def extend(x: Numbers, ends: Ends, border: str, cval: Any) -> Numbers:
    """Return x padded with `ends` elements (before, after) it along each axis.

    >>> extend(np.array([1, 2, 3]), {0: (2, 1)}, "symmetric", 0)
    array([2, 1, 1, 2, 3, 3])
    """
    pairs: Sequence[tuple[int, int]] = [ends.get(axis, (0, 0)) for axis in range(x.ndim)]
    if not any(before or after for before, after in pairs):
        return x
    options = {"constant_values": cval} if border == "constant" else {}
    return np.asarray(np.pad(x, pairs, mode=border, **options))  # type: ignore[call-overload]


def to_type(y: Numbers, dtype: np.dtype[Any]) -> Numbers:
    """Return y in another element type, as C converts: cut towards zero, wrapped around.

    Raises ValueError for NaN, infinities and floats beyond 64 bits if `dtype` holds integers.

    >>> to_type(np.array([1.7, -0.7, -1.2, 257.0]), np.dtype("uint8"))
    array([  1,   0, 255,   1], dtype=uint8)
    """
    if dtype == y.dtype:
        return y
    with np.errstate(invalid="ignore", over="ignore"):
        if y.dtype.kind in "fc" and dtype.kind == "b":
            return np.asarray(np.trunc(y) != 0)
        if y.dtype.kind == "f" and dtype.kind in "ui":
            return _to_whole(y, dtype)
        return y.astype(dtype)


def _to_whole(y: Numbers, dtype: np.dtype[Any]) -> Numbers:
    """Return floats as integers, converted through int64, the upper half of uint64 directly.

    For floats beyond 64 bits, C leaves the conversion undefined.
    """
    top = 2.0**64 if dtype == np.uint64 else 2.0**63
    if y.size and not (y.min() >= -(2.0**63) and y.max() < top):
        raise ValueError(
            f"`output` of {dtype} cannot hold the result, which is not finite or needs more than "
            "64 bits; pass output=float64"
        )
    if dtype == np.uint64:
        upper = y >= 2.0**63
        return np.where(
            upper, y.astype(np.uint64), np.where(upper, 0, y).astype(np.int64).view(dtype)
        )
    return y.astype(np.int64).astype(dtype)
