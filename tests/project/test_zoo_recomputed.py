"""Every convolution, pooling and linear layer the zoo's networks run, again by `compute`."""

from __future__ import annotations

import pytest
import torch

from convlens.lens import record
from convlens.zoo import DETECTORS, NETWORKS
from tests.cases.detectors import finding
from tests.cases.zoo_weights import drawn, with_weights
from tests.oracles.recomputing import recomputed
from tests.zoo.test_networks import COMPARED, FACTS, built

QUICK = (
    *("resnet18", "mobilenet_v3_small", "lraspp_mobilenet_v3_large", "mc3_18"),
    "fasterrcnn_mobilenet_v3_large_fpn",
)
"""One of each make, in the ordinary suite."""

SMALL = (
    *("fashion_mnist", "shapes_resnet", "shapes_mobilenet", "shapes_unet", "shapes_clips"),
    *("shapes_boxes", "shapes_masks", "shapes_keypoints"),
)
"""Those that are made for data sets that are learned on this machine."""

OTHERS = sorted({*FACTS, *COMPARED} - set(QUICK))


def check(name: str) -> None:
    if name in DETECTORS:
        network = finding(name, NETWORKS[name].classes)
    else:
        network = built(name)
        network = with_weights(network, drawn(network)).eval()
    shape = (1, 3, 4, 32, 32) if name.endswith(("_18", "clips")) else (1, 3, 64, 64)
    if name == "fashion_mnist":
        shape = (1, 1, 28, 28)
    seen = record(network, torch.rand(shape, generator=torch.Generator().manual_seed(0)))
    assert seen.error is None
    done = 0
    for step in seen:
        again = recomputed(seen, step)
        if again is not None:
            assert again.agrees(seen.values[step.outputs[0]].tensor), (step.index, step.module)
            done += 1
    # Each layer's weights are used at least once, and what adaptive pooling leaves out is no layer.
    layers = [m for m in network.modules() if isinstance(m, _LAYERS)]
    assert done >= len(layers)


_LAYERS = (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.ConvTranspose2d, torch.nn.Linear)


@pytest.mark.parametrize("name", [*QUICK, *SMALL])
def test_every_layer_is_recomputed(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("gigabytes")
@pytest.mark.parametrize("name", OTHERS)
def test_every_layer_of_the_others_is_recomputed(name: str) -> None:
    check(name)


def test_all_networks_are_here() -> None:
    assert {*QUICK, *OTHERS, *SMALL} == set(NETWORKS) - {"digits", "filters"}
