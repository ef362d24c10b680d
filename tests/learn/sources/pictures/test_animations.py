"""Animated pictures are known without decoding them."""

from __future__ import annotations

import io

from PIL import Image

from convlens.learn.sources.pictures.animations import is_animated
from tests.cases.pngs import png


def test_an_animated_png_is_known_by_its_header() -> None:
    file = io.BytesIO()
    frames = [Image.new("L", (4, 4), grey) for grey in (0, 90)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    assert is_animated(file.getvalue())
    assert not is_animated(png(2, 1, 8, 2, [bytes(6)]))
    alone = io.BytesIO()
    frames[0].save(alone, "PNG", save_all=True, append_images=[frames[1]], default_image=True)
    assert not is_animated(alone.getvalue())  # one frame that moves, and a still
