"""Every shipped network answers as well as the documentation says, on samples that it never saw."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.learn.data.splits import Data, Subset
from convlens.learn.opening import open_network
from convlens.learn.recipe import Recipe
from convlens.learn.tasks import TASKS
from convlens.learn.training.loading import SampleReader
from convlens.learn.training.named_data import data_for
from convlens.learn.training.shipped import SHIPPED
from convlens.learn.training.validating import measure_all
from convlens.zoo import NETWORKS
from convlens.zoo.shipped import shipped_weights

LEAST = {
    "digits": {"accuracy": 0.994},
    "shapes_resnet": {"accuracy": 0.97},
    "shapes_mobilenet": {"accuracy": 0.97},
    "shapes_clips": {"accuracy": 0.98},
    "shapes_boxes": {"AP50": 0.90},
    "shapes_unet": {"mIoU": 0.85},
    "shapes_masks": {"mask AP50": 0.80},
    "shapes_keypoints": {"point AP50": 0.70},
}
"""What is asked of each, on some of its held-out samples."""


def held_out(name: str, count: int) -> Data:
    found = data_for(SHIPPED[name].data, TASKS[NETWORKS[name].task])
    some = Subset(found.held_out, np.arange(min(count, len(found.held_out))))
    return Data(found.train, some, found.name)


def measured(name: str, count: int, weights: str | None = None) -> dict[str, float]:
    opened = open_network(name, weights=weights)
    task = TASKS[NETWORKS[name].task]
    reader = SampleReader(
        held_out(name, count).held_out, task, opened.preparation, Recipe(batch=16)
    )
    return measure_all(opened.network, reader).values


@pytest.mark.parametrize("name", LEAST)
def test_a_shipped_network_answers_as_well_as_stated(name: str) -> None:
    found = measured(name, 360 if name == "digits" else 120)
    for measure, least in LEAST[name].items():
        assert found[measure] >= least


def test_random_weights_would_not() -> None:
    """The measure can fail."""
    assert measured("shapes_resnet", 40, weights="none")["accuracy"] < 0.5


def test_each_shipped_network_has_a_recipe_and_each_recipe_a_network() -> None:
    shipped = {name for name, entry in NETWORKS.items() if entry.shipped is not None}
    assert shipped == set(SHIPPED) == {*LEAST, "fashion_mnist"}  # its data is no part of convlens
    assert all(NETWORKS[name].shipped == shipped_weights(name) for name in shipped)
