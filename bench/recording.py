"""What recording costs beyond the plain forward, and one explanation, at ResNet-50's size."""

import gc
import time
from functools import partial

import torch

from bench.figures import Figure, repeat
from convlens.lens import Recording, explain, record
from networks import ResNet50Shaped

STEP, MEGABYTE = 60e-6, 0.5e-3  # seconds allowed for each


def measure() -> list[Figure]:
    torch.manual_seed(0)
    network = ResNet50Shaped().eval()
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
        Figure.of("plain forward, ResNet-50-sized", plain, "s"),
        Figure.of("recorded forward", recorded, "s"),
        Figure.of("recording beyond plain", beyond, "s", allowed, note),
    ]
    places = ("conv1", "layer1.0.conv2", "layer4.2.conv2", "layer3.5", "fc")
    for where in places:
        step = seen.step(where)
        index = tuple(n // 2 for n in seen.values[step.outputs[0]].shape)
        samples = repeat(partial(_explained, seen, where, index), 9)
        milliseconds = [t * 1e3 for t in samples]
        figures.append(Figure.of(f"explain and pixels, {where}", milliseconds, "ms", 100))
    return figures


def _explained(seen: Recording, where: str, index: tuple[int, ...]) -> None:
    explain(seen, where, index).pixels()
