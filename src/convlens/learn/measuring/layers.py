"""Keep what the layers of a network did at the end of each epoch, and name what is wrong there."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from convlens.learn.measuring.lines import LineKind, cut_lines, finite, read_lines, real

__all__ = [
    "DEAD",
    "EXPLODING",
    "UPDATE",
    "VANISHING",
    "LayerFault",
    "LayerNumbers",
    "LayersLine",
    "UnitCount",
    "cut_layers",
    "faults",
    "median_gradient",
    "read_layers",
]

EXPLODING = 100.0
"""How many times the median a gradient must be. In sound trainings of digits, the shapes and
ResNet-18 the largest was 11 times."""

VANISHING = 1e-4
"""What share of the median a gradient may be at most. In the same trainings the smallest, of a
normalization's scales, was 0.01."""

UPDATE = 0.1
"""By what share of its norm one step must change a layer. In the same trainings the largest was
0.03, and 0.001 is usual."""

SETTLED = 20
"""The step from which updates are judged: layers that begin at 0 change much in the first."""

DEAD = 0.25
"""What share of a layer's channels must be dead. A few are so in most trained networks."""


class LayerNumbers(NamedTuple):
    """The norms of a layer: of its weights, their gradient, and their last change.

    `weights`: after the step. `gradient`: before it was clipped, nan for a frozen layer.
    `update`: the norm of the change over that of the weights before it, nan if they were 0.
    """

    weights: float
    gradient: float
    update: float


class UnitCount(NamedTuple):
    """How many channels of an activation were 0 for all held-out samples, of how many."""

    dead: int
    channels: int


class LayerFault(NamedTuple):
    """What is wrong in a layer, as a sentence, and a number that is larger where it is worse."""

    layer: str
    sentence: str
    badness: float


@dataclass(frozen=True)
class LayersLine:
    """What the layers did at the end of an epoch.

    `step`: how many steps were done; `samples`: how many were held out. `layers`: those that have
    parameters, by their paths. `units`: the activations that are modules, by theirs; `relu#2` is
    the second call of `relu`.
    """

    step: int
    epoch: int
    samples: int
    layers: Mapping[str, LayerNumbers] = field(default_factory=dict)
    units: Mapping[str, UnitCount] = field(default_factory=dict)

    def json(self) -> str:
        """Return the line as JSON, where null stands for what is not finite.

        >>> LayersLine(
        ...     3, 1, 9, {"fc": LayerNumbers(2, 1, math.nan)}, {"relu": UnitCount(1, 4)}
        ... ).json()
        '{"step": 3, "epoch": 1, "samples": 9, "layers": {"fc": [2.0, 1.0, null]}, "units": ...'
        """
        layers = {name: [finite(value) for value in one] for name, one in self.layers.items()}
        units = {name: list(one) for name, one in self.units.items()}
        head = {"step": self.step, "epoch": self.epoch, "samples": self.samples}
        said = {**head, "layers": layers, "units": units}
        return json.dumps(said, ensure_ascii=False, allow_nan=False)


def read_layers(path: str | Path, *, last: int | None = None) -> list[LayersLine]:
    """Return the lines of a file, [] if there is no such file; a torn last one is left out.

    `last`: read only this many, at the end.

    Raises ValueError, with the number of the line, for another that is not one of layers.
    """
    return read_lines(path, _KIND, last=last)


def cut_layers(path: str | Path, step: int) -> list[LayersLine]:
    """Remove the lines after `step`, from which a resumed training goes on, and return the others.

    The file is whole at every moment.
    """
    return cut_lines(path, step, _KIND)


def median_gradient(line: LayersLine) -> float:
    """Return the median of the layers' gradients that are not 0; nan if there is none."""
    found = [one.gradient for one in line.layers.values() if one.gradient > 0]
    return statistics.median(found) if found else math.nan


def faults(line: LayersLine) -> list[LayerFault]:
    """Return what is wrong in the layers, the worst first.

    A gradient is exploding above 100 times the median of all layers, and vanishing below 0.0001 of
    it. A layer is dead if a quarter of its channels were 0 for all held-out samples. A step is too
    large if it changes a layer by more than a tenth, after the first 20 steps.

    >>> line = LayersLine(30, 1, 9, {}, {"relu": UnitCount(3, 4), "relu#2": UnitCount(0, 4)})
    >>> [fault.sentence for fault in faults(line)]
    ['relu: 3 of 4 channels are 0 for all 9 held-out samples: dead']
    """
    median = median_gradient(line)
    found = [_of_gradient(name, one.gradient, median) for name, one in line.layers.items()]
    found += [_of_units(name, one, line.samples) for name, one in line.units.items()]
    if line.step >= SETTLED:
        found += [_of_update(name, one.update) for name, one in line.layers.items()]
    known = [fault for fault in found if fault is not None]
    return sorted(known, key=lambda fault: -fault.badness)


def _of_gradient(name: str, gradient: float, median: float) -> LayerFault | None:
    if gradient == 0:
        return LayerFault(name, f"{name}: its gradient is 0: it does not learn", 1e3)
    share = gradient / median
    if share > EXPLODING:
        sentence = f"{name}: its gradient is {share:,.0f} times the median: exploding"
        return LayerFault(name, sentence, 1e6 * share / EXPLODING)
    if share < VANISHING:
        sentence = f"{name}: its gradient is {share:.1g} of the median: vanishing"
        return LayerFault(name, sentence, min(VANISHING / share, 999.0))
    return None


def _of_units(name: str, units: UnitCount, samples: int) -> LayerFault | None:
    dead, channels = units
    if dead < DEAD * channels or dead == 0:
        return None
    which = f"all {channels:,}" if dead == channels else f"{dead:,} of {channels:,}"
    sentence = f"{name}: {which} channels are 0 for all {samples:,} held-out samples: dead"
    return LayerFault(name, sentence, 1e5 if dead == channels else dead / channels)


def _of_update(name: str, update: float) -> LayerFault | None:
    if not update > UPDATE:
        return None
    sentence = f"{name}: one step changes its weights by {update:.0%}: the rate is too high for it"
    return LayerFault(name, sentence, 1e4 * update)


def _read(row: bytes) -> LayersLine:
    values: dict[str, Any] = json.loads(row)
    step, epoch, samples = (int(values[name]) for name in ("step", "epoch", "samples"))
    layers = {str(k): LayerNumbers(*map(real, v)) for k, v in values["layers"].items()}
    units = {str(k): UnitCount(*map(int, v)) for k, v in values["units"].items()}
    return LayersLine(step, epoch, samples, layers, units)


_KIND = LineKind("a record of layers", "step, epoch, samples, layers and units", _read)
