"""Draw samples with their labels on them, and sheets of what augmentations make of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from convlens.draw.colours import category_colour
from convlens.draw.detections import draw_detections
from convlens.draw.fonts import font_of
from convlens.draw.lettering import wrapped
from convlens.draw.segments import draw_segments
from convlens.learn.augmenting.moving import pixels_of
from convlens.learn.augmenting.sheet import SheetRow, grid
from convlens.learn.data.samples import NOT_LABELLED, Boxed, Mapped, Sample
from convlens.learn.predicting.predictions import Prediction

__all__ = ["draw_sample", "draw_sheet"]

_INK, _DIM, _GROUND = (237, 239, 243), (165, 170, 180), (21, 21, 21)


def draw_sample(
    sample: Sample, scale: int = 1, classes: Sequence[str] | None = None
) -> Image.Image:
    """Return an RGB picture of a sample, `scale` times as large, with its labels drawn over it.

    Boxes and masks have the colour of their category. Points have that of their number, with a
    hollow dot where one is hidden. A map tints its pixels; those that are not labelled are dark.
    Of a clip it is the middle frame. `classes`: names to write on boxes and maps.
    """
    pixels = _rgb(pixels_of(sample))
    image = Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1))
    if isinstance(sample, Mapped):
        labels = sample.map.numpy()
        image = draw_segments(image, _said(sample, classes, map=labels), scale)
        shown = np.array(image)
        shown[(labels == NOT_LABELLED).repeat(scale, 0).repeat(scale, 1)] //= 3
        return Image.fromarray(shown)
    if not isinstance(sample, Boxed):
        return image
    said = _said(
        sample,
        ("__background__", *classes) if classes else None,
        labels=sample.labels.numpy(),
        scores=np.full(len(sample.labels), np.nan, np.float32),
        boxes=sample.boxes.numpy(),
        masks=None if sample.masks is None else sample.masks.numpy(),
    )
    em = max(6, round(max(image.size) / 20))
    image = draw_detections(image, said, scale, em, tags=classes is not None)
    if sample.points is not None:
        _dots(image, sample.points.numpy(), scale)
    return image


def _said(sample: Sample, categories: Sequence[str] | None, **fields: Any) -> Prediction:
    """Return the labels of a sample in the form of a prediction."""
    h, w = pixels_of(sample).shape[-2:]
    return Prediction(sample.key, w, h, categories=tuple(categories or ()), **fields)


def _rgb(pixels: Tensor) -> NDArray[np.uint8]:
    """Return pixels (h, w, 3) of a picture (c, h, w), or of the middle frame of a clip."""
    frame = pixels if pixels.ndim == 3 else pixels[len(pixels) // 2]
    shown: NDArray[np.uint8] = frame.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    return shown


def _dots(image: Image.Image, points: NDArray[np.float32], scale: int) -> None:
    pen, r = ImageDraw.Draw(image), max(2.0, max(image.size) / 56)
    for figure in points:
        for number, (x, y, seen) in enumerate(figure * [scale, scale, 1]):
            if seen:
                place = (float(x - r), float(y - r), float(x + r), float(y + r))
                colour = category_colour(number + 3) if seen > 1 else None
                pen.ellipse(place, colour, (255, 255, 255), max(1, round(r / 3)))


def draw_sheet(
    sample: Sample, rows: Sequence[SheetRow], headings: Sequence[str], side: int = 168
) -> Image.Image:
    """Return a sheet with the sample and what each augmentation makes of it, a row for each.

    `headings`: a text for each column after the first, which is the sample as it is. `side`: about
    how many pixels the longer side of the sample gets; a larger one keeps its size.
    """
    scale = max(1, round(side / max(pixels_of(sample).shape[-2:])))
    first = np.array(draw_sample(sample, scale))
    tiles = [[first, *(np.array(draw_sample(one, scale)) for one in row.samples)] for row in rows]
    columns = len(headings) + 1
    # A short row is filled up, so that every column has a width.
    blank = np.full((1, 1, 3), _GROUND, np.uint8)
    tiles = [row + [blank] * (columns - len(row)) for row in tiles]
    gap, em = 6, 13
    pictures = Image.fromarray(grid(tiles, gap))
    margin, top = 11 * em, 2 * em
    sheet = Image.new("RGB", (margin + pictures.width, top + pictures.height), _GROUND)
    sheet.paste(pictures, (margin, top))
    pen, left = ImageDraw.Draw(sheet), margin + gap
    for column, heading in enumerate(["as it is", *headings]):
        pen.text((left, em), heading, _DIM, font_of(em), "lm")
        left += max(row[column].shape[1] for row in tiles) + gap
    down = top + gap
    for row, cells in zip(rows, tiles, strict=True):
        _label(pen, row, (em, down), margin - 2 * em, em)
        down += max(tile.shape[0] for tile in cells) + gap
    return sheet


def _label(
    pen: ImageDraw.ImageDraw, row: SheetRow, at: tuple[int, int], width: int, em: int
) -> None:
    """Write the name of a row, and below it what the augmentation does."""
    left, down = at
    large, font = font_of(math.ceil(1.25 * em)), font_of(em)
    pen.text((left, down), row.name, _INK, large)
    says = row.says if row.samples else f"{row.says}: not for this sample"
    for number, line in enumerate(wrapped(says, font, width)):
        pen.text((left, down + round((2 + 1.3 * number) * em)), line, _DIM, font)
