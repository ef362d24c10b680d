"""Find in a recording what a detector answered with, and where its parts ran."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from convlens.lens import Recording, Step
from convlens.zoo.detection import anatomy

__all__ = ["Box", "box_of", "detections", "enlarged", "is_detector", "output_of", "proposals_of"]

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


def is_detector(recording: Recording) -> bool:
    """Return whether a recording is of a detector with two stages that ran on pictures."""
    ran = {call.path for call in recording.calls}
    return {anatomy.PROPOSAL_HEAD, anatomy.BOX_PREDICTOR} <= ran and bool(detections(recording))


def detections(recording: Recording) -> list[dict[str, int]]:
    """Return the value ids of a detector's answer to each picture by name; [] for other networks.

    >>> import torch
    >>> from convlens.lens import record
    >>> detections(record(torch.relu, torch.zeros(1)))
    []
    """
    outputs = recording.outputs
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        return []
    if not all({"boxes", "labels", "scores"} <= each.keys() for each in outputs):
        return []
    if len(recording.output_ids) != sum(map(len, outputs)):
        return []  # some of it was never a tensor of torch that the recording saw
    ids = iter(recording.output_ids)
    return [{name: next(ids) for name in each} for each in outputs]


def proposals_of(recording: Recording) -> list[int]:
    """Return the id of the value that holds the proposals (k, 4) of each picture."""
    call = next(call for call in recording.calls if call.path == anatomy.BOX_POOL)
    return [id for id in call.inputs if len(recording.values[id].shape) == 2]


def output_of(steps: Sequence[Step], path: str) -> int:
    """Return the id of what the only step of a layer made."""
    return next(step.outputs[0] for step in steps if step.module == path)


def box_of(sides: Tensor) -> Box:
    """Return the four sides of a box as numbers."""
    x1, y1, x2, y2 = sides.tolist()
    return x1, y1, x2, y2


def enlarged(recording: Recording, box: Box, picture: int) -> Box:
    """Return a box of the resized picture in pixels of the picture itself."""
    resizings = [
        step
        for step in recording.steps
        if step.module == anatomy.RESIZING and step.op == "interpolate"
    ]
    step = resizings[picture]
    (h, w), (tall, wide) = (
        recording.values[id].shape[-2:] for id in (step.inputs[0], step.outputs[0])
    )
    x1, y1, x2, y2 = box
    return x1 * w / wide, y1 * h / tall, x2 * w / wide, y2 * h / tall
