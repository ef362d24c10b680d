"""Draw the category of every pixel, as colours over a picture and as a picture of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlens.draw.colours import GREY, category_colour
from convlens.draw.fonts import shown
from convlens.draw.lettering import Bar
from convlens.learn.predicting.predictions import BACKGROUNDS, Prediction

__all__ = ["draw_segments", "drawn_map", "legend"]


def drawn_map(prediction: Prediction) -> Image.Image:
    """Return the map as a palette picture (h, w) whose pixel values are the categories.

    The background is black. Raises ValueError if the prediction has no map.

    >>> from convlens.learn.predicting.predictions import Prediction
    >>> drawn_map(Prediction("a", 2, 1, map=np.array([[0, 8]], np.uint8))).getpixel((1, 0))
    8
    """
    if prediction.map is None:
        raise ValueError(
            f"`prediction` ({prediction.name}) must have a map to be drawn as one; use a network "
            "that segments"
        )
    image = Image.fromarray(prediction.map, "P")
    image.putpalette(_palette(prediction, (0, 0, 0)).reshape(-1).tolist())
    return image


def draw_segments(picture: Image.Image, prediction: Prediction, scale: int) -> Image.Image:
    """Return an RGB picture, `scale` times as large as the prediction's, tinted by category.

    A light line separates categories; the background stays as it is.
    """
    if prediction.map is None:
        return picture
    map_ = prediction.map.repeat(scale, 0).repeat(scale, 1)
    pixels = np.array(picture)
    hidden = np.array([_is_background(prediction, label) for label in range(256)])
    tinted = ~hidden[map_]
    colours = _palette(prediction, GREY)[map_[tinted]]
    mixed = (pixels[tinted].astype(np.uint16) * 7 + colours.astype(np.uint16) * 9) >> 4
    pixels[tinted] = mixed.astype(np.uint8)
    pixels[_borders(map_)] = (245, 246, 248)
    return Image.fromarray(pixels)


def legend(prediction: Prediction, rows: int) -> list[Bar]:
    """Return the categories of the map with their shares, the largest first, in `rows` bars.

    The background comes last, in grey. Categories without room share one bar with their sum.
    """
    shares = prediction.shares()
    bars, behind = [], 0.0
    for label, share in shares.items():
        if _is_background(prediction, label):
            behind += share
        else:
            bars.append(
                Bar(shown(prediction.category(label), label), share, category_colour(label))
            )
    last = [Bar("background", behind)] if behind else []
    room = rows - len(last)
    if len(bars) > room:
        rest = bars[room - 1 :]
        bars = [*bars[: room - 1], Bar(f"{len(rest)} more", sum(bar.value for bar in rest))]
    return [*bars, *last]


def _is_background(prediction: Prediction, label: int) -> bool:
    return prediction.category(label) in BACKGROUNDS


def _palette(prediction: Prediction, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the colours of the 256 numbers, (256, 3)."""
    colours = [
        background if _is_background(prediction, label) else category_colour(label)
        for label in range(256)
    ]
    return np.array(colours, np.uint8)


def _borders(map_: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels whose right or lower neighbour has another category."""
    edges = np.zeros(map_.shape, bool)
    edges[:, :-1] |= map_[:, :-1] != map_[:, 1:]
    edges[:-1] |= map_[:-1] != map_[1:]
    return edges
