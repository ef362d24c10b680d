"""Define records for the sizes of problems with three axes of space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Axes", "ConvShape", "PoolShape"]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """One number for every axis of space: depth, height and width."""

    d: int
    h: int
    w: int

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Axes:
        """Return the record of three numbers, depth first."""
        d, h, w = numbers
        return cls(d=d, h=h, w=w)


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """A convolution: input and output channels of a group; strides, inputs and outputs in space."""

    each: int
    out_each: int
    stride: Axes
    space: Axes
    out: Axes


@dataclass(frozen=True, kw_only=True)
class PoolShape:
    """A pooling: inputs and outputs in space."""

    space: Axes
    out: Axes
