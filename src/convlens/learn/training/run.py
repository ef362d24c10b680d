"""Run a training from step to step: measure each epoch, keep checkpoints, resume where it was."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor, nn

from convlens.files import sweep
from convlens.learn.data.splits import Data
from convlens.learn.locking import alone, not_written
from convlens.learn.measuring.history import cut_history
from convlens.learn.measuring.layers import LayerNumbers, LayersLine, cut_layers
from convlens.learn.measuring.lines import add_line
from convlens.learn.measuring.measure import deciding
from convlens.learn.modes import mode
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.run_folder import RunFolder, part
from convlens.learn.tasks.task import Batch, Counts, Task
from convlens.learn.training.checkpoints import (
    Checkpoint,
    Counters,
    last_checkpoint,
    write_checkpoint,
)
from convlens.learn.training.diverging import diverged
from convlens.learn.training.health import LayerWatch, UnitWatch
from convlens.learn.training.interrupting import Interrupts
from convlens.learn.training.loading import SampleReader
from convlens.learn.training.places import Places
from convlens.learn.training.progress import Progress
from convlens.learn.training.stepping import DivergedStep, Stepper, Taken, copied, rate_at
from convlens.learn.training.validating import measure_all
from convlens.learn.training.worker_processes import named_deaths
from convlens.zoo.weights.saving import save_tensors

__all__ = ["Training", "grouped", "limited_threads"]

SHARE, SMALL = 0.01, 2**24
"""The share of the time that checkpoints at ends of epochs may take, and the bytes up to which one
is written at every end.
"""


@dataclass(frozen=True, eq=False)
class Training:
    """A training; iterating over it yields the progress after every epoch.

    `network` is trained in place. `folder`: where checkpoints and the history are kept, and where
    an earlier run left them; None to keep nothing. Ctrl-C ends the training after the step that it
    interrupts, with a checkpoint; a second one ends it at once.
    """

    network: nn.Module
    data: Data
    task: Task
    preparation: Preparation | None
    recipe: Recipe
    folder: RunFolder | None = None

    def __iter__(self) -> Iterator[Progress]:
        return (progress for progress in self.steps() if progress.values)

    def places(self) -> Places:
        """Return which samples each step sees."""
        recipe, count = self.recipe, len(self.data.train)
        batch = min(recipe.batch, count)
        steps = recipe.epochs * (count // batch)
        return Places(recipe.seed, count, batch, steps, recipe.accumulate)

    def steps(self) -> Generator[Progress, None, None]:
        """Yield the progress after every step; after the last of an epoch, with its measures.

        Raises ValueError if the loss or a gradient is no longer finite, and says where that was
        born; the checkpoint before it stays. Raises OSError if the disk refuses a checkpoint.
        """
        with ExitStack() as held:
            if self.folder is not None:
                held.enter_context(alone(self.folder.path))
                sweep(self.folder.path)
            held.enter_context(named_deaths(self.recipe.workers))
            held.enter_context(limited_threads(self.recipe.threads))
            held.enter_context(mode(self.network, training=True))
            yield from _Running(self).steps()


class _Running:
    """A training while it runs."""

    def __init__(self, training: Training) -> None:
        self.training, self.recipe, self.folder = training, training.recipe, training.folder
        self.places = training.places()
        network, preparation, data = training.network, training.preparation, training.data
        objective = training.task.objective(self.recipe, Counts.of(data.train))
        _lay_out(network)
        self.stepper = Stepper(network, objective, self.recipe, preparation, self.places.steps)
        self.train = SampleReader(data.train, training.task, preparation, self.recipe)
        self.held_out = SampleReader(data.held_out, training.task, preparation, self.recipe)
        self.watch = LayerWatch(network)
        self.counters = Counters()
        self.saved_at, self.pause = time.monotonic(), 0.0
        self.unsaved_best: dict[str, Tensor] = {}
        self._resume()

    def steps(self) -> Iterator[Progress]:
        """Yield the progress after every step that is left."""
        found = grouped(self.train, self.places, self.counters.step)
        self.stepper.begin()
        try:
            while not self._is_over():
                began = time.monotonic()
                interrupts = Interrupts()
                try:
                    parts = next(found)
                    with interrupts:
                        progress = self._step(parts, began)
                except KeyboardInterrupt:  # not within a step: what is in memory is whole
                    self._save()
                    raise
                if interrupts.asked:
                    self._save()
                    raise KeyboardInterrupt
                yield progress
        finally:
            with suppress(OSError):  # an error that is under way says more
                self._save_best()
        if self.stepper.average:
            self.training.network.load_state_dict(self.stepper.average)

    def _step(self, parts: list[Batch], began: float) -> Progress:
        """Take the next step, measure if it ends an epoch, and save what is due."""
        counters = self.counters
        ended = (counters.step + 1) % self.places.per_epoch() == 0
        if ended:
            self.watch.keep()
        try:
            taken = self.stepper.step(counters.step, parts)
        except DivergedStep as error:
            raise diverged(error, self.stepper, parts, self.folder) from error
        counters.step += 1
        for name, (total, weight) in taken.losses.items():
            before = counters.sums.get(name, [0.0, 0.0])
            counters.sums[name] = [before[0] + total, before[1] + weight]
        speed = self.places.batch / max(time.monotonic() - began, 1e-9)
        progress = self._progress(taken, speed)
        if ended:
            layers = self.watch.numbers(taken.norm, self.recipe.clip)
            progress = self._measured(progress, layers)
            counters.sums = {}
        counters.seconds += time.monotonic() - began
        progress = replace(progress, seconds=counters.seconds)
        if ended:
            self._end_epoch(progress)
        if self._is_due(ended):
            self._save()
        return progress

    def _progress(self, taken: Taken, speed: float) -> Progress:
        counters, per_epoch = self.counters, self.places.per_epoch()
        losses = {name: total / max(w, 1e-12) for name, (total, w) in counters.sums.items()}
        return Progress(
            epoch=(counters.step - 1) // per_epoch + 1,
            epochs=self.recipe.epochs,
            step=counters.step,
            steps=self.places.steps,
            loss=sum(losses.values()),
            losses=losses,
            best=counters.best,
            rate=self.recipe.rate * rate_at(counters.step - 1, self.places.steps, self.recipe),
            norm=taken.norm,
            speed=speed,
        )

    def _measured(self, progress: Progress, layers: dict[str, LayerNumbers]) -> Progress:
        """Return the progress with the measures of the held-out samples, and what layers did."""
        network, units = self.training.network, UnitWatch()
        with self.stepper.averaged(), units.watching(network):
            values = measure_all(network, self.held_out).values
        self.stepper.begin()
        samples = len(self.training.data.held_out)
        line = LayersLine(progress.step, progress.epoch, samples, layers, units.counts())
        name = deciding(values)
        reached = values.get(name, 0.0)
        if math.isnan(reached):
            warnings.warn(
                f"{name} is no number, as nothing that is held out can be compared; the weights of "
                "the last epoch count as the best",
                UserWarning,
                stacklevel=2,
            )
        before = self.counters.best
        if before is not None and math.isnan(before):  # a measure of nothing
            before = None
        is_best = before is None or reached >= before  # of equals, the one that learned longer
        if is_best:
            self.counters.best = reached
        if before is None or reached > before:
            self.counters.best_epoch = progress.epoch
        best = self.counters.best
        return replace(progress, values=values, best=best, is_best=is_best, layers=line)

    def _end_epoch(self, progress: Progress) -> None:
        """Keep the weights if they are the best, and add a line to the history and the layers.

        They come before the checkpoint. A run that is killed in between repeats this epoch, and
        finds the same.
        """
        if self.folder is None:
            return
        if progress.is_best:
            self.unsaved_best = copied(self.stepper.evaluated())
        try:
            add_line(self.folder.history, progress.line())
            if progress.layers is not None:
                add_line(self.folder.layers, progress.layers)
        except OSError as error:
            raise not_written(self.folder.path, error) from error

    def _is_over(self) -> bool:
        """Return whether all steps are done, or no epoch was better for as long as is waited."""
        done, counters = self.counters.step, self.counters
        if done >= self.places.steps:
            return True
        epochs, within = divmod(done, self.places.per_epoch())
        waits = bool(self.recipe.patience) and within == 0 and epochs > 0
        return waits and epochs - counters.best_epoch >= self.recipe.patience

    def _is_due(self, ended: bool) -> bool:
        """Return whether a checkpoint is written now: at an `ended` epoch if that costs little."""
        waited = time.monotonic() - self.saved_at
        return waited >= self.recipe.save or (ended and waited >= self.pause) or self._is_over()

    def _save(self) -> None:
        """Write the best weights if they are not yet, and a checkpoint."""
        if self.folder is None:
            return
        began = time.monotonic()
        self._save_best()
        checkpoint = Checkpoint(self.stepper.tensors(), self.counters)
        write_checkpoint(self.folder, checkpoint, self.recipe.keep)
        self.saved_at = time.monotonic()
        if sum(tensor.nbytes for tensor in checkpoint.tensors.values()) > SMALL:
            self.pause = (self.saved_at - began) / SHARE

    def _save_best(self) -> None:
        if self.folder is not None and self.unsaved_best:
            save_tensors(self.unsaved_best, self.folder.best)
            self.unsaved_best = {}

    def _resume(self) -> None:
        """Set everything as the newest whole checkpoint has it, if there is one."""
        if self.folder is None:
            return
        found = last_checkpoint(self.folder)
        if found is not None:
            self.stepper.restore(
                {k: part(found.tensors, k) for k in ("weights", "ema", "optimizer")}
            )
            self.counters = found.counters
        cut_layers(self.folder.layers, self.counters.step)
        kept = cut_history(self.folder.history, self.counters.step)
        if kept:
            self.counters.seconds = kept[-1].seconds


def grouped(
    reading: SampleReader, places: Places, start: int
) -> Generator[list[Batch], None, None]:
    """Yield the parts of each step together."""
    found = reading.training(places, start)
    for _, parts in groupby(found, key=lambda one: one[0].step):
        yield [batch for _, batch in parts]


def _lay_out(network: nn.Module) -> None:
    """Lay out the weights of two-dimensional convolutions as they are quickest to read."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    if any(isinstance(module, kinds) for module in network.modules()):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads for a while; 0 for those it has."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
