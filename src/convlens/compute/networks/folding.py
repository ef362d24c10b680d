"""Decide what can be joined to a convolution, and fold norms into its weights.

In evaluation mode a norm is a product and a sum per channel, which a convolution before it can
include. A subclass of a torch layer counts as that layer if it changes nothing that torch computes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "activation_of",
    "base_of",
    "changes",
    "copied",
    "folded",
    "hooked",
    "is_norm_for",
    "overridden",
]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
LAYERS: tuple[type[nn.Module], ...] = (
    *CONVOLUTIONS,
    *TRANSPOSED,
    *MAX_POOLS,
    *AVG_POOLS,
    *ADAPTIVE,
)
"""The layers that can be accelerated."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "hardswish": F.hardswish}
_BY_CLASS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Hardswish: "hardswish"}
_BY_FUNCTION: list[tuple[Any, str]] = [
    (F.relu, "relu"),
    (torch.relu, "relu"),
    (F.hardswish, "hardswish"),
]

METHODS = (
    "forward",
    "_conv_forward",
    "_output_padding",
    "_check_input_dim",
    "__call__",
    "_call_impl",
    "_wrapped_call_impl",
    "__getattr__",
    "__getattribute__",
)
"""The methods that determine what a layer computes."""

OF_INSTANCES = {"_conv_forward", "_output_padding", "_check_input_dim", "_call_impl"}
"""Those of `METHODS`, besides `forward`, that an attribute of the instance overrides."""

NUMBERS = (
    "weight",
    "bias",
    "running_mean",
    "running_var",
    "eps",
    "training",
    "track_running_stats",
    "stride",
    "padding",
    "dilation",
    "groups",
    "padding_mode",
    "output_padding",
    "kernel_size",
    "ceil_mode",
    "return_indices",
    "count_include_pad",
    "divisor_override",
    "output_size",
)
"""The attributes of a layer, not of its class, that it computes from."""


def base_of(module: object, classes: tuple[type[nn.Module], ...]) -> type[nn.Module] | None:
    """Return the one of these classes that a module is an instance of, or None.

    >>> base_of(nn.LazyConv2d(3, 3), LAYERS).__name__
    'Conv2d'
    """
    return next((cls for cls in classes if isinstance(module, cls)), None)


def changes(module: nn.Module, base: type[nn.Module]) -> list[str]:
    """Return the names of methods and attributes in which a module's class differs from `base`.

    >>> class Other(nn.ReLU):
    ...     def forward(self, x):
    ...         return x
    >>> changes(Other(), nn.ReLU), changes(nn.ReLU(), nn.ReLU)
    (['forward'], [])
    """
    cls = type(module)
    if cls is base:
        return []
    absent = object()
    found = [n for n in METHODS if getattr(cls, n, absent) is not getattr(base, n, absent)]
    own = (inspect.getattr_static(cls, n, absent) for n in NUMBERS)
    of_base = (inspect.getattr_static(base, n, absent) for n in NUMBERS)
    found += [n for n, a, b in zip(NUMBERS, own, of_base, strict=True) if a is not b]
    return found


def hooked(module: nn.Module) -> bool:
    """Return whether a module has hooks.

    >>> hooked(nn.ReLU())
    False
    """
    own: dict[str, Any] = vars(module)
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
    )


def overridden(module: nn.Module) -> list[str]:
    """Return the methods, besides `forward`, that the module itself overrides.

    >>> layer = nn.Conv1d(1, 1, 1)
    >>> layer._conv_forward = lambda x, weight, bias: x
    >>> overridden(layer)
    ['_conv_forward']
    """
    return sorted(OF_INSTANCES.intersection(vars(module)))


def is_norm_for(norm: object, layer: nn.Module) -> bool:
    """Return whether `norm` is torch's batch norm with as many axes as the convolution `layer`.

    >>> is_norm_for(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    True
    """
    base = base_of(layer, (*CONVOLUTIONS, *TRANSPOSED))
    if base is None:
        return False
    cls = NORMS[int(base.__name__[-2]) - 1]
    return isinstance(norm, cls) and not changes(norm, cls)


def activation_of(part: object) -> str | None:
    """Return the name of an activation, a module or a function, if it can be joined, or None.

    >>> activation_of(nn.ReLU()), activation_of(F.hardswish), activation_of(nn.Tanh())
    ('relu', 'hardswish', None)
    """
    for cls, name in _BY_CLASS.items():
        if isinstance(part, cls):
            return None if changes(part, cls) else name
    return next((name for function, name in _BY_FUNCTION if part is function), None)


def copied(module: nn.Module, *, share: bool = False) -> nn.Module:
    """Return a copy of a module with its own tensors or, with `share`, the same ones.

    Raises TypeError for a module that Python cannot copy.

    >>> layer = nn.Linear(2, 2)
    >>> copied(layer, share=True).weight is layer.weight
    True
    """
    memo: dict[int, Any] = {}
    if share:
        memo = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    for part in module.modules():  # deepcopy rejects tensors that old hooks compute from weights
        for value in vars(part).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise TypeError(f"`module` cannot be copied ({error}); see copy.deepcopy") from error


def folded(
    weight: Tensor, bias: Tensor | None, norm: dict[str, Any], eps: float, groups: int | None
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution that includes the norm after it.

    `norm` holds weight, bias, running_mean and running_var. `groups` is None for a convolution and
    the number of groups for a transposed one. The products are formed in float64.

    >>> conv, norm = nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1).eval()
    >>> parts = {**norm._parameters, **norm._buffers}
    >>> weight, bias = folded(conv.weight, conv.bias, parts, norm.eps, None)
    >>> x = torch.ones(1, 1, 3)
    >>> torch.allclose(F.conv1d(x, weight, bias), norm(conv(x)), atol=1e-6)
    True
    """
    mean, variance = (norm[name].detach().double() for name in ("running_mean", "running_var"))
    scale = (variance + eps).rsqrt()
    if norm["weight"] is not None:
        scale = scale * norm["weight"].detach().double()
    shift = (0 if bias is None else bias.detach().double()) - mean
    shift = shift * scale + (0 if norm["bias"] is None else norm["bias"].detach().double())
    wide = weight.detach().double()
    if groups is not None:  # (c, k / groups, *size)
        each = scale.reshape(groups, 1, -1).expand(-1, len(weight) // groups, -1)
        scale = each.reshape(weight.shape[:2])
    wide = wide * scale.reshape(*scale.shape, *[1] * (wide.ndim - scale.ndim))
    return wide.to(weight.dtype), shift.to(weight.dtype)
