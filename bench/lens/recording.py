"""Measure what recording adds to the plain forward, and one explanation, for ResNet-50."""

import gc
import time
from functools import partial

import torch
from torch import nn

from bench.figures import Figure, repeat
from convlens.lens import Recording, explain, record
from convlens.zoo import model

STEP, MEGABYTE = 60e-6, 0.5e-3  # seconds allowed for each


def measure() -> list[Figure]:
    torch.manual_seed(0)
    network = model("resnet50", weights=None)
    picture = torch.randn(1, 3, 224, 224)
    seen = record(network, picture)
    plain, recorded, beyond = [], [], []
    for _ in range(9):  # in turn, so that both see the same machine
        began = time.perf_counter()
        with torch.no_grad():
            network(picture)
        middle = time.perf_counter()
        seen = record(network, picture)
        ended = time.perf_counter()
        plain.append(middle - began)
        recorded.append(ended - middle)
        beyond.append(recorded[-1] - plain[-1])
        gc.collect()
    megabytes = seen.nbytes / 2**20
    allowed = STEP * len(seen) + MEGABYTE * megabytes
    note = f"{len(seen)} steps, {megabytes:.0f} MB kept"
    figures = [
        Figure.of("plain forward, ResNet-50", plain, "s"),
        Figure.of("recorded forward", recorded, "s"),
        Figure.of("recording beyond plain", beyond, "s", allowed, note),
    ]
    figures.append(_small())
    places = ("conv1", "layer1.0.conv2", "layer4.2.conv2", "layer3.5", "fc")
    for where in places:
        step = seen.step(where)
        index = tuple(n // 2 for n in seen.values[step.outputs[0]].shape)
        samples = repeat(partial(_explained, seen, where, index), 9)
        milliseconds = [t * 1e3 for t in samples]
        figures.append(Figure.of(f"explain and pixels, {where}", milliseconds, "ms", 100))
    return figures


def _small() -> Figure:
    """Return the microseconds that recording adds to each step, for very small maps."""
    parts: list[nn.Module] = []
    for _ in range(30):
        parts += [nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    network, picture = nn.Sequential(*parts).eval(), torch.randn(1, 4, 6, 6)
    with torch.no_grad():
        pairs = [
            (
                repeat(partial(network, picture), 1)[0],
                repeat(partial(record, network, picture), 1)[0],
            )
            for _ in range(31)
        ]
    samples = [(recorded - plain) / len(parts) * 1e6 for plain, recorded in pairs]
    return Figure.of("recording beyond plain, a step of tiny maps", samples, "us", STEP * 1e6)


def _explained(seen: Recording, where: str, index: tuple[int, ...]) -> None:
    explain(seen, where, index).pixels()
