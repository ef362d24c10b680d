"""Read the user's sizes, strides, dilations and paddings into one window per axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor
from torch import bool as torch_bool
from torch.compiler import is_compiling

from convlens.integers import in_reach, shown
from convlens.windows import PADDINGS, TransposedWindow, Window

__all__ = [
    "OURS",
    "TORCHS",
    "Words",
    "check_fit",
    "in_64_bits",
    "is_several",
    "per_axis",
    "read_integer",
    "read_transposed",
    "read_windows",
    "shown",
]

MOST = 2**62
"""The largest option that torch's operators accept; the sum of two stays within 64 bits."""


@dataclass(frozen=True)
class Words:
    """The called function's names for its input and for the size of its windows."""

    x: str
    size: str


OURS, TORCHS = Words("x", "size"), Words("input", "kernel_size")

Ends = str | tuple[int, int]


def read_windows(
    size: tuple[int, ...],
    space: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    *,
    ceil: bool = False,
) -> tuple[Window, ...]:
    """Return one window per axis of `space`, the lengths of the input.

    >>> read_windows((3,), (8,), 2, "same_upper", 1)
    (Window(size=3, stride=2, dilation=1, before=0, after=1, ceil=False),)
    """
    axes = len(size)
    strides = per_axis("stride", stride, axes, least=1)
    dilations = per_axis("dilation", dilation, axes, least=1)
    windows = []
    for k, s, d, n, ends in zip(size, strides, dilations, space, _ends(padding, axes), strict=True):
        if isinstance(ends, str):
            padded = Window.padded(ends, k, s, d, n)
            ends = padded.before, padded.after
        windows.append(Window(k, s, d, *ends, ceil))
    return tuple(windows)


def read_transposed(
    size: tuple[int, ...], stride: Any, padding: Any, dilation: Any, output_padding: Any
) -> tuple[TransposedWindow, ...]:
    """Return one transposed window per axis.

    >>> read_transposed((3,), 2, 1, 1, 0)
    (TransposedWindow(size=3, stride=2, dilation=1, before=1, after=1, output_padding=0),)
    """
    axes = len(size)
    strides = per_axis("stride", stride, axes, least=1)
    dilations = per_axis("dilation", dilation, axes, least=1)
    added = per_axis("output_padding", output_padding, axes, least=0)
    rows = zip(size, strides, dilations, _ends(padding, axes), added, strict=True)
    return tuple(
        TransposedWindow.padded(ends, k, s, d, a)
        if isinstance(ends, str)
        else TransposedWindow(k, s, d, *ends, a)
        for k, s, d, ends, a in rows
    )


def check_fit(operation: str, windows: Sequence[Any], space: tuple[int, ...], words: Words) -> None:
    """Raise ValueError, in the called function's words, if a window is larger than its input.

    >>> check_fit("conv", (Window(3),), (3,), OURS)
    """
    for axis, (window, n) in enumerate(zip(windows, space, strict=True)):
        if not isinstance(window, Window):
            continue
        room = window.before + n + window.room_after
        if window.extent <= room:
            continue
        what = f"`{words.size}` (={window.size})"
        if operation == "conv":
            what = f"`weight` has a kernel of size {window.size}, which"
        raise ValueError(
            f"{what} with `dilation` {window.dilation} spans {window.extent} positions along axis "
            f"{axis} of space, but `{words.x}` has {n}, with `padding` {window.before} + "
            f"{window.after} only {window.before + n + window.after}; pad {window.extent - room} "
            "more, or use a smaller kernel or dilation"
        )


def in_64_bits(
    windows: Sequence[Any], space: tuple[int, ...], words: Words = OURS
) -> tuple[Any, ...]:
    """Return equivalent windows in integers that an operator of torch accepts.

    A huge stride does not matter if there is one output, nor a huge dilation if there is one tap:
    these are shortened. Raises ValueError for other values above `MOST`.

    >>> in_64_bits((Window(3, stride=2**63),), (8,))[0].outputs(8)
    1
    """
    found = []
    for window, n in zip(windows, space, strict=True):
        if max(window.stride, window.dilation) > MOST:
            window = _shortened(window, n)
        given = {
            "stride": window.stride,
            "dilation": window.dilation,
            "padding": max(window.before, window.after),
            words.size: window.size,
        }
        for name, value in given.items():
            if value > MOST:
                raise ValueError(
                    f"`{name}` (={value}) must be at most {MOST} if torch follows the call, such "
                    "as to compute a gradient; use less"
                )
        found.append(window)
    return tuple(found)


def _shortened(window: Any, n: int) -> Any:
    """Return a window with a smaller stride and dilation that reads the same of n inputs."""
    if isinstance(window, Window):
        room = window.before + n + window.room_after
        stride = min(window.stride, room) if window.outputs(n) == 1 else window.stride
        dilation = 1 if window.size == 1 else window.dilation
        return replace(window, stride=stride, dilation=dilation)
    stride, dilation = window.stride, window.dilation
    if n == 1:
        stride = min(stride, window.output_padding + 1)
    if window.size == 1:
        dilation = min(dilation, window.output_padding + 1)
    return replace(window, stride=stride, dilation=dilation)


def per_axis(name: str, value: Any, axes: int, *, least: int) -> tuple[int, ...]:
    """Return one integer per axis, from one integer for all axes or a sequence.

    >>> per_axis("stride", 2, 3, least=1)
    (2, 2, 2)
    """
    if not is_several(value):
        return (read_integer(name, value, least),) * axes
    values = tuple(read_integer(name, entry, least) for entry in value)
    if len(values) != axes:
        raise ValueError(
            f"`{name}` (={shown(value)}) has {len(values)} entries; give one integer or {axes}"
        )
    return values


def read_integer(name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`; reject booleans and floats, even 1.0.

    >>> read_integer("groups", 2, 1)
    2
    """
    number = None
    if not _is_no_number(value):
        try:
            number = operator.index(value)
        except TypeError:
            number = None
    if number is None:
        kind = type(value).__name__
        raise TypeError(f"`{name}` (={shown(value)}) must be an integer, not {kind}")
    if not is_compiling():  # a symbolic integer has no number of bits
        in_reach(name, number)
    if number < least:
        raise ValueError(f"`{name}` (={number}) must be at least {least}; use {least} or more")
    return number


def is_several(value: Any) -> bool:
    """Return whether a value is a sequence or an array with axes; a string is a single value.

    >>> is_several((1, 2)), is_several("same"), is_several({1, 2})
    (True, False, False)
    """
    if isinstance(value, np.ndarray | Tensor):
        return value.ndim > 0 and not getattr(value, "is_nested", False)
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _is_no_number(value: Any) -> bool:
    """Return whether a value is a boolean, or a tensor of booleans or not of one number."""
    if isinstance(value, Tensor):
        return value.is_nested or value.is_meta or value.dtype is torch_bool or value.numel() != 1
    return isinstance(value, bool | np.bool_)


def _ends(padding: Any, axes: int) -> list[Ends]:
    """Read a padding: an integer or a name, or a sequence with one of these or a pair per axis."""
    if isinstance(padding, str):
        return [_named(padding)] * axes
    if not is_several(padding):
        return [_pair(padding)] * axes
    entries = list(padding)
    if len(entries) != axes:
        cure = f"give {axes}"
        if axes == 1 and len(entries) == 2:
            cure = f"a pair for one axis is [{shown(padding)}]"
        raise ValueError(
            f"`padding` (={shown(padding)}) has {len(entries)} entries for {axes} axes; {cure}"
        )
    return [_named(entry) if isinstance(entry, str) else _pair(entry) for entry in entries]


def _named(name: str) -> str:
    if name not in PADDINGS:
        names = ", ".join(f'"{known}"' for known in PADDINGS)
        raise ValueError(
            f"`padding` (={shown(name)}) must be one of {names}, an integer, one integer per axis, "
            "or a pair per axis"
        )
    return name


def _pair(entry: Any) -> tuple[int, int]:
    low, high = per_axis("padding", entry, 2, least=0)
    return low, high
