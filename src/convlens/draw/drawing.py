"""Draw a prediction on its picture, whatever the form of the answer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.draw.colours import category_colour
from convlens.draw.detections import draw_detections
from convlens.draw.fonts import shown
from convlens.draw.lettering import Bar, panel, with_sentences
from convlens.draw.segments import draw_segments, legend
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.sources.in_memory import given_picture
from convlens.learn.sources.pictures.picture import Picture

__all__ = ["drawn"]

_LEAST = 256  # pixels of the longer side; smaller pictures are enlarged
_ROWS = 8  # of a legend, unless a number is asked for


def drawn(
    picture: Picture | Image.Image | NDArray[np.uint8] | Tensor,
    prediction: Prediction,
    rows: int | None = None,
) -> Image.Image:
    """Return an RGB picture that shows what a network said; it contains all of `picture`.

    Categories are bars in a panel, below a wide picture and next to a high one. Boxes have a name
    and a score, persons a skeleton. Masks and segments have the colour of their category, the same
    on every picture. Text and lines follow the size of the picture; one smaller than 256 pixels is
    enlarged by a whole number. Warnings stand in a strip below.

    `rows`: give the panel room for this many bars, and put the strip over the lower edge, so that
    all frames of a clip get one size.

    Raises ValueError if the prediction is of a picture of another size, and if `picture` is not
    one, as `predict` does.

    >>> cat = Picture(np.zeros((300, 400, 3), np.uint8))
    >>> said = Prediction("cat.jpg", 400, 300, np.array([0]), np.array([0.9]), categories=("cat",))
    >>> drawn(cat, said).size[0]
    400
    """
    picture = given_picture(picture, "picture")
    _check_sizes(picture, prediction)
    scale = math.ceil(_LEAST / max(picture.width, picture.height))
    image = _enlarged(picture, scale)
    em = max(13, round(math.sqrt(image.width * image.height) / 38))
    if prediction.error is not None and rows is None:
        return image
    sentences = [*filter(None, [prediction.error]), *prediction.warnings]
    if prediction.boxes is not None:
        image = draw_detections(image, prediction, scale, em)
    else:
        if prediction.map is not None:
            image = draw_segments(image, prediction, scale)
        bars = _bars(prediction, rows)
        if rows is None and bars:
            return panel(image, bars, em, len(bars), sentences)
        image = panel(image, bars, em, rows) if rows else image
    return with_sentences(image, sentences, em, over=rows is not None) if sentences else image


def _check_sizes(picture: Picture, prediction: Prediction) -> None:
    size, seen = (picture.width, picture.height), (prediction.width, prediction.height)
    if prediction.error is None and seen != size:
        raise ValueError(
            f"`prediction` ({prediction.name}, {seen[0]} x {seen[1]}) must be of the `picture` "
            f"({size[0]} x {size[1]}); give the one it was made from"
        )


def _enlarged(picture: Picture, scale: int) -> Image.Image:
    image = Image.fromarray(picture.pixels)
    size = (picture.width * scale, picture.height * scale)
    return image.resize(size, Image.Resampling.NEAREST) if scale > 1 else image


def _bars(prediction: Prediction, rows: int | None) -> list[Bar]:
    if prediction.map is not None:
        return legend(prediction, rows or _ROWS)
    pairs = zip(prediction.labels.tolist(), prediction.scores.tolist(), strict=True)
    is_share = prediction.probabilities
    return [
        Bar(shown(prediction.category(label), label), score, category_colour(label), is_share)
        for label, score in pairs
    ]
