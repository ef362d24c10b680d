"""Measure how long the server takes for a sheet of feature maps of one megabyte."""

from functools import partial

import torch

from bench.figures import Figure, repeat
from convlens.lab.answers.sheets import sheet_of
from convlens.lens import record


def measure() -> list[Figure]:
    figures = []
    for shape in ((1, 64, 128, 128), (1, 1024, 32, 32), (1, 16, 16, 64, 64)):
        seen = record(torch.relu, torch.randn(shape))
        value = seen.values[seen.steps[0].outputs[0]]
        samples = [t * 1e3 for t in repeat(partial(sheet_of, seen, value, 0), 15)]
        name = f"sheet of 1 MB, {'x'.join(map(str, shape))}"
        figures.append(Figure.of(name, samples, "ms", 20))
    return figures
