"""The page's fields are the boxes of `region`: the same pixels for the same number."""

from __future__ import annotations

import random

import torch
from torch import nn

from convlens.lens import record, region
from convlens.zoo import model
from tests.lab.web.modules import in_node, needs_node, rows

pytestmark = needs_node

CARRYING = """
const values = new Map(given.net.values);
const fields = new page.Fields({ ...given.net, values, spatial: (id) => values.get(id).spaces });
return given.asked.map(([id, index]) => fields.of(id, index, "made").get(given.input)?.box ?? null);
"""


def compare(network: nn.Module, size: int) -> int:
    """Compare the field of some numbers in the input, and return of how many."""
    recording = record(network.eval(), torch.rand(1, 3, size, size))
    draw = random.Random(0)
    made = [v for v in recording.values if v.kind == "computed" and len(v.shape) == 4]
    asked = [(v.id, tuple(draw.randrange(n) for n in v.shape)) for v in made[::3]]
    source = recording.inputs[0].id
    given = {"net": rows(recording), "asked": asked, "input": source}
    for (id, index), box in zip(asked, in_node("parts/fields.js", CARRYING, given), strict=True):
        axes = region(recording, id, index).box[2:]
        assert box == [[axis.start, axis.stop] for axis in axes], (id, index)
    return len(asked)


def test_fields_of_a_residual_network_are_its_regions() -> None:
    assert compare(model("resnet18", weights=None), 96) > 15


def test_fields_through_transposed_and_pooled_windows_are_regions() -> None:
    layers = [
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.AvgPool2d(2, padding=1),
        nn.AdaptiveAvgPool2d((5, 7)),
        nn.ZeroPad2d((1, 0, 2, 0)),
    ]
    assert sum(compare(nn.Sequential(*layers[:end], nn.Identity()), 40) for end in range(1, 9)) > 12
