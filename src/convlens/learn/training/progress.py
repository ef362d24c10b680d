"""Where a training stands after an epoch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Progress"]


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
