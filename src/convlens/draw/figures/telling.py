"""Say in one or two sentences how a number was made."""

from __future__ import annotations

import numpy as np

from convlens.draw.figures.reading import WindowSeen, axes_of
from convlens.draw.figures.words import place_in_words, plural, short, spans_in_words
from convlens.lens import Explanation

__all__ = ["name_in_words", "sentence", "where_in_words"]


def name_in_words(explanation: Explanation) -> str:
    """Return the name of a value and the place of the number in it."""
    name = explanation.recording.name_of(explanation.value.id)
    where = place_in_words(explanation.index, axes_of(explanation))
    return f"{name}, {where}" if where else name


def where_in_words(window: WindowSeen) -> str:
    """Return the map on which a window lies."""
    seen = window.map
    if seen.value.kind == "input" and seen.value.shape[-1 - seen.axes :][:1] == (1,):
        return "the input"
    lead = place_in_words(seen.index[: len(seen.index) - seen.axes], 0)
    return f"{lead.replace('number', 'map')} of {seen.name}"


def sentence(explanation: Explanation, window: WindowSeen | None) -> str:
    """Return how the number was made, as the lab's page says it."""
    if explanation.rule == "given":
        return f"This number was given: {explanation.note or explanation.kind}."
    if window is not None and explanation.rule == "chosen":
        return _chosen(explanation, window)
    if window is not None and explanation.rule == "sum":
        mean = bool((window.weights == window.weights.flat[0]).all()) and not explanation.bias
        pooled = explanation.step is not None and "pool" in explanation.step.op
        return _mean(explanation, window) if mean and pooled else _windowed(explanation, window)
    terms = explanation.terms
    if explanation.rule == "copy":
        return f"The same number as {explanation.label(0)}."
    if explanation.rule == "sum":
        bias = f", plus the bias {short(explanation.bias)}" if explanation.bias else ""
        each = plural(len(terms), "number")
        return f"{each}, each times its weight{bias}: {short(explanation.recorded)}."
    if len(terms) == 1 and explanation.step is not None:
        given = float(terms.value[0])
        if "relu" in explanation.step.op and given < 0 and explanation.recorded == 0:
            return f"Negative, so it becomes 0: {short(given)} stops here."
        return f"{explanation.formula}: {short(given)} becomes {short(explanation.recorded)}."
    said = explanation.formula or explanation.note or explanation.kind
    return f"{said}, of {plural(len(terms), 'number')}: {short(explanation.recorded)}."


def _spans(window: WindowSeen) -> str:
    low, high = (window.rows[0], window.columns[0]), (window.rows[-1], window.columns[-1])
    axes = min(window.map.axes, 2)
    spans = spans_in_words(low[2 - axes :], high[2 - axes :])
    frame = "" if window.map.frame is None else f"frame {window.map.frame}, "
    return f"{frame}{spans}"


def _lies(window: WindowSeen) -> str:
    return f"{_spans(window)} of {where_in_words(window)}"


def _windowed(explanation: Explanation, window: WindowSeen) -> str:
    axes, terms = axes_of(explanation), explanation.terms
    lead = explanation.index[: len(explanation.index) - axes]
    maps = terms.arrangement[0]
    over = where_in_words(window)
    if maps > 1:
        over = f"{window.map.name}, in each of {maps} maps"
    beyond, edge = int((~window.inside).sum()), ""
    if beyond:
        lies, counts = ("lies", "counts") if beyond == 1 else ("lie", "count")
        edge = f" {plural(beyond, 'place')} of it {lies} beyond the edge and {counts} 0."
    made = short(explanation.total - explanation.bias)
    added = f"the {plural(len(terms), 'product')} add up to {made}"
    if len(terms) == 1:
        added = f"the product is {made}"
    if explanation.bias:
        added += f", with the bias {short(explanation.bias)} to {short(explanation.recorded)}"
    return (
        f"Kernel {lead[-1] if lead else 0} lies on {_spans(window)} of {over}. Every number is "
        f"multiplied by the weight on it; {added}.{edge}"
    )


def _chosen(explanation: Explanation, window: WindowSeen) -> str:
    r, c = np.unravel_index(int(window.weights.argmax()), window.weights.shape)
    axes = min(window.map.axes, 2)
    place = (window.rows[int(r)], window.columns[int(c)])[2 - axes :]
    return (
        f"The largest of {plural(len(explanation.terms), 'number')}, {_lies(window)}: "
        f"{short(float(window.values[r, c]))}, at {place_in_words(place, axes)}. The others have "
        "no part in it."
    )


def _mean(explanation: Explanation, window: WindowSeen) -> str:
    return (
        f"The mean of {plural(len(explanation.terms), 'number')}, {_lies(window)}: "
        f"{short(explanation.recorded)}."
    )
