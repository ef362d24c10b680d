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
}
"""Every network whose weights come with convlens, by its name."""
