"""Adaptive pooling: plain pooling where all parts are of one size, else torch's, or gathered."""

from __future__ import annotations

from math import prod
from operator import mul
from typing import Any

import torch
from torch import Tensor

from convlens.compute.arena import check_memory
from convlens.compute.functional_arguments import check_tensor
from convlens.compute.operations import computed
from convlens.compute.reading import LARGEST_RESULT, read_flag, read_pool
from convlens.compute.reading_windows import TORCHS, is_several, read_integer, shown
from convlens.windows import AdaptiveWindow

__all__ = ["adaptive_pool", "even_size"]


def adaptive_pool(
    operation: str, axes: int, x: Any, output_size: Any, return_indices: Any = False
) -> Any:
    """Pool every one of `output_size` even parts of (n, c, *space) or (c, *space).

    `operation` is "max_pool" or "avg_pool". Raises ValueError or TypeError for what does not fit.

    >>> adaptive_pool("max_pool", 1, torch.tensor([[1, 5, 2, 3, 0]]), 2)
    tensor([[5, 3]])
    """
    if torch.compiler.is_compiling():
        return _pool(operation, axes, x, output_size, return_indices)
    try:
        return _pool(operation, axes, x, output_size, return_indices)
    except (MemoryError, RuntimeError) as error:
        check_memory(error, f"`output_size` (={shown(output_size)})")
        raise


def _pool(operation: str, axes: int, x: Any, output_size: Any, return_indices: Any) -> Any:
    check_tensor("input", x)
    return_indices = read_flag("return_indices", return_indices)
    counts = _counts(axes, x, output_size)
    size = _even(counts, tuple(x.shape[-axes:]))
    how: dict[str, Any] = {"axes": axes, "words": TORCHS}
    if operation == "max_pool":
        how["return_indices"] = return_indices
    # Whatever the parts are, this refuses element types that cannot be pooled.
    one = (1,) * axes if size is None else size
    if 0 not in x.shape[-axes - 1 :]:
        problem = read_pool(operation, x, one, **how)
        if size is not None:
            return computed(problem, x)
    if operation == "avg_pool":
        adaptive = getattr(torch.nn.functional, f"adaptive_avg_pool{axes}d")
        if x.is_complex():
            return torch.complex(adaptive(x.real, counts), adaptive(x.imag, counts))
        return adaptive(x, counts)
    if not x.is_floating_point() and 0 not in (*counts, *x.shape[-axes - 1 :]):
        return _gathered(axes, x, counts, return_indices)
    kept = [axis for axis, count in enumerate(_asked(axes, output_size)) if count is None]
    if kept and torch.compiler.is_compiling():
        return _beside(axes, x, counts, kept, return_indices)
    adaptive = getattr(torch.nn.functional, f"adaptive_max_pool{axes}d")
    return adaptive(x, counts, return_indices)


def even_size(axes: int, x: Tensor, output_size: Any) -> tuple[int, ...] | None:
    """Return the one size that all parts of adaptive pooling have; None where they differ.

    Raises ValueError for an input of other axes.

    >>> even_size(2, torch.ones(1, 3, 8, 9), (4, 3)), even_size(1, torch.ones(3, 8), 3)
    ((2, 3), None)
    """
    return _even(_counts(axes, x, output_size), tuple(x.shape[-axes:]))


def _counts(axes: int, x: Tensor, output_size: Any) -> tuple[int, ...]:
    """Return how many parts every axis of space is cut into; None keeps the size of an axis."""
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"`input` has shape {tuple(x.shape)}; with {axes} axes of space it must be "
            f"(n, c, *space) or (c, *space), {axes + 2} or {axes + 1} axes in all"
        )
    several, asked = is_several(output_size), _asked(axes, output_size)
    if len(asked) != axes:
        raise ValueError(
            f"`output_size` (={shown(output_size)}) has {len(asked)} entries; give one integer or "
            f"{axes}"
        )
    kept = several and axes > 1  # torch knows None beside others only
    counts = tuple(
        n if count is None and kept else read_integer("output_size", count, 0)
        for count, n in zip(asked, x.shape[-axes:], strict=True)
    )
    compiling = torch.compiler.is_compiling()  # sizes may stand for any
    if not compiling and prod((*x.shape[:-axes], *counts)) * x.element_size() > LARGEST_RESULT:
        raise ValueError(
            f"`output_size` (={shown(output_size)}) gives a result of more than {LARGEST_RESULT} "
            "bytes; use less"
        )
    return counts


def _asked(axes: int, output_size: Any) -> tuple[Any, ...]:
    return tuple(output_size) if is_several(output_size) else (output_size,) * axes


def _even(counts: tuple[int, ...], space: tuple[int, ...]) -> tuple[int, ...] | None:
    if torch.compiler.is_compiling() or 0 in counts or 0 in space:
        return None  # where sizes may stand for any, it is not known either
    parts = zip(counts, space, strict=True)
    size = tuple(len(AdaptiveWindow(count).reads(0, n)) for count, n in parts)
    return size if tuple(map(mul, counts, size)) == space else None


def _beside(
    axes: int, x: Tensor, counts: tuple[int, ...], kept: list[int], return_indices: bool
) -> Any:
    """Pool for the maximum beside axes that stay as they are, of a size that may stand for any.

    These lie among the channels meanwhile: to torch, parts are counted by plain integers.
    """
    first, space = x.ndim - axes, x.shape[-axes:]
    pooled = [axis for axis in range(axes) if axis not in kept]
    places: Any = 0
    if pooled:
        order = [*range(first), *(first + axis for axis in (*kept, *pooled))]
        adaptive = getattr(torch.nn.functional, f"adaptive_max_pool{len(pooled)}d")
        beside = x.permute(order)
        parts = tuple(counts[axis] for axis in pooled)
        y, places = adaptive(beside.flatten(0, first + len(kept) - 1)[None], parts, True)
        shape = (*beside.shape[: first + len(kept)], *parts)
        back = [order.index(axis) for axis in range(x.ndim)]
        y, places = (
            part[0].unflatten(0, shape[: -len(parts)]).permute(back) for part in (y, places)
        )
    else:
        y = x.clone()
    if not return_indices:
        return y
    flat, step = torch.zeros(y.shape, dtype=torch.int64, device=x.device), 1
    for axis in reversed(range(axes)):
        if axis in kept:
            along = torch.arange(space[axis], device=x.device)
            at = along.reshape(-1, *[1] * (axes - 1 - axis))
        else:
            at, places = places % space[axis], places // space[axis]
        flat, step = flat + at * step, step * space[axis]
    return y, flat


def _gathered(axes: int, x: Tensor, counts: tuple[int, ...], return_indices: bool) -> Any:
    """Pool integers, which torch does not, once every part is laid out on its own.

    A part that is shorter than others is filled up with its last element.
    """
    space, sizes = tuple(x.shape[-axes:]), []
    flat = torch.arange(prod(space), device=x.device).reshape(space)
    for axis, (count, n) in enumerate(zip(counts, space, strict=True)):
        parts = [AdaptiveWindow(count).reads(o, n) for o in range(count)]
        sizes.append(max(map(len, parts)))
        taken = [part[min(t, len(part) - 1)] for part in parts for t in range(sizes[-1])]
        index = torch.tensor(taken, device=x.device)
        x, flat = x.index_select(axis - axes, index), flat.index_select(axis, index)
    how: dict[str, Any] = {"axes": axes, "words": TORCHS, "return_indices": True}
    y, places = computed(read_pool("max_pool", x, tuple(sizes), **how), x)
    return (y, flat.flatten()[places]) if return_indices else y
