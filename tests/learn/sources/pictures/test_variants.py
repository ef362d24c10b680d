"""Variants of readable formats that are not read are named, and not called damaged."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from convlens.learn.sources.pictures.decoding import read_picture
from tests.cases.pngs import chunk, png


def test_whole_files_of_a_kind_that_is_not_read_are_not_called_damaged() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "BMP")
    bmp = file.getvalue()
    apple = png(2, 1, 8, 2, [bytes(6)])
    apple = (
        apple[:8] + chunk(b"CgBI", bytes(4)) + apple[8:33] + chunk(b"IDAT", b"raw") + apple[-12:]
    )
    for content, what in (
        (bmp[:30] + b"\4" + bmp[31:], "this BMP is not (Unsupported BMP compression (4))"),
        (bmp[:30] + b"\3" + bmp[31:], "this BMP is not (Unsupported BMP bitfields layout)"),
        (b"\xff\xd8\xff\xc3\0\x0b\x08" + bytes(20), "this is a lossless JPEG"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08" + bytes(20), "this is a JPEG-LS picture"),
        (b"\xff\xd8\xff\xde\0\x0b\x08" + bytes(20), "this is a hierarchical JPEG"),
        (b"\xff\xd8\xff\xe0\0\4xx\xff\xc1\0\x0b\x0c" + bytes(20), "this is a JPEG of 12 bits"),
        (apple, "only Apple's devices read (CgBI)"),
    ):
        with pytest.raises(ValueError, match="must be of a kind that can be read") as caught:
            read_picture(content)
        assert what in str(caught.value)
