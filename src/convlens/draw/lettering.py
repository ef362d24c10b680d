"""Write text that fits its place, and panels of names with bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from convlens.draw.colours import GREY, Colour
from convlens.draw.fonts import Font, font_of, has_font
from convlens.learn.predicting.predictions import score_text

__all__ = ["Bar", "fitted", "panel", "text_width", "with_sentences", "wrapped"]

_GROUND, _TRACK, _INK = (21, 23, 28), (50, 54, 63), (237, 239, 243)

_WARNING, _INK_ON_WARNING = (255, 214, 102), (16, 18, 22)

# The width of a panel in ems: enough for most names, and the same for all frames.
_BESIDE = 21


@dataclass(frozen=True)
class Bar:
    """A line of a panel: a name, its value, and the colour of its bar.

    `is_share`: whether the value is a share of 1, written in per cent and shown by the bar.
    """

    name: str
    value: float
    colour: Colour = GREY
    is_share: bool = True


def text_width(text: str, font: Font) -> int:
    """Return the width of a line of text in pixels."""
    return round(font.getlength(text) + 0.5)


def fitted(text: str, font: Font, width: int) -> str:
    """Return the text; an ellipsis replaces its end if it is wider than `width` pixels.

    >>> fitted("kitchen", font_of(12), 1000), fitted("kitchen", font_of(12), 30)
    ('kitchen', 'kit...')
    """
    if text_width(text, font) <= width:
        return text
    kept = len(text)
    while kept and text_width(text[:kept].rstrip() + "...", font) > width:
        kept -= 1
    return text[:kept].rstrip() + "..." if kept else ""


def panel(
    picture: Image.Image, bars: Sequence[Bar], em: int, rows: int, sentences: Sequence[str] = ()
) -> Image.Image:
    """Return the picture with bars on a dark panel, below a wide picture and next to a high one.

    `em`: the height of the text in pixels; `rows`: the number of bars that have room; `sentences`
    stand below them.
    """
    beside = picture.height >= picture.width
    row, around = round(2.3 * em), em
    height = 2 * around + rows * row - round(0.6 * em)
    width = _BESIDE * em if beside else picture.width
    lines, below = _lines(sentences, em, width), height
    height += _height(lines, em)
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
    _write(pen, lines, (corner[0] - around, corner[1] - around + below), width, em)
    return canvas


def with_sentences(
    picture: Image.Image, sentences: Sequence[str], em: int, *, over: bool
) -> Image.Image:
    """Return the picture with sentences in a strip below it, or `over` its lower edge.

    `em`: the height of the text in pixels.
    """
    width = picture.width if over else max(picture.width, 16 * em)
    lines = _lines(sentences, em, width)
    height = _height(lines, em)
    top = picture.height - height if over else picture.height
    canvas = picture if over else Image.new("RGB", (width, top + height), _GROUND)
    if not over:
        canvas.paste(picture, (0, 0))
    _write(ImageDraw.Draw(canvas), lines, (0, top), width, em)
    return canvas


def _lines(sentences: Sequence[str], em: int, width: int) -> list[str]:
    room = width - 2 * max(2, em // 2)
    lines = []
    for said in sentences:
        text = said if has_font(said) else said.encode("ascii", "backslashreplace").decode()
        lines += wrapped(text, font_of(em, text), room)
    return lines


def _height(lines: Sequence[str], em: int) -> int:
    return len(lines) * round(1.4 * em) + 2 * max(2, em // 2) if lines else 0


def _write(
    pen: ImageDraw.ImageDraw, lines: Sequence[str], at: tuple[int, int], width: int, em: int
) -> None:
    """Write lines on the colour of warnings."""
    left, top = at
    if not lines:
        return
    pen.rectangle((left, top, left + width - 1, top + _height(lines, em) - 1), _WARNING)
    pad = max(2, em // 2)
    for number, line in enumerate(lines):
        place = (left + pad, top + pad + number * round(1.4 * em))
        pen.text(place, line, _INK_ON_WARNING, font_of(em, line))


def wrapped(text: str, font: Font, width: int) -> list[str]:
    """Return the text in lines of at most this width, broken between words if possible."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, font) > width:
            lines.append(line)
            longer = word
        while len(longer) > 1 and text_width(longer, font) > width:
            kept = next(
                n
                for n in range(len(longer) - 1, 0, -1)
                if n == 1 or text_width(longer[:n], font) <= width
            )
            lines.append(longer[:kept])
            longer = longer[kept:]
        line = longer
    return [*lines, line] if line else lines


def _bar(pen: ImageDraw.ImageDraw, bar: Bar, at: tuple[int, int], width: int, em: int) -> None:
    font, own = font_of(em), font_of(em, bar.name)
    left, top = at
    number = f"{100 * bar.value:.1f}%" if bar.is_share else score_text(bar.value, False)
    room = width - text_width(number, font) - em
    middle = top + 0.5 * em
    pen.text((left, middle), fitted(bar.name, own, room), _INK, own, "lm")
    pen.text((left + width, middle), number, _INK, font, "rm")
    if not bar.is_share:
        return
    low, thick = top + round(1.25 * em), max(3, round(0.3 * em))
    pen.rounded_rectangle((left, low, left + width, low + thick), thick / 2, _TRACK)
    filled = round(width * min(1.0, max(0.0, bar.value)))
    if filled >= thick:
        pen.rounded_rectangle((left, low, left + filled, low + thick), thick / 2, bar.colour)
    elif filled:
        pen.rectangle((left, low, left + filled, low + thick), bar.colour)
