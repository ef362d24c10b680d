"""Train: settle what is learned, from what and how, and begin or go on with a run."""

from __future__ import annotations

import difflib
import math
import platform
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convlens.learn.data.samples import Boxed
from convlens.learn.data.splits import Data, at_rate
from convlens.learn.locking import in_use, is_ours, make_folder
from convlens.learn.opening import Opened, open_network, opened_module
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.run_folder import RunFacts, RunFolder, from_here
from convlens.learn.tasks import TASKS
from convlens.learn.tasks.task import Counts, Task
from convlens.learn.training.examples import has_parts, write_examples
from convlens.learn.training.loading import SampleReader
from convlens.learn.training.named_data import data_for
from convlens.learn.training.run import Training
from convlens.learn.training.shipped import SHIPPED
from convlens.learn.training.trying import check_answers
from convlens.zoo import NETWORKS, model

__all__ = ["FREE", "train"]

FREE = ("workers", "save", "keep")
"""Fields of a recipe that a resumed run may change, as they change no number."""

MANY = 5000
"""From this many categories on, a warning says what they cost."""


def train(
    network: nn.Module | str,
    data: Any = None,
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    *,
    task: str | None = None,
    weights: str | Path | None = None,
    classes: int | None = None,
    effort: float = 1.0,
    **fields: Any,
) -> Training:
    """Return a training of `network` on `data`; iterating over it trains, an epoch at a time.

    - `network`: a module, which is trained in place, or a name or file as `open_network` takes it.
      A network of the zoo gets as many outputs as the data has categories; another `classes` is
      refused. A network of your own must have as many already.
    - `data`: a path (see `find_data`), a `Data`, a collection of samples, a data set of torch, or a
      tuple of two of these: one to train on, one held out. Also the name of data made here
      ("digits", "shapes"); None for what a shipped network was trained on.
    - `recipe`: by default, the task's own for so much data. Its epochs are multiplied by `effort`;
      `fields` are changes to it, as in `train("resnet18", "photos", epochs=5)`.
    - `weights`: what a network of the zoo begins from, "DEFAULT" for the released ones or a file;
      None for random ones. A head for other categories is replaced by a new one; of a file of your
      own, a warning says so. `task`: by default the network's, else the first that learns from
      such samples.
    - `out`: the folder of the run. It gets checkpoints, the best weights and the history. If a run
      was stopped there, it goes on, and ends bit for bit as if it had never been stopped. This
      holds for one version of torch, one kind of processor and one number of threads.

    The scores come from the network's method `logits`, if it has one, else from its output. torch's
    global random state does not change.

    Raises ValueError or TypeError at the call for arguments that do not fit, and for a folder with
    a run that was begun otherwise.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    >>> [progress.epoch for progress in train(network, "digits", epochs=2)]
    [1, 2]
    """
    before = _facts_before(None if out is None else RunFolder.at(out))
    made = SHIPPED.get(network) if isinstance(network, str) else None
    if data is None and made is None:
        raise ValueError(
            "`data` (=None) must be given for a network that does not come with convlens; name a "
            "folder or file of labelled data"
        )
    known = _known_task(network, task)
    samples = _data_for(made.data if data is None and made else data, known)
    found = known or _task_of(samples)
    _check_fits(network, found, samples)
    _warn_of_many(found, samples)
    recipe = recipe or (made.recipe if made and data in (None, made.data) else None)
    recipe = _with_effort(recipe or found.recipe(Counts.of(samples.train)), effort)
    recipe = replace(recipe, **fields)
    return _Start(network, samples, found, recipe, weights, classes).training(out, before)


def _with_effort(recipe: Recipe, effort: float) -> Recipe:
    """Return a recipe whose epochs are multiplied; the schedule goes with them."""
    if not (math.isfinite(effort) and effort > 0):
        raise ValueError(
            f"`effort` (={effort}) must be above 0, as it multiplies the epochs; use 1"
        )
    return replace(recipe, epochs=max(1, round(recipe.epochs * effort)))


def _known_task(network: nn.Module | str, name: str | None) -> Task | None:
    """Return the task that is asked for, or the network's own; None if the data must decide."""
    entry = NETWORKS.get(network) if isinstance(network, str) else None
    name = entry.task if name is None and entry is not None else name
    if name is None:
        return None
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(TASKS)}"
        raise ValueError(f"`task` (={name!r}) must be one that can be trained; {cure}")
    return TASKS[name]


def _data_for(data: Any, task: Task | None) -> Data:
    """Return the data for a task; that of another task if it is the only kind there."""
    try:
        return data_for(data, task)
    except ValueError:
        other = None
        if task is not None:
            with suppress(ValueError, OSError):
                other = data_for(data, None)
        if other is None or task is None or other.train.sample is task.sample:
            raise
        return other


def _task_of(data: Data) -> Task:
    """Return the task with the most answers that such samples can teach."""
    fits = [task for task in TASKS.values() if task.sample is data.train.sample]
    return next((task for task in reversed(fits) if has_parts(data.train, task.wants)), fits[0])


def _check_fits(network: nn.Module | str, task: Task, data: Data) -> None:
    kind = data.train.sample
    if task.sample is not kind:
        fits = " or ".join(one.name for one in TASKS.values() if one.sample is kind)
        raise ValueError(
            f"`network` (={_name(network)!r}) does {task.name}, which learns from "
            f"{task.sample.__name__} samples, and the data has {kind.__name__} ones; take a "
            f"network for {fits or 'such data'}, or other data"
        )
    if not has_parts(data.train, task.wants):
        raise ValueError(
            f"`data` ({data.name}) must have {task.wants} for {task.name}, and has none; take "
            "other data, or a network for what it has"
        )


def _warn_of_many(task: Task, data: Data) -> None:
    """Warn of categories whose table of mistakes takes much memory."""
    count = len(data.train.classes)
    if count >= MANY and task.sample is not Boxed:
        warnings.warn(
            f"`data` ({data.name}) has {count:,} categories: measuring keeps a table of "
            f"{8 * count * count / 1e9:.1f} GB, and there may be few samples of each; check that "
            "labels are categories and not names of files",
            UserWarning,
            stacklevel=3,
        )


def _name(network: nn.Module | str) -> str:
    return network if isinstance(network, str) else type(network).__name__


@dataclass(frozen=True, eq=False)
class _Start:
    """What a training was asked for, once data, task and recipe are settled."""

    network: nn.Module | str
    data: Data
    task: Task
    recipe: Recipe
    weights: str | Path | None
    classes: int | None

    def training(self, out: str | Path | None, before: RunFacts | None) -> Training:
        """Return the training, begun or gone on with in the folder `out`."""
        _check_device(self.recipe)
        opened = self._opened()
        preparation = _sized(opened.preparation, self.recipe, self.task)
        _check_trainable(opened.network)
        data = at_rate(self.data, opened.frames)
        network = opened.network.to(torch.device(self.recipe.device))
        reading = SampleReader(data.held_out, self.task, preparation, self.recipe)
        if self.network not in NETWORKS:
            check_answers(network, reading, Counts.of(data.train), _name(self.network))
        facts = from_here(self._facts(opened, preparation))
        folder = None if out is None else RunFolder.at(out)
        if folder is not None:
            facts = _begun(folder, before, facts)
            write_examples(folder, reading)
        recipe = replace(self.recipe, threads=facts.threads)
        return Training(network, data, self.task, preparation, recipe, folder)

    def _outputs(self) -> int:
        least = len(self.data.train.classes)
        if self.classes not in (None, least):
            raise ValueError(
                f"`classes` (={self.classes}) must be the number of the data's categories, "
                f"{least}; leave it out"
            )
        return self.task.outputs(least)

    def _opened(self) -> Opened:
        """Return the network that is trained; a new one is drawn by the recipe's seed."""
        network, weights = self.network, self.weights
        if isinstance(network, nn.Module):
            if weights is not None:
                raise ValueError(
                    f"`weights` (={str(weights)!r}) are for a network that is given by its name; "
                    "load them with convlens.zoo.weights.load_weights(network, weights)"
                )
            return opened_module(network)
        if not isinstance(network, str):
            raise TypeError(
                f"`network` (={type(network).__name__}) must be a torch.nn.Module or the name of "
                "one; build one first"
            )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.manual_seed(self.recipe.seed % 2**32)
            if network not in NETWORKS:
                return open_network(network, weights=weights or "none")
            # That released weights get a random head is no news to somebody who trains it.
            warnings.filterwarnings("ignore", "`(classes|points)`")
            entry = NETWORKS[network]
            count = self._outputs() if entry.classes else None
            points = (len(self.data.train.points) or None) if entry.points else None
            begun = None if weights in (None, "none") else weights
            built = model(network, begun, count, points=points, new_head=True)
            return replace(opened_module(built), name=network)

    def _facts(self, opened: Opened, preparation: Preparation | None) -> RunFacts:
        data, given = self.data, self.network
        return RunFacts(
            network=given if isinstance(given, str) else "",
            outputs=self._outputs(),
            weights=None if self.weights is None else str(self.weights),
            task=self.task.name,
            data=data.name,
            classes=tuple(data.train.classes),
            points=tuple(data.train.points),
            fingerprint=f"{data.train.fingerprint}:{data.held_out.fingerprint}",
            recipe=self.recipe,
            preparation=preparation,
            frames=opened.frames,
            threads=self.recipe.threads or torch.get_num_threads(),
            version=torch.__version__,
            processor=platform.processor() or platform.machine(),
        )


def _sized(preparation: Preparation | None, recipe: Recipe, task: Task) -> Preparation | None:
    if recipe.size is not None and (preparation is None or task.sample is Boxed):
        raise ValueError(
            f"`size` (={recipe.size}) must be left out for {task.name} and for networks that read "
            "arrays, which scale their own inputs; scale the pictures beforehand"
        )
    if recipe.size is None or preparation is None:
        return preparation
    size = recipe.size
    return replace(preparation, size=size, crop=preparation.crop is not False, stretch=False)


def _check_trainable(network: nn.Module) -> None:
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            f"`network` ({type(network).__name__}) must have parameters to train, and all its "
            "kernels are fixed; set requires_grad on some"
        )


def _check_device(recipe: Recipe) -> None:
    try:
        torch.empty(0, device=recipe.device)
    except (RuntimeError, AssertionError) as error:
        there = "cuda" if torch.cuda.is_available() else "cpu"
        raise ValueError(
            f"`device` (={recipe.device!r}) must be one that torch finds here, and is not "
            f"({str(error).splitlines()[0]}); use {there!r}"
        ) from error


def _facts_before(folder: RunFolder | None) -> RunFacts | None:
    """Return what an earlier run in the folder was; raise ValueError for other files."""
    if folder is None or not folder.path.exists():
        return None
    if not folder.path.is_dir():
        raise ValueError(
            f"`out` (={str(folder.path)!r}) must be a folder, and is a file; name another"
        )
    if folder.is_run():
        return folder.facts()
    if not all(is_ours(path.name) for path in folder.path.iterdir()):
        raise ValueError(
            f"`out` (={str(folder.path)!r}) must be new, empty or a training's, and has other "
            "files; name another folder"
        )
    return None


def _begun(folder: RunFolder, before: RunFacts | None, facts: RunFacts) -> RunFacts:
    """Begin a run in its folder, or check that it is the one that was begun there.

    One that took no step to its end, as its data or its flags were wrong, is begun again.
    """
    is_empty = folder.last_step() is None and not folder.history.exists()
    if before is None or (is_empty and not in_use(folder.path)):
        make_folder(folder.path)
        for old in folder.examples():
            old.unlink(missing_ok=True)
        folder.write_facts(facts)
        return facts
    _check_same(before, facts, folder)
    for name, what in (("version", "torch"), ("processor", "the processor")):
        was, now = getattr(before, name), getattr(facts, name)
        if was != now:
            warnings.warn(
                f"{what} was {was} when the run began and is {now}: it goes on, but no longer bit "
                "for bit as if it had never been stopped",
                UserWarning,
                stacklevel=3,
            )
    return replace(facts, threads=before.threads)


def _check_same(before: RunFacts, facts: RunFacts, folder: RunFolder) -> None:
    """Raise ValueError for what would make another run of a resumed one."""
    for name in facts.recipe.differences(before.recipe):
        if name not in FREE:
            raise _differs(name, getattr(before.recipe, name), getattr(facts.recipe, name), folder)
    for name in ("network", "weights", "task", "outputs", "classes"):
        was, now = getattr(before, name), getattr(facts, name)
        if was != now:
            raise _differs(name, was, now, folder)
    if before.fingerprint != facts.fingerprint:
        raise ValueError(
            f"`data` ({facts.data}) must be what the run in {folder.path} began with, and has "
            "changed since; put it back, or name another folder with `out`"
        )


def _differs(name: str, was: Any, now: Any, folder: RunFolder) -> ValueError:
    return ValueError(
        f"`{name}` (={now!r}) must be {was!r}, with which the run in {folder.path} began; leave "
        "it as it was, or name another folder with `out`"
    )
