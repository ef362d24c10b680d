"""Find a learning rate: let it rise from step to step, and see where the loss falls fastest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from convlens.learn.modes import mode
from convlens.learn.tasks.task import Counts
from convlens.learn.training.loading import SampleReader
from convlens.learn.training.run import Training, grouped, limited_threads
from convlens.learn.training.stepping import DivergedStep, Stepper
from convlens.tables import table

__all__ = ["RateCurve", "find_rate"]

LEAST, MOST = 1e-6, 1.0
"""The rates of the first and the last step."""

KEPT = 0.9
"""How much of the running mean of losses each step keeps."""

TOO_HIGH = 4.0
"""The search ends where the smoothed loss is this many times its least."""

ROWS = 20


@dataclass(frozen=True)
class RateCurve:
    """The loss of each step of a search, after steps of ever higher rates.

    `rates` and `losses` are those of the steps, `smoothed` a running mean of the losses. The search
    ended before the loss was no longer finite.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> tuple[float, ...]:
        """Return the running mean of the losses, corrected for its beginning.

        >>> RateCurve((0.1, 0.2), (3.0, 1.0)).smoothed[0]
        3.0
        """
        return tuple(smoothed(self.losses))

    @property
    def suggestion(self) -> float | None:
        """Return the rate at which the loss falls fastest, to two digits; None if it never falls.

        Steepness is counted against the logarithm of the rate, between the neighbours of a step.

        >>> RateCurve((1e-4, 1e-3, 1e-2, 1e-1), (2.0, 1.9, 0.5, 0.4)).suggestion
        0.01
        """
        if len(self.rates) < 3:
            return None
        slopes = np.gradient(np.array(self.smoothed), np.log(self.rates))
        at = int(np.argmin(slopes))
        return float(f"{self.rates[at]:.1e}") if slopes[at] < 0 else None

    def __str__(self) -> str:
        every = max(1, len(self.rates) // ROWS)
        lines = list(zip(self.rates, self.losses, self.smoothed, strict=True))[::every]
        rows = [(f"{rate:.1e}", f"{loss:.4f}", f"{mean:.4f}") for rate, loss, mean in lines]
        found = self.suggestion
        said = "the loss falls at no rate; look at the data, or use another network"
        if found is not None:
            said = f"the loss falls fastest at {found:g}"
        return f"{table([('rate', 'loss', 'smoothed'), *rows], right=(0, 1, 2))}\n{said}"


def find_rate(training: Training, steps: int = 100) -> RateCurve:
    """Return how the loss changes while the rate rises exponentially, from 1e-6 to 1.

    A copy of the network takes the `steps` on the training's own batches, with its optimizer. It
    stops where the smoothed loss is 4 times its least, or not finite. The training, its folder and
    torch's random state stay as they are. It costs as much as these steps do in a training.

    Raises ValueError for fewer than 10 steps, and for a network that cannot be copied.

    Source: Smith, *Cyclical Learning Rates for Training Neural Networks* (arXiv 1506.01186,
    section 3.3). The smoothing, the stop and the steepest fall are not in it.
    """
    if steps < 10:
        raise ValueError(f"`steps` (={steps}) must be at least 10; use 100")
    places = replace(training.places(), steps=steps)
    reading = SampleReader(
        training.data.train, training.task, training.preparation, training.recipe
    )
    rates = np.geomspace(LEAST, MOST, steps).tolist()
    losses: list[float] = []
    with limited_threads(training.recipe.threads):
        stepper = _stepper(training, steps)
        stepper.begin()
        with mode(stepper.network, training=True), closing(grouped(reading, places, 0)) as batches:
            for number, (rate, parts) in enumerate(zip(rates, batches, strict=False)):
                stepper.recipe = replace(stepper.recipe, rate=rate)
                try:
                    taken = stepper.step(number, parts)
                except DivergedStep:
                    break
                losses.append(sum(total / max(w, 1e-12) for total, w in taken.losses.values()))
                means = smoothed(losses)
                if means[-1] > TOO_HIGH * min(means):
                    break
    return RateCurve(tuple(rates[: len(losses)]), tuple(losses))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the running mean of numbers, each a weighted mean of those up to it.

    >>> [round(mean, 3) for mean in smoothed([1.0, 2.0])]
    [1.0, 1.526]
    """
    means, mean = [], 0.0
    for count, loss in enumerate(losses, 1):
        mean = KEPT * mean + (1 - KEPT) * loss
        means.append(mean / (1 - KEPT**count))
    return means


def _stepper(training: Training, steps: int) -> Stepper:
    """Return what takes the steps, with a copy of the network and a rate that is set by hand."""
    try:
        network = copy.deepcopy(training.network)
    except (TypeError, RuntimeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"`training` must have a network that can be copied, and {type(training.network)} "
            f"cannot be ({error}); choose the rate by hand"
        ) from error
    recipe = replace(training.recipe, schedule="constant", warmup=0.0, ema=0.0, compile=False)
    objective = training.task.objective(recipe, Counts.of(training.data.train))
    return Stepper(network, objective, recipe, training.preparation, steps)
