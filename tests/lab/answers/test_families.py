"""Every step has the family by which the page shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens import conv, functional
from convlens.lab.answers.families import family_of
from convlens.lens import record
from convlens.lens.kinds import bound
from convlens.zoo.detection.regions import roi_align, roi_pool

X = torch.linspace(-2, 2, 2 * 4 * 6 * 6).view(2, 4, 6, 6)
W = torch.linspace(-1, 1, 4 * 4 * 3 * 3).view(4, 4, 3, 3)
BOXES = torch.tensor([[0, 0.0, 0, 4, 4]])
LINE = torch.linspace(-1, 1, 3 * 6).view(3, 6)

CASES: list[tuple[str, Callable[[Tensor], object]]] = [
    ("conv", lambda x: F.conv2d(x, W)),
    ("conv", lambda x: torch.convolution(x, W, None, [1], [0], [1], False, [0], 1)),
    ("transposed", lambda x: torch.convolution(x, W, None, [1], [0], [1], True, [0], 1)),
    ("transposed", lambda x: F.conv_transpose2d(x, W)),
    ("conv", lambda x: functional.conv2d(x, W, padding="same")),
    ("conv", lambda x: conv(x, W, padding=1)),
    ("other", lambda x: conv(x, W, padding=1, padding_mode="reflect")),
    ("max_pool", lambda x: F.max_pool2d(x, 2)),
    ("max_pool", lambda x: F.adaptive_max_pool2d(x, 2)),
    ("avg_pool", lambda x: F.avg_pool2d(x, 2)),
    ("avg_pool", lambda x: F.adaptive_avg_pool2d(x, 1)),
    ("linear", lambda x: F.linear(x, LINE)),
    ("linear", lambda x: x @ x.mT),
    ("softmax", lambda x: x.softmax(1)),
    ("softmax", lambda x: F.log_softmax(x, -1)),
    ("pointwise", lambda x: F.relu(x)),
    ("pointwise", lambda x: x * 0.5),
    ("pointwise", lambda x: F.prelu(x, torch.tensor([0.2]))),
    ("pointwise", lambda x: x.to(torch.float16)),
    ("pointwise", lambda x: torch.relu(x)),
    ("pointwise", lambda x: torch.exp(x, out=torch.empty_like(x))),
    ("add", lambda x: x + x),
    ("add", lambda x: x - LINE[:1, :1]),
    ("multiply", lambda x: x * x),
    ("multiply", lambda x: x / x),
    ("other", lambda x: torch.div(x, x, rounding_mode="floor")),
    ("other", lambda x: torch.maximum(x, x)),
    ("concat", lambda x: torch.cat([x, x], 1)),
    ("norm", lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4))),
    ("norm", lambda x: F.layer_norm(x, (6,))),
    ("norm", lambda x: F.group_norm(x, 2)),
    ("resample", lambda x: F.interpolate(x, scale_factor=2)),
    ("other", lambda x: F.grid_sample(x, torch.zeros(2, 3, 3, 2), align_corners=False)),
    ("resample", lambda x: roi_align(x, BOXES, 2)),
    ("other", lambda x: roi_pool(x, BOXES, 2)),
    ("other", lambda x: x.cumsum(0)),
    ("move", lambda x: x.flatten(1)),
    ("move", lambda x: F.pad(x, (1, 1))),
    ("move", lambda x: torch.stack([x, x])),
    ("move", lambda x: x.mT.contiguous()),
    ("select", lambda x: x.topk(2)),
    ("select", lambda x: x.argmax(1)),
    ("select", lambda x: x.max(1)),
    ("reduce", lambda x: x.mean((2, 3))),
    ("reduce", lambda x: x.amax(1)),
    ("other", lambda x: F.scaled_dot_product_attention(x, x, x)),
    ("other", lambda x: torch.zeros_like(x)),
]


@pytest.mark.parametrize(("family", "call"), CASES)
def test_the_family_of_a_step(family: str, call: Callable[[Tensor], object]) -> None:
    recording = record(call, X)
    step = recording.steps[-1]
    assert family_of(bound(recording, step)[0], step) == family


def test_padding_that_repeats_elements_has_no_window_of_zeros() -> None:
    layer = torch.nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    recording = record(layer, X)
    families = [family_of(bound(recording, step)[0], step) for step in recording.steps]
    assert families == ["move", "conv"]
