"""The command line: parse the words, call the public function, print text or JSON."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from cyclopts import App, CycloptsError

from convlens import __version__
from convlens.cli.augmenting import augment
from convlens.cli.data import data
from convlens.cli.examples import examples_of, first_examples
from convlens.cli.looking import costs, explain, lab, record
from convlens.cli.predicting import predict
from convlens.cli.printing import print_error, print_warning
from convlens.cli.recipes import theirs
from convlens.cli.showing import show
from convlens.cli.training import train, val
from convlens.cli.zoo import convert, models

__all__ = ["COMMANDS", "app", "main"]

app = App(
    name="convlens",
    version=__version__,
    help="Open a convolutional network on a picture, and follow any number to its pixels.",
    help_format="plaintext",
    help_prologue=first_examples(),
)

COMMANDS: tuple[Callable[..., None], ...] = (
    lab,
    show,
    predict,
    explain,
    record,
    costs,
    models,
    data,
    augment,
    train,
    val,
    convert,
)
"""The commands in the order of use: functions, whose parameters are the options."""

for at, command in enumerate(COMMANDS):
    app.command(command, sort_key=at, help_prologue=examples_of(command.__name__))

MENDABLE = (
    ValueError,
    TypeError,
    OSError,
    MemoryError,
    ArithmeticError,
    NotImplementedError,
    ImportError,
)
"""Errors that say in one sentence what the user can change."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command line; an error that the user can mend is one sentence and exit status 1."""
    _prepare_streams()
    # torch, which is not loaded yet, then takes large tensors in large pages: a recording of
    # ResNet-50 keeps 170 MB, and takes a sixth less time.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    run: Callable[..., Any] = app
    words = sys.argv[1:] if arguments is None else arguments
    other = theirs(words) if words[:1] == ["train"] else None
    if other is not None:
        print_error(other)
        raise SystemExit(1)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = print_warning
            run(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of `convlens record ... | head` has left: not an error
        for stream in (sys.stdout, sys.stderr):  # 2>&1: the rest is written at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except CycloptsError as error:  # words that no command takes
        print_error(" ".join(str(error).split()))
        raise SystemExit(2) from None
    except MENDABLE as error:
        print_error(str(error))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _prepare_streams() -> None:
    """Replace closed streams, and escape what a terminal or a file cannot encode."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by >&-: the next file opened would take its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
