"""Write all of a training's state into one file, and read the newest that is whole.

A file holds tensors alone: the weights, their average, the optimizer's state, and the counters as a
tensor of JSON. One digest covers them all, and equal states give equal files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.learn.run_folder import RunFolder
from convlens.zoo.weights.saving import save_tensors

__all__ = ["Checkpoint", "Counters", "last_checkpoint", "write_checkpoint"]

COUNTERS = "counters"


@dataclass
class Counters:
    """Where a training stands, besides its tensors.

    `step`: how many steps are done; it is also the position in the data. `seconds` that they took.
    `sums`: each loss and its weight, added up since the epoch began. `best`: the best measure,
    first reached in the epoch `best_epoch`.
    """

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int = 0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training: its tensors by name, and its counters."""

    tensors: Mapping[str, Tensor]
    counters: Counters


def write_checkpoint(folder: RunFolder, checkpoint: Checkpoint, keep: int) -> None:
    """Write a checkpoint, whole at every moment, and then remove all but the newest `keep`.

    Raises OSError if the disk refuses; the older ones stay.
    """
    counters = asdict(checkpoint.counters)
    # Seconds differ from run to run, and are no part of what a resumed run must equal.
    del counters["seconds"]
    text = np.frombuffer(json.dumps(counters, sort_keys=True).encode(), np.uint8)
    tensors = {**checkpoint.tensors, COUNTERS: torch.from_numpy(text.copy())}
    path = folder.checkpoint(checkpoint.counters.step)
    path.parent.mkdir(exist_ok=True)
    save_tensors(tensors, path)
    for old in folder.checkpoints()[keep:]:
        old.unlink(missing_ok=True)


def last_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """Return the newest checkpoint that is whole; None if there is none."""
    tensors = folder.last_tensors()
    if tensors is None:
        return None
    said: dict[str, Any] = json.loads(bytes(tensors.pop(COUNTERS).numpy()))
    return Checkpoint(tensors, Counters(**said))
