"""Remember problems by the arguments they were read from, so that equal calls are checked once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.operands.operands import Operands, needs_gradient
from convlens.compute.problems import Problem
from convlens.compute.reading.options import read_conv, read_conv_transpose, read_pool
from convlens.compute.reading.windows import OURS, Words

__all__ = ["recall_conv", "recall_conv_transpose", "recall_pool"]

PLAIN = (Tensor, torch.nn.Parameter, np.ndarray)

REMEMBERED = 1024
"""The most problems remembered; on reaching it, all are forgotten."""

_problems: dict[tuple[object, ...], Problem] = {}


def recall_conv(given: Operands, *, words: Words = OURS, **options: Any) -> Problem:
    """Return what `read_conv` returns, from memory if equal arguments were read before.

    >>> given = Operands(torch.ones(1, 3, 8), torch.ones(4, 3, 3))
    >>> recall_conv(given, stride=1) is recall_conv(given, stride=1)
    True
    """
    return _recalled_weighted(read_conv, given, words, options)


def recall_conv_transpose(given: Operands, *, words: Words = OURS, **options: Any) -> Problem:
    """Return what `read_conv_transpose` returns, from memory if equal arguments were read before.

    >>> given = Operands(torch.ones(1, 4, 8), torch.ones(4, 3, 3))
    >>> recall_conv_transpose(given, stride=2) is recall_conv_transpose(given, stride=2)
    True
    """
    return _recalled_weighted(read_conv_transpose, given, words, options)


def _recalled_weighted(
    read: Callable[..., Problem], given: Operands, words: Words, options: dict[str, Any]
) -> Problem:
    arrays = given.x, given.weight, given.bias
    return _recalled(partial(read, *arrays, words=words, **options), read, arrays, options)


def recall_pool(
    operation: str, x: Any, size: Any, *, words: Words = OURS, **options: Any
) -> Problem:
    """Return what `read_pool` returns, from memory if equal arguments were read before.

    >>> x = torch.ones(1, 3, 8)
    >>> recall_pool("max_pool", x, 2) is recall_pool("max_pool", x, 2)
    True
    """
    read = partial(read_pool, operation, x, size, words=words, **options)
    return _recalled(read, operation, (x,), {"size": size, **options})


def _recalled(
    read: Callable[[], Problem], operation: object, arrays: tuple[Any, ...], options: dict[str, Any]
) -> Problem:
    """Return the problem read from equal arguments before, or read and remember it.

    Errors are not remembered, because each function names its arguments in its own words.
    """
    given = [array for array in arrays if array is not None]
    if any(type(array) not in PLAIN for array in given) or torch.compiler.is_compiling():
        return read()
    try:
        key = (
            operation,
            *((type(a), a.shape, a.dtype, a.device, getattr(a, "layout", None)) for a in given),
            needs_gradient(*given),
            repr(options),  # unlike equality, it distinguishes True and 1.0 from 1
        )
    except Exception:  # without a shape or a `repr`; reading then raises an error that names it
        return read()
    found = _problems.get(key)
    if found is None:
        found = read()
        if len(_problems) >= REMEMBERED:
            _problems.clear()
        _problems[key] = found
    return found
