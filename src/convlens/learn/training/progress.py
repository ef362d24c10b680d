"""Where a training stands after a step or an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convlens.learn.measuring.history import HistoryLine
from convlens.learn.measuring.layers import LayersLine, faults

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    - `epoch` of `epochs`, counted from 1; `step` of `steps`, those done.
    - `loss`: the mean over the samples of the epoch so far; `losses`: its parts by name.
    - `values`: the measures on the held-out samples by name, the one that decides first; empty
      within an epoch. `best`: the highest so far of that one, and `is_best`: whether it is new.
    - `rate`: the learning rate of the last step. `norm`: of its gradient, before clipping.
    - `layers`: what they did in the last step, and on the held-out samples; None within an epoch.
    - `seconds` that the training took, over all its resumptions; `speed`: samples a second of late.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    losses: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None
    is_best: bool = False
    rate: float = 0.0
    norm: float = 0.0
    seconds: float = 0.0
    speed: float = 0.0
    layers: LayersLine | None = None

    @property
    def fault(self) -> str:
        """Return the worst that is wrong in a layer, as a sentence; "" for nothing."""
        found = faults(self.layers) if self.layers else []
        return found[0].sentence if found else ""

    def line(self) -> HistoryLine:
        """Return the line of the history for an epoch."""
        values, seconds = dict(self.values), round(self.seconds, 3)
        return HistoryLine(self.step, self.epoch, self.loss, values, self.rate, seconds)

    def __str__(self) -> str:
        said = f"epoch {self.epoch}/{self.epochs}  loss {self.loss:.4f}"
        for name, value in self.values.items():
            said += f"  {name} {value:.4f}"
        return said + ("  best" if self.is_best else "")
