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


def _lies(window: WindowSeen) -> str:
    low, high = (window.rows[0], window.columns[0]), (window.rows[-1], window.columns[-1])
    axes = min(window.map.axes, 2)
    spans = spans_in_words(low[2 - axes :], high[2 - axes :])
    frame = "" if window.map.frame is None else f"frame {window.map.frame}, "
    return f"{frame}{spans} of {where_in_words(window)}"


def _windowed(explanation: Explanation, window: WindowSeen) -> str:
    axes = axes_of(explanation)
    lead = explanation.index[: len(explanation.index) - axes]
    first = f"Kernel {lead[-1] if lead else 0} lies on {_lies(window)}."
    beyond, edge = int((~window.inside).sum()), ""
    if beyond == 1:
        edge = " 1 place of it lies beyond the edge and counts 0."
    elif beyond:
        edge = f" {beyond} places of it lie beyond the edge and count 0."
    made = f" The {plural(window.values.size, 'product')} add up to {short(window.sum)}"
    if window.hidden:
        made += f", those of the {plural(window.hidden, 'other term')} to {short(window.others)}"
    bias = f", with the bias {short(explanation.bias)}" if explanation.bias else ""
    return f"{first}{edge}{made}{bias}: {short(explanation.recorded)}."


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
