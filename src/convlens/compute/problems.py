"""One convolution or pooling, read and checked: all that a method needs to know beside numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Generic, TypeVar

from convlens.windows import TransposedWindow, Window

__all__ = ["Problem", "Unfit", "Unsuited"]


T = TypeVar("T")


class _Once(Generic[T]):
    """A property computed once; that of functools has a lock, which torch.compile cannot see."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    def __get__(self, problem: Any, owner: type | None = None) -> T:
        value = self.compute(problem)
        problem.__dict__[self.name] = value
        return value


class Unfit(ArithmeticError):
    """A method has met numbers for which it is not right; one that sums directly must do it."""


class Unsuited(ValueError):
    """A method finds, on seeing the weights, that it cannot do a problem it did not refuse."""


@dataclass(frozen=True)
class Problem:
    """What is asked for, with nothing left to interpret; made by `convlens.compute.reading`.

    `operation` is "conv", "conv_transpose", "max_pool" or "avg_pool"; `batch`, `channels` and
    `space` are the sizes of the input (`channels_out` and `outputs` those of the result);
    `windows` has one window an axis of space. `dtype` is the name of the element type, `device`
    torch's name of the place the arrays lie. `gradient` says that torch will want to go back,
    `out_dtype` names the element type of the result where it is not that of the input.

    >>> Problem("max_pool", 1, 3, (8,), 3, (Window(2, stride=2),), "float32").outputs
    (4,)
    """

    operation: str
    batch: int
    channels: int
    space: tuple[int, ...]
    channels_out: int
    windows: tuple[Window | TransposedWindow, ...]
    dtype: str
    device: str = "cpu"
    groups: int = 1
    padding_mode: str = "zeros"
    batched: bool = True
    gradient: bool = False
    return_indices: bool = False
    count_include_pad: bool = True
    out_dtype: str | None = None

    @property
    def y_dtype(self) -> str:
        """Return the name of the element type of the result."""
        return self.out_dtype or self.dtype

    @_Once
    def outputs(self) -> tuple[int, ...]:
        """Return the size of the result along every axis of space."""
        pairs = zip(self.windows, self.space, strict=True)
        return tuple(window.outputs(n) for window, n in pairs)

    @_Once
    def size(self) -> tuple[int, ...]:
        """Return the size of the window along every axis of space, in taps."""
        return tuple(window.size for window in self.windows)

    @_Once
    def x_shape(self) -> tuple[int, ...]:
        """Return the shape the user's input has: (n, c, *space), or (c, *space) without batch."""
        return ((self.batch,) if self.batched else ()) + (self.channels, *self.space)

    @_Once
    def y_shape(self) -> tuple[int, ...]:
        """Return the shape of the result: (n, k, *outputs), or (k, *outputs) without batch."""
        return ((self.batch,) if self.batched else ()) + (self.channels_out, *self.outputs)

    @property
    def weight_shape(self) -> tuple[int, ...] | None:
        """Return (k, c / groups, *size), transposed (c, k / groups, *size), None for pooling."""
        if self.operation == "conv":
            return (self.channels_out, self.channels // self.groups, *self.size)
        if self.operation == "conv_transpose":
            return (self.channels, self.channels_out // self.groups, *self.size)
        return None

    @property
    def steps(self) -> int:
        """Return the number of products, comparisons or sums, those on padding included.

        >>> Problem("conv", 1, 4, (16, 16), 2, (Window(3), Window(3)), "float32").steps
        14112
        """
        if self.operation == "conv_transpose":
            places = prod(self.space) * self.channels
            each = self.channels_out // self.groups
        else:
            places = prod(self.outputs) * self.channels_out
            each = self.channels // self.groups if self.operation == "conv" else 1
        return self.batch * places * each * prod(self.size)
