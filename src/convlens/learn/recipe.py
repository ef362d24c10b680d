"""How to train: every choice in one record, whose fields are the flags of `convlens train`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

__all__ = ["Recipe"]

Optimizer = Literal["adamw", "sgd", "rmsprop"]
Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["float32", "bfloat16"]

WHOLE = {
    **{"epochs": 1, "batch": 1, "accumulate": 1, "freeze": 0, "patience": 0, "workers": 0},
    **{"threads": 0, "seed": 0, "keep": 1},
}
"""Fields that are whole numbers, and the least of each."""

RANGES: dict[str, tuple[float, float, bool]] = {
    # name: least, most, whether the least itself is allowed
    "rate": (0, math.inf, False),
    "decay": (0, math.inf, True),
    "momentum": (0, 1, True),
    "warmup": (0, 1, True),
    "clip": (0, math.inf, True),
    "ema": (0, 1, True),
    "smooth": (0, 1, True),
    "augment": (0, 1, True),
    "layer_decay": (0, 1, False),
    "save": (0, math.inf, True),
}
"""Fields that are real numbers, and their ranges."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    - `epochs`: passes over the training samples. `batch`: samples in a step of the optimizer, over
      all ranks and accumulated parts; `accumulate`: the parts that a step is computed in.
    - `rate`: the highest learning rate; it rises from 0 over the share `warmup` of all steps, then
      falls by `schedule`: along half a cosine, in a line, or not at all.
    - `optimizer`: "adamw", "sgd" (Nesterov) or "rmsprop", with `momentum` (AdamW's first beta).
      `decay`: weight decay, of kernels only, not of biases and norms. `clip`: the most that the
      norm of all gradients may be; 0 for no limit.
    - `ema`: how much of the average of weights each step keeps, such as 0.999; 0 for no average.
      `smooth`: label smoothing.
    - `size`: pixels of the input's sides; None for those that the network prefers. `augment`: the
      strength of augmentations, and `augmentations` their names, None for the task's. `balance`:
      whether each category weighs the same in the loss.
    - `freeze`: how many of the network's first children are not trained; -1 for all but the head.
      `layer_decay`: the rate of each child as a part of the one after it.
    - `patience`: stop after this many epochs without a better result; 0 for never.
    - `precision`: "bfloat16" for autocast. `compile`: whether torch compiles the network.
      `deterministic`: whether indexing in a backward pass adds in a fixed order.
    - `device`; `threads` of torch, 0 for as many as cores; `workers`: processes that read samples,
      0 for none.
    - `seed` of all random numbers. `save`: the most seconds between checkpoints, which are also
      written at ends of epochs. `keep`: how many checkpoints stay.

    Raises ValueError or TypeError for a field out of its range.

    Source: Loshchilov & Hutter, *Decoupled Weight Decay Regularization* (arXiv 1711.05101,
    algorithm 2) and *SGDR* (arXiv 1608.03983, equation 5, without restarts).

    >>> Recipe(epochs=0)
    Traceback (most recent call last):
        ...
    ValueError: `epochs` (=0) must be at least 1; use 1 or more
    """

    epochs: int = 30
    batch: int = 64
    rate: float = 1e-3
    optimizer: Optimizer = "adamw"
    decay: float = 0.02
    momentum: float = 0.9
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    clip: float = 5.0
    accumulate: int = 1
    ema: float = 0.0
    smooth: float = 0.0
    size: int | None = None
    augment: float = 1.0
    augmentations: tuple[str, ...] | None = None
    balance: bool = False
    freeze: int = 0
    layer_decay: float = 1.0
    patience: int = 0
    precision: Precision = "float32"
    compile: bool = False
    deterministic: bool = True
    device: str = "cpu"
    threads: int = 0
    workers: int = 0
    seed: int = 0
    save: float = 300.0
    keep: int = 2

    def __post_init__(self) -> None:
        for name, least in WHOLE.items():
            _check_whole(name, getattr(self, name), -1 if name == "freeze" else least)
        for name, limits in RANGES.items():
            _check_range(name, getattr(self, name), *limits)
        if self.size is not None:
            _check_whole("size", self.size, 1)
        choices = {"optimizer": Optimizer, "schedule": Schedule, "precision": Precision}
        for name, allowed in choices.items():
            _check_choice(name, getattr(self, name), allowed.__args__)  # type: ignore[attr-defined]
        for name in ("balance", "compile", "deterministic"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(
                    f"`{name}` (={getattr(self, name)!r}) must be True or False; use one"
                )
        if self.seed >= 2**63:
            raise ValueError(f"`seed` (={self.seed}) must be below 2**63; use a smaller one")
        if self.batch % self.accumulate:
            raise ValueError(
                f"`accumulate` (={self.accumulate}) must divide `batch` (={self.batch}), so that "
                "its parts are equal; change one"
            )

    def differences(self, other: Recipe) -> list[str]:
        """Return the names of the fields in which two recipes differ.

        >>> Recipe(epochs=3).differences(Recipe(seed=1))
        ['epochs', 'seed']
        """
        names = [field.name for field in fields(self)]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"`{name}` (={value!r}) must be a whole number; use {least}")
    if value < least:
        raise ValueError(f"`{name}` (={value}) must be at least {least}; use {least} or more")


def _check_range(name: str, value: Any, least: float, most: float, inclusive: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{name}` (={value!r}) must be a number; use one")
    inside = least <= value <= most if inclusive else least < value <= most
    if not (math.isfinite(value) and inside):
        span = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        if not inclusive:
            span = f"above {least:g}" + (f", at most {most:g}" if math.isfinite(most) else "")
        raise ValueError(f"`{name}` (={value}) must be {span} and finite; use such a number")


def _check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` (={value!r}) must be one of {', '.join(allowed)}; use one")
