"""Say why a box was chosen among others: by its rank, and because suppression let it through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convlens.lens import Explanation, Recording, explain_value
from convlens.zoo.detection.boxes import box_iou

__all__ = ["RANKING", "SUPPRESSION", "back", "back_from", "choices"]

RANKING, SUPPRESSION = "ranking", "suppression"

# Those by a threshold, or for an order, are passed by.
_SELECTIONS = {"nms": SUPPRESSION, "batched_nms": SUPPRESSION, "topk": RANKING}

# An element that one of these made was there before, or is the limit that cut it off.
_CLIPS = ("clamp", "clip", "minimum", "maximum")


def back(recording: Recording, id: int, index: tuple[int, ...]) -> Iterator[Explanation]:
    """Yield a number of a value, and those before it (see `back_from`)."""
    yield from back_from(explain_value(recording, id, index))


def back_from(made: Explanation) -> Iterator[Explanation]:
    """Yield a number and those before it, as long as each is made of one computed number."""
    while True:
        yield made
        if made.step is None or made.step.op in _SELECTIONS:
            return
        sources = [
            k
            for k, id in enumerate(made.terms.source)
            if id >= 0 and made.recording.values[int(id)].kind == "computed"
        ]
        if made.step.op == "sort":  # the number itself stood elsewhere before
            sources = [k for k in sources if made.terms.weight[k] == 1]
        if not sources or (len(sources) > 1 and made.step.op not in _CLIPS):
            return
        made = made.open(sources[0])


def choices(way: Sequence[Explanation], by: str) -> Iterator[tuple[str, str, Explanation]]:
    """Yield what chose the positions along a way: which kind, why, and the number it gave.

    `by`: what the boxes were ranked by.
    """
    for made in way:
        for chooser in _choosers(made):
            kind = _SELECTIONS[chooser.step.op] if chooser.step else ""
            yield kind, _ranked(chooser, by) if kind == RANKING else _kept(chooser, by), chooser


def _choosers(made: Explanation) -> Iterator[Explanation]:
    """Yield the selections that led to the position from which a number was copied."""
    if made.rule != "copy" or made.terms.weight_source[0] < 0:
        return
    for each in back_from(made.open(0, weight=True)):
        if each.step and each.step.op in _SELECTIONS:
            yield each
        else:
            yield from _choosers(each)


def _ranked(chooser: Explanation, by: str) -> str:
    """Say which rank a place has, and how many of how many go on."""
    step = chooser.step
    assert step is not None
    values = chooser.recording.values
    count, most = (values[id].shape[-1] for id in (step.inputs[0], chooser.value.id))
    goes_on = f", of which the first {most:,} go on" if most < count else ""
    return f"rank {chooser.index[-1] + 1:,} of {count:,} by {by} at its level{goes_on}"


def _kept(chooser: Explanation, by: str) -> str:
    """Say which rank a box has among those that suppression compared, and how many it outlived."""
    step = chooser.step
    assert step is not None
    boxes, scores, *groups = (chooser.recording.values[id].tensor for id in step.inputs)
    at, limit = int(chooser.recorded), step.kwargs.get("iou_threshold", step.args[-1])
    rank = 1 + int((scores > scores[at]).sum()) + int((scores[:at] == scores[at]).sum())
    near = box_iou(boxes[at : at + 1], boxes)[0] > limit
    for group in groups:
        near &= group == group[at]
    near[at] = False
    return f"rank {rank:,} of {len(scores):,} by {by}; {_outlived(int(near.sum()), limit)}"


def _outlived(count: int, limit: float) -> str:
    if not count:
        return f"no box overlaps it by more than {limit:g}"
    boxes = "1 box that overlaps it" if count == 1 else f"{count:,} boxes that overlap it"
    return f"it survived, {boxes} by more than {limit:g} did not"
