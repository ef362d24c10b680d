"""Draw labelled samples in a grid, to see whether the labels are right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from convlens.draw.colours import category_colour
from convlens.draw.fonts import font_of, shown
from convlens.draw.lettering import fitted
from convlens.draw.samples import draw_sample
from convlens.learn.augmenting.moving import pixels_of
from convlens.learn.data.samples import ClipSample, Labelled, Sample

__all__ = ["labelled", "sheet"]

_CELL = 256
"""The pixels of the sides of a cell."""

_GAP = 8
"""The pixels between two pictures."""

_EM = 14
"""The height of the letters in pixels."""

_GROUND, _INK = (24, 26, 30), (235, 235, 240)


def sheet(samples: Sequence[Sample], classes: Sequence[str], columns: int = 6) -> Image.Image:
    """Return an RGB picture of samples with their labels, in rows of `columns`.

    Below each is its class, if it has only one, and its key. A clip shows its middle frame.

    Raises ValueError without samples.

    >>> import torch
    >>> from convlens.learn.data.samples import Labelled
    >>> one = Labelled("a.png", torch.zeros(3, 8, 8, dtype=torch.uint8), 0)
    >>> sheet([one], ["cat"]).size
    (256, 298)
    """
    if not samples:
        raise ValueError("`samples` (=[]) must have one to draw; give at least one")
    across = min(columns, len(samples))
    high = _CELL + 3 * _EM
    size = (across * _CELL, math.ceil(len(samples) / across) * high)
    whole = Image.new("RGB", size, _GROUND)
    pen = ImageDraw.Draw(whole)
    for place, sample in enumerate(samples):
        left, top = place % across * _CELL, place // across * high
        cell = labelled(sample, classes)
        whole.paste(cell, (left + (_CELL - cell.width) // 2, top + (_CELL - cell.height) // 2))
        below = top + _CELL + _EM // 2
        if isinstance(sample, Labelled | ClipSample):
            _write(pen, (left, below), _name(classes, sample.label), category_colour(sample.label))
        _write(pen, (left, below + _EM + 2), sample.key, _INK)
    return whole


def _write(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: tuple[int, int, int]
) -> None:
    text = shown(text, 0)
    font = font_of(_EM, text)
    pen.text((at[0] + 4, at[1]), fitted(text, font, _CELL - 8), colour, font)


def _name(classes: Sequence[str], label: int) -> str:
    return classes[label] if label < len(classes) else str(label)


def labelled(sample: Sample, classes: Sequence[str]) -> Image.Image:
    """Return a picture with its labels, as large as a cell allows."""
    scale = max(1, _CELL // max(pixels_of(sample).shape[-2:]))
    image = draw_sample(sample, scale, classes)
    image.thumbnail((_CELL - _GAP, _CELL - _GAP))
    return image
