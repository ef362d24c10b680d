"""Colour figures as the lab's page is coloured: orange below zero, blue above, light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["THEMES", "Theme"]

_STEPS = 255
_NOT_FINITE = (213, 0, 142)


@dataclass(frozen=True)
class Theme:
    """The colours of a figure; `signed` are those of numbers, from most negative to positive."""

    ground: str
    panel: str
    ink: str
    soft: str
    line: str
    accent: str
    casing: str
    positive: str
    negative: str
    signed: str

    @cached_property
    def table(self) -> NDArray[np.uint8]:
        """The colours from -1 to 1, (511, 3)."""
        anchors = np.array([list(bytes.fromhex(part)) for part in self.signed.split()], float)
        at = np.linspace(0, len(anchors) - 1, 2 * _STEPS + 1)
        channels = [np.interp(at, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
        table: NDArray[np.uint8] = np.rint(np.stack(channels, 1)).astype(np.uint8)
        return table

    def colours(self, numbers: NDArray[np.float64], largest: float) -> NDArray[np.uint8]:
        """Return the colour of each number, (*shape, 3); one of size `largest` has the strongest.

        >>> THEMES["light"].colours(np.array([0.0, 9.0]), 1.0).tolist()
        [[247, 247, 245], [5, 48, 97]]
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            share = numbers / largest if largest > 0 else np.zeros_like(numbers)
        known = np.isfinite(numbers)
        at = _STEPS + np.rint(np.clip(np.where(known, share, 0), -1, 1) * _STEPS).astype(int)
        found: NDArray[np.uint8] = self.table[at]
        found[~known] = _NOT_FINITE
        return found

    @staticmethod
    def ink_on(colour: NDArray[np.uint8]) -> str:
        """Return black or white, whichever has more contrast on a colour (WCAG 2.2).

        >>> Theme.ink_on(np.array([247, 247, 245], np.uint8))
        '#000000'
        """
        c = colour / 255
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return "#000000" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#ffffff"


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        *("#fbfbf9", "#ffffff", "#16181b", "#5c6269", "#deded9", "#c2006b", "#ffffff"),
        *("#2166ac", "#b35806"),
        "7f3b08 b35806 e08214 fdb863 fee0b6 f7f7f5 d1e5f0 92c5de 4393c3 2166ac 053061",
    ),
    "dark": Theme(
        *("#131518", "#1a1d21", "#eceef1", "#a3a9b2", "#32363c", "#ff6db3", "#0c0d0f"),
        *("#6bb3e6", "#f0973a"),
        "ffd9a3 f7a94b c9741a 8a4d12 50300f 202227 14334d 1d5480 2f7fb8 6bb3e6 c2e2fb",
    ),
}
"""The two themes by name; a test compares them with the page's style sheet."""
