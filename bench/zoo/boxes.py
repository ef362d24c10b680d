"""Measure suppression and aligned pooling at the sizes of a detector's proposals, on two cores."""

import torch
from torch import Tensor

from bench.figures import Figure, repeat
from convlens.zoo.detection.boxes import nms
from convlens.zoo.detection.regions import MultiScaleRoIAlign

N, HEIGHT, WIDTH = 10_000, 800, 1088


def measure() -> list[Figure]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        return [*_suppressions(), *_poolings()]
    finally:
        torch.set_num_threads(threads)


def _suppressions() -> list[Figure]:
    figures = []
    for name, boxes in _boxes().items():
        scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(1))
        for threshold in (0.5, 0.7):
            kept = len(nms(boxes, scores, threshold))
            times = repeat(lambda b=boxes, s=scores, t=threshold: nms(b, s, t), 15)  # type: ignore[misc]
            what = f"nms of {len(boxes):,} boxes, {name}, {threshold}"
            milliseconds = [1e3 * seconds for seconds in times]
            figures.append(Figure.of(what, milliseconds, "ms", 30, f"{kept:,} kept"))
    return figures


def _boxes() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    picture = torch.tensor([WIDTH, HEIGHT])
    sides = 12 * 40 ** torch.rand(N, 2, generator=generator)  # 12 to 480 pixels
    corner = torch.rand(N, 2, generator=generator) * (picture - sides)
    at = torch.arange(N)
    lattice = torch.stack((at % 100, at // 100), 1) * 8.0
    about = torch.stack((at % 68, at // 68 % 50), 1) * 16.0
    half = torch.tensor([[23.0, 45], [32, 32], [45, 23]])[at % 3] * (1 + at[:, None] % 2)
    noise = torch.randn(N, 4, generator=generator)
    some = torch.randint(20, (N,), generator=generator)
    crowded = torch.cat((corner, corner + sides), 1)[some]
    return {
        "scattered": torch.cat((corner, corner + sides), 1),
        "dense anchors": torch.cat((about - half, about + half), 1) + noise,
        "about 20 things": crowded + noise * 0.08 * sides[some].repeat(1, 2),
        "all kept": torch.cat((lattice, lattice + 10), 1),
    }


def _poolings() -> list[Figure]:
    generator = torch.Generator().manual_seed(2)
    levels = [
        torch.randn(1, 256, HEIGHT // 2**i, WIDTH // 2**i, generator=generator) for i in range(2, 6)
    ]
    # As many boxes to each of the four levels.
    about = torch.tensor([56.0, 150, 300, 600]).repeat(250)[:, None]
    sides = about * (0.6 + 0.9 * torch.rand(1000, 2, generator=generator))
    sides = sides.minimum(torch.tensor([WIDTH, HEIGHT]))
    corner = torch.rand(1000, 2, generator=generator) * (torch.tensor([WIDTH, HEIGHT]) - sides)
    boxes = [torch.cat((corner, corner + sides), 1)]
    pooling = MultiScaleRoIAlign(7, 2)
    figures = []
    for name, form in (
        ("contiguous", torch.contiguous_format),
        ("channels_last", torch.channels_last),
    ):
        maps = [level.contiguous(memory_format=form) for level in levels]
        times = repeat(lambda m=maps: pooling(m, boxes, [(HEIGHT, WIDTH)]), 15)  # type: ignore[misc]
        milliseconds = [1e3 * seconds for seconds in times]
        what = f"roi_align of 1,000 regions of 256x7x7, four levels, {name}"
        figures.append(Figure.of(what, milliseconds, "ms", 60, f"{HEIGHT} x {WIDTH} pixels"))
    return figures
