"""Pictures and predictions to draw, and how to look at the drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlens.learn.predicting.predictions import Prediction
from convlens.learn.sources.pictures.picture import Picture

Pixels = NDArray[np.uint8]


def plain(h: int = 240, w: int = 320, value: int = 90) -> Picture:
    return Picture(np.full((h, w, 3), value, np.uint8))


def pixels(image: Image.Image) -> Pixels:
    assert image.mode == "RGB"
    return np.asarray(image)


def floats(*values: object) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def classified(h: int, w: int, scores: NDArray[np.float32], *names: str) -> Prediction:
    return Prediction("a", w, h, np.arange(len(scores)), scores, categories=names)


def has(image: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(image.astype(int) - colour).max(-1) <= 2
    return near
