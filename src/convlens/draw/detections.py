"""Draw boxes with their names, translucent masks, and skeletons on a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from convlens.draw.colours import Colour, category_colour, ink_on
from convlens.draw.fonts import font_of, shown
from convlens.draw.lettering import fitted, text_width
from convlens.learn.data.run_lengths import RunLengths
from convlens.learn.predicting.parts import PARTS, Points
from convlens.learn.predicting.predictions import Prediction

__all__ = ["draw_detections"]

_SIDES: dict[str, Colour] = {
    "left": (64, 196, 255),
    "right": (255, 158, 64),
    "middle": (240, 240, 245),
}

SEEN = 2.0
"""Points that score less are not drawn, as in Detectron; they are guesses."""

_HALO = (16, 18, 22)

Box = tuple[int, int, int, int]


def draw_detections(
    picture: Image.Image, prediction: Prediction, scale: int, em: int, *, tags: bool = True
) -> Image.Image:
    """Draw all detections on an RGB picture that is `scale` times as large as the prediction's.

    Return the picture. `em`: the height of the text in pixels. `tags`: whether names and scores
    are written.
    """
    if prediction.boxes is None or not len(prediction.boxes):
        return picture
    boxes = prediction.boxes * scale
    order = _largest_first(boxes)  # small boxes lie on top
    for part in prediction.parts.values():
        if isinstance(part, RunLengths):
            colours = [category_colour(label) for label in prediction.labels.tolist()]
            picture = _with_masks(picture, part, colours, order, scale, max(1, round(em / 7)))
    pen = ImageDraw.Draw(picture)
    thick = max(2, round(em / 6))
    for place in order:
        _box(pen, boxes[place], category_colour(int(prediction.labels[place])), thick, picture.size)
    for name, part in prediction.parts.items():
        if isinstance(part, Points):
            limbs = limbs_of(name, part.places.shape[1])
            for place in order:
                _skeleton(picture, *_points(part, place, scale), limbs, max(2, round(em / 4)))
    if tags:
        _tags(pen, prediction, boxes, order, em, picture.size)
    return picture


def _largest_first(boxes: NDArray[np.float32]) -> list[int]:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return [int(place) for place in np.argsort(-areas, kind="stable")]


def limbs_of(name: str, count: int) -> list[tuple[int, int, Colour]]:
    """Return the limbs, with their colours, that join `count` points of the part called `name`.

    Limbs that join another number of points are left out.

    >>> len(limbs_of("keypoints", 17)), limbs_of("keypoints", 5)
    (16, [])
    """
    limbs = PARTS[name].limbs
    joined = {end for a, b, _ in limbs for end in (a, b)}
    return [(a, b, _SIDES[side]) for a, b, side in limbs] if len(joined) == count else []


def _with_masks(
    picture: Image.Image,
    masks: RunLengths,
    colours: Sequence[Colour],
    order: Sequence[int],
    scale: int,
    thick: int,
) -> Image.Image:
    pixels = np.array(picture)
    for place in order:
        mask = masks.mask(place)
        if not mask.any():
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, bottom = rows[0], rows[-1] + 1
        left, right = columns[0], columns[-1] + 1
        part = mask[top:bottom, left:right].repeat(scale, 0).repeat(scale, 1)
        ground = pixels[top * scale : bottom * scale, left * scale : right * scale]
        _tint(ground, part, colours[place], thick)
    return Image.fromarray(pixels)


def _tint(ground: NDArray[np.uint8], mask: NDArray[np.bool_], colour: Colour, thick: int) -> None:
    """Mix a colour into the pixels of a mask, and draw its contour, `thick` pixels wide."""
    paint = np.array(colour, np.uint16)
    mixed = (ground[mask].astype(np.uint16) * 9 + paint * 7) >> 4
    ground[mask] = mixed.astype(np.uint8)
    ground[mask & ~_eroded(mask, thick)] = paint


def _eroded(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Return a mask without its outermost pixels, removed `times` over; the array ends the mask."""
    inner = np.pad(mask, 1)
    for _ in range(times):
        smaller = inner.copy()
        for step in (-1, 1):
            for axis in (0, 1):
                smaller &= np.roll(inner, step, axis)
        inner = smaller
    return inner[1:-1, 1:-1]


def _inside(box: NDArray[np.float32], size: tuple[int, int]) -> Box:
    width, height = size
    left, right = (int(min(max(round(float(x)), 0), width - 1)) for x in box[0::2])
    top, bottom = (int(min(max(round(float(y)), 0), height - 1)) for y in box[1::2])
    return left, top, max(left, right), max(top, bottom)


def _box(
    pen: ImageDraw.ImageDraw,
    box: NDArray[np.float32],
    colour: Colour,
    thick: int,
    size: tuple[int, int],
) -> None:
    left, top, right, bottom = _inside(box, size)
    # A dark line around it makes it visible on any ground.
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_HALO)
    pen.rectangle((left, top, right, bottom), outline=colour, width=thick)


def _points(part: Points, place: int, scale: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return where the points of a detection are, (points, 2), and which of them to draw."""
    points = part.places[place]
    seen = points[:, 2] > 0
    if part.scores is not None:
        seen = seen & (part.scores[place] > SEEN)
    return points[:, :2] * scale, seen


def _corners_around(
    points: NDArray[np.float32], margin: int, size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the upper left and lower right corner of points with a margin, within the picture."""
    low = np.floor(points.min(0)).astype(int) - margin
    high = np.ceil(points.max(0)).astype(int) + margin
    return np.maximum(low, 0), np.minimum(high, size)


def _skeleton(
    picture: Image.Image,
    points: NDArray[np.float32],
    seen: NDArray[np.bool_],
    limbs: Sequence[tuple[int, int, Colour]],
    thick: int,
) -> None:
    """Draw lines and dots at twice the size, and scale them down, so that they are smooth."""
    if not seen.any():
        return
    fine = 2
    low, high = _corners_around(points[seen], 2 * thick, picture.size)
    if (high <= low).any():
        return
    width, height = (int(side) for side in high - low)
    sheet = Image.new("RGBA", (width * fine, height * fine))
    pen = ImageDraw.Draw(sheet)
    limbs = [(a, b, colour) for a, b, colour in limbs if seen[a] and seen[b]]
    _lines_and_dots(pen, (points - low) * fine, seen, limbs, thick * fine)
    sheet = sheet.resize((width, height), Image.Resampling.BOX)
    picture.paste(sheet, (int(low[0]), int(low[1])), sheet)


def _lines_and_dots(
    pen: ImageDraw.ImageDraw,
    points: NDArray[np.float32],
    seen: NDArray[np.bool_],
    limbs: Sequence[tuple[int, int, Colour]],
    thick: int,
) -> None:
    at = [(float(x), float(y)) for x, y in points]
    for around, paint in ((thick * 0.5, _HALO), (0.0, None)):
        for a, b, colour in limbs:
            pen.line((*at[a], *at[b]), paint or colour, round(thick + around * 2))
        for (x, y), is_seen in zip(at, seen, strict=True):
            if is_seen:
                r = thick * 0.9 + around
                pen.ellipse((x - r, y - r, x + r, y + r), paint or (255, 255, 255))


def _tags(
    pen: ImageDraw.ImageDraw,
    prediction: Prediction,
    boxes: NDArray[np.float32],
    order: Sequence[int],
    em: int,
    size: tuple[int, int],
) -> None:
    """Write the name and score of each detection at its box, in a free place if there is one."""
    pad = max(2, em // 4)
    taken: list[Box] = []
    for place in reversed(order):
        label = int(prediction.labels[place])
        name, number = _name_and_score(prediction, place)
        font = font_of(em, name + number)
        room = size[0] - 1 - 2 * pad - text_width(number, font)
        text = fitted(name, font, room) + number
        width, height = text_width(text, font) + 2 * pad, em + 2 * pad
        if room < 0 or height >= size[1]:
            return  # the picture has no room for a number; colours still distinguish categories
        tag = _free_place(_inside(boxes[place], size), width, height, size, taken)
        taken.append(tag)
        colour = category_colour(label)
        pen.rounded_rectangle(tag, pad, colour)
        pen.text((tag[0] + pad, (tag[1] + tag[3]) / 2), text, ink_on(colour), font, "lm")


def _name_and_score(prediction: Prediction, place: int) -> tuple[str, str]:
    label, score = int(prediction.labels[place]), float(prediction.scores[place])
    number = f" {100 * score:.1f}%" if prediction.probabilities else f" {score:.4g}"
    number = "" if math.isnan(score) else number  # a label has no score
    return shown(prediction.category(label), label), number


def _free_place(
    box: Box, width: int, height: int, size: tuple[int, int], taken: Sequence[Box]
) -> Box:
    """Return the place above, in or below the box that covers least of the others."""
    left, top, right, bottom = box
    places = []
    for x in (left, right - width):
        for y in (top - height, top, bottom, bottom - height):
            x_in = min(max(x, 0), max(0, size[0] - width - 1))
            y_in = min(max(y, 0), max(0, size[1] - height - 1))
            places.append((x_in, y_in, x_in + width, y_in + height))
    return min(places, key=lambda place: sum(_shared(place, other) for other in taken))


def _shared(a: Box, b: Box) -> int:
    """Return how many pixels two boxes share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0
