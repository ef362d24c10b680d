"""pycocotools' average precision of the same detections, by its own loader and its own sums."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from convlens.learn.data.samples import Boxed

Found = Mapping[str, Tensor]


def oracle(
    kind: str, outputs: Sequence[Found], targets: Sequence[Boxed], sigmas: Sequence[float] = ()
) -> dict[str, float]:
    """COCO's numbers by its own names; -1 where it has no truth."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _truth(targets)
        truth.createIndex()
        rows = [row for i, found in enumerate(outputs) for row in _results(kind, i + 1, found)]
        results = truth.loadRes(rows) if rows else _nothing(truth)
        evaluation = COCOeval(truth, results, kind)
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ("AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
    return dict(zip(names, evaluation.stats.tolist(), strict=False))


def _nothing(truth: COCO) -> COCO:
    results = COCO()
    results.dataset = {**truth.dataset, "annotations": []}
    results.createIndex()
    return results


def _truth(targets: Sequence[Boxed]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for i, target in enumerate(targets):
        for j in range(len(target.labels)):
            x1, y1, x2, y2 = target.boxes[j].tolist()
            row: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": i + 1,
                "category_id": int(target.labels[j]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": float(target.area[j]),
                "iscrowd": int(target.crowd[j]),
            }
            if target.masks is not None:
                row["segmentation"] = _encoded(target.masks[j])
            if target.points is not None:
                row["keypoints"] = target.points[j].flatten().tolist()
                row["num_keypoints"] = int((target.points[j, :, 2] > 0).sum())
            annotations.append(row)
    h, w = targets[0].picture.shape[-2:]
    return {
        "info": {},
        "images": [{"id": i + 1, "height": h, "width": w} for i in range(len(targets))],
        "categories": [{"id": k, "name": str(k)} for k in range(1, 10)],
        "annotations": annotations,
    }


def _results(kind: str, image: int, found: Found) -> list[dict[str, Any]]:
    rows = []
    for k in range(len(found["labels"])):
        row: dict[str, Any] = {
            "image_id": image,
            "category_id": int(found["labels"][k]),
            "score": float(found["scores"][k]),
        }
        if kind == "bbox":
            x1, y1, x2, y2 = found["boxes"][k].tolist()
            row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        if kind == "segm":
            row["segmentation"] = _encoded(found["masks"][k, 0] >= 0.5)
        if kind == "keypoints":
            row["keypoints"] = found["keypoints"][k].flatten().tolist()
        rows.append(row)
    return rows


def _encoded(mask: Tensor) -> dict[str, Any]:
    encoded: dict[str, Any] = coco_masks.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    return encoded
