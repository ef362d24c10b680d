"""Give every category a colour, the same on every picture, and ink that is legible on it."""

from __future__ import annotations

import math
from functools import cache

__all__ = ["GREY", "Colour", "category_colour", "ink_on"]

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

GREY: Colour = (138, 144, 153)
"""The colour of the background, and of categories that have no bar of their own."""

# Neighbouring numbers differ by the golden angle in hue, and in lightness.
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_LIGHTNESS = (0.70, 0.80, 0.62)
_CHROMA = (0.17, 0.15, 0.19)


@cache
def category_colour(label: int) -> Colour:
    """Return the colour of a category's number.

    Hues take equal steps, in Oklab (B. Ottosson, *A perceptual color space for image processing*,
    2020).

    >>> category_colour(0) == category_colour(0) != category_colour(1)
    True
    """
    hue = 0.5 + label * _GOLDEN_ANGLE
    turn = label % 3
    a, b = _CHROMA[turn] * math.cos(hue), _CHROMA[turn] * math.sin(hue)
    light = _LIGHTNESS[turn]
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _byte(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
        _byte(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
        _byte(-0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short),
    )


def ink_on(ground: Colour) -> Colour:
    """Return black or white, whichever is more legible on a ground (ITU-R BT.709 luminance).

    >>> ink_on((255, 230, 0)), ink_on((0, 0, 90))
    ((16, 18, 22), (255, 255, 255))
    """
    red, green, blue = ((value / 255) ** 2.2 for value in ground)
    # At this luminance, black and white have the same contrast (WCAG 2.2, 1.4.3).
    return (16, 18, 22) if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else (255, 255, 255)


def _byte(linear: float) -> int:
    """Return an sRGB byte of linear light, clipped to what a screen can show."""
    linear = min(1.0, max(0.0, linear))
    curved = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * curved)
