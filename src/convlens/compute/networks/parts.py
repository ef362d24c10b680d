"""Read the parts of a torch layer's call, and lay out its results."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

__all__ = [
    "frozen",
    "function_of",
    "is_watched",
    "laid_out",
    "parameter_named",
    "part_given",
    "per_axis",
    "raw_parameter",
]


def function_of(base: type[nn.Module]) -> Any:
    """Return torch's function for a class of convolutions."""
    return getattr(F, base.__name__.lower().replace("transpose", "_transpose"))


def is_watched() -> bool:
    """Return whether a mode or a hook follows every call of torch, or of every module."""
    if torch_modules._has_any_global_hook():
        return True
    modes = torch._C._len_torch_function_stack() and _get_current_function_mode_stack()
    return any(type(mode) is not DeviceContext for mode in modes or ())


def frozen(value: Any) -> Any:
    """Return a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """Return one integer for each axis, from one integer or several."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def laid_out(y: Tensor, last: bool) -> Tensor:
    """Return a tensor with a batch in the memory format of the network."""
    form = {4: torch.channels_last, 5: torch.channels_last_3d}.get(y.ndim if last else 0)
    return y if form is None else y.contiguous(memory_format=form)


def parameter_named(part: Any) -> str | None:
    """Return the name of the parameter that a string in a rewritten forward stands for, or None."""
    return {"__convlens_raw__weight": "weight", "__convlens_raw__bias": "bias"}.get(
        part if isinstance(part, str) else ""
    )


def part_given(layer: Any, part: Any) -> Any:
    """Return the parameter that a part of a rewritten forward stands for, or the part itself."""
    name = parameter_named(part)
    return part if name is None else getattr(layer, name)


def raw_parameter(layer: nn.Module, name: str) -> Any:
    """Return a parameter from its module's dict, without noting it as handed out."""
    return dict.__getitem__(vars(layer)["_parameters"], name)
