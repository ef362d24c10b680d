"""Cast the arrays of a call as torch's autocast does, and keep it out of the computation."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = ["autocast_off", "autocast_on", "cast_pooled", "cast_weighted"]

P = ParamSpec("P")
T = TypeVar("T")

HALVES = (torch.float16, torch.bfloat16)


def autocast_on(x: object) -> bool:
    """Return whether autocast is on for the device of a tensor; for a NumPy array it never is.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     autocast_on(torch.ones(1))
    True
    """
    compiling = torch.compiler.is_compiling()  # then the quick check below is not available
    if not isinstance(x, Tensor) or not (compiling or torch._C._is_any_autocast_enabled()):
        return False
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def cast_weighted(x: Any, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
    """Cast tensors as torch does for a convolution if autocast is on.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     cast_weighted(torch.ones(1), torch.ones(1), None)[1].dtype
    torch.bfloat16
    """
    if not autocast_on(x):
        return x, weight, bias
    dtype = torch.get_autocast_dtype(x.device.type)

    def cast(part: Any) -> Any:
        if not isinstance(part, Tensor) or not part.is_floating_point():
            return part
        return part if part.dtype is torch.float64 else part.to(dtype)

    return cast(x), cast(weight), cast(bias)


def cast_pooled(x: Any, axes: int) -> Any:
    """Cast a tensor as torch does for a pooling: half types to float32, over three axes, on CPU.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     cast_pooled(torch.ones(1).half(), 3).dtype
    torch.float32
    """
    if axes != 3 or not autocast_on(x) or x.device.type != "cpu" or x.dtype not in HALVES:
        return x
    return x.float()


def autocast_off(f: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function to run without autocast, in the types of its arguments."""

    @wraps(f)
    def plainly(*arguments: P.args, **options: P.kwargs) -> T:
        if torch.compiler.is_compiling() or not torch._C._is_any_autocast_enabled():
            return f(*arguments, **options)
        on = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
        try:
            for device in on:
                torch.set_autocast_enabled(device, False)
            return f(*arguments, **options)
        finally:
            for device in on:
                torch.set_autocast_enabled(device, True)

    return plainly
