"""What the arguments of scipy.ndimage's filters mean: borders, axes, origins and outputs, read."""

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
"""The borders of scipy.ndimage in the words of `numpy.pad`; for filters the grid-* are synonyms."""

LARGEST = 2**28
"""The elements of a window along an axis: the border alone takes gigabytes."""

FILTERED = (*"?bBhHiIlLqQ", "e", "f", "d", "F", "D")
"""The characters of the element types that can be filtered."""


class Target:
    """Where a result goes: an element type, and the array the user gave for it or None."""

    def __init__(self, dtype: np.dtype[Any], array: Numbers | None) -> None:
        self.dtype = dtype
        self.array = array

    def take(self, y: Numbers) -> Numbers:
        """Return y as the user wants it: in the array given, or else a new one."""
        y = to_type(y, self.dtype)
        if self.array is None:
            return y
        self.array[...] = y
        return self.array


def read_array(name: str, value: Any, kinds: str = "biufc") -> Numbers:
    """Return an array of numbers; `kinds` are those of its element type in the words of NumPy.

    Raises TypeError for anything else, ValueError for rows of different lengths.

    >>> read_array("weights", [1, 2])
    array([1, 2])
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` is a masked array, whose mask has no meaning here; fill it")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"`{name}` (={shown(value)}) must be an array of numbers, its rows of one length"
        ) from None
    except (TypeError, RuntimeError):
        raise TypeError(
            f"`{name}` cannot be read as an array of NumPy, which is what this function takes; "
            "pass numbers alone, a tensor as by .detach().cpu().numpy()"
        ) from None
    odd = array.dtype.kind == "O" and not all(isinstance(part, Number) for part in array.flat)
    if array.dtype.kind not in kinds or odd:
        raise TypeError(
            f"`{name}` holds {array.dtype} values; convert it to integers, float64 or complex128"
        )
    return array


def read_number(name: str, value: Any, *, imaginary: bool = False) -> Any:
    """Return one real number, or a complex one where it may be; 2**200 is one.

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
    """Return the array to filter; raise TypeError unless it holds numbers of a usual width."""
    array = read_array("input", value)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.char not in FILTERED:
        raise TypeError(
            f"`input` holds {array.dtype} values; convert it to integers, float64 or complex128"
        )
    return array


def read_target(output: Any, array: Numbers, *, complex_sums: bool = False) -> Target:
    """Read `output`: None, an element type, or an array of the shape of the input.

    With `complex_sums` the element type must hold complex numbers.
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
            raise ValueError("`output` is read-only; pass an array that may be written")
        target = Target(given.dtype, given)
    if target.dtype.char not in FILTERED:
        raise TypeError(f"`output` cannot be {target.dtype}; use a type of numbers")
    if complex_sums and target.dtype.kind != "c":
        raise ValueError(f"`output` of {target.dtype} loses the imaginary part; use complex128")
    return target


def read_border(mode: Any) -> str:
    """Return the border in the words of `numpy.pad`.

    >>> read_border("nearest")
    'edge'
    """
    if not isinstance(mode, str) or mode not in BORDERS:
        names = ", ".join(f'"{name}"' for name in BORDERS)
        raise ValueError(f"`mode` (={shown(mode)}) must be one of {names}")
    return BORDERS[mode]


def read_axis(axis: Any, count: int, name: str = "axis") -> int:
    """Return an axis counted from the front; raise ValueError when there is none.

    >>> read_axis(-1, 3)
    2
    """
    number = read_integer(name, axis)
    if not -count <= number < count:
        raise ValueError(f"`{name}` (={axis}) must be one of the {count} axes of `input`")
    return number % count


def read_axes(axes: Any, count: int) -> tuple[int, ...]:
    """Return the axes to filter, counted from the front, in the order given; all for None.

    >>> read_axes((-1, 0), 3), read_axes(None, 2)
    ((2, 0), (0, 1))
    """
    if axes is None:
        return tuple(range(count))
    several = axes if is_several(axes) else [axes]
    read = tuple(read_axis(axis, count, "axes") for axis in several)
    if len(set(read)) < len(read):
        raise ValueError(f"`axes` (={shown(axes)}) must name every axis once")
    return read


def one_each(name: str, value: Any, count: int) -> list[Any]:
    """Return one value an axis, from one for all or a sequence of `count`.

    >>> one_each("mode", "wrap", 2), one_each("sigma", (1, 2), 2)
    (['wrap', 'wrap'], [1, 2])
    """
    if not is_several(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(f"`{name}` (={shown(value)}) has {len(values)} entries for {count} axes")
    return values


def read_integer(name: str, value: Any) -> int:
    """Return an integer; True and 1.0 are none."""
    if not isinstance(value, bool | np.bool_):
        try:
            return in_reach(name, operator.index(value))
        except TypeError:
            pass
    raise TypeError(f"`{name}` (={shown(value)}) must be an integer")


def read_lead(size: int, origin: Any, turned: bool = False) -> int:
    """Return how many elements before its own a window reads; `origin` moves it to the left.

    With `turned`, the window is one whose elements were reversed, origin and all.

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
    """Return how many elements a window along one axis has, at least 1."""
    extent = read_integer("size", size)
    if not 1 <= extent <= LARGEST:
        raise ValueError(f"`size` (={size}) must be 1 to {LARGEST}")
    return extent


def read_windows(
    count: int, size: Any, mode: Any, origin: Any, axes: Any
) -> list[tuple[int, int, int, str]]:
    """Return (axis, size, lead, border) for every axis whose window has several elements.

    `lead` counts the elements that a window reads before its own, `border` is `numpy.pad`'s word.

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
    """Return x with so many elements more (before, after) it along each axis of `ends`.

    >>> extend(np.array([1, 2, 3]), {0: (2, 1)}, "symmetric", 0)
    array([2, 1, 1, 2, 3, 3])
    """
    pairs: Sequence[tuple[int, int]] = [ends.get(axis, (0, 0)) for axis in range(x.ndim)]
    if not any(before or after for before, after in pairs):
        return x
    options = {"constant_values": cval} if border == "constant" else {}
    return np.asarray(np.pad(x, pairs, mode=border, **options))  # type: ignore[call-overload]


def to_type(y: Numbers, dtype: np.dtype[Any]) -> Numbers:
    """Return y in an element type as C converts: towards zero, integers going round at the ends.

    Raises ValueError for what no integer can hold.

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
    """Return floats as integers, by way of 64 bits; the upper half of uint64 has a way of its own.

    Beyond these C's conversion means nothing.
    """
    top = 2.0**64 if dtype == np.uint64 else 2.0**63
    if y.size and not (y.min() >= -(2.0**63) and y.max() < top):
        raise ValueError(
            f"`output` of {dtype} cannot hold numbers as those of the result, which are not finite "
            "or of more than 64 bits; pass output=float64"
        )
    if dtype == np.uint64:
        upper = y >= 2.0**63
        return np.where(
            upper, y.astype(np.uint64), np.where(upper, 0, y).astype(np.int64).view(dtype)
        )
    return y.astype(np.int64).astype(dtype)
