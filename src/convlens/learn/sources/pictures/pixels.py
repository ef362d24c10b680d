"""The pixels of a picture that Pillow opened, as they are meant to be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from convlens.learn.sources.pictures.variants import unread_tiff

__all__ = ["AlreadyLoaded", "check_mode", "pixels_of"]

Pixels = NDArray[np.uint8]

# What each EXIF orientation asks for (CIPA DC-008-2019, 4.6.4.A, tag 274).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's modes with an agreed black and white. 32-bit numbers, floats and L*a*b* have none.
_MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"),
    *("I;16", "I;16B", "I;16L", "I;16N"),
)

_STRANGE = {"I": "32-bit or signed numbers", "F": "floating-point numbers", "LAB": "L*a*b* colours"}

# TIFF's tags, and what they say (TIFF 6.0, section 8; SampleFormat: section 19).
_BITS, _COMPRESSION, _COLOURS, _PLANES, _SAMPLE_FORMAT = 258, 259, 262, 284, 339
_WHITE_IS_ZERO, _SIGNED, _APART = 0, 2, 2

_KNOWN = "_convlens_known"
"""The attribute in which an image of Pillow's keeps a fact of its file, for the next reading."""

# Pillow multiplies the greys of a PNG with few bits by these; its transparent grey needs it too.
_SCALES = {"1": 255, "L;2": 85, "L;4": 17}


class AlreadyLoaded(ValueError):
    """An image that was decoded before, and no longer says what its numbers mean."""


def check_mode(image: Image.Image, called: str) -> None:
    """Raise ValueError if it is not known which of an image's numbers is white.

    >>> check_mode(Image.new("RGB", (2, 2)), "`picture` (a.png)")
    """
    tags = _tags(image)
    unread = unread_tiff(image.mode, tags)
    if unread is not None:
        raise ValueError(
            f"{called} must be of a kind that can be read, and this is {unread}; save it as a PNG "
            "with 8 bits"
        )
    has = f"has {_STRANGE.get(image.mode, 'colours of another kind')} (Pillow's mode {image.mode})"
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
        has = f"has signed numbers (Pillow's mode {image.mode})"
    elif image.mode in _MODES:
        return
    raise ValueError(
        f"{called} must have 8 or 16 bits of grey, a palette, RGB, YCbCr or CMYK, and {has}; "
        "scale its numbers to 0 to 255 and save it as a PNG with 8 bits"
    )


def pixels_of(image: Image.Image) -> Pixels:
    """Return the pixels of the picture that an opened file stands at, uint8 (h, w, 3).

    They are turned as the EXIF orientation says. Transparency lies over white, and 16 bits become
    their upper 8.

    >>> pixels_of(Image.new("LA", (1, 1), (9, 0))).tolist()
    [[[255, 255, 255]]]
    """
    clear = _clear_of_png(image)
    _load(image)
    turn = _TURNS.get(_orientation(image))
    if image.mode.startswith("I;16"):
        values = _sixteen_bits(image)
        key = image.info.get("transparency")
        clear = values == key if isinstance(key, int) else None
        image = Image.fromarray((values >> 8).astype(np.uint8))
    if clear is not None:
        image = Image.fromarray(_whitened(image, clear))
    elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = _over_white(image)
    image = image.convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
    return np.array(image)


def _over_white(image: Image.Image) -> Image.Image:
    colour = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)


def _load(image: Image.Image) -> None:
    """Decode an image, even one that Pillow alone does not decode or decodes wrongly."""
    name = getattr(image, "filename", None)
    _correct_planes_of_16_bits(image)
    if name and hasattr(image, "tag_v2"):
        # Pillow maps a named TIFF into memory, and then takes rows of a rotated one for columns.
        vars(image)["filename"] = ""
        try:
            image.load()
        finally:
            vars(image)["filename"] = name
        return
    try:
        image.load()
    except (ValueError, SyntaxError):
        # A PNG whose pixels are decoded may have damaged chunks after them; they do not matter.
        if not isinstance(image, PngImagePlugin.PngImageFile) or image.tile:
            raise


def _correct_planes_of_16_bits(image: Image.Image) -> None:
    """Correct how Pillow reads a TIFF with planes of 16 bits, which it takes for planes of 8."""
    tags = _tags(image)
    if tags.get(_PLANES) != _APART or set(tags.get(_BITS, ())) != {16}:
        return
    if not image.tile:  # type: ignore[attr-defined]
        if _KNOWN in vars(image) or tags.get(_COMPRESSION, 1) != 1:
            return
        raise AlreadyLoaded("be decoded here, as its colours lie in planes of 16 bits")
    vars(image)[_KNOWN] = 1
    order = "B" if tags.prefix == b"MM" else "L"
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:]))
        if tile.codec_name == "raw" and ";" not in tile.args[0]
        else tile
        for tile in image.tile  # type: ignore[attr-defined]
    ]


def _sixteen_bits(image: Image.Image) -> NDArray[np.uint16]:
    """Return grey from 0, black, to 65535, white; Pillow itself clips it to 255."""
    values = np.asarray(image).astype(np.uint16)
    tags = _tags(image)
    if not tags and isinstance(image.info.get("compression"), str):  # a copy of a TIFF
        raise AlreadyLoaded("be decoded here, to see whether its greys have 12 bits and 0 is white")
    if tags.get(_BITS) == (12,):
        values = (values << 4 | values >> 8).astype(np.uint16)
    return ~values if tags.get(_COLOURS) == _WHITE_IS_ZERO else values


def _clear_of_png(image: Image.Image) -> NDArray[np.bool_] | None:
    """Return which pixels of a PNG have its transparent colour; None if Pillow finds them itself.

    Pillow scales the colours of some files to 8 bits, but not the transparent one (Portable
    Network Graphics, 11.3.2.1). An image that is already decoded no longer knows the scale.
    """
    key: Any = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255 and not hasattr(image, "tile"):  # of a copy
        upper: NDArray[np.bool_] = (np.asarray(image.convert("RGB")) == np.array(key) >> 8).all(2)
        return upper
    if isinstance(key, int) and not getattr(image, "tile", None) and _KNOWN not in vars(image):
        return _clear_grey(image, key)
    if not isinstance(image, PngImagePlugin.PngImageFile) or key is None:
        return None
    raw = str(image.tile[0].args) if image.tile else vars(image).get(_KNOWN, "")
    if raw in _SCALES and isinstance(key, int):
        vars(image)[_KNOWN] = raw
        _load(image)
        clear: NDArray[np.bool_] = np.asarray(image.convert("L")) == key * _SCALES[raw]
        return clear
    if isinstance(key, tuple) and (raw == "RGB;16B" or max(key) > 255):
        return _clear_colour(image, key, bool(raw))
    return None


def _clear_colour(
    image: PngImagePlugin.PngImageFile, key: tuple[int, ...], is_known: bool
) -> NDArray[np.bool_]:
    """Return which pixels of a PNG have a colour of 16 bits; without its scale, the upper 8."""
    lower = _lower_bytes(image) if is_known and not image.is_animated else None
    _load(image)
    wanted = np.array(key)
    clear: NDArray[np.bool_] = (np.asarray(image.convert("RGB")) == wanted >> 8).all(2)
    return clear if lower is None else clear & (lower == (wanted & 255)).all(2)


def _clear_grey(image: Image.Image, key: int) -> NDArray[np.bool_] | None:
    """Return the transparent pixels of a decoded grey image; None if its pixels are as they are.

    Raises AlreadyLoaded if its greys may have had 2 or 4 bits.
    """
    if image.mode == "1":
        black_or_white: NDArray[np.bool_] = np.asarray(image.convert("L")) == 255 * key
        return black_or_white
    if image.mode != "L" or not 0 < key < 16:
        return None
    greys = np.asarray(image)
    scales = [
        scale for scale in (17, 85) if not (greys % scale).any() and (greys == key * scale).any()
    ]
    if scales and not (greys == key).any():
        raise AlreadyLoaded(f"be decoded here, to see how many bits its transparent grey {key} has")
    return None


def _lower_bytes(image: PngImagePlugin.PngImageFile) -> Pixels:
    """Return the lower bytes of 16-bit colours, by decoding the file in the other byte order."""
    file = image.fp
    if file is None:
        raise ValueError("the file is closed")
    place = file.tell()
    beside = Image.open(file, formats=("PNG",))
    beside.tile = [beside.tile[0]._replace(args="RGB;16L")]
    lower = np.array(beside)
    file.seek(place)
    return lower


def _whitened(image: Image.Image, clear: NDArray[np.bool_]) -> Pixels:
    pixels = np.array(image.convert("RGB"))
    pixels[clear] = 255
    return pixels


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(274, 1))
    except Exception:
        # Damaged EXIF gives no orientation; the pixels are still good.
        return 1
