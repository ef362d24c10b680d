"""Recognise the form of a network's output, and turn it into what it says of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from convlens.learn.predicting.classifying import classified, rows_of
from convlens.learn.predicting.detections import detected, is_detection
from convlens.learn.predicting.outputs import UnknownFormError, described
from convlens.learn.predicting.predictions import Limits, View
from convlens.learn.predicting.segmenting import check_maps, segmented

__all__ = ["outputs_of", "predictions_of"]


def predictions_of(
    output: Any, views: Sequence[View], limits: Limits, *, by_sigmoid: bool = False
) -> list[dict[str, Any]]:
    """Return what an output says of each picture of a batch, as fields of `Prediction`.

    `views`: how the network saw each picture. `by_sigmoid`: whether a sigmoid made the scores, so
    that each class is judged by itself. The forms are:

    - a classification: scores (n, classes), perhaps with axes of size 1 after them, or one number
      for each picture;
    - a segmentation: a tensor (n, classes, h, w), or a dictionary with such an "out";
    - detections: a list of dictionaries with "boxes", "labels" and "scores".

    If an answer has no finite number where it needs one, its only field is "error".

    Raises UnknownFormError, a TypeError, for an output of another form.

    >>> import torch
    >>> view = View(size=(4, 4), shape=(4, 4))
    >>> predictions_of(torch.tensor([[0.0, 9.0]]), [view], Limits(top=1))[0]["labels"]
    array([1])
    """
    maps = output.get("out") if isinstance(output, dict) else output
    scores = None if maps is not output else rows_of(output, len(views))
    if scores is not None:
        return classified(scores, limits, by_sigmoid=by_sigmoid)
    if isinstance(maps, Tensor) and maps.ndim == 4 and len(maps) == len(views):
        check_maps(maps)
        pairs = zip(maps.float(), views, strict=True)
        return [segmented(scores, view, by_sigmoid) for scores, view in pairs]
    is_list = isinstance(output, (list, tuple)) and len(output) == len(views)
    if is_list and all(is_detection(one) for one in output):
        return [detected(one, view, limits) for one, view in zip(output, views, strict=True)]
    raise UnknownFormError(
        f"`network` answered with {described(output)} for {len(views)} pictures, and must with "
        "scores (n, classes), a dictionary with out (n, classes, h, w) or a list of dictionaries "
        "with boxes, labels and scores; see its numbers with `convlens record`"
    )


def outputs_of(output: Any, count: int) -> int | None:
    """Return how many categories the scores or maps for `count` pictures have; None for others.

    >>> import torch
    >>> outputs_of(torch.zeros(2, 5), 2), outputs_of({"out": torch.zeros(1, 7, 4, 4)}, 1)
    (5, 7)
    """
    maps = output.get("out") if isinstance(output, dict) else output
    rows = rows_of(maps, count) if maps is output else None
    if rows is not None:
        return rows.shape[1]
    return int(maps.shape[1]) if isinstance(maps, Tensor) and maps.ndim == 4 else None
