"""Measure how long the server takes for a sheet of a million numbers, packed for the page."""

from functools import partial

import torch

from bench.figures import Figure, repeat
from convlens.lab.answers.envelope import pack
from convlens.lab.answers.sheets import sheet_of
from convlens.lens import Recording, Value, record


def packed(recording: Recording, value: Value) -> bytes:
    return pack(sheet_of(recording, value))


def measure() -> list[Figure]:
    figures = []
    for shape in ((1, 64, 128, 128), (1, 1024, 32, 32), (1, 16, 16, 64, 64)):
        seen = record(torch.relu, torch.randn(shape))
        value = seen.values[seen.steps[0].outputs[0]]
        samples = [t * 1e3 for t in repeat(partial(packed, seen, value), 15)]
        name = f"sheet of 1 MB, {'x'.join(map(str, shape))}"
        figures.append(Figure.of(name, samples, "ms", 20))
    return figures
