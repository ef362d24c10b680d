"""A picture has the pixels that it says it has."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.learn.sources.pictures.picture import Picture


def test_pictures_are_checked() -> None:
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        Picture(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="must not be empty"):
        Picture(np.zeros((0, 4, 3), np.uint8))
