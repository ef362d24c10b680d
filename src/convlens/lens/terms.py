"""The terms that one number is made of, and the account of how they make it."""

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

    `source` is the id of the value that a term reads (-1 for padding) and `position` the flat index
    in it. `weight_source` and `weight_position` say the same of the weight (-1 for one that was
    computed). In a quotient the weight is one over that element. For a pooled region they name the
    first corner of its box, for a copy the element of the index that chose it. `arrangement` is the
    shape of the terms: (channels, *window) for a window, (features,) for a dot product.
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
        """Return the index of a term's element in the value it reads; () for padding."""
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
        """Make terms of arrays of one shape; a single number stands for all, products are taken."""
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
        """Return no terms, for a number that is given, not made."""
        return cls.build(PADDING, np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Account:
    """How the terms of one element make it, in float64.

    `rule` is that of an `Explanation`, and `total` is what it gives. A correct recorded value
    differs from it by the rounding of at most `count` operations on numbers of `magnitude`; if
    `exact`, not by a bit. A magnitude far above the terms' own sizes counts only if `inside` says
    what, inside the formula, has that size and cancels.
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
        """Return an account of products plus bias; `magnitude` adds to the sum of their sizes."""
        with np.errstate(invalid="ignore", over="ignore"):
            total = float(terms.product.sum()) + bias
            size = float(np.abs(terms.product).sum()) + abs(bias) + magnitude
        n = len(terms) + 1 if count is None else count
        return cls("sum", terms, total, size, n, bias, bias_source, formula, note, inside=inside)

    @classmethod
    def of_copy(cls, terms: Terms, note: str = "", formula: str = "") -> Account:
        """Return an account of one element, unchanged."""
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
        """Return an account of one candidate, or of its place: the winner's weight is 1."""
        weight = np.zeros(np.shape(numbers))
        weight.reshape(-1)[winner] = 1
        terms = Terms.build(source, positions, numbers, weight, arrangement=arrangement)
        return cls("chosen", terms, total, exact=True, formula=formula, note=note)


@dataclass(frozen=True)
class Cost:
    """What a step costs: multiply-adds, and every other element computed.

    `uncounted` says why multiply-adds may be missing; it is "" if all are counted.
    """

    multiply_adds: int = 0
    operations: int = 0
    uncounted: str = ""


def unravel(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the index tuple of a flat position."""
    return tuple(int(i) for i in np.unravel_index(position, tuple(shape))) if shape else ()


def ravel(index: Sequence[int], shape: Sequence[int]) -> int:
    """Return the flat position of an index tuple."""
    return int(np.ravel_multi_index(tuple(index), tuple(shape))) if len(shape) else 0


def broadcast_index(index: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the index into an operand of this shape, which was broadcast to the output."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for size, i in zip(shape, tail, strict=True))


def lane(x: torch.Tensor, index: Sequence[int], dim: int) -> tuple[Ints, Floats]:
    """Return flat positions and numbers of the elements along one axis, through `index`."""
    x = x.reshape(x.shape or (1,))  # along any axis a scalar is one element
    numbers = floats(x.movedim(dim, -1)[(*index[:dim], *index[dim + 1 :])])
    stride = math.prod(x.shape[dim + 1 :])
    start = ravel((*index[:dim], 0, *index[dim + 1 :]), x.shape)
    return start + np.arange(numbers.size) * stride, numbers


def floats(tensor: torch.Tensor) -> Floats:
    """Return a tensor as an array of float64, whatever its dtype and device."""
    array: Floats = tensor.detach().to("cpu", torch.float64).numpy()
    return array


def plain(number: float) -> float | str:
    """Return a number for JSON, which takes one that is not finite only as text."""
    if math.isfinite(number):
        return float(number)
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def unit_roundoff(dtype: torch.dtype) -> float:
    """Return half the spacing of numbers at 1: 2^-24 for float32; 0 for integers."""
    return torch.finfo(dtype).eps / 2 if dtype.is_floating_point else 0.0


def smallest(dtype: torch.dtype) -> float:
    """Return the smallest positive number of a dtype: 2^-149 for float32."""
    if not dtype.is_floating_point:
        return 0.0
    info = torch.finfo(dtype)
    return math.ldexp(info.smallest_normal, int(math.log2(info.eps)))


def flushed(dtype: torch.dtype) -> float:
    """Return the magnitude whose rounding is the smallest normal number of a dtype."""
    inside = torch.float32 if dtype == torch.float16 else dtype  # what torch computes in
    return torch.finfo(inside).smallest_normal / unit_roundoff(dtype)
