"""The commands that train a network, show its progress, and measure what it learned."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convlens.cli.beside import LabBeside
from convlens.cli.memory import keep_freed_memory
from convlens.cli.options import Json, NetworkName
from convlens.cli.printing import error_stream, print_json
from convlens.cli.recipes import AS_THE_TASK, RecipeFlags
from convlens.files import expanded

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from convlens.learn.training.events import EventLog
    from convlens.learn.training.progress import Progress
    from convlens.learn.training.run import Training
    from convlens.learn.training.validation import Validation

__all__ = ["train", "val"]

DataName = Annotated[
    str | None,
    Parameter(
        help="A folder or file of labelled data, or a name: digits, shapes. By default, the data "
        "that the network comes from."
    ),
]


def train(
    network: NetworkName,
    data: DataName = None,
    /,
    *,
    out: Annotated[
        str | None,
        Parameter(help="The folder of the run; one that was stopped there goes on."),
    ] = None,
    weights: Annotated[
        str | None,
        Parameter(help="Begin from these weights: DEFAULT, a file, or none for random ones."),
    ] = None,
    classes: Annotated[
        int | None, Parameter(help="How many categories the data must have.")
    ] = None,
    task: Annotated[str | None, Parameter(help="What to learn, if that is open.")] = None,
    effort: Annotated[
        float, Parameter(help="One dial: it multiplies the epochs of the recipe.")
    ] = 1.0,
    find_rate: Annotated[
        bool, Parameter(help="Only search for a learning rate, and print it.", negative=())
    ] = False,
    tensorboard: Annotated[
        bool, Parameter(help="Write events for TensorBoard into the run.", negative=())
    ] = False,
    flags: RecipeFlags = AS_THE_TASK,
    lab: Annotated[
        bool, Parameter(negative="", help="Open the lab on the newest checkpoint while it trains.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a network on labelled data; the same command goes on with a stopped run."""
    from convlens.learn.training.starting import train as start

    keep_freed_memory()
    folder = out or _folder_for(network)
    events = _events(folder) if tensorboard else nullcontext()
    asked: dict[str, Any] = {"weights": weights, "classes": classes, "task": task}
    asked |= {"effort": effort, **flags.given()}
    training = start(network, data, out=None if find_rate else folder, **asked)
    if find_rate:
        _print_rate(training, _command(network, data, {"out": out, **asked}), json)
        return
    with LabBeside(folder, wanted=lab) as beside:
        try:
            reached = _trained(training, beside, events, json)
        except KeyboardInterrupt:
            print(f"stopped; the same command goes on with {folder}", file=sys.stderr)
            raise
        if not json:
            _print_end(training, reached, folder)
        beside.stay()


def _trained(
    training: Training,
    beside: LabBeside,
    events: AbstractContextManager[EventLog | None],
    as_json: bool,
) -> Progress | None:
    """Train to the end, with a line for each epoch; return where it came to, if anywhere."""
    reached, fault = None, ""
    with _bar(training) as bar, events as log:
        beside.begin(bar.line)
        for progress in training.steps():
            bar.move(progress)
            beside.begin(bar.line)
            if log is not None:
                log.add(progress)
            if not progress.values:
                continue
            reached = progress
            print(progress.line().json(), flush=True) if as_json else bar.line(str(progress))
            if progress.fault not in ("", fault):
                bar.line(f"  {progress.fault}")
            fault = progress.fault
    return reached


def _command(network: str, data: str | None, flags: Mapping[str, object]) -> str:
    """Return the command that trains with these flags, but for the rate."""
    words = ["convlens", "train", network, *([] if data is None else [data])]
    for name, value in flags.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None and (name, value) != ("effort", 1.0) and name != "rate":
            words += [f"--{flag}", str(value)]
    return shlex.join(words)


def _print_rate(training: Training, again: str, as_json: bool) -> None:
    """Print the loss at each rate, the rate to use, and the command that uses it."""
    from convlens.learn.training.rate_finding import find_rate

    curve = find_rate(training)
    if as_json:
        print_json({"rates": curve.rates, "losses": curve.losses, "suggestion": curve.suggestion})
        return
    print(curve)
    if curve.suggestion is not None:
        print(f"use it: {again} --rate {curve.suggestion:g}")


def val(
    run: Annotated[str, Parameter(help="The folder of a training.")],
    data: DataName = None,
    /,
    *,
    part: Annotated[
        Literal["held_out", "train"], Parameter(help="Which part of the data to measure on.")
    ] = "held_out",
    weights: Annotated[
        str | None, Parameter(help="best (the default), last, or a file of weights.")
    ] = None,
    batch: Annotated[int | None, Parameter(help="Run this many samples at once.")] = None,
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps.")] = None,
    out: Annotated[
        str | None, Parameter(help="Write the report to this folder; by default, RUN/report.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure what a training learned, and write a page of right and wrong answers."""
    from convlens.learn.training.validation import validate

    validation = validate(run, data, part=part, weights=weights, batch=batch, device=device)
    with _counting(f"measuring {run}", validation.total) as count:
        for done in validation:
            count(done)
    page = _written(validation, out)
    if json:
        print_json({"run": run, "values": validation.values, "report": str(page)})
        return
    print(validation)
    print(f"report: {page}")


def _written(validation: Validation, out: str | None) -> Path:
    from convlens.draw.sheets import labelled
    from convlens.learn.training.reporting import write_report

    return write_report(validation, out, labelled)


def _report(training: Training, folder: str) -> Path:
    """Measure a run that ended, and return the page of its mistakes."""
    from convlens.learn.training.validation import validate

    validation = validate(folder, training.data)
    with _counting("measuring", validation.total) as count:
        for done in validation:
            count(done)
    return _written(validation, None)


def _events(folder: str) -> EventLog:
    from convlens.learn.training.events import EventLog

    return EventLog(expanded(folder))


def _folder_for(network: str) -> str:
    """Return the folder of a run without --out, named after the network."""
    return f"{Path(network.split(':')[0]).stem}-run"


class _StepBar:
    """A bar that moves with every step, and leaves a line above itself for every epoch."""

    def __init__(self, bar: Bar, training: Training) -> None:
        self.bar = bar
        self.task = bar.add_task("training", total=training.places().steps, speed=0.0)

    def move(self, progress: Progress) -> None:
        said = f"epoch {progress.epoch}/{progress.epochs}  loss {progress.loss:.4f}"
        if progress.best is not None:
            said += f"  best {progress.best:.4f}"
        self.bar.update(self.task, completed=progress.step, description=said, speed=progress.speed)

    def line(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _bar(training: Training) -> Iterator[_StepBar]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    rate = TextColumn("{task.fields[speed]:,.0f}/s")
    columns = (name, BarColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=error_stream(), transient=True) as bar:
        yield _StepBar(bar, training)


@contextmanager
def _counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=error_stream(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _print_end(training: Training, reached: Progress | None, folder: str) -> None:
    """Say what a training came to, and what can be done with it now."""
    if reached is None:
        print(f"nothing is left to train in {folder}")
    else:
        from convlens.learn.measuring.measure import deciding

        name, best = deciding(reached.values), reached.best or 0.0
        print(f"best {name} {best:.4f} of {len(training.data.held_out):,} held-out samples")
    print(f"its mistakes:     {_report(training, folder)}")
    print(f"open it:          convlens lab {folder}")
    print(f"use it:           convlens predict {folder} PICTURE")
