"""Take pictures that Python holds: images of Pillow, arrays and tensors of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.learn.sources.pictures.decoding import picture_of
from convlens.learn.sources.pictures.picture import Picture

__all__ = ["given_picture", "is_given", "pictures_of_array"]


def is_given(item: object) -> bool:
    """Return whether an object is a decoded picture or clip, or an image that Pillow opened.

    >>> is_given(np.zeros((2, 2, 3), np.uint8)), is_given("cat.jpg")
    (True, False)
    """
    return isinstance(item, (Picture, Image.Image, np.ndarray, Tensor))


def given_picture(item: object, said: str = "source") -> Picture:
    """Return the picture of any of these objects, or the first of a clip.

    `said`: what the caller wrote for the object.

    Raises ValueError as `picture_of` and `pictures_of_array` do, TypeError for another object.

    >>> given_picture(Image.new("L", (1, 1), 9)).pixels.tolist()
    [[[9, 9, 9]]]
    """
    if isinstance(item, Picture):
        return item
    if isinstance(item, Image.Image):
        return picture_of(item, "picture", f"`{said}` (a PIL image)")
    if not is_given(item):
        raise TypeError(
            f"`{said}` (of type {type(item).__name__}) must be a Picture, a PIL image or uint8 "
            "pixels (h, w, 3); convlens.read_picture makes one of a file"
        )
    return pictures_of_array(item, said)[0]


def pictures_of_array(item: object, said: str = "source") -> tuple[Picture, ...]:
    """Return the pictures of uint8 pixels: (h, w, 3), grey (h, w) or (h, w, 1), a clip (t, ...).

    Raises ValueError for other numbers and shapes; the message says how to convert them.

    >>> pictures_of_array(np.zeros((2, 3), np.uint8))[0].pixels.shape
    (2, 3, 3)
    """
    array, is_tensor = _array(item, said), isinstance(item, Tensor)
    called = f"`{said}` ({'a tensor' if is_tensor else 'an array'} {array.shape}, {array.dtype})"
    if array.size == 0:
        raise ValueError(f"{called} must not be empty; give at least one pixel")
    cure = _cure(array, said, is_tensor)
    if cure is not None:
        raise ValueError(
            f"{called} must be uint8 pixels (h, w, 3), grey (h, w), or a clip (t, h, w, 3), "
            f"with black 0 and white 255; {cure}"
        )
    frames = array if array.ndim == 4 else array[None]
    name = "clip" if array.ndim == 4 else "picture"
    return tuple(Picture(_coloured(frame), name) for frame in frames)


def _array(item: object, said: str) -> NDArray[Any]:
    if not isinstance(item, Tensor):
        return np.asarray(item)
    try:
        return np.asarray(item.detach().cpu())
    except (TypeError, RuntimeError) as error:  # numpy has no bfloat16, and no sparse arrays
        cure = ".float()" if item.layout == torch.strided else ".to_dense()"
        raise ValueError(
            f"`{said}` (a tensor {tuple(item.shape)}, {item.dtype}) must be uint8 pixels "
            f"(h, w, 3); convert it with {cure} first"
        ) from error


def _coloured(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = frame.ndim == 2 or frame.shape[2] == 1
    return np.repeat(frame.reshape(*frame.shape[:2], 1), 3, axis=2) if grey else frame.copy()


def _cure(array: NDArray[Any], said: str, is_tensor: bool) -> str | None:
    """Return how to make pixels of an array, as the caller would write it; None for pixels."""
    if array.dtype.name == "bfloat16":  # of ml_dtypes
        return "convert it with .astype(np.float32) first"
    if array.dtype.kind not in "biuf":
        return "give whole numbers of 8 bits"
    if not np.isfinite(array).all():
        return "replace its numbers that are not finite first"
    moved = _moved(array, said, is_tensor)
    if moved is None:
        return "give one of these shapes"
    written, where = _scaled(array, moved, is_tensor)
    if written == said:
        return None
    return f"give {written}{where}" if written else f"undo what scaled its numbers to {where}"


def _moved(array: NDArray[Any], said: str, is_tensor: bool) -> str | None:
    """Return the expression that puts the axes in order; None if no way is known."""
    shape = array.shape
    if array.ndim not in (2, 3, 4):
        return None
    if array.ndim == 2 or shape[-1] in (1, 3):
        return said
    turned = "permute" if is_tensor else "transpose"
    if array.ndim == 3 and shape[0] == 3:
        return f"{said}.{turned}(1, 2, 0)"
    if array.ndim == 4 and shape[1] in (1, 3):
        return f"{said}.{turned}(0, 2, 3, 1)"
    if array.ndim == 3 and shape[0] == 1:
        return f"{said}[0]"
    if shape[-1] == 4:
        return f"{said}[..., :3]"
    if shape[-1] == 2:  # grey, and how opaque it is
        return f"{said}[..., :1]"
    if array.ndim == 3 and shape[0] == 4:
        return f"{said}[:3].{turned}(1, 2, 0)"
    if array.ndim == 4 and shape[1] == 4:
        return f"{said}[:, :3].{turned}(0, 2, 3, 1)"
    if array.ndim == 3 and min(shape) > 16:  # the frames of a grey clip
        return f"{said}[..., None]"
    return None


_BEYOND = 0.25
"""How far sharpened edges may reach beyond black and white, as a share of their distance."""

_DARK = 16.0
"""The least maximum of a picture in bytes; a lower one suggests another scale."""


def _scaled(array: NDArray[Any], said: str, is_tensor: bool) -> tuple[str, str]:
    """Return the expression that scales numbers to bytes, and the condition for it to be right.

    The expression is "" if no scale fits; then the range of the numbers takes the other place.
    """
    low, high = float(array.min()), float(array.max())
    if array.dtype == np.uint8:
        return said, ""
    if array.dtype.kind == "b":
        return (f"{said}.byte() * 255" if is_tensor else f"{said} * np.uint8(255)"), ""
    if array.dtype.kind == "f":
        return _scaled_floats(low, high, said, is_tensor)
    if low < 0 or high > 65535:
        return "", f"{low:g} to {high:g}"
    if high <= 1:
        return _cast(f"({said} * 255)", is_tensor), ""
    if high <= 255:
        deep = array.dtype.itemsize == 2 and array.dtype.kind == "u"
        return _cast(said, is_tensor), ", if white is 255" if deep else ""
    bits = 12 if high <= 4095 else 16
    integers = f"{said}.int()" if is_tensor else said  # torch cannot shift uint16
    return _cast(f"({integers} >> {bits - 8})", is_tensor), f", if white is {2**bits - 1}"


def _scaled_floats(low: float, high: float, said: str, is_tensor: bool) -> tuple[str, str]:
    for black, white, written, condition in (
        (0, 1, f"{said} * 255", "if black is 0 and white is 1"),
        (-1, 1, f"({said} + 1) * 127.5", "if black is -1 and white is 1"),
        (0, 255, said, "if white is 255"),
    ):
        beyond = (white - black) * _BEYOND
        if low < black - beyond or high > white + beyond:
            continue
        if (black, white) == (0, 255) and high < _DARK:
            break
        if low < black or high > white:
            name = "clamp" if is_tensor else "clip"
            written = written.replace(said, f"{said}.{name}({black}, {white})", 1)
        is_plain = low >= 0 and high <= 1
        return _rounded(written, is_tensor), "" if is_plain else f", {condition}"
    return "", f"{low:g} to {high:g}"


def _rounded(written: str, is_tensor: bool) -> str:
    alone = f"({written})" if " " in written else written
    return f"{alone}.round().byte()" if is_tensor else _cast(f"np.rint({written})", False)


def _cast(written: str, is_tensor: bool) -> str:
    return f"{written}.byte()" if is_tensor else f"{written}.astype(np.uint8)"
