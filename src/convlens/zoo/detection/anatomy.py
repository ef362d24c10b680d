"""Name the parts of a detector: the paths of its modules, and what its heads add to a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "BACKBONE",
    "BOX_CODES",
    "BOX_POOL",
    "BOX_PREDICTOR",
    "BOX_SCORES",
    "HEADS",
    "PROPOSALS",
    "PROPOSAL_CODES",
    "PROPOSAL_HEAD",
    "PROPOSAL_SCORES",
    "RESIZING",
    "Limb",
    "Part",
    "layers_of",
]

RESIZING = "transform"
BACKBONE = "backbone"

PROPOSALS = "rpn"
PROPOSAL_HEAD = f"{PROPOSALS}.head"
PROPOSAL_SCORES = f"{PROPOSAL_HEAD}.cls_logits"
PROPOSAL_CODES = f"{PROPOSAL_HEAD}.bbox_pred"

HEADS = "roi_heads"


def layers_of(head: str) -> tuple[str, str, str]:
    """Return the names that a head's pooling, layers and predictor have among those of all heads.

    >>> layers_of("mask")
    ('mask_roi_pool', 'mask_head', 'mask_predictor')
    """
    return f"{head}_roi_pool", f"{head}_head", f"{head}_predictor"


BOX_POOL, _, BOX_PREDICTOR = (f"{HEADS}.{name}" for name in layers_of("box"))
BOX_SCORES = f"{BOX_PREDICTOR}.cls_score"
BOX_CODES = f"{BOX_PREDICTOR}.bbox_pred"

Limb = tuple[int, int, Literal["left", "right", "middle"]]
"""Two points of a body that are joined, counted from 0, and the side that they are on."""


@dataclass(frozen=True)
class Part:
    """What a head adds to every box that a detector finds.

    `name`: its name in a detection. `form`: "map", the chance of every pixel to belong to it, or
    "points", each x, y and visibility. `layer`: the path of the module that computes it, before it
    is laid over the picture. `station`: its name in a walk back from a detection; `coco`: its name
    in COCO's results. Of points, `scores`: the name of their scores, and `limbs`: what joins them.
    """

    name: str
    form: Literal["map", "points"]
    layer: str
    station: str
    coco: str
    scores: str | None = None
    limbs: tuple[Limb, ...] = ()
