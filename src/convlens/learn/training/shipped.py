"""The data and recipe from which each shipped network was trained; one command trains it again."""

from __future__ import annotations

from dataclasses import dataclass

from convlens.learn.recipe import Recipe
from convlens.learn.training.digits import DIGITS_RECIPE

__all__ = ["SHIPPED", "Shipped"]


@dataclass(frozen=True)
class Shipped:
    """What a shipped network learned from: the name of the data, and the recipe."""

    data: str
    recipe: Recipe


SHIPPED: dict[str, Shipped] = {
    "digits": Shipped("digits", DIGITS_RECIPE),
    "fashion_mnist": Shipped(
        "fashion-mnist",
        Recipe(
            epochs=8,
            batch=256,
            rate=0.15,
            optimizer="sgd",
            schedule="linear",
            warmup=0.15,
            decay=5e-4,
            clip=0.0,
            ema=0.995,
            augmentations=("mirror",),
            precision="bfloat16",
        ),
    ),
    "shapes_resnet": Shipped(
        "shapes",
        Recipe(epochs=8, rate=3e-3, smooth=0.05, augmentations=("mirror",), precision="bfloat16"),
    ),
    "shapes_mobilenet": Shipped(
        "shapes", Recipe(epochs=12, rate=3e-3, smooth=0.05, augmentations=("mirror",))
    ),
    "shapes_boxes": Shipped(
        "shapes", Recipe(epochs=2, batch=8, rate=2e-3, augmentations=("mirror",))
    ),
    "shapes_masks": Shipped(
        "shapes", Recipe(epochs=3, batch=8, rate=2e-3, augmentations=("mirror",))
    ),
    "shapes_keypoints": Shipped(
        "shapes", Recipe(epochs=5, batch=8, rate=2e-3, augmentations=("mirror",))
    ),
    "shapes_unet": Shipped(
        "shapes",
        Recipe(epochs=12, batch=16, rate=3e-3, augmentations=("mirror",), precision="bfloat16"),
    ),
    "shapes_clips": Shipped(
        "shapes",
        Recipe(epochs=2, batch=32, rate=2e-3, augmentations=("mirror",), precision="bfloat16"),
    ),
}
"""Every network whose weights come with convlens, by its name."""
