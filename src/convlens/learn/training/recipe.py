"""How to train, and where a training stands after an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Progress", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW on shuffled batches, with a rate that falls to 0 along half a cosine.

    `epochs`: passes over the training examples. `batch`: examples in a step; if the last step has
    only one, it joins the step before. `rate`: the learning rate of the first step. `decay`: the
    weight decay, decoupled from the gradient. `seed`: of all random numbers.

    Raises ValueError or TypeError for a field out of its range.

    Source: Loshchilov & Hutter, *Decoupled Weight Decay Regularization* (arXiv 1711.05101,
    algorithm 2) and *SGDR* (arXiv 1608.03983, equation 5, without restarts).

    >>> Recipe(epochs=0)
    Traceback (most recent call last):
        ...
    ValueError: `epochs` (=0) must be at least 1; use 1 or more
    """

    epochs: int = 10
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"`{name}` (={value!r}) must be a whole number; use {least}")
            if value < least:
                raise ValueError(
                    f"`{name}` (={value}) must be at least {least}; use {least} or more"
                )
        if self.seed >= 2**63:
            raise ValueError(f"`seed` (={self.seed}) must be below 2**63; use a smaller one")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"`rate` (={self.rate}) must be positive and finite; use about 0.001")
        if not (math.isfinite(self.decay) and self.decay >= 0):
            raise ValueError(
                f"`decay` (={self.decay}) must be 0 or more and finite; use about 0.01"
            )


@dataclass(frozen=True)
class Progress:
    """Where a training stands after an epoch.

    `epoch` of `epochs`, counted from 1; `loss`: the mean cross-entropy over the epoch's training
    examples, in nats; `accuracy`: the share of held-out examples that the network gets right, 0 to
    1; `seconds` since the training began.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    seconds: float
