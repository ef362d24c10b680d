"""A network that runs one operation of every kind, each in a module of its own name."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Call = Callable[[Tensor], Tensor]


@functools.cache
def drawn(*shape: int) -> Tensor:
    """Return the same random numbers for the same shape, so that a second run makes no step."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _line(call: Call) -> Call:
    return lambda x: call(x.flatten(2))


def _solid(call: Call) -> Call:
    return lambda x: call(x.reshape(1, 2, 4, 7, 3))


def _row(call: Call) -> Call:
    return lambda x: call(x.flatten(1))


OPERATIONS: dict[str, Call] = {
    "conv1": _line(lambda x: F.conv1d(x, drawn(6, 4, 5), drawn(6), 2, 2)),
    "conv2": lambda x: F.conv2d(x, drawn(6, 4, 3, 3), drawn(6), 2, 1),
    "conv3": _solid(lambda x: F.conv3d(x, drawn(3, 2, 2, 3, 3), drawn(3), padding=1)),
    "plain": lambda x: F.conv2d(x, drawn(5, 4, 2, 3), None),
    "same": lambda x: F.conv2d(x, drawn(5, 4, 3, 5), padding="same"),
    "dilated": lambda x: F.conv2d(x, drawn(5, 4, 2, 3), None, (2, 1), (0, 2), (2, 1)),
    "grouped": lambda x: F.conv2d(x, drawn(6, 2, 3, 3), drawn(6), groups=2),
    "depthwise": lambda x: F.conv2d(x, drawn(8, 1, 3, 3), groups=4, padding=1),
    "pixels": lambda x: F.conv2d(x, drawn(3, 4, 1, 1), drawn(3)),
    "turned1": _line(lambda x: F.conv_transpose1d(x, drawn(4, 3, 4), drawn(3), 2, 1)),
    "turned2": lambda x: F.conv_transpose2d(x, drawn(4, 3, 3, 3), None, 2, 1, 1),
    "turned3": _solid(lambda x: F.conv_transpose3d(x, drawn(2, 3, 2, 2, 2), stride=2)),
    "turned_far": lambda x: F.conv_transpose2d(x, drawn(4, 3, 2, 2), drawn(3), 3),
    "turned_groups": lambda x: F.conv_transpose2d(x, drawn(4, 3, 3, 3), drawn(6), groups=2),
    "max1": _line(lambda x: F.max_pool1d(x, 3, 2)),
    "max2": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max3": _solid(lambda x: F.max_pool3d(x, 2)),
    "max_dilated": lambda x: F.max_pool2d(x, (3, 2), 1, dilation=(1, 2)),
    "max_ceil": lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
    "max_adaptive": lambda x: F.adaptive_max_pool2d(x, (3, 4)),
    "mean2": lambda x: F.avg_pool2d(x, 3, 2, 1, True),
    "mean_inside": lambda x: F.avg_pool2d(x, 3, 2, 1, True, False),
    "mean_by": lambda x: F.avg_pool2d(x, 3, 2, divisor_override=5),
    "mean_adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "mean_global": lambda x: F.adaptive_avg_pool2d(x, 1),
    "linear": _row(lambda x: F.linear(x, drawn(5, 168), drawn(5))),
    "small": lambda x: F.linear(x, drawn(5, 6)),
    "addmm": _row(lambda x: torch.addmm(drawn(4), x, drawn(168, 4), beta=2, alpha=0.5)),
    "softmax": _row(lambda x: x.softmax(-1)),
    "maps_softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: F.log_softmax(100 * x, 2),
    "relu": F.relu,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "minus": lambda x: 3 - x,
    "halved": lambda x: x * 0.5,
    "add": lambda x: x + x.flip(3),
    "gate": lambda x: x * x.mean((2, 3), keepdim=True),
    "ratio": lambda x: drawn(6) / x,
    "concat": lambda x: torch.cat([x, x.relu()], 1),
    "concat_rows": lambda x: torch.cat([x, x.relu()], 2),
    "batch_norm": lambda x: F.batch_norm(
        x, drawn(4), drawn(4).square(), drawn(4) + 1, drawn(4) - 1
    ),
    "group_norm": lambda x: F.group_norm(x, 2, drawn(4), drawn(4)),
    "layer_norm": lambda x: F.layer_norm(x, (7, 6), drawn(7, 6)),
    "instance_norm": F.instance_norm,
    "rms_norm": lambda x: F.rms_norm(x, (6,), drawn(6)),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
    "bicubic": lambda x: F.interpolate(x, (10, 9), mode="bicubic", align_corners=True),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "flatten": lambda x: x.flatten(1),
    "turn": lambda x: x.permute(0, 1, 3, 2),
    "crop": lambda x: x[:, :, 1:5, 2:],
    "pad": lambda x: F.pad(x, (1, 2, 1, 0)),
    "mean_maps": lambda x: x.mean((2, 3)),
    "sum_maps": lambda x: x.sum(1),
    "largest_row": lambda x: x.amax(-1),
    "variance": lambda x: x.var((2, 3)),
    "top": lambda x: x.flatten(1).topk(5).values,
    "best": lambda x: x.max(1).values,
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "where": lambda x: torch.where(x > 0, x, -x),
    "cumsum": lambda x: x.cumsum(-1),
}


class Operation(nn.Module):
    """One operation, whose output is known by the module's name."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def forward(self, x: Tensor) -> Tensor:
        return self._call(x)


class Operations(nn.ModuleDict):
    """All operations on the same input."""

    def __init__(self) -> None:
        super().__init__({name: Operation(call) for name, call in OPERATIONS.items()})
        self(torch.zeros(1, 4, 7, 6))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(operation(x) for operation in self.values())
