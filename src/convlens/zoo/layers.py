"""Define the layers that several families of the zoo share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["FrozenNorm2d", "Norm", "conv_norm", "draw_weights"]

Norm = Callable[[int], nn.Module]
"""What makes a normalization of a number of channels, such as `nn.BatchNorm2d`."""


class FrozenNorm2d(nn.Module):
    """Batch normalization by fixed numbers: x of shape (n, c, h, w) to the same shape.

    Its four vectors are buffers, which neither a forward pass nor a gradient step changes, as
    detectors are fine-tuned (Detectron's `AffineChannel`). They have the names of torchvision's
    `FrozenBatchNorm2d`. `eps` is added to the variance: 0 in the detectors released as COCO_V1,
    1e-5 in others.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (x - mean) / sqrt(variance + eps) * weight + bias, a channel at a time."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def extra_repr(self) -> str:
        """Return the channels and eps, for printing."""
        return f"{len(self.weight)}, eps={self.eps}"


def conv_norm(
    c: int,
    k: int,
    size: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    activation: type[nn.ReLU | nn.ReLU6 | nn.Hardswish] | None = nn.ReLU,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    """Return a convolution "0", its normalization "1" and, unless None, its activation "2".

    Padded so that a stride of 1 keeps the size; (n, c, h, w) to (n, k, ceil(h / stride), ...).
    """
    padding = (size - 1) // 2 * dilation
    conv = nn.Conv2d(c, k, size, stride, padding, dilation, groups, bias=False)
    if activation is None:
        return nn.Sequential(conv, norm(k))
    return nn.Sequential(conv, norm(k), activation(inplace=True))


def draw_weights(network: nn.Module, linear: float | None = None) -> None:
    """Draw the weights of every convolution in place, by the rule for ReLU.

    Normal of variance 2 / (k * size), biases 0 (He et al., arXiv 1502.01852, section 2.2, the
    backward case). `linear`: the deviation of linear layers' weights; None leaves them.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            _draw(module, lambda x: nn.init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu"))
        elif isinstance(module, nn.Linear) and linear is not None:
            _draw(module, lambda x: nn.init.normal_(x, 0, linear))


def _draw(layer: nn.Conv2d | nn.Conv3d | nn.Linear, draw: Callable[[Tensor], Tensor]) -> None:
    if layer.weight.is_meta:
        return  # it has no numbers, and torch would import 800 modules to draw none
    draw(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
