"""Replace element types that kernels do not support by types that they do.

Half types are summed in float32. Integers are summed in 32 or 64 bits, whose lower bits are right
even after an overflow. A complex convolution is a real one with twice the channels, in and out.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from convlens.compute.problems import DTYPES, ConvTranspose, MaxPool, Pool, Problem

__all__ = ["narrow", "widen", "widen_bias", "widen_weight", "widened"]

WIDER = {
    "float16": "float32",
    "bfloat16": "float32",
    "int8": "int32",
    "int16": "int32",
    "uint8": "int32",
    "uint16": "int32",
    "uint32": "int32",
    "uint64": "int64",
    "complex64": "float32",
    "complex128": "float64",
}
SIGNED = {"uint16": torch.int16, "uint32": torch.int32, "uint64": torch.int64}
"""Types with few operators in torch, and the signed types with the same bits."""

VALUES = {"uint32": "int64", "uint64": None, "complex64": None, "complex128": None}
"""Types wide enough to compare values for a maximum; None where there is none."""


def widened(problem: Problem) -> Problem | None:
    """Return the problem in a type that kernels compute in, or None if there is none.

    >>> from convlens.compute.problems import AvgPool
    >>> widened(MaxPool(channels=2, space=(4,), windows=(), dtype="uint8")).dtype
    'int32'
    >>> widened(AvgPool(channels=2, space=(4,), windows=(), dtype="complex64")).channels
    4
    """
    wider = WIDER.get(problem.dtype)
    if isinstance(problem, MaxPool):
        wider = VALUES.get(problem.dtype, wider)
    if wider is None:
        return None
    wide = problem.in_type(wider)
    if not problem.dtype.startswith("complex"):
        return wide
    if isinstance(problem, Pool):
        return replace(wide, channels=2 * problem.channels)
    return replace(wide, channels=2 * problem.channels, channels_out=2 * problem.channels_out)


def widen(x: Tensor, problem: Problem) -> Tensor:
    """Return x (n, c, *space) in the wider type; complex x as (n, 2 c, *space), by groups."""
    if not x.is_complex():
        return _wide(x, problem)
    n, c, *space = x.shape
    each = c // problem.groups
    parts = torch.view_as_real(x.resolve_conj()).reshape(n, problem.groups, each, *space, 2)
    return parts.movedim(-1, 2).reshape(n, 2 * c, *space)


def widen_weight(weight: Tensor, problem: Problem) -> Tensor:
    """Return the weight of the wider problem: complex as a matrix of real parts [r, -i; i, r]."""
    if not weight.is_complex():
        return _wide(weight, problem).contiguous()
    real, imaginary = weight.resolve_conj().real, weight.resolve_conj().imag
    groups, (first, second, *size) = problem.groups, weight.shape
    transposed = isinstance(problem, ConvTranspose)
    # Rows are outputs and columns inputs; the weight of a transposed one is (inputs, outputs).
    to_real = torch.stack([real, imaginary if transposed else -imaginary])
    to_imaginary = torch.stack([-imaginary if transposed else imaginary, real])
    both = torch.stack([to_real, to_imaginary])  # (2, 2, first, second, *size)
    both = both.reshape(2, 2, groups, first // groups, second, *size)
    return both.permute(2, 0, 3, 1, 4, *range(5, both.ndim)).reshape(2 * first, 2 * second, *size)


def widen_bias(bias: Tensor | None, problem: Problem) -> Tensor | None:
    """Return the bias of the wider problem."""
    if bias is None:
        return None
    if not bias.is_complex():
        return _wide(bias, problem).contiguous()
    parts = torch.view_as_real(bias.resolve_conj()).reshape(problem.groups, -1, 2)
    return parts.movedim(-1, 1).reshape(-1)


def narrow(y: Tensor, problem: Problem) -> Tensor:
    """Return the result in the wider type, (n, k, *outputs), in the problem's own type."""
    if problem.dtype.startswith("complex"):
        n, k, *outputs = y.shape
        parts = y.reshape(n, problem.groups, 2, k // problem.groups // 2, *outputs)
        return torch.complex(parts[:, :, 0], parts[:, :, 1]).reshape(n, k // 2, *outputs)
    if problem.dtype in SIGNED:
        return y.to(SIGNED[problem.dtype]).view(DTYPES[problem.dtype])
    if isinstance(problem, MaxPool) and "int" in problem.dtype:
        # A window of only padding holds the least number of the wider type, not of this one.
        y = y.clamp(min=torch.iinfo(DTYPES[problem.dtype]).min)
    return y.to(DTYPES[problem.y_dtype])


def _wide(x: Tensor, problem: Problem) -> Tensor:
    wide = widened(problem)
    if wide is None:
        raise ValueError(f"there is no wider type for {problem.spoken} of {problem.dtype}")
    if problem.dtype not in SIGNED:
        return x.to(DTYPES[wide.dtype])
    bits = x.view(SIGNED[problem.dtype]).to(DTYPES[wide.dtype])
    return bits & (2 ** (8 * x.itemsize) - 1) if isinstance(problem, MaxPool) else bits
