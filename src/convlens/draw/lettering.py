"""Text of a size that fits, and panels of names with bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from convlens.draw.colours import GREY, Colour

__all__ = ["Bar", "fitted", "font_of", "panel", "text_width"]

_GROUND, _TRACK, _INK = (21, 23, 28), (50, 54, 63), (237, 239, 243)

# Ems: wide enough for most names, and the same whatever they are, so that frames are alike.
_BESIDE = 21

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Bar:
    """A line of a panel: a name, its value of 0 to 1, and the colour of its bar."""

    name: str
    value: float
    colour: Colour = GREY


@cache
def font_of(size: int) -> Font:
    """Return Pillow's own font, `size` pixels high."""
    return ImageFont.load_default(size)


def text_width(text: str, font: Font) -> int:
    """Return how many pixels a line of text is wide."""
    return round(font.getlength(text) + 0.5)


def fitted(text: str, font: Font, width: int) -> str:
    """Return the text, its end replaced by an ellipsis where it is wider than `width` pixels.

    >>> fitted("kitchen", font_of(12), 1000), fitted("kitchen", font_of(12), 30)
    ('kitchen', 'kit...')
    """
    if text_width(text, font) <= width:
        return text
    kept = len(text)
    while kept and text_width(text[:kept].rstrip() + "...", font) > width:
        kept -= 1
    return text[:kept].rstrip() + "..." if kept else ""


def panel(picture: Image.Image, bars: Sequence[Bar], em: int, rows: int) -> Image.Image:
    """Return the picture with bars beside it (below it where it is wider than high), on dark.

    `em`: the height of the text in pixels; `rows`: for how many bars there is room.
    """
    beside = picture.height >= picture.width
    row, around = round(2.3 * em), em
    height = 2 * around + rows * row - round(0.6 * em)
    width = _BESIDE * em if beside else picture.width
    if beside:
        size = (picture.width + width, max(picture.height, height))
        corner = (picture.width + around, around)
    else:
        size = (picture.width, picture.height + height)
        corner = (around, picture.height + around)
    canvas = Image.new("RGB", size, _GROUND)
    canvas.paste(picture, (0, 0))
    pen = ImageDraw.Draw(canvas)
    for number, bar in enumerate(bars[:rows]):
        _bar(pen, bar, (corner[0], corner[1] + number * row), width - 2 * around, em)
    return canvas


def _bar(pen: ImageDraw.ImageDraw, bar: Bar, at: tuple[int, int], width: int, em: int) -> None:
    font = font_of(em)
    left, top = at
    percent = f"{100 * bar.value:.1f}%"
    room = width - text_width(percent, font) - em
    middle = top + 0.5 * em
    pen.text((left, middle), fitted(bar.name, font, room), _INK, font, "lm")
    pen.text((left + width, middle), percent, _INK, font, "rm")
    low, thick = top + round(1.25 * em), max(3, round(0.3 * em))
    pen.rounded_rectangle((left, low, left + width, low + thick), thick / 2, _TRACK)
    filled = round(width * min(1.0, max(0.0, bar.value)))
    if filled >= thick:
        pen.rounded_rectangle((left, low, left + filled, low + thick), thick / 2, bar.colour)
    elif filled:
        pen.rectangle((left, low, left + filled, low + thick), bar.colour)
