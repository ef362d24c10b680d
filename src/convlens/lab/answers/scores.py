"""Score the classes: the best of an output that is one row of scores, as `predict` writes them."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np

from convlens.lab.answers.detections import name_of
from convlens.learn.predicting.classifying import classified, rows_of
from convlens.learn.predicting.predictions import Limits, score_text
from convlens.learn.predicting.sigmoids import KEEPING, SIGMOIDS
from convlens.lens import Recording

SCORES = 10
"""The classes listed beside the picture, best first."""

_VIEWS = frozenset(
    """flatten unflatten view reshape squeeze unsqueeze contiguous float half double bfloat16 to
    expand getitem unbind chunk split select narrow transpose permute t mT T movedim
    interpolate""".split()
)
"""The steps that leave the numbers a sigmoid made as they are."""


class ClassScore(TypedDict):
    """One class and its score.

    `score`: the recorded number. `text`: how `predict` writes it. `share`: a part of 1, None where
    the score is not a probability. `index`: where the score lies in the output.
    """

    index: list[int]
    label: str
    score: float
    text: str
    share: float | None


def classes_of(recording: Recording) -> dict[str, Any] | None:
    """Return what `predict` finds in an output that is one row of scores; None for another one."""
    output = recording.output
    if output is None or output.opaque or not output.tensor.is_floating_point():
        return None
    rows = rows_of(output.tensor.detach(), 1) if output.shape else None
    if rows is None:
        return None
    inside = bool(((rows >= 0) & (rows <= 1)).all())
    by_sigmoid = inside and _made_by_sigmoid(recording, output.id, {})
    (found,) = classified(rows, Limits(top=SCORES), by_sigmoid=by_sigmoid)
    return found


def scores_of(
    recording: Recording, classes: dict[str, Any] | None, names: tuple[str, ...]
) -> list[ClassScore]:
    """Return the best classes, with the numbers that the network computed for them."""
    output = recording.output
    if output is None or classes is None or "error" in classes:
        return []
    labels = classes["labels"]
    places = np.stack(np.unravel_index(labels, output.shape), 1).tolist()
    recorded = output.tensor.detach().reshape(-1)[labels].tolist()
    are_chances = classes["probabilities"]
    rows = zip(places, labels.tolist(), recorded, classes["scores"].tolist(), strict=True)
    return [
        {
            "index": place,
            "label": name_of(label, names),
            "score": number,
            "text": score_text(score, are_chances),
            "share": score if are_chances else None,
        }
        for place, label, number, score in rows
    ]


def _made_by_sigmoid(recording: Recording, id: int, known: dict[int, bool]) -> bool:
    """Return whether a value consists of sigmoids' numbers alone, as `Sigmoids` sees it."""
    if id not in known:
        known[id] = False
        made = recording.values[id].step
        step = None if made < 0 else recording.steps[made]
        if step is not None and step.op in SIGMOIDS:
            known[id] = True
        elif step is not None and (step.op in KEEPING or step.op in _VIEWS):
            read = [recording.values[number] for number in step.inputs]
            read = [v for v in read if v.shape and not v.opaque and v.tensor.is_floating_point()]
            every = all(_made_by_sigmoid(recording, value.id, known) for value in read)
            known[id] = bool(read) and every
    return known[id]
