"""Colours are legible, and those of neighbours differ."""

from __future__ import annotations

import math

import numpy as np

from convlens.draw.colours import category_colour, ink_on


def test_colours_are_legible_and_neighbours_differ() -> None:
    def light(colour: tuple[int, int, int]) -> float:
        parts = zip((0.2126, 0.7152, 0.0722), colour, strict=True)
        return sum(part * math.pow(value / 255, 2.2) for part, value in parts)

    colours = [category_colour(label) for label in range(1000)]
    for colour in colours:
        a, b = sorted((light(colour), light(ink_on(colour))))
        assert (b + 0.05) / (a + 0.05) > 4.5  # WCAG 2.2, 1.4.3, for small text
    first = np.array(colours[:21])
    apart = np.abs(first[:, None] - first[None]).sum(-1) + 999 * np.eye(21)
    assert apart.min() > 40
