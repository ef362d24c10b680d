"""Describe one convolution or pooling completely: all that a method must know but the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch

from convlens.windows import TransposedWindow, Window

__all__ = [
    "DTYPES",
    "AvgPool",
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "Pool",
    "Problem",
    "Unfit",
    "Unsuited",
]

DTYPES: dict[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "uint8": torch.uint8,
    "uint16": torch.uint16,
    "uint32": torch.uint32,
    "uint64": torch.uint64,
}
"""The element types we compute with, by name."""

T = TypeVar("T")


class _Once(Generic[T]):
    """A property computed once; functools' has a lock, which torch.compile cannot trace."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    def __get__(self, problem: Any, owner: type | None = None) -> T:
        value = self.compute(problem)
        problem.__dict__[self.name] = value
        return value


class Unfit(ArithmeticError):
    """Numbers for which a method is inaccurate, so that a plain sum must compute them."""


class Unsuited(ValueError):
    """Weights that a method cannot compute with, though it accepted the problem."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A fully specified operation, made by `convlens.compute.reading`.

    `batch`, `channels` and `space` are the sizes of the input, `channels_out` and `outputs` those
    of the result; `windows` has one window for each axis of space. `dtype` is the name of the
    element type, `device` torch's name for the device of the arrays. `gradient` says that torch
    will differentiate the result.
    """

    operation: ClassVar[str]
    spoken: ClassVar[str]
    """The name of the operation in a sentence."""
    plural: ClassVar[str]
    """The name of several such operations in a sentence."""

    space: tuple[int, ...]
    windows: tuple[Window | TransposedWindow, ...]
    dtype: str
    batch: int = 1
    channels: int = 1
    channels_out: int = 1
    device: str = "cpu"
    batched: bool = True
    gradient: bool = False

    @property
    def groups(self) -> int:
        """The number of groups that the channels are divided into."""
        return 1

    @property
    def padding_mode(self) -> str:
        """The values of the padding, by torch's name for them."""
        return "zeros"

    @property
    def out_dtype(self) -> str | None:
        """The element type of the result where it is not that of the input."""
        return None

    @property
    def return_indices(self) -> bool:
        """Whether the places of the maxima are asked for."""
        return False

    def in_type(self, dtype: str) -> Self:
        """Return the same problem for arrays of another element type, and a result of that type."""
        plain: dict[str, Any] = {} if self.out_dtype is None else {"out_dtype": None}
        return replace(self, dtype=dtype, **plain)

    @property
    def y_dtype(self) -> str:
        """The name of the element type of the result."""
        return self.out_dtype or self.dtype

    @_Once
    def outputs(self) -> tuple[int, ...]:
        """Return the size of the result along each axis of space."""
        pairs = zip(self.windows, self.space, strict=True)
        return tuple(window.outputs(n) for window, n in pairs)

    @_Once
    def size(self) -> tuple[int, ...]:
        """Return the size of the window along each axis of space, in taps."""
        return tuple(window.size for window in self.windows)

    @_Once
    def x_shape(self) -> tuple[int, ...]:
        """Return the shape of the user's input: (n, c, *space), or (c, *space) without batch."""
        return ((self.batch,) if self.batched else ()) + (self.channels, *self.space)

    @_Once
    def y_shape(self) -> tuple[int, ...]:
        """Return the shape of the result: (n, k, *outputs), or (k, *outputs) without batch."""
        return ((self.batch,) if self.batched else ()) + (self.channels_out, *self.outputs)

    @property
    def weight_shape(self) -> tuple[int, ...] | None:
        """The shape (k, c / groups, *size), transposed (c, k / groups, *size), None for pooling."""
        return None

    @property
    def steps(self) -> int:
        """The number of products, comparisons or sums, those on padding included.

        >>> plane = (Window(3), Window(3))
        >>> Conv(space=(16, 16), windows=plane, dtype="float32", channels=4, channels_out=2).steps
        14112
        """
        return self.batch * prod(self.outputs) * self.channels_out * prod(self.size)


@dataclass(frozen=True, kw_only=True)
class Conv(Problem):
    """A convolution without a flip; `out_dtype` names the result's type where it is wider."""

    operation: ClassVar[str] = "conv"
    spoken: ClassVar[str] = "convolution"
    plural: ClassVar[str] = "convolutions"

    windows: tuple[Window, ...]
    groups: int = 1
    padding_mode: str = "zeros"
    out_dtype: str | None = None

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape (k, c / groups, *size)."""
        return (self.channels_out, self.channels // self.groups, *self.size)

    @property
    def steps(self) -> int:
        """The number of products, those with padding included."""
        return super().steps * (self.channels // self.groups)


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(Problem):
    """A transposed convolution; `out_dtype` names the result's type where it is wider."""

    operation: ClassVar[str] = "conv_transpose"
    spoken: ClassVar[str] = "transposed convolution"
    plural: ClassVar[str] = "transposed convolutions"

    windows: tuple[TransposedWindow, ...]
    groups: int = 1
    out_dtype: str | None = None

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape (c, k / groups, *size)."""
        return (self.channels, self.channels_out // self.groups, *self.size)

    @property
    def steps(self) -> int:
        """The number of products."""
        places = self.batch * prod(self.space) * self.channels
        return places * (self.channels_out // self.groups) * prod(self.size)


@dataclass(frozen=True, kw_only=True)
class Pool(Problem):
    """A pooling: it has as many channels out as in.

    >>> MaxPool(space=(8,), windows=(Window(2, 2),), dtype="float32").outputs
    (4,)
    """

    spoken: ClassVar[str] = "pooling"
    plural: ClassVar[str] = "poolings"

    channels_out: int = field(init=False)
    windows: tuple[Window, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels_out", self.channels)


@dataclass(frozen=True, kw_only=True)
class MaxPool(Pool):
    """The largest element of every window, and its place if `return_indices`."""

    operation: ClassVar[str] = "max_pool"
    spoken: ClassVar[str] = "maximum pooling"

    return_indices: bool = False


@dataclass(frozen=True, kw_only=True)
class AvgPool(Pool):
    """The mean of every window, whose divisor counts zeros of padding if `count_include_pad`."""

    operation: ClassVar[str] = "avg_pool"
    spoken: ClassVar[str] = "average pooling"

    count_include_pad: bool = True
