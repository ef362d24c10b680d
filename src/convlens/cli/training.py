"""The command that trains a network and shows its progress."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from convlens.cli.printing import error_stream

__all__ = ["train"]


def train(
    network: Annotated[Literal["digits"], Parameter(help="The network to train.")],
    /,
    *,
    out: Annotated[
        str, Parameter(help="Write the weights to this file after every epoch.")
    ] = "digits.safetensors",
    epochs: Annotated[int | None, Parameter(help="Passes over the training examples.")] = None,
    batch: Annotated[int | None, Parameter(help="Examples in a step.")] = None,
    rate: Annotated[float | None, Parameter(help="Learning rate of the first step.")] = None,
    decay: Annotated[float | None, Parameter(help="Weight decay.")] = None,
    seed: Annotated[int | None, Parameter(help="Seed of all random numbers.")] = None,
) -> None:
    """Train a network of the zoo; Ctrl-C keeps the last whole epoch."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from convlens.learn.training.digits import DIGITS_RECIPE, train_digits

    asked = {"epochs": epochs, "batch": batch, "rate": rate, "decay": decay, "seed": seed}
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    recipe = replace(DIGITS_RECIPE, **given)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    last = None
    with Progress(*columns, console=error_stream()) as bar:
        task = bar.add_task("training digits", total=recipe.epochs)
        for last in train_digits(out, recipe):
            state = f"epoch {last.epoch}/{last.epochs}  loss {last.loss:.4f}"
            state += f"  held out {last.accuracy:.2%}"
            bar.update(task, completed=last.epoch, description=state)
    if last is None:
        print("stopped before the first epoch ended; nothing was written", file=sys.stderr)
        raise SystemExit(130)
    print(f"{last.accuracy:.2%} of the held-out digits right after {last.epoch} epochs: {out}")
