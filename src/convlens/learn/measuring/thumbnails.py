"""Make small JPEG pictures that a page holds in itself."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["MOST_BYTES", "thumbnail"]

SIDE = 320
MOST_BYTES = 40_000
"""The longest side in pixels, and the most bytes of a file: 48 of them fit in a page of 3 MB."""

QUALITIES = (85, 70, 50, 30)


def thumbnail(picture: NDArray[np.uint8], most: int = MOST_BYTES) -> str:
    """Return a picture uint8 (h, w, 3) as a data URL, at most 320 pixels wide and high.

    Its quality, and then its size, are lowered until it has `most` bytes. Raises ValueError for an
    array of another form.

    >>> thumbnail(np.zeros((4, 6, 3), np.uint8))[:23]
    'data:image/jpeg;base64,'
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(
            f"`picture` (={picture.shape}, {picture.dtype}) must be uint8 (h, w, 3); draw it so"
        )
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((SIDE, SIDE))
    while True:
        for quality in QUALITIES:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality)
            if file.tell() <= most:
                return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
        image.thumbnail((image.width // 2, image.height // 2))
