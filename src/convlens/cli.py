"""The door: parse a command line, call the public verb, print text or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from convlens import __version__

if TYPE_CHECKING:
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
        help="A network of the zoo (digits, filters), package.module:callable, "
        "or path/file.py:callable."
    ),
]
Source = Annotated[
    Path | None,
    Parameter(
        help="A picture (PNG JPEG WebP GIF BMP TIFF), or a .npy array shaped as the network's "
        "input; the network's own example when left out."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Opening:
    """How a network is opened; the options that every command with a network takes."""

    weights: Annotated[
        Path | None, Parameter(help="Weights to load: .safetensors, or .pt/.pth without code.")
    ] = None
    size: Annotated[
        int | None,
        Parameter(help="Pixels of the shorter side and of the square cut from the middle."),
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
    opening: Opening = AS_IT_SAYS,
) -> None:
    """Open a network on a picture in the browser, every number to be clicked."""
    from convlens.lab import serve

    serve(partial(_opened, network, opening), picture, port=port, open_browser=open_browser)


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
        str,
        Parameter(
            help="A module's path (layer1.conv, or layer1.conv#2 for its "
            "second call) or a step's number."
        ),
    ],
    index: Annotated[str, Parameter(help="The element of its output, like 0,3,5,5.")],
    opening: Opening = AS_IT_SAYS,
    terms: Annotated[int, Parameter(help="How many terms --json lists; 0 for all.")] = 0,
    json: Json = False,
) -> None:
    """Print what one number of a network is made of: its terms, their sum, its pixels."""
    from convlens.lens import explain as explain_element

    place = _index(index)
    recording = _recorded(network, picture, opening)
    explanation = explain_element(recording, at, place)
    region = explanation.pixels()
    box = [[span.start, span.stop] for span in region.box]
    if json:
        pixels = {"input": region.value.name, "count": region.count, "box": box}
        _print_json({**explanation.to_dict(terms or None), "pixels": pixels})
        return
    print(explanation)
    spans = " × ".join(f"{low}:{high}" for low, high in box)
    print(f"  made from {region.count:,} elements of {region.value.name}, within {spans}")


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
def train(
    network: Annotated[Literal["digits"], Parameter(help="The network to train.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Where the weights go, after every epoch.")] = Path(
        "digits.safetensors"
    ),
    epochs: Annotated[int | None, Parameter(help="Passes over the training examples.")] = None,
    batch: Annotated[int | None, Parameter(help="Examples a step.")] = None,
    rate: Annotated[float | None, Parameter(help="Learning rate of the first step.")] = None,
    decay: Annotated[float | None, Parameter(help="Weight decay.")] = None,
    seed: Annotated[int | None, Parameter(help="Of every random number drawn.")] = None,
) -> None:
    """Train a network of the zoo; Ctrl-C keeps the last whole epoch."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from convlens.learn.training import DIGITS_RECIPE, train_digits

    asked = {"epochs": epochs, "batch": batch, "rate": rate, "decay": decay, "seed": seed}
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    recipe = replace(DIGITS_RECIPE, **given)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    last = None
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training digits", total=recipe.epochs)
        for last in train_digits(out, recipe):
            told = f"epoch {last.epoch}/{last.epochs}  loss {last.loss:.4f}"
            told += f"  held out {last.accuracy:.2%}"
            bar.update(task, completed=last.epoch, description=told)
    if last is None:
        print("stopped before the first epoch ended; nothing was written", file=sys.stderr)
        raise SystemExit(130)
    print(f"{last.accuracy:.2%} of the held-out digits right after {last.epoch} epochs: {out}")


def _opened(network: str, opening: Opening) -> Opened:
    from convlens.learn.opening import open_network

    return open_network(
        network, weights=opening.weights, size=opening.size, normalize=opening.normalize
    )


def _recorded(network: str, picture: Path | None, opening: Opening) -> Recording:
    from convlens.learn.opening import read_inputs
    from convlens.lens import record as record_network

    opened = _opened(network, opening)
    source = picture if picture is not None else opened.example
    if source is None:
        raise ValueError(f"`picture` is needed: {network} has no example of its own; name a file")
    inputs, _ = read_inputs(opened, source)
    return record_network(opened.network, inputs)


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


def _print_json(answer: dict[str, Any]) -> None:
    json.dump(answer, sys.stdout, allow_nan=False)
    print()


def main(arguments: list[str] | None = None) -> None:
    """Run a command line; an error a user can mend is one sentence and exit status 1."""
    run: Callable[..., Any] = app
    try:
        run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `convlens record ... | head`: nobody reads on, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (
        ValueError,
        TypeError,
        OSError,
        MemoryError,
        ArithmeticError,
        NotImplementedError,
        ImportError,
    ) as error:
        print(f"convlens: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
