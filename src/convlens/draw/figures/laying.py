"""Lay out the figure of one number: maps left and right, the kernel between, the sum below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from convlens.draw.figures.reading import (
    MapSeen,
    WindowSeen,
    axes_of,
    map_of,
    window_of,
)
from convlens.draw.figures.shapes import Figure, Map, Rectangle, Shape, Text, width_of
from convlens.draw.figures.telling import name_in_words, sentence, where_in_words
from convlens.draw.figures.themes import THEMES, Theme
from convlens.draw.figures.words import place_in_words, plural, short, tight
from convlens.lens import Explanation
from convlens.lens.terms import unravel

__all__ = ["number_figure"]

Floats = NDArray[np.float64]

PAD, GAP, ROW = 24, 44, 22
SIDE = 240
"""The longer side of a map."""

LARGEST_CELL, LEGIBLE_CELL, KERNEL_CELL = 28, 24, 44
MOST_ROWS = 9
"""The terms that are written out, and the longest row of products."""

LEAST_WIDTH = 640


def number_figure(explanation: Explanation, *, theme: str = "light") -> Figure:
    """Return the figure of one number: what it is made of, and how.

    `theme`: "light" or "dark".

    Raises ValueError for another theme.

    >>> import torch
    >>> from convlens.lens import explain, record
    >>> recording = record(torch.nn.Conv2d(1, 2, 3), torch.ones(1, 1, 8, 8))
    >>> number_figure(explain(recording, "", (0, 1, 2, 3))).title.partition(" =")[0]
    'conv2d@0, map 1, row 2, column 3'
    """
    if theme not in THEMES:
        raise ValueError(f"`theme` (={theme!r}) must be 'light' or 'dark'; use one of them")
    return _Page(explanation, THEMES[theme]).figure()


class _Page:
    """The figure while it is laid out, from top to bottom."""

    def __init__(self, explanation: Explanation, theme: Theme) -> None:
        self.explanation, self.theme = explanation, theme
        self.window = window_of(explanation)
        self.shapes: list[Shape] = []
        self.read: list[str] = []  # what the description reads, in order
        self.right = float(LEAST_WIDTH - PAD)

    def figure(self) -> Figure:
        """Return the finished figure."""
        explanation = self.explanation
        title = f"{name_in_words(explanation)} = {short(explanation.recorded)}"
        said = sentence(explanation, self.window)
        low = self._seats(PAD + 20 + 12)  # the sentence is as wide as they are
        lines = _wrapped(said, 14, int(self.right) - PAD)
        down = len(lines) * 20 + 12
        moved = [_lowered(shape, down) for shape in self.shapes]
        self.shapes = [Text(PAD, PAD + 14, title, 16, self.theme.ink, bold=True)]
        for number, line in enumerate(lines):
            self.shapes.append(Text(PAD, PAD + 40 + 20 * number, line, 14, self.theme.soft))
        self.shapes += moved
        low = self._sum(low + down + PAD)
        return Figure(
            round(self.right) + PAD,
            round(low) + PAD,
            self.theme.ground,
            tuple(self.shapes),
            title,
            " ".join([said, *self.read]),
        )

    # Seats

    def _seats(self, top: float) -> float:
        """Draw the maps and what stands between them; return where they end."""
        explanation, window = self.explanation, self.window
        axes = axes_of(explanation)
        left = window.map if window is not None else self._source()
        out = map_of(explanation, explanation.value, explanation.index, axes)
        x, low = float(PAD), top
        if left is not None:
            name = where_in_words(window) if window is not None else _called(left)
            x, low = self._map(left, name, x, top, window)
        if window is not None:
            signs = ("", "→") if explanation.rule == "chosen" else ("×", "=")
            x, end = self._kernel(window, x, top, *signs)
            low = max(low, end)
        elif left is not None and out is not None:
            self.shapes.append(Text(x + GAP / 2, top + 60, "→", 20, self.theme.soft, "middle"))
            x += GAP
        if out is not None:
            x, end = self._map(out, _called(out), x, top)
            low = max(low, end)
        self.right = max(self.right, x)
        return low

    def _source(self) -> MapSeen | None:
        """Return the map that holds the term with most weight, where no window slides."""
        terms, recording = self.explanation.terms, self.explanation.recording
        if not len(terms):
            return None
        sizes = np.nan_to_num(np.abs(terms.product), nan=0.0)
        best = int(sizes.argmax())
        if terms.source[best] < 0:
            return None
        value = recording.values[int(terms.source[best])]
        index = unravel(int(terms.position[best]), value.shape)
        return map_of(self.explanation, value, index, {3: 1, 4: 2, 5: 3}.get(len(value.shape), 0))

    def _map(
        self, seen: MapSeen, name: str, x: float, top: float, window: WindowSeen | None = None
    ) -> tuple[float, float]:
        """Draw a map with its window or its cell; return where it ends, right and below."""
        rows, columns = seen.numbers.shape
        cell = min(LARGEST_CELL, SIDE / max(rows, columns))
        high = cell if seen.axes > 1 else LARGEST_CELL
        self.shapes.append(Text(x, top + 12, name, 12, self.theme.soft))
        right, y = x + width_of(name, 12), top + 22
        over = (0, 0, 0, 0) if window is None else _beyond(window, rows, columns)
        x, y = x + over[0] * cell, y + over[1] * high
        colours = self.theme.colours(seen.numbers, _largest(seen.numbers))
        self.shapes.append(Map(x, y, columns * cell, rows * high, colours))
        if cell >= LEGIBLE_CELL:
            self._cells(seen.numbers, colours, x, y, cell, high, 10)
        if window is None:
            r, c = seen.cell
            self._frame(x + c * cell, y + r * high, cell, high)
        else:
            self._window(window, x, y, cell, high)
        return max(x + (columns + over[2]) * cell, right), y + (rows + over[3]) * high

    def _window(self, window: WindowSeen, x: float, y: float, cell: float, high: float) -> None:
        rows, columns = window.rows, window.columns
        for r, c in np.argwhere(~window.inside):
            at = (x + columns[c] * cell, y + rows[r] * high, cell, high)
            self.shapes.append(Rectangle(*at, stroke=self.theme.line, dashed=True))
        if _together(rows) and _together(columns):
            size = (len(columns) * cell, len(rows) * high)
            self._frame(x + columns[0] * cell, y + rows[0] * high, *size)
            return
        for r in rows:
            for c in columns:
                self._frame(x + c * cell, y + r * high, cell, high)

    def _kernel(
        self, window: WindowSeen, x: float, top: float, before: str, after: str
    ) -> tuple[float, float]:
        """Draw the kernel, or for a choice the numbers under the window."""
        chosen = self.explanation.rule == "chosen"
        numbers = window.values if chosen else window.weights
        rows, columns = numbers.shape
        cell = min(KERNEL_CELL, SIDE / max(rows, columns))
        middle = top + 22 + rows * cell / 2 + 6
        self.shapes.append(Text(x + GAP / 2, middle, before, 20, self.theme.soft, "middle"))
        x += GAP
        name = "window" if chosen else "kernel"
        colours = self.theme.colours(numbers, _largest(numbers))
        self.shapes.append(Text(x, top + 12, name, 12, self.theme.soft))
        self.shapes.append(Map(x, top + 22, columns * cell, rows * cell, colours))
        if cell >= LEGIBLE_CELL:
            self._cells(numbers, colours, x, top + 22, cell, cell, 12 if cell > 36 else 10)
        if chosen:
            r, c = np.unravel_index(int(window.weights.argmax()), numbers.shape)
            self._frame(x + int(c) * cell, top + 22 + int(r) * cell, cell, cell)
        x += max(columns * cell, width_of(name, 12))
        self.shapes.append(Text(x + GAP / 2, middle, after, 20, self.theme.soft, "middle"))
        self.read.append(f"{name.capitalize()}: {_read(numbers)}.")
        return x + GAP, top + 22 + rows * cell

    def _cells(
        self,
        numbers: Floats,
        colours: NDArray[np.uint8],
        x: float,
        y: float,
        wide: float,
        high: float,
        size: int,
    ) -> None:
        for (r, c), number in np.ndenumerate(numbers):
            at = (x + (c + 0.5) * wide, y + (r + 0.5) * high + 0.36 * size)
            ink = self.theme.ink_on(colours[r, c])
            text = tight(float(number))
            small = min(size, round(1.5 * wide / len(text)))  # a long number in a small cell
            self.shapes.append(Text(*at, text, small, ink, "middle"))

    def _frame(self, x: float, y: float, width: float, height: float) -> None:
        """Frame a window or a cell in the accent, with a casing, so that its shape shows too."""
        self.shapes.append(Rectangle(x, y, width, height, stroke=self.theme.casing, thick=5))
        self.shapes.append(Rectangle(x, y, width, height, stroke=self.theme.accent, thick=2.5))

    # The sum

    def _sum(self, top: float) -> float:
        """Write what is added up, a line for each row of the kernel, or the largest terms."""
        window, rule = self.window, self.explanation.rule
        products = window is not None and rule == "sum" and max(window.values.shape) <= MOST_ROWS
        lines = self._rows(window) if products and window is not None else self._terms()
        for text, number in lines:
            y = top + ROW / 2
            self.shapes.append(Text(PAD, y, text, 14, self.theme.ink))
            self.read.append(f"{text}{f' = {short(number)}' if number is not None else ''}.")
            if number is not None:
                colour = self.theme.negative if number < 0 else self.theme.positive
                at = PAD + width_of(text, 14) + 12
                self.shapes.append(Text(at, y, f"= {short(number)}", 14, colour))
                self.right = max(self.right, at + width_of(f"= {short(number)}", 14))
            self.right = max(self.right, PAD + width_of(text, 14))
            top += ROW
        return top

    def _rows(self, window: WindowSeen) -> list[tuple[str, float | None]]:
        lines: list[tuple[str, float | None]] = []
        for values, weights in zip(window.values, window.weights, strict=True):
            pairs = zip(values.tolist(), weights.tolist(), strict=True)
            text = " + ".join(f"{tight(v)} × {tight(w)}" for v, w in pairs)
            lines.append((text, float((values * weights).sum())))
        text = short(window.sum)
        if window.hidden:
            text += f"{_added(window.others)} of {plural(window.hidden, 'other term')}"
        if self.explanation.bias:
            text += f"{_added(self.explanation.bias)} bias"
        alone = len(lines) == 1 and text == short(window.sum)
        return lines if alone else [*lines, (text, self.explanation.recorded)]

    def _terms(self) -> list[tuple[str, float | None]]:
        explanation, terms = self.explanation, self.explanation.terms
        if explanation.rule == "chosen" and self.window is not None and len(terms) <= 16:
            candidates = ", ".join(tight(float(value)) for value in np.sort(terms.value))
            return [(f"largest of {candidates}", explanation.recorded)]
        lines: list[tuple[str, float | None]] = []
        for part in explanation.contributions(MOST_ROWS):
            k = part.terms[0]
            value, weight = float(terms.value[k]), float(terms.weight[k])
            if part.label == "all others":
                rest = part.product if explanation.rule == "sum" else None
                lines.append((f"{plural(len(part.terms), 'other term')}", rest))
            elif explanation.rule == "sum":
                lines.append((f"{part.label}: {short(value)} × {short(weight)}", part.product))
            else:
                taken = ", taken" if explanation.rule == "chosen" and weight else ""
                lines.append((f"{part.label}{taken}", value))
        if explanation.bias:
            lines.append(("bias", explanation.bias))
        if explanation.rule not in ("given", "copy"):
            lines.append((explanation.formula or "together", explanation.recorded))
        return lines


def _called(seen: MapSeen) -> str:
    place = place_in_words(seen.index[: len(seen.index) - seen.axes], 0) if seen.axes else ""
    frame = "" if seen.frame is None else f", frame {seen.frame}"
    return f"{seen.name} {place.replace('number', 'map')}{frame}".strip()


def _beyond(window: WindowSeen, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Return how many cells a window reaches beyond a map: left, above, right, below."""
    low, high = (window.columns[0], window.rows[0]), (window.columns[-1], window.rows[-1])
    return (
        *(max(0, -low[0]), max(0, -low[1])),
        *(max(0, high[0] - columns + 1), max(0, high[1] - rows + 1)),
    )


def _added(x: float) -> str:
    return f" − {short(-x)}" if x < 0 else f" + {short(x)}"


def _together(places: Sequence[int]) -> bool:
    return all(b - a == 1 for a, b in pairwise(places))


def _largest(numbers: Floats) -> float:
    known = np.abs(numbers[np.isfinite(numbers)])
    return float(known.max()) if known.size else 0.0


def _read(numbers: Floats) -> str:
    return "; ".join(", ".join(short(float(x)) for x in row) for row in numbers)


def _lowered(shape: Shape, down: float) -> Shape:
    return type(shape)(**{**vars(shape), "y": shape.y + down})


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Return a text in lines of at most this width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
