"""The command that describes what pictures and clips show, and draws it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convlens.cli.options import AS_IT_SAYS, Json, NetworkName, Opening
from convlens.cli.printing import error_stream, print_remark

if TYPE_CHECKING:
    from rich.progress import Progress

    from convlens.learn.predicting.folder import Job

__all__ = ["predict"]


def predict(
    network: NetworkName,
    /,
    *source: Annotated[
        str,
        Parameter(
            help="Pictures, clips, folders, globs, lists (.txt, one path on each line), or the "
            "number of a camera."
        ),
    ],
    out: Annotated[
        str | None, Parameter(help="Write JSON lines and drawings to this folder; else, print.")
    ] = None,
    opening: Opening = AS_IT_SAYS,
    batch: Annotated[int, Parameter(help="Run this many pictures at once.")] = 8,
    threshold: Annotated[
        float, Parameter(help="Keep boxes that score this or more, 0 to 1.")
    ] = 0.5,
    top: Annotated[int, Parameter(help="Name this many categories of a classification.")] = 5,
    every: Annotated[int, Parameter(help="Use every N-th frame of a clip.")] = 1,
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps.")] = None,
    draw: Annotated[bool, Parameter(help="Draw what was found.")] = True,
    restart: Annotated[bool, Parameter(negative="", help="Start again in --out.")] = False,
    json: Json = False,
) -> None:
    """Describe what pictures and clips show, and draw it; resume a stopped run."""
    if not source:
        raise ValueError("`source` is needed: name a picture, clip, folder, glob or list")
    settings: dict[str, Any] = {
        **{"weights": opening.weights or "DEFAULT", "size": opening.size, "crop": opening.crop},
        **{"normalize": opening.normalize, "batch": batch, "threshold": threshold, "top": top},
        **{"every": every, "device": device},
    }
    if out is None:
        _print_predictions(network, source, settings, json)
    else:
        _predict_into(network, source, out, settings, draw, restart, json)


def _one(source: tuple[str, ...]) -> str | tuple[str, ...]:
    """Return a single source by itself, as a camera cannot be one of several."""
    return source[0] if len(source) == 1 else source


def _print_predictions(
    network: str, source: tuple[str, ...], settings: dict[str, Any], json: bool
) -> None:
    from convlens.learn.predicting.starting import predict as predict_on
    from convlens.learn.predicting.writing import line_of
    from convlens.learn.sources.reading import read_sources

    failed = 0
    for prediction in predict_on(network, _one(source), **settings):
        failed += prediction.error is not None
        print(line_of(prediction.to_dict()) if json else prediction)
        sys.stdout.flush()
    print_remark(read_sources(_one(source)).left_out())
    if failed:
        raise SystemExit(1)


def _predict_into(
    network: str,
    source: tuple[str, ...],
    out: str,
    settings: dict[str, Any],
    draws: bool,
    restart: bool,
    json: bool,
) -> None:
    from convlens import draw
    from convlens.learn.predicting.folder import predict_into

    pen = draw if draws else None
    job = predict_into(network, _one(source), out, **settings, pen=pen, restart=restart)
    if job.finished:
        print(f"{job.finished:,} were finished before", file=sys.stderr)
    try:
        with _progress() as bar:
            _follow(job, network, bar, json)
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        raise
    print(job.summary(), file=sys.stderr)
    print_remark(job.sources.left_out())
    if job.failed:
        raise SystemExit(1)


def _progress() -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    rate = TextColumn("{task.fields[rate]:.1f}/s")
    name = TextColumn("{task.description}", markup=False)  # a path may have [brackets]
    columns = (name, BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    return Progress(*columns, console=error_stream())


def _follow(job: Job, network: str, bar: Progress, json: bool) -> None:
    """Run a job, moving the bar and printing its lines."""
    from convlens.learn.predicting.writing import line_of

    began = time.monotonic()
    task = bar.add_task(network, total=job.total, completed=job.finished, rate=0.0)
    for prediction in job:
        done = job.predicted + job.failed
        speed = done / (time.monotonic() - began)
        bar.update(task, completed=job.finished + done, rate=speed)
        if json:
            print(line_of(prediction.to_dict()))
