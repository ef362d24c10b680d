"""Plain torch networks of different make, each with an input: what the lens is tried on."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Skips, batch norm, in-place activations, a strided projection; the make of a ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv1 = nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.project = nn.Conv2d(8, 16, 1, 2, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.project(x)
        y = self.relu(y)
        y = F.adaptive_avg_pool2d(y, 1).flatten(1)
        out: Tensor = self.head(y)
        return out


class Depthwise(nn.Module):
    """Depthwise and pointwise convolutions, squeeze and excite, hard activations: a MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(4, 12, 1)
        self.depthwise = nn.Conv2d(12, 12, 5, 2, 2, groups=12)
        self.squeeze = nn.Conv2d(12, 3, 1)
        self.excite = nn.Conv2d(3, 12, 1)
        self.project = nn.Conv2d(12, 6, 1)
        self.grouped = nn.Conv2d(6, 8, 3, groups=2, padding="same", padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.expand(x))
        x = F.hardswish(self.depthwise(x))
        scale = x.mean((2, 3), keepdim=True)
        scale = F.hardsigmoid(self.excite(F.relu(self.squeeze(scale))))
        return F.leaky_relu(self.grouped(self.project(x * scale)), 0.1)


class Dilated(nn.Module):
    """Dilated branches, global pooling, concatenation and interpolation: a DeepLab head."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(3, 4, 3, padding=rate, dilation=rate) for rate in (1, 2, 4)
        )
        self.image = nn.Conv2d(3, 4, 1)
        self.fuse = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        parts = [torch.relu(branch(x)) for branch in self.branches]
        pooled = self.image(F.adaptive_avg_pool2d(x, 1))
        parts.append(F.interpolate(pooled, size, mode="bilinear", align_corners=False))
        y = self.fuse(torch.cat(parts, 1))
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        return F.log_softmax(y, 1)


class Transposed(nn.Module):
    """An encoder and decoder with a skip: transposed convolutions, group norm, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 6, 4, 2, 1)
        self.deep = nn.Conv2d(6, 8, 3, 2, 1)
        self.norm = nn.GroupNorm(2, 8)
        self.up1 = nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1)
        self.up2 = nn.ConvTranspose2d(12, 2, 4, 2, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        a = F.gelu(self.down(x))
        b = F.silu(self.norm(self.deep(a)))
        b = self.up1(b)
        return torch.sigmoid(self.up2(torch.cat((a, b), 1)))


class Signal(nn.Module):
    """One dimension: causal padding, dilation, layer norm, average pooling, strides."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 6, 5, stride=2)
        self.second = nn.Conv1d(6, 6, 3, dilation=3)
        self.norm = nn.LayerNorm(6)
        self.up = nn.ConvTranspose1d(6, 4, 4, stride=3, padding=1)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(F.pad(x, (4, 0))))
        x = F.elu(self.second(x))
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        x = F.avg_pool1d(self.up(x), 3, 2, padding=1, ceil_mode=True)
        out: Tensor = self.out(x.permute(0, 2, 1))
        return out.softmax(-1)


class Volume(nn.Module):
    """Three dimensions, as for video: factored convolutions, strided pooling, instance norm."""

    def __init__(self) -> None:
        super().__init__()
        self.space = nn.Conv3d(3, 6, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.time = nn.Conv3d(6, 8, (3, 1, 1), padding=(1, 0, 0))
        self.norm = nn.InstanceNorm3d(8, affine=True)
        self.up = nn.ConvTranspose3d(8, 4, 2, 2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.time(self.space(x))))
        x = F.max_pool3d(x, 2, 2, ceil_mode=True)
        x = F.softplus(self.up(x))
        x = F.avg_pool3d(x, (1, 2, 2), count_include_pad=False, padding=(0, 1, 1))
        out: Tensor = self.head(x.mean((2, 3, 4)))
        return out


class Shared(nn.Module):
    """One module called three times, and a parameter used by function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(3, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = torch.relu(self.conv(x)) * self.scale
        return F.conv2d(x, self.conv.weight, stride=2).amax((2, 3))


class InPlace(nn.Module):
    """Writes through views, slices and out-of-order aliases of the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        left = y[:, :2]
        left.mul_(2)
        y[:, 3] = 0.5
        y.clamp_(min=-1)
        z = y + left.repeat(1, 2, 1, 1)
        z[..., 0] += 1
        z /= 3
        return F.relu_(z).sub_(y)


class TwoInputs(nn.Module):
    """Two inputs compared: a correlation layer, matrix products, a mask and a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3)

    def forward(self, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.features(one).flatten(2), self.features(two).flatten(2)
        match = torch.bmm(a.transpose(1, 2), b) / 2
        share = match.softmax(-1)
        warped = torch.matmul(b, share.transpose(1, 2))
        best, place = match.max(-1)
        kept = torch.where(best > 0, best, -best)
        top, _ = kept.topk(3, -1)
        return warped - a, top + place[:, :3]


class Raises(nn.Module):
    """Fails in its third step: the linear layer expects another size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(100, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.relu(self.conv(x)).flatten(1))
        return out


class Dense(nn.Module):
    """Growing concatenations, transitions by average pooling, channel shuffle: a DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(4 + 3 * i, 3, 3, padding=1) for i in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 + 3 * i) for i in range(3))
        self.act = nn.PReLU(13)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.cat((x, layer(F.relu6(norm(x)))), 1)
        x = F.avg_pool2d(self.act(x), 3, 2, 1)
        x = F.channel_shuffle(x[:, :12], 3)
        return F.pixel_shuffle(x, 2).var((2, 3))


class Attention(nn.Module):
    """Convolutional patches, then self-attention of both spellings."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mix = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        q, k, v = self.mix(x).chunk(3, -1)
        x = F.scaled_dot_product_attention(q, k, v)
        return torch.einsum("ntc,c->nt", x, torch.ones(8)).std(-1)


def _image(*shape: int) -> tuple[Tensor, ...]:
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(1)),)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "residual": (Residual, lambda: _image(2, 3, 33, 29)),
    "depthwise": (Depthwise, lambda: _image(2, 4, 12, 13)),
    "dilated": (Dilated, lambda: _image(1, 3, 11, 9)),
    "transposed": (Transposed, lambda: _image(2, 1, 16, 20)),
    "signal": (Signal, lambda: _image(2, 2, 31)),
    "volume": (Volume, lambda: _image(1, 3, 5, 13, 11)),
    "shared": (Shared, lambda: _image(1, 3, 9, 9)),
    "in place": (InPlace, lambda: _image(2, 2, 6, 7)),
    "two inputs": (TwoInputs, lambda: _image(1, 1, 6, 6) + _image(1, 1, 6, 6)),
    "dense": (Dense, lambda: _image(2, 4, 10, 10)),
    "attention": (Attention, lambda: _image(2, 3, 12, 12)),
}


def build(name: str, training: bool = False) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network with weights from a fixed seed, in its mode, and inputs for it."""
    make, inputs = NETWORKS[name]
    torch.manual_seed(0)
    network = make().train(training)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that are not 0 and 1
            nn.init.uniform_(_buffer(module.running_mean), -0.5, 0.5)
            nn.init.uniform_(_buffer(module.running_var), 0.5, 2)
    return network, inputs()


def _buffer(tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError("the norm keeps no statistics")
    return tensor
