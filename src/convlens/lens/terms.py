"""The terms one number is made of, and the account of how they make it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from convlens.lens.recording import Recording

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Element = tuple[int, int]
"""An element of a recording: its value's id, and its flat position in it."""

Origin = tuple[Ints, Ints]
"""Of every element of a value, the element it is a copy of: value ids, and flat positions."""

PADDING = -1
"""The source of a term that reads padding, which is not an element of any value."""


@dataclass(frozen=True, eq=False)
class Terms:
    """T terms, each `value * weight = product`, as arrays of length T.

    `source` is the value id a term reads (-1: padding) and `position` the flat index in it;
    `weight_source` and `weight_position` say the same of the weight (-1: computed, an element of
    nothing; in a quotient the weight is one over that element; of a region they say which box it
    is, at its first corner, of a copy which index chose it). `arrangement` is the shape the terms
    are laid out in: (channels, *window) for a window, (features,) for a dot product.
    """

    source: Ints
    position: Ints
    value: Floats
    weight: Floats
    product: Floats
    weight_source: Ints
    weight_position: Ints
    arrangement: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.value)

    def index(self, term: int, recording: Recording) -> tuple[int, ...]:
        """The index of a term's element in the value it reads; () for padding."""
        if self.source[term] < 0:
            return ()
        shape = recording.values[int(self.source[term])].shape
        return unravel(int(self.position[term]), shape)

    @classmethod
    def build(
        cls,
        source: int | npt.ArrayLike,
        position: npt.ArrayLike,
        value: npt.ArrayLike,
        weight: float | npt.ArrayLike = 1.0,
        *,
        weight_source: int | npt.ArrayLike = PADDING,
        weight_position: npt.ArrayLike = PADDING,
        arrangement: Sequence[int] | None = None,
    ) -> Terms:
        """Terms from arrays of one shape (numbers are repeated); the products are taken here."""
        values = np.asarray(value, np.float64)
        shape = values.shape

        def ints(array: Any) -> Ints:
            return np.broadcast_to(np.asarray(array, np.int64), shape).reshape(-1)

        weights = np.broadcast_to(np.asarray(weight, np.float64), shape).reshape(-1)
        values = values.reshape(-1)
        with np.errstate(invalid="ignore", over="ignore"):
            products = values * weights
        return cls(
            ints(source),
            ints(position),
            values,
            weights,
            products,
            ints(weight_source),
            ints(weight_position),
            tuple(arrangement) if arrangement is not None else (values.size,),
        )

    @classmethod
    def none(cls) -> Terms:
        """No terms: a number that is given, not made."""
        return cls.build(PADDING, np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Account:
    """How the terms of one element make it, in float64.

    `rule` is "sum" (products + bias), "copy" (one element, unchanged), "chosen" (one of the
    terms), "function" (of the terms; the weights are slopes), "slope" (the universal rule) or
    "given". `total` is what the rule gives; a correct recorded value lies within the rounding of
    `count` operations on numbers of `magnitude`, or equals it bit for bit where `exact`. A
    magnitude far above the terms' own sizes counts only where `inside` says what, inside the
    formula, is of that size and cancels.
    """

    rule: str
    terms: Terms
    total: float
    magnitude: float = 0.0
    count: int = 1
    bias: float = 0.0
    bias_source: tuple[int, int] | None = None
    formula: str = ""
    note: str = ""
    exact: bool = field(default=False)
    inside: str = ""

    @classmethod
    def of_sum(
        cls,
        terms: Terms,
        bias: float = 0.0,
        bias_source: tuple[int, int] | None = None,
        *,
        magnitude: float = 0.0,
        count: int | None = None,
        formula: str = "",
        note: str = "",
        inside: str = "",
    ) -> Account:
        """Products plus bias; `magnitude` adds to the sum of their sizes."""
        with np.errstate(invalid="ignore", over="ignore"):
            total = float(terms.product.sum()) + bias
            size = float(np.abs(terms.product).sum()) + abs(bias) + magnitude
        n = len(terms) + 1 if count is None else count
        return cls("sum", terms, total, size, n, bias, bias_source, formula, note, inside=inside)

    @classmethod
    def of_copy(cls, terms: Terms, note: str = "", formula: str = "") -> Account:
        """One element, unchanged."""
        return cls("copy", terms, float(terms.product[0]), exact=True, note=note, formula=formula)

    @classmethod
    def of_choice(
        cls,
        source: int,
        positions: npt.ArrayLike,
        numbers: npt.ArrayLike,
        winner: int,
        total: float,
        *,
        formula: str,
        note: str,
        arrangement: Sequence[int] | None = None,
    ) -> Account:
        """One of the candidates (or its place): the winner has weight 1, the others 0."""
        weight = np.zeros(np.shape(numbers))
        weight.reshape(-1)[winner] = 1
        terms = Terms.build(source, positions, numbers, weight, arrangement=arrangement)
        return cls("chosen", terms, total, exact=True, formula=formula, note=note)


@dataclass(frozen=True)
class Cost:
    """What a step costs: multiply-adds, and every other element computed.

    `uncounted` says why multiply-adds may be missing; "" where all are counted.
    """

    multiply_adds: int = 0
    operations: int = 0
    uncounted: str = ""


def unravel(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index tuple of a flat position."""
    return tuple(int(i) for i in np.unravel_index(position, tuple(shape))) if shape else ()


def ravel(index: Sequence[int], shape: Sequence[int]) -> int:
    """The flat position of an index tuple."""
    return int(np.ravel_multi_index(tuple(index), tuple(shape))) if len(shape) else 0


def broadcast_index(index: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """The index into an operand of this shape that was broadcast to the output."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for size, i in zip(shape, tail, strict=True))


def lane(x: torch.Tensor, index: Sequence[int], dim: int) -> tuple[Ints, Floats]:
    """Flat positions and numbers of the elements along one axis, through `index`."""
    x = x.reshape(x.shape or (1,))  # a scalar is a line of one along any axis
    numbers = floats(x.movedim(dim, -1)[(*index[:dim], *index[dim + 1 :])])
    stride = math.prod(x.shape[dim + 1 :])
    start = ravel((*index[:dim], 0, *index[dim + 1 :]), x.shape)
    return start + np.arange(numbers.size) * stride, numbers


def floats(tensor: torch.Tensor) -> Floats:
    """A tensor as float64, whatever its dtype and device."""
    array: Floats = tensor.detach().to("cpu", torch.float64).numpy()
    return array


def plain(number: float) -> float | str:
    """A number for JSON, which has no word for what is not finite: those go as text."""
    if math.isfinite(number):
        return float(number)
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def unit_roundoff(dtype: torch.dtype) -> float:
    """Half the spacing of numbers at 1: 2^-24 for float32; 0 for integers."""
    return torch.finfo(dtype).eps / 2 if dtype.is_floating_point else 0.0


def smallest(dtype: torch.dtype) -> float:
    """The smallest positive number of a dtype: 2^-149 for float32."""
    if not dtype.is_floating_point:
        return 0.0
    info = torch.finfo(dtype)
    return math.ldexp(info.smallest_normal, int(math.log2(info.eps)))


def flushed(dtype: torch.dtype) -> float:
    """The magnitude whose rounding is the smallest normal number of a dtype."""
    inside = torch.float32 if dtype == torch.float16 else dtype  # which torch computes in
    return torch.finfo(inside).smallest_normal / unit_roundoff(dtype)
