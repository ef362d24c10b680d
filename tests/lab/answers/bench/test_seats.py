"""The seats of a number give it: plain sums of float64 over them are what `explain` gives."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens import avg_pool, conv
from convlens.lab.answers.bench.benching import bench_of
from convlens.lab.answers.families import family_of
from convlens.lens import Recording, record
from convlens.lens.kinds import bound
from convlens.zoo import model
from convlens.zoo.detection.regions import roi_align
from tests.oracles.seats import RULES, recomputed

Call = Callable[[Tensor], object]


@functools.cache
def drawn(*shape: int) -> Tensor:
    """Return the same random numbers for the same shape, so that a second run makes no step."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


BOXES = torch.tensor([[0, 1.0, 2, 15, 20], [1, -3.0, 4, 9, 30]])
LINE, PLANE, SOLID = (2, 4, 9), (2, 4, 7, 6), (1, 2, 5, 4, 6)

CASES: list[tuple[str, tuple[int, ...], Call]] = [
    ("conv", LINE, lambda x: F.conv1d(x, drawn(6, 4, 3), drawn(6))),
    ("conv", (4, 9), lambda x: F.conv1d(x, drawn(6, 4, 3), padding=1)),
    ("conv", PLANE, lambda x: F.conv2d(x, drawn(6, 4, 3, 3), drawn(6), 2, 1)),
    ("conv", PLANE, lambda x: F.conv2d(x, drawn(5, 4, 3, 5), padding="same")),
    ("conv", PLANE, lambda x: F.conv2d(x, drawn(5, 4, 2, 3), None, (2, 1), (0, 2), (2, 1))),
    ("conv", PLANE, lambda x: F.conv2d(x, drawn(6, 2, 3, 3), drawn(6), groups=2)),
    ("conv", PLANE, lambda x: F.conv2d(x, drawn(8, 1, 3, 3), groups=4, padding=1)),
    ("conv", PLANE[1:], lambda x: F.conv2d(x, drawn(3, 4, 1, 1), drawn(3))),
    ("conv", SOLID, lambda x: F.conv3d(x, drawn(3, 2, 2, 3, 3), drawn(3), padding=1)),
    ("conv", PLANE, lambda x: conv(x, drawn(3, 4, 3, 3), padding=((1, 0), (2, 1)))),
    ("transposed", LINE, lambda x: F.conv_transpose1d(x, drawn(4, 3, 4), drawn(3), 2, 1)),
    ("transposed", PLANE, lambda x: F.conv_transpose2d(x, drawn(4, 3, 3, 3), None, 2, 1, 1)),
    ("transposed", PLANE, lambda x: F.conv_transpose2d(x, drawn(4, 3, 2, 2), drawn(3), 3)),
    ("transposed", PLANE, lambda x: F.conv_transpose2d(x, drawn(4, 3, 3, 3), drawn(6), groups=2)),
    ("transposed", SOLID, lambda x: F.conv_transpose3d(x, drawn(2, 3, 2, 2, 2), stride=2)),
    ("max_pool", LINE, lambda x: F.max_pool1d(x, 3, 2)),
    ("max_pool", PLANE, lambda x: F.max_pool2d(x, 3, 2, 1)),
    ("max_pool", PLANE, lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True)),
    ("max_pool", PLANE, lambda x: F.max_pool2d(x, (3, 2), 1, dilation=(1, 2))),
    ("max_pool", PLANE, lambda x: F.adaptive_max_pool2d(x, (3, 4))),
    ("max_pool", PLANE, lambda x: F.max_pool2d(x, 2, return_indices=True)[1]),
    ("max_pool", SOLID, lambda x: F.max_pool3d(x, 2)),
    ("avg_pool", LINE, lambda x: F.avg_pool1d(x, 3, 2, 1)),
    ("avg_pool", PLANE, lambda x: F.avg_pool2d(x, 3, 2, 1)),
    ("avg_pool", PLANE, lambda x: F.avg_pool2d(x, 3, 2, 1, True)),
    ("avg_pool", PLANE, lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
    ("avg_pool", PLANE, lambda x: F.avg_pool2d(x, 3, 2, divisor_override=5)),
    ("avg_pool", PLANE, lambda x: F.adaptive_avg_pool2d(x, (3, 4))),
    ("avg_pool", PLANE, lambda x: F.adaptive_avg_pool2d(x, 1)),
    ("avg_pool", PLANE, lambda x: avg_pool(x, (3, 3), padding=((1, 0), (0, 1)))),
    ("linear", (12,), lambda x: F.linear(x, drawn(5, 12), drawn(5))),
    ("linear", (2, 12), lambda x: F.linear(x, drawn(5, 12))),
    ("linear", (2, 3, 12), lambda x: F.linear(x, drawn(5, 12), drawn(5))),
    ("linear", (2, 12), lambda x: F.linear(x, drawn(12))),
    ("linear", (3, 12), lambda x: torch.addmm(drawn(4), x, drawn(12, 4), beta=2, alpha=0.5)),
    ("linear", (2, 3, 12), lambda x: x @ x.mT),
    ("linear", (3, 12), lambda x: drawn(12) @ x.T),
    ("linear", (3, 12), lambda x: x @ drawn(12)),
    ("softmax", (2, 10), lambda x: x.softmax(-1)),
    ("softmax", PLANE, lambda x: x.softmax(1)),
    ("softmax", PLANE, lambda x: F.log_softmax(x, 2)),
    ("softmax", (10,), lambda x: F.softmin(x, 0)),
    ("reduce", PLANE, lambda x: x.mean((2, 3))),
    ("reduce", PLANE, lambda x: x.mean((2, 3), keepdim=True)),
    ("reduce", PLANE, lambda x: x.sum(1)),
    ("reduce", PLANE, lambda x: x.sum()),
    ("reduce", PLANE, lambda x: x.amax((1, -1))),
    ("reduce", SOLID, lambda x: x.var((0, 2, 3, 4))),
    ("pointwise", PLANE, lambda x: F.relu(x)),
    ("pointwise", PLANE, lambda x: F.hardswish(x)),
    ("pointwise", PLANE, lambda x: torch.sigmoid(x)),
    ("pointwise", PLANE, lambda x: F.gelu(x)),
    ("pointwise", PLANE, lambda x: x.clamp(-0.5, 0.5)),
    ("pointwise", PLANE, lambda x: x * 0.5),
    ("pointwise", PLANE, lambda x: 3 - x),
    ("pointwise", PLANE, lambda x: F.leaky_relu(x, 0.2)),
    ("pointwise", PLANE, lambda x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3, 0.4]))),
    ("pointwise", LINE, lambda x: F.relu_(x.clone())),
    ("add", PLANE, lambda x: x + x),
    ("add", PLANE, lambda x: torch.add(x, drawn(4, 1, 1), alpha=0.5)),
    ("add", PLANE, lambda x: x - drawn(6)),
    ("add", PLANE, lambda x: torch.rsub(x, drawn(2, 1, 7, 1))),
    ("multiply", PLANE, lambda x: x * drawn(2, 4, 1, 1)),
    ("multiply", PLANE, lambda x: drawn(6) / x),
    ("multiply", PLANE, lambda x: x * torch.tensor(2.0)),
    ("concat", PLANE, lambda x: torch.cat([x, drawn(2, 3, 7, 6)], 1)),
    ("concat", PLANE, lambda x: torch.cat([x, x, drawn(2, 4, 2, 6)], 2)),
    ("concat", (2, 5), lambda x: torch.cat([x, drawn(1, 5)])),
    ("norm", PLANE, lambda x: F.batch_norm(x, drawn(4), drawn(4).abs(), drawn(4), drawn(4))),
    ("norm", PLANE, lambda x: F.batch_norm(x, drawn(4), drawn(4).abs())),
    ("norm", PLANE, lambda x: F.batch_norm(x, None, None, drawn(4), drawn(4), training=True)),
    ("norm", (5, 4), lambda x: F.batch_norm(x, drawn(4), drawn(4).abs(), drawn(4), drawn(4))),
    ("norm", (1, 4), lambda x: F.batch_norm(x, drawn(4), drawn(4).abs(), drawn(4))),
    ("norm", PLANE, lambda x: F.layer_norm(x, (6,), drawn(6), drawn(6))),
    ("norm", PLANE, lambda x: F.layer_norm(x, (4, 7, 6), drawn(4, 7, 6), drawn(4, 7, 6))),
    ("norm", (2, 5, 8), lambda x: F.layer_norm(x, (8,), drawn(8))),
    ("norm", (2, 5, 8), lambda x: F.rms_norm(x, (8,), drawn(8))),
    ("norm", PLANE, lambda x: F.group_norm(x, 2, drawn(4), drawn(4))),
    ("norm", (3, 8), lambda x: F.group_norm(x, 2, drawn(8))),
    ("norm", (1, 8), lambda x: F.group_norm(x, 4)),
    ("norm", PLANE, lambda x: F.instance_norm(x, weight=drawn(4), bias=drawn(4))),
    ("norm", LINE, lambda x: F.instance_norm(x, drawn(4), drawn(4).abs(), use_input_stats=False)),
    ("norm", SOLID, lambda x: F.group_norm(x, 1)),
    ("resample", PLANE, lambda x: F.interpolate(x, scale_factor=2)),
    ("resample", PLANE, lambda x: F.interpolate(x, scale_factor=(1.7, 0.6))),
    ("resample", PLANE, lambda x: F.interpolate(x, (5, 11), mode="nearest-exact")),
    ("resample", PLANE, lambda x: F.interpolate(x, (13, 4), mode="bilinear")),
    ("resample", PLANE, lambda x: F.interpolate(x, (13, 4), mode="bilinear", align_corners=True)),
    ("resample", PLANE, lambda x: F.interpolate(x, scale_factor=1.6, mode="bilinear")),
    (
        "resample",
        PLANE,
        lambda x: F.interpolate(x, None, 1.6, "bilinear", recompute_scale_factor=True),
    ),
    ("resample", PLANE, lambda x: F.interpolate(x, (3, 4), mode="bilinear", antialias=True)),
    ("resample", PLANE, lambda x: F.interpolate(x, (9, 15), mode="bicubic", align_corners=True)),
    ("resample", PLANE, lambda x: F.interpolate(x, (9, 15), mode="bicubic")),
    ("resample", PLANE, lambda x: F.interpolate(x, (3, 4), mode="area")),
    ("resample", LINE, lambda x: F.interpolate(x, 20, mode="linear")),
    ("resample", SOLID, lambda x: F.interpolate(x, scale_factor=2, mode="trilinear")),
    ("resample", (2, 3, 12, 10), lambda x: roi_align(x, BOXES, (3, 2), 0.5, 2)),
    ("resample", (2, 3, 12, 10), lambda x: roi_align(x, BOXES, 2, 0.5, -1, True)),
    ("move", PLANE, lambda x: x.flatten(1)),
    ("move", PLANE, lambda x: x.view(2, 2, 2, 7, 6)),
    ("move", PLANE, lambda x: x.permute(0, 2, 3, 1)),
    ("move", PLANE, lambda x: x.permute(0, 2, 3, 1).reshape(2, 42, 4)),
    ("move", PLANE, lambda x: x[:, 1:3, ::2, 1:]),
    ("move", PLANE, lambda x: x[:, 2]),
    ("move", PLANE, lambda x: x.chunk(2, 1)[1]),
    ("move", PLANE, lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect")),
    ("move", PLANE, lambda x: x.roll((1, 2), (2, 3))),
    ("move", (1, 8, 3, 5), lambda x: F.pixel_shuffle(x, 2)),
    ("move", PLANE, lambda x: torch.stack([x, x + 1])),
    ("move", PLANE, lambda x: x.mT.contiguous()),
    ("move", LINE, lambda x: x.unfold(2, 3, 2)),
    ("move", (6, 5), lambda x: F.embedding(torch.tensor([[1, 3], [0, 5]]), x)),
]


def openings(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the corners of a value and some numbers between them."""
    corners = list(itertools.product(*({0, n - 1} for n in shape)))
    draw = np.random.default_rng(0)
    return corners[:6] + corners[-6:] + [tuple(map(int, draw.integers(shape))) for _ in range(8)]


def same(one: float, other: float, bound: float) -> bool:
    """Return whether two sums of float64 are one number within a bound."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    return abs(one - other) <= bound + abs(other) * 1e-12


def check_all(recording: Recording, family: str) -> None:
    step = recording.steps[-1]
    assert family_of(bound(recording, step)[0], step) == family
    value = recording.output
    assert value is not None
    for index in openings(value.shape):
        bench = bench_of(recording, value, index)
        assert (bench["family"], bench["refusal"]) == (family, "")
        total = recomputed(recording, bench)
        assert same(total, bench["total"], bench["bound"]), index


@pytest.mark.parametrize(
    ("family", "shape", "call"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_the_seats_give_the_number(family: str, shape: tuple[int, ...], call: Call) -> None:
    call(drawn(*shape).clone())
    check_all(record(call, drawn(*shape).clone()), family)


@pytest.mark.parametrize(
    ("family", "shape", "call"),
    CASES[::2],
    ids=[f"{2 * n}-{c[0]}" for n, c in enumerate(CASES[::2])],
)
def test_what_is_not_finite_is_so_on_the_bench(
    family: str, shape: tuple[int, ...], call: Call
) -> None:
    x = drawn(*shape).clone()
    x.view(-1)[3], x.view(-1)[-1] = math.nan, math.inf
    call(x.clone())
    recording = record(call, x)
    assert recording.output is not None
    for index in openings(recording.output.shape):
        bench = bench_of(recording, recording.output, index)
        assert bench["family"] in (family, "other")
        if bench["family"] == family and not bench["detail"].get("place"):
            assert same(recomputed(recording, bench), bench["total"], bench["bound"])


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "lraspp_mobilenet_v3_large"])
def test_the_seats_give_the_numbers_of_a_network(name: str) -> None:
    network = model(name, weights=None)
    recording = record(network, drawn(1, 3, 48, 40))
    families = set()
    for value in (v for v in recording.values if v.kind == "computed"):
        bench = bench_of(recording, value, tuple(n // 2 for n in value.shape))
        families.add(bench["family"])
        total = recomputed(recording, bench)
        assert same(total, bench["total"], bench["bound"])
    assert families > {"conv", "norm", "pointwise", "multiply", "avg_pool"}


def test_every_rule_is_tried() -> None:
    assert {family for family, _, _ in CASES} == set(RULES)
