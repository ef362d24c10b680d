"""The door: parse a command line, call the public verb, print text or JSON."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from convlens import __version__
from convlens.files import printed

if TYPE_CHECKING:
    from rich.console import Console

    from convlens.learn.opening import Opened
    from convlens.lens import Recording

app = App(
    name="convlens",
    version=__version__,
    help="Open a convolutional network on a picture, and follow any number to its pixels.",
    help_format="plaintext",
)

Network = Annotated[
    str,
    Parameter(
        help="A network of the zoo (convlens models lists them), package.module:callable, "
        "or path/file.py:callable."
    ),
]
Source = Annotated[
    str | None,
    Parameter(
        help="A picture (PNG JPEG WebP GIF BMP TIFF), a .npy array shaped as the network's input, "
        "or a .wav for a network that reads signals; the network's own example when left out."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Opening:
    """How a network is opened; the options that every command with a network takes."""

    weights: Annotated[
        str | None,
        Parameter(
            help="Weights: a .safetensors file, or .pt/.pth without code; of the zoo's networks "
            "also released ones by name (DEFAULT, IMAGENET1K_V1), or none for random ones."
        ),
    ] = None
    size: Annotated[
        int | None,
        Parameter(
            help="Pixels of the shorter side, and of the square cut from the middle where --crop "
            "says no other."
        ),
    ] = None
    crop: Annotated[
        int | None,
        Parameter(help="Pixels of the square cut from the middle: --size 256 --crop 224."),
    ] = None
    normalize: Annotated[
        Literal["imagenet"] | None,
        Parameter(help="Subtract ImageNet's mean, divide by its deviation."),
    ] = None


AS_IT_SAYS = Opening()
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines.")]


@app.command
def lab(
    network: Network = "digits",
    picture: Source = None,
    /,
    *,
    port: Annotated[int, Parameter(help="Port on 127.0.0.1; any free one when 0.")] = 0,
    open_browser: Annotated[bool, Parameter(name="--open", help="Open the browser.")] = True,
    host: Annotated[
        str | None,
        Parameter(help="Another name that browsers may call the lab by, such as a proxy's."),
    ] = None,
    opening: Opening = AS_IT_SAYS,
) -> None:
    """Open a network on a picture in the browser, every number to be clicked."""
    from convlens.lab import serve

    opened = partial(_opened, network, opening)
    serve(opened, picture, port=port, open_browser=open_browser, host=host)
    # What is still computed for a browser is not waited for; its threads end in no other way.
    sys.stdout.flush()
    os._exit(0)


@app.command
def record(
    network: Network,
    picture: Source = None,
    /,
    *,
    opening: Opening = AS_IT_SAYS,
    json: Json = False,
) -> None:
    """Print every step a network takes on a picture, with its shapes and times."""
    recording = _recorded(network, picture, opening)
    _print(recording, json)
    if recording.error:
        raise SystemExit(1)


@app.command
def explain(
    network: Network,
    picture: Source = None,
    /,
    *,
    at: Annotated[
        str | None,
        Parameter(
            help="A module's path (layer1.conv, or layer1.conv#2 for its second call), "
            "a name of the lab's page, or a step's number after an @ (@3)."
        ),
    ] = None,
    index: Annotated[str | None, Parameter(help="The element of its output, like 0,3,5,5.")] = None,
    detection: Annotated[
        int | None,
        Parameter(help="Instead: a detection by its number, from 0, walked back to the pixels."),
    ] = None,
    opening: Opening = AS_IT_SAYS,
    terms: Annotated[int, Parameter(help="How many terms --json lists; 0 for all.")] = 0,
    json: Json = False,
) -> None:
    """Print what one number of a network is made of: its terms, their sum, its pixels."""
    from convlens.lens import explain as explain_element

    if (at is None) != (index is None) or (at is None) == (detection is None):
        raise ValueError(
            f"`at` (={at!r}) and `index` (={index!r}), or `detection` (={detection}), must say "
            "what to explain; give --at conv1 --index 0,3,5,5, or --detection 0"
        )
    place = _index(index or "")
    recording = _recorded(network, picture, opening)
    if detection is not None:
        from convlens.learn.tracing import trace

        _print(trace(recording, detection), json)
        return
    explanation = explain_element(recording, at or "", place)
    region = explanation.pixels()
    box = [[span.start, span.stop] for span in region.box]
    if json:
        pixels = {"input": region.value.name, "count": region.count, "box": box}
        pixels |= {"upper_bound": region.upper_bound, "warning": region.warning}
        _print_json({**explanation.to_dict(terms or None), "pixels": pixels})
        return
    print(explanation)
    spans = " × ".join(f"{low}:{high}" for low, high in box)
    made = "at most" if region.upper_bound else "made"
    print(f"  {made} from {region.count:,} elements of {region.value.name}, within {spans}")
    if region.warning:
        print(f"  {region.warning}")


@app.command
def costs(
    network: Network,
    picture: Source = None,
    /,
    *,
    opening: Opening = AS_IT_SAYS,
    json: Json = False,
) -> None:
    """Print what a network costs: parameters and multiply-adds, step by step."""
    from convlens.lens import costs_of

    recording = _recorded(network, picture, opening)
    if recording.error:
        raise ValueError(f"the network stopped at {recording.error.message}")
    _print(costs_of(recording), json)


@app.command
def predict(
    network: Network,
    /,
    *source: Annotated[
        str,
        Parameter(
            help="Pictures, clips, folders, globs, lists (.txt, a path a line), or a camera's "
            "number."
        ),
    ],
    out: Annotated[
        str | None, Parameter(help="Folder for JSON lines and drawings; printed when left out.")
    ] = None,
    opening: Opening = AS_IT_SAYS,
    batch: Annotated[int, Parameter(help="Pictures run at once.")] = 8,
    threshold: Annotated[float, Parameter(help="The least score of a box, 0 to 1.")] = 0.5,
    top: Annotated[int, Parameter(help="Categories told of a classification.")] = 5,
    every: Annotated[int, Parameter(help="Of a clip's frames, every so many-th.")] = 1,
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps.")] = None,
    draw: Annotated[bool, Parameter(help="Draw what was found.")] = True,
    restart: Annotated[bool, Parameter(negative="", help="Begin anew in --out.")] = False,
    json: Json = False,
) -> None:
    """Say what is on pictures and clips, and draw it; a stopped run goes on where it was."""
    if not source:
        raise ValueError("`source` is needed: name a picture, clip, folder, glob or list")
    settings: dict[str, Any] = {
        **{"weights": opening.weights or "DEFAULT", "size": opening.size, "crop": opening.crop},
        **{"normalize": opening.normalize, "batch": batch, "threshold": threshold, "top": top},
        **{"every": every, "device": device},
    }
    if out is not None:
        _predict_into(network, source, out, settings, draw, restart, json)
        return
    from convlens.learn.predicting import predict as predict_on
    from convlens.learn.sources import read_sources
    from convlens.learn.writing import line_of

    failed = 0
    for prediction in predict_on(network, _one(source), **settings):
        failed += prediction.error is not None
        print(line_of(prediction.to_dict()) if json else prediction)
        sys.stdout.flush()
    _say(read_sources(_one(source)).left_out())
    if failed:
        raise SystemExit(1)


@app.command
def models(
    pattern: Annotated[str, Parameter(help="Names to list, as a shell pattern: 'resnet*'.")] = "*",
    /,
    *,
    count: Annotated[
        bool,
        Parameter(
            negative="",
            help="Count parameters and multiply-adds, step by step; detectors left out.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Print the networks of the zoo: parameters, multiply-adds, file size, published accuracy."""
    from convlens.zoo.listing import listed, networks_table

    found = listed(pattern)
    if count:
        from convlens.learn import counting

        counted = list(counting.counts(pattern))
        if json:
            _print_json({"networks": [network.to_dict() for network in counted]})
        else:
            print(counting.counts_table(counted))
        return
    if json:
        _print_json({"networks": [network.to_dict() for network in found]})
    else:
        print(networks_table(found))


@app.command
def convert(
    source: Annotated[str, Parameter(help="A network of the zoo, or a .pt or .pth file.")],
    /,
    *,
    weights: Annotated[
        str | None, Parameter(help="The network's released weights; DEFAULT when left out.")
    ] = None,
    out: Annotated[
        str | None,
        Parameter(help="The .safetensors file; named as the weights when left out."),
    ] = None,
) -> None:
    """Write released weights, or a .pt or .pth file, as .safetensors."""
    from convlens.zoo.converting import convert as convert_weights
    from convlens.zoo.weights import metadata

    path = convert_weights(source, weights, out)
    told = metadata(path)
    of = f", {told['network']} {told['weights']}" if "network" in told else ""
    print(f"{path}: {path.stat().st_size:,} bytes{of}")
    print(f"  from {told['source']}, sha256 {told['sha256']}")
    if "licence" in told:
        print(f"  {told['licence']}")


@app.command
def train(
    network: Annotated[Literal["digits"], Parameter(help="The network to train.")],
    /,
    *,
    out: Annotated[
        str, Parameter(help="Where the weights go, after every epoch.")
    ] = "digits.safetensors",
    epochs: Annotated[int | None, Parameter(help="Passes over the training examples.")] = None,
    batch: Annotated[int | None, Parameter(help="Examples a step.")] = None,
    rate: Annotated[float | None, Parameter(help="Learning rate of the first step.")] = None,
    decay: Annotated[float | None, Parameter(help="Weight decay.")] = None,
    seed: Annotated[int | None, Parameter(help="Of every random number drawn.")] = None,
) -> None:
    """Train a network of the zoo; Ctrl-C keeps the last whole epoch."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from convlens.learn.training import DIGITS_RECIPE, train_digits

    asked = {"epochs": epochs, "batch": batch, "rate": rate, "decay": decay, "seed": seed}
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    recipe = replace(DIGITS_RECIPE, **given)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    last = None
    with Progress(*columns, console=_error_stream()) as bar:
        task = bar.add_task("training digits", total=recipe.epochs)
        for last in train_digits(out, recipe):
            told = f"epoch {last.epoch}/{last.epochs}  loss {last.loss:.4f}"
            told += f"  held out {last.accuracy:.2%}"
            bar.update(task, completed=last.epoch, description=told)
    if last is None:
        print("stopped before the first epoch ended; nothing was written", file=sys.stderr)
        raise SystemExit(130)
    print(f"{last.accuracy:.2%} of the held-out digits right after {last.epoch} epochs: {out}")


def _one(source: tuple[str, ...]) -> str | tuple[str, ...]:
    """A camera may only be alone."""
    return source[0] if len(source) == 1 else source


def _predict_into(
    network: str,
    source: tuple[str, ...],
    out: str,
    settings: dict[str, Any],
    draws: bool,
    restart: bool,
    json: bool,
) -> None:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from convlens import draw
    from convlens.learn.answers import answer
    from convlens.learn.writing import line_of

    pen = draw if draws else None
    job = answer(network, _one(source), out, **settings, pen=pen, restart=restart)
    if job.finished:
        print(f"{job.finished:,} were finished before", file=sys.stderr)
    rate = TextColumn("{task.fields[rate]:.1f}/s")
    name = TextColumn("{task.description}", markup=False)  # a path may have [brackets]
    columns = (name, BarColumn(), MofNCompleteColumn(), rate)
    began = time.monotonic()
    try:
        with Progress(*columns, TimeRemainingColumn(), console=_error_stream()) as bar:
            task = bar.add_task(network, total=job.total, completed=job.finished, rate=0.0)
            for prediction in job:
                done = job.predicted + job.failed
                speed = done / (time.monotonic() - began)
                bar.update(task, completed=job.finished + done, rate=speed)
                if json:
                    print(line_of(prediction.to_dict()))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise
    print(job.summary(), file=sys.stderr)
    _say(job.sources.left_out())
    if job.failed:
        raise SystemExit(1)


def _opened(network: str, opening: Opening) -> Opened:
    from convlens.learn.opening import open_network

    return open_network(
        network,
        weights=opening.weights,
        size=opening.size,
        crop=opening.crop,
        normalize=opening.normalize,
    )


def _recorded(network: str, picture: str | None, opening: Opening) -> Recording:
    from convlens.learn.doubting import doubts
    from convlens.learn.opening import read_inputs, remark
    from convlens.lens import record as record_network

    opened = _opened(network, opening)
    source: str | Path | None = picture if picture is not None else opened.example
    if source is None:
        raise ValueError(f"`picture` is needed: {network} has no example of its own; name a file")
    inputs, _ = read_inputs(opened, source)
    said = remark(opened, source)
    if said is not None:
        _say(f"{source}: {said}")
    for doubt in doubts(opened.network):
        _say(f"{network}: {doubt}")
    return record_network(opened.network, inputs)


def _error_stream() -> Console:
    """Where progress is shown; rich would end the process with status 1 where nobody reads it."""
    from rich.console import Console

    class Unread(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Unread(stderr=True)


def _index(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(
            f"`index` (={text}) must be integers with commas between them; write it like 0,3,5,5"
        ) from None


def _print(answer: Any, as_json: bool) -> None:
    if as_json:
        _print_json(answer.to_dict())
    else:
        print(answer)


def _say(remark: str | None) -> None:
    """On the error stream, where it is in no machine's way."""
    if remark is not None:
        print(printed(remark), file=sys.stderr)


def _print_json(answer: dict[str, Any]) -> None:
    json.dump(answer, sys.stdout, allow_nan=False)
    print()


def _warned(message: Warning | str, *_: object, **__: object) -> None:
    """One line, as an error is, instead of the place in our code."""
    print(f"convlens: warning: {printed(str(message))}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Run a command line; an error a user can mend is one sentence and exit status 1."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by >&-: a file would take its place
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # What a terminal or a file cannot hold is escaped: a name must never end a run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    run: Callable[..., Any] = app
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `convlens record ... | head`: nobody reads on, which is no error
        for stream in (sys.stdout, sys.stderr):  # 2>&1: what is left is written at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (
        ValueError,
        TypeError,
        OSError,
        MemoryError,
        ArithmeticError,
        NotImplementedError,
        ImportError,
    ) as error:
        print(f"convlens: {printed(str(error))}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
