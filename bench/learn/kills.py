"""Kill trainings at random instants, let them go on, and compare the end with a whole run.

    python -m bench.learn.kills 1000

Half of the kills fall on an instant drawn at random, the other half on a moment within a write: at
a sync, before or after a file takes its name, or before an old one is removed. A run is killed and
begun again until it ends. Then its last checkpoint, its best weights and its history (but for the
seconds) must be those of a run that was never stopped, byte for byte.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.figures import Figure
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe
from convlens.learn.training.starting import train

__all__ = ["Killed", "end_of", "kill_and_resume", "measure", "network"]

RECIPE = Recipe(
    epochs=5, batch=12, rate=0.05, optimizer="sgd", ema=0.9, clip=1.0, threads=1, save=0.0, seed=3
)
"""A checkpoint after every step, so that most instants are near a write."""


def network() -> nn.Module:
    """Return a small network with norms and dropout, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(
            *(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2)),
            *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)),
        )


def data() -> Data:
    """Return 60 pictures of noise in three shades, and 12 held out."""
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(72) % 3
    inputs = torch.randn(72, 3, 12, 12, generator=random) + labels[:, None, None, None]
    return Data(ArraySamples(inputs[:60], labels[:60]), ArraySamples(inputs[60:], labels[60:]))


def run_in(folder: Path) -> None:
    """Train in a folder to the end, from wherever an earlier run was stopped."""
    for _ in train(network(), data(), RECIPE, folder):
        pass


@dataclass
class Killed:
    """How many runs were killed, how many of these in a write, how many ended, and how many of
    those differed from the run that was never stopped.
    """

    kills: int = 0
    in_writes: int = 0
    ended: int = 0
    different: int = 0


def kill_and_resume(kills: int, seed: int = 0) -> Killed:
    """Kill runs until `kills` are done, letting each go on to its end; compare every end."""
    random = np.random.default_rng(seed)
    done = Killed()
    with tempfile.TemporaryDirectory() as whole:
        began = time.perf_counter()
        _child(lambda: run_in(Path(whole, "run")))
        took = time.perf_counter() - began
        expected = end_of(Path(whole, "run"))
    while done.kills < kills:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder, "run")
            for _ in range(20):
                writes = bool(random.random() < 0.5)
                stage = int(random.integers(1, 40)) if writes else None
                delay = None if writes else float(random.uniform(0, took))
                if not _child(lambda run=run: run_in(run), stage, delay):  # type: ignore[misc]
                    break
                done.kills += 1
                done.in_writes += writes
            else:
                _child(lambda run=run: run_in(run))  # type: ignore[misc]
            done.ended += 1
            done.different += end_of(run) != expected
    return done


def measure() -> list[Figure]:
    """Return how many of the runs that were killed 200 times ended otherwise."""
    found = kill_and_resume(200)
    note = f"of {found.ended} runs, killed {found.kills} times, {found.in_writes} in a write"
    return [Figure.of("killed runs that end otherwise", [found.different], "runs", 1.0, note)]


def end_of(run: Path) -> list[bytes]:
    """Return what must be the same, byte for byte, at the end of equal runs."""
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    lines = [json.dumps({**line, "seconds": 0}).encode() for line in history]
    last = sorted((run / "checkpoints").glob("step-*.safetensors"))[-1]
    left = sorted(path.name for path in run.rglob("*") if path.name.startswith(".partial"))
    whole = [last, run / "best.safetensors", run / "layers.jsonl"]
    return [*(path.read_bytes() for path in whole), *lines, repr(left).encode()]


def _child(work: Callable[[], None], stage: int | None = None, delay: float | None = None) -> bool:
    """Run work in a forked process; return whether it was killed.

    It is killed at its `stage`-th call of the system in a write, or after `delay` seconds. The
    parent has imported torch and run nothing, so that a child starts at once.
    """
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            if stage is not None:
                _kill_at(stage)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(9)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a run ended with status {status}; its error is above")
    return status != 0


def _kill_at(stage: int) -> None:
    """Let this process be killed before or after its `stage`-th sync, rename or removal."""
    left = [stage]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            count()
            result = call(*args, **kwargs)
            count()
            return result

        return wrapped

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))


if __name__ == "__main__":
    began = time.perf_counter()
    found = kill_and_resume(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(
        f"{found.kills:,} kills, {found.in_writes:,} of them within a write; {found.ended:,} runs "
        f"ended, {found.different:,} of them not bit for bit the run that was never stopped "
        f"({time.perf_counter() - began:.0f} s)"
    )
