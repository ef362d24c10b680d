"""Read the output size of adaptive pooling as torch does."""

from __future__ import annotations

from math import prod
from operator import mul
from typing import Any

import torch
from torch import Tensor

from convlens.compute.reading.options import LARGEST_RESULT
from convlens.compute.reading.windows import is_several, read_integer, shown
from convlens.windows import AdaptiveWindow

__all__ = ["even_size", "one_size", "per_part", "read_output_size"]


def even_size(axes: int, x: Tensor, output_size: Any) -> tuple[int, ...] | None:
    """Return the size that all parts of adaptive pooling have in common; None if they differ.

    Raises ValueError for an input with another number of axes.

    >>> even_size(2, torch.ones(1, 3, 8, 9), (4, 3)), even_size(1, torch.ones(3, 8), 3)
    ((2, 3), None)
    """
    return one_size(read_output_size(axes, x, output_size), tuple(x.shape[-axes:]))


def read_output_size(axes: int, x: Tensor, output_size: Any) -> tuple[int, ...]:
    """Return the number of parts along each axis of space; None keeps the size of an axis.

    Raises ValueError or TypeError for an `output_size` that does not fit `x`.

    >>> read_output_size(2, torch.ones(1, 3, 8, 9), (4, None))
    (4, 9)
    """
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"`input` has shape {tuple(x.shape)}; with {axes} axes of space it must be "
            f"(n, c, *space) or (c, *space), {axes + 2} or {axes + 1} axes in all"
        )
    several, asked = is_several(output_size), per_part(axes, output_size)
    if len(asked) != axes:
        raise ValueError(
            f"`output_size` (={shown(output_size)}) has {len(asked)} entries; give one integer or "
            f"{axes}"
        )
    kept = several and axes > 1  # torch accepts None in a sequence of several only
    counts = tuple(
        n if count is None and kept else read_integer("output_size", count, 0)
        for count, n in zip(asked, x.shape[-axes:], strict=True)
    )
    compiling = torch.compiler.is_compiling()  # sizes may be symbolic
    if not compiling and prod((*x.shape[:-axes], *counts)) * x.element_size() > LARGEST_RESULT:
        raise ValueError(
            f"`output_size` (={shown(output_size)}) gives a result of more than {LARGEST_RESULT} "
            "bytes; use less"
        )
    return counts


def per_part(axes: int, output_size: Any) -> tuple[Any, ...]:
    """Return one entry per axis of an output size, which may be a single number.

    >>> per_part(2, 3), per_part(2, (3, None))
    ((3, 3), (3, None))
    """
    return tuple(output_size) if is_several(output_size) else (output_size,) * axes


def one_size(counts: tuple[int, ...], space: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the size that all `counts` parts of `space` have along each axis, or None.

    >>> one_size((4, 3), (8, 9)), one_size((3,), (8,))
    ((2, 3), None)
    """
    if torch.compiler.is_compiling() or 0 in counts or 0 in space:
        return None  # symbolic sizes are unknown, too
    parts = zip(counts, space, strict=True)
    size = tuple(len(AdaptiveWindow(count).reads(0, n)) for count, n in parts)
    return size if tuple(map(mul, counts, size)) == space else None
