"""The adaptive poolings of `torch.nn.functional`.

Where all parts are of one size they are plain pooling; else they are torch's, or gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from convlens.compute.calling import call
from convlens.compute.memory.arena import check_memory
from convlens.compute.operands.operands import Operands
from convlens.compute.reading.adaptive import one_size, per_part, read_output_size
from convlens.compute.reading.options import read_pool
from convlens.compute.reading.values import read_flag
from convlens.compute.reading.windows import TORCHS, shown
from convlens.functional.arguments import check_tensor
from convlens.windows import AdaptiveWindow

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

Sizes = int | Sequence[int | None]


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Take the largest of `output_size` even parts of (n, c, length): torch's function.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_max_pool1d(torch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    """
    return _adaptive_pool("max_pool", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Take the largest of `output_size` even parts of (n, c, height, width): torch's function.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_max_pool2d(torch.ones(1, 3, 7, 7), (3, None)).shape
    torch.Size([1, 3, 3, 7])
    """
    return _adaptive_pool("max_pool", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Take the largest of `output_size` even parts of (n, c, depth, height, width): as in torch.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_max_pool3d(torch.ones(3, 4, 4, 4), 2).shape
    torch.Size([3, 2, 2, 2])
    """
    return _adaptive_pool("max_pool", 3, input, output_size, return_indices)


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """Take the mean of `output_size` even parts of (n, c, length): torch's function.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_avg_pool1d(torch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[3.0000, 2.5000]])
    """
    y: Tensor = _adaptive_pool("avg_pool", 1, input, output_size)
    return y


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Take the mean of `output_size` even parts of (n, c, height, width): torch's function.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_avg_pool2d(torch.ones(1, 3, 7, 7), 1).shape
    torch.Size([1, 3, 1, 1])
    """
    y: Tensor = _adaptive_pool("avg_pool", 2, input, output_size)
    return y


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """Take the mean of `output_size` even parts of (n, c, depth, height, width): as in torch.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_avg_pool3d(torch.ones(3, 4, 4, 4), 2).shape
    torch.Size([3, 2, 2, 2])
    """
    y: Tensor = _adaptive_pool("avg_pool", 3, input, output_size)
    return y


def _adaptive_pool(
    operation: str, axes: int, x: Any, output_size: Any, return_indices: Any = False
) -> Any:
    """Pool every one of `output_size` even parts of (n, c, *space) or (c, *space).

    `operation` is "max_pool" or "avg_pool". Raises ValueError or TypeError for what does not fit.

    >>> _adaptive_pool("max_pool", 1, torch.tensor([[1, 5, 2, 3, 0]]), 2)
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
    counts = read_output_size(axes, x, output_size)
    size = one_size(counts, tuple(x.shape[-axes:]))
    how: dict[str, Any] = {"axes": axes, "words": TORCHS}
    if operation == "max_pool":
        how["return_indices"] = return_indices
    # Whatever the parts are, this refuses element types that cannot be pooled.
    one = (1,) * axes if size is None else size
    if 0 not in x.shape[-axes - 1 :]:
        problem = read_pool(operation, x, one, **how)
        if size is not None:
            return call(problem, Operands(x))
    if operation == "avg_pool":
        adaptive = getattr(torch.nn.functional, f"adaptive_avg_pool{axes}d")
        if x.is_complex():
            return torch.complex(adaptive(x.real, counts), adaptive(x.imag, counts))
        return adaptive(x, counts)
    if not x.is_floating_point() and 0 not in (*counts, *x.shape[-axes - 1 :]):
        return _gathered(axes, x, counts, return_indices)
    kept = [axis for axis, count in enumerate(per_part(axes, output_size)) if count is None]
    if kept and torch.compiler.is_compiling():
        return _beside(axes, x, counts, kept, return_indices)
    adaptive = getattr(torch.nn.functional, f"adaptive_max_pool{axes}d")
    return adaptive(x, counts, return_indices)


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
    y, places = call(read_pool("max_pool", x, tuple(sizes), **how), Operands(x))
    return (y, flat.flatten()[places]) if return_indices else y
