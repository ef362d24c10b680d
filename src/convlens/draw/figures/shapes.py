"""Hold a figure as shapes, and write it as SVG or PNG; both have the same layout."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from convlens.draw.fonts import font_of
from convlens.draw.lettering import text_width

__all__ = ["Figure", "Map", "Rectangle", "Shape", "Text", "width_of"]


@dataclass(frozen=True)
class Rectangle:
    """A rectangle, filled or framed; "" is no colour. `dashed` only in its frame."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    stroke: str = ""
    thick: float = 1
    dashed: bool = False


@dataclass(frozen=True)
class Text:
    """A line of text with its baseline at y; `anchor` is "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    size: int
    fill: str
    anchor: str = "start"
    bold: bool = False


@dataclass(frozen=True, eq=False)
class Map:
    """Cells of colour, uint8 (rows, columns, 3), each a sharp rectangle."""

    x: float
    y: float
    width: float
    height: float
    pixels: NDArray[np.uint8]


Shape = Rectangle | Text | Map

ALPHABET = "×−·–→∞~ abcdefghijklmnopqrstuvwxyz"
"""Characters that one font should have, so that all texts of a figure look the same."""

_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


@dataclass(frozen=True)
class Figure:
    """Shapes on a ground, with a title and a description that reads the numbers in order."""

    width: int
    height: int
    ground: str
    shapes: tuple[Shape, ...]
    title: str
    description: str

    def svg(self) -> str:
        """Return the figure as SVG, whose texts are texts."""
        size = (
            f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        )
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
            'aria-labelledby="title description" '
            'font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif">',
            f'<title id="title">{_escaped(self.title)}</title>',
            f'<desc id="description">{_escaped(self.description)}</desc>',
            f'<rect width="100%" height="100%" fill="{self.ground}"/>',
            *map(_element, self.shapes),
            "</svg>\n",
        ]
        return "\n".join(parts)

    def png(self, scale: int = 2) -> bytes:
        """Return the figure as PNG, `scale` pixels to a unit of the layout."""
        image = Image.new("RGB", (self.width * scale, self.height * scale), self.ground)
        pen = ImageDraw.Draw(image)
        for shape in self.shapes:
            _paint(image, pen, shape, scale)
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()


def width_of(text: str, size: int) -> int:
    """Return the width of a text in units of the layout, with room for another font."""
    return round(1.06 * text_width(text, font_of(size, ALPHABET + text)))


def _element(shape: Shape) -> str:
    """Return a shape as an element of SVG."""
    if isinstance(shape, Text):
        bold = ' font-weight="600"' if shape.bold else ""
        return (
            f'<text x="{shape.x:g}" y="{shape.y:g}" font-size="{shape.size}" fill="{shape.fill}" '
            f'text-anchor="{shape.anchor}"{bold}>{_escaped(shape.text)}</text>'
        )
    place = f'x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}" height="{shape.height:g}"'
    if isinstance(shape, Map):
        file = io.BytesIO()
        Image.fromarray(shape.pixels).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        look = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
        return f'<image {place} {look} href="data:image/png;base64,{data}"/>'
    stroke = f' stroke="{shape.stroke}" stroke-width="{shape.thick:g}"' if shape.stroke else ""
    dashes = ' stroke-dasharray="3 3"' if shape.dashed else ""
    return f'<rect {place} fill="{shape.fill or "none"}"{stroke}{dashes}/>'


def _paint(image: Image.Image, pen: ImageDraw.ImageDraw, shape: Shape, scale: int) -> None:
    """Draw a shape on an image."""
    if isinstance(shape, Text):
        font = font_of(shape.size * scale, ALPHABET + shape.text)
        at = (shape.x * scale, shape.y * scale)
        thick = 0.02 * shape.size * scale if shape.bold else 0
        pen.text(
            at, shape.text, shape.fill, font, _ANCHORS[shape.anchor], stroke_width=round(thick)
        )
        return
    left, top = round(shape.x * scale), round(shape.y * scale)
    right, low = round((shape.x + shape.width) * scale), round((shape.y + shape.height) * scale)
    if isinstance(shape, Map):
        size = (right - left, low - top)
        cells = Image.fromarray(shape.pixels).resize(size, Image.Resampling.NEAREST)
        image.paste(cells, (left, top))
        return
    half = shape.thick * scale / 2 if shape.stroke else 0
    frame = (left - half, top - half, right + half - 1, low + half - 1)
    pen.rectangle(frame, shape.fill or None, shape.stroke or None, round(2 * half))


def _escaped(text: str) -> str:
    return escape(text, quote=True)
