"""Average precision of 5,000 pictures of COCO's form: what it costs beside the network."""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.figures import Figure
from convlens.learn.data.samples import Boxed
from convlens.learn.measuring.average_precision import AveragePrecision

PICTURES, TRUE, FOUND = 5000, 7, 100
H, W = 480, 640
TARGET = 10.0  # seconds that `val` may cost beyond the network

POINTS = tuple(f"point {k}" for k in range(17))
KINDS: dict[str, tuple[int, tuple[str, ...], bool]] = {
    "boxes": (80, (), False),
    "masks": (80, (), True),
    "points": (1, POINTS, False),
}
"""The classes, points and masks of each kind of detector."""


def measure() -> list[Figure]:
    return [_cost(kind) for kind in KINDS]


def _cost(kind: str) -> Figure:
    classes, points, masks = KINDS[kind]
    random = np.random.default_rng(0)
    measured = AveragePrecision(tuple(map(str, range(classes))), points, masks=masks)
    adding = 0.0
    for number in range(PICTURES):
        found, true = _picture(random, str(number), classes, len(points), masks)
        began = time.process_time()
        measured.add([found], [true], (true.key,))
        adding += time.process_time() - began
    began = time.process_time()
    measured.values()
    evaluating = time.process_time() - began
    note = f"CPU seconds: {adding:.1f} batch by batch, {evaluating:.1f} in the end"
    return Figure.of(
        f"AP of {kind}, {PICTURES:,} pictures", [adding + evaluating], "s", TARGET, note
    )


def _picture(
    random: np.random.Generator, key: str, classes: int, points: int, masks: bool
) -> tuple[dict[str, Tensor], Boxed]:
    """Return detections, two near each true figure and the others anywhere, and the truth."""
    boxes, labels = _boxes(random, TRUE), random.integers(1, classes + 1, TRUE)
    places, said = _boxes(random, FOUND), random.integers(1, classes + 1, FOUND)
    near = np.arange(2 * TRUE) % TRUE
    places[: 2 * TRUE] = boxes[near] + random.normal(0, 5, (2 * TRUE, 4))
    places[:, 2:] = np.maximum(places[:, 2:], places[:, :2] + 2)
    said[: 2 * TRUE] = labels[near]
    found = {
        "boxes": torch.tensor(places, dtype=torch.float32),
        "labels": torch.tensor(said),
        "scores": torch.tensor(random.random(FOUND) ** 3, dtype=torch.float32),
    }
    if masks:
        found["box_masks"] = torch.rand(FOUND, 1, 28, 28) * 0.2 + _disc()
    if points:
        found["keypoints"] = torch.rand(FOUND, points, 3) * 100
    area = torch.tensor((boxes[:, 2:] - boxes[:, :2]).prod(1))
    true = Boxed(
        key,
        torch.zeros(3, 1, 1, dtype=torch.uint8).expand(3, H, W),
        torch.tensor(boxes, dtype=torch.float32),
        torch.tensor(labels),
        torch.zeros(TRUE, dtype=torch.bool),
        area,
        _rectangles(boxes) if masks else None,
        torch.rand(TRUE, points, 3) * 100 + 1 if points else None,
    )
    return found, true


def _boxes(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    sizes = random.uniform(10, 240, (n, 2))
    corners = random.random((n, 2)) * ([W, H] - sizes)
    return np.concatenate([corners, corners + sizes], 1)


def _disc() -> Tensor:
    side = torch.linspace(-1, 1, 28)
    return (1.3 - torch.hypot(side[:, None], side)).clamp(0, 0.8)


def _rectangles(boxes: NDArray[np.float64]) -> Tensor:
    masks = torch.zeros(len(boxes), H, W, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int).tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks
