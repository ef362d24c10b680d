"""What a detector found, as the page lists it and draws it on the picture."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.draw.colours import category_colour
from convlens.draw.detections import LIMBS, SEEN
from convlens.learn.predicting.forms import may_be_chances, not_finite
from convlens.learn.predicting.predictions import score_text
from convlens.learn.tracing import detections, is_detector, trace
from convlens.lens import Recording
from convlens.lens.terms import plain

MOST = 300
"""Detections told of at most, the best; COCO's detectors find 100."""

_INSIDE = 0.5  # the least chance that a pixel of a mask belongs to it


@dataclass(frozen=True)
class Findings:
    """The detections of the first picture of a recording: the value ids of their parts by name."""

    recording: Recording
    ids: dict[str, int]

    def part(self, name: str) -> Tensor:
        """One part of all detections: boxes, labels, scores, masks, keypoints, ..."""
        return self.recording.values[self.ids[name]].tensor.detach().cpu()

    def told(self, categories: tuple[str, ...], points: tuple[str, ...]) -> dict[str, Any]:
        """All detections, the best first, ready for JSON.

        `number` is the detection's place in the network's answer; `points` are x, y and whether
        the keypoint is sure enough to be drawn.
        """
        scores = self.part("scores").float()
        order = scores.argsort(descending=True, stable=True)[:MOST].tolist()
        limbs = [[a, b, list(colour)] for a, b, colour in LIMBS]
        return {
            "scores": self.ids["scores"],
            "count": len(scores),
            "detections": [self._detection(number, categories) for number in order],
            "masks": "masks" in self.ids,
            "walks": is_detector(self.recording),
            "points": list(points),
            "limbs": limbs if "keypoints" in self.ids else [],
        }

    def doubts(self) -> list[str]:
        """What must be known of the detections in sentences: numbers that are not finite."""
        scores = self.part("scores")
        parts = [self.part(name) for name in self.ids if len(self.part(name)) == len(scores)]
        broken = sum(
            ~part.isfinite().reshape(len(scores), -1).all(1)
            for part in parts
            if part.is_floating_point() and part.numel()
        )
        if len(scores):
            count = int((torch.as_tensor(broken) > 0).sum())
            return [not_finite(count, len(scores), "detections")] if count else []
        # They are dropped on the way, and then nothing is found.
        computed = (v for v in self.recording.values if v.kind == "computed" and not v.opaque)
        lost = next((value for value in computed if _is_broken(value.tensor)), None)
        if lost is None:
            return []
        name = self.recording.name_of(lost.id)
        return [f"the network gave no finite numbers in {name}, so that it finds none"]

    def _detection(self, number: int, categories: tuple[str, ...]) -> dict[str, Any]:
        label = int(self.part("labels")[number])
        score = float(self.part("scores")[number])
        told: dict[str, Any] = {
            "number": number,
            "label": name_of(label, categories),
            "score": plain(score),
            "told": score_text(score, may_be_chances(self.part("scores"))),
            "box": [plain(round(side, 2)) for side in self.part("boxes")[number].tolist()],
            "colour": list(category_colour(label)),
        }
        if "keypoints" in self.ids:
            points = self.part("keypoints")[number]
            seen = points[:, 2] > 0
            if "keypoints_scores" in self.ids:
                seen = seen & (self.part("keypoints_scores")[number] > SEEN)
            told["points"] = [
                [plain(round(x, 1)), plain(round(y, 1)), is_seen]
                for (x, y, _), is_seen in zip(points.tolist(), seen.tolist(), strict=True)
            ]
        return told

    def mask(self, detection: int) -> dict[str, Any]:
        """Which pixels of the picture belong to a detection, cut to their box, a bit each.

        Raises ValueError where there are no masks, and for a detection out of range.
        """
        if "masks" not in self.ids:
            raise ValueError("`detection` has no mask: this network finds none")
        masks = self.part("masks")
        if not 0 <= detection < len(masks):
            raise ValueError(f"`detection` (={detection}) must be one of the {len(masks)} found")
        inside = masks[detection].reshape(masks.shape[-2:]) >= _INSIDE
        box = [_ends(inside.any(1)), _ends(inside.any(0))]
        cut = inside[slice(*box[0]), slice(*box[1])]
        bits = np.packbits(cut.numpy().reshape(-1))
        return {
            "space": list(inside.shape),
            "box": box,
            "count": int(inside.sum()),
            "mask": base64.b64encode(bits.tobytes()).decode(),
        }

    def walk(self, detection: int) -> dict[str, Any]:
        """A detection walked back, ready for JSON (see `convlens.learn.tracing`).

        Raises ValueError where it cannot be.
        """
        try:
            told = trace(self.recording, detection).to_dict()
        except (LookupError, RuntimeError, AttributeError) as error:
            # A network of one's own may have its modules' names and be another within.
            raise ValueError(
                f"`detection` (={detection}) cannot be walked back: this network is not built as "
                "the zoo's detectors are; follow its numbers from the outline"
            ) from error
        for station in told["stations"]:
            station["box"] = station["box"] and [plain(round(side, 2)) for side in station["box"]]
        told["score"], told["box"] = plain(told["score"]), [plain(side) for side in told["box"]]
        return told


def findings_of(recording: Recording) -> Findings | None:
    """The detections of a recording's first picture; None where its network is no detector."""
    answers = detections(recording)
    return Findings(recording, answers[0]) if answers else None


def name_of(label: int, categories: tuple[str, ...]) -> str:
    """A category's name, its number where it has none."""
    return categories[label] if 0 <= label < len(categories) else f"class {label}"


def _is_broken(numbers: Tensor) -> bool:
    """Whether some are none or infinite; minus infinity is how networks rule out."""
    if not numbers.is_floating_point():
        return False
    return not bool((numbers.isfinite() | numbers.isneginf()).all())


def _ends(line: Tensor) -> list[int]:
    """First and one past the last true position of a boolean line."""
    where = torch.where(line)[0]
    return [int(where[0]), int(where[-1]) + 1] if len(where) else [0, 0]
