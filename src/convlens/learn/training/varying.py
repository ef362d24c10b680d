"""Vary a sample for an epoch: move it, bring it to the size of the input, then change its values.

Values are changed last, as a photograph is often ten times as large as a network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convlens.learn.augmenting.applying import augment
from convlens.learn.augmenting.augmentation import Augmentation
from convlens.learn.augmenting.cutting import Crop
from convlens.learn.augmenting.painting import Photometric
from convlens.learn.preparing import Preparation
from convlens.learn.tasks.task import Task

__all__ = ["Variation"]


@dataclass(frozen=True, eq=False)
class Variation:
    """How samples of a `task` vary: `moving` before they get the input's size, `painting` after.

    `strength`: of all of them. A crop cuts what the network reads, so that a picture is scaled
    once. `preparation` is then that of a picture which has the size.
    """

    task: Task
    preparation: Preparation | None
    moving: tuple[Augmentation, ...]
    painting: tuple[Augmentation, ...]
    strength: float

    @staticmethod
    def of(
        task: Task,
        preparation: Preparation | None,
        augmentations: Sequence[Augmentation],
        strength: float,
    ) -> Variation:
        """Return how augmentations, in their order, vary samples; not at all at a strength of 0."""
        moves = [at for at, one in enumerate(augmentations) if not isinstance(one, Photometric)]
        first = moves[-1] + 1 if moves else 0
        moving, painting = tuple(augmentations[:first]), tuple(augmentations[first:])
        crops = [one for one in moving if isinstance(one, Crop) and one.size is None]
        size = None if preparation is None or preparation.ink else preparation.fixed_size()
        if preparation is not None and size is not None and crops and strength > 0:
            moving = tuple(replace(o, size=size) if o in crops else o for o in moving)
            preparation = replace(preparation, size=size, crop=True, stretch=False)
        return Variation(task, preparation, moving, painting, strength)

    def varied(self, sample: Any, seed: int, epoch: int, index: int) -> Any:
        """Return the sample with the number `index` as an epoch sees it."""
        sample = augment(sample, self.moving, seed, epoch, index, self.strength)
        sample = self.task.fit(sample, self.preparation, True)
        return augment(sample, self.painting, seed, epoch, index, self.strength)
