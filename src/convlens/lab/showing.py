"""Show a network, a recording, one number, a plan or an array: in the browser or in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from convlens.lab.answers.answering import Lab
from convlens.lab.answers.others import Beside, others_of
from convlens.lab.serving import serve_lab
from convlens.learn.modes import mode
from convlens.learn.opening import Opened, open_network
from convlens.learn.reading_inputs import placed
from convlens.learn.sources.pictures.picture import Picture
from convlens.lens import Explanation, Recording, record

if TYPE_CHECKING:
    from convlens.lab.widget import Widget

__all__ = ["in_notebook", "lab_on", "place_of", "show"]

Array = NDArray[Any] | Tensor

Shown = str | nn.Module | Opened | Recording | Explanation | Callable[..., object] | Array
"""What can be shown."""

Seen = str | Path | bytes | Image.Image | Picture | Array | None
"""What a network can be run on to be shown."""


def show(
    shown: Shown,
    picture: Seen = None,
    *,
    at: str | None = None,
    index: Sequence[int] | None = None,
    beside: Beside = None,
) -> Widget | None:
    """Open the lab's page on a network and a picture, at one number if `at` and `index` name it.

    In a notebook, return a widget that is the page (this needs `pip install 'convlens[notebook]'`).
    Elsewhere, serve the page until Ctrl-C and open the browser on it.

    `shown`: a network (a module, what `open_network` returned, or a name that it takes), a
    `Recording`, an `Explanation`, an array, or a function of an array, such as a `Plan`. `picture`:
    what the network runs on, by default its own example. It is a path, the bytes of a file, an
    image of Pillow, uint8 pixels, or the array that the network itself takes. A module of yours is
    in evaluation mode while it runs, and then again in its own.

    `at`: the name of a value, as `explain` takes it. `index`: a place in that value.

    `beside`: what the page may compare a network with, on the same input. It is a file of weights,
    the name of released ones, a state dict, or another network; or a list of them. A dictionary
    gives each the name that the page lists: `beside={"before training": before}`.

    Raises ValueError or TypeError if this cannot be shown, ImportError in a notebook without
    anywidget, and what the network raises before its first step.
    """
    lab = lab_on(shown, picture, beside)
    if isinstance(shown, Explanation) and at is None and index is None:
        at, index = shown.recording.name_of(shown.value.id), shown.index
    place = place_of(lab.recording, at, index)
    if in_notebook():
        return _widget(lab, place, alone=isinstance(shown, str) and beside is None)
    serve_lab(lab, place)
    return None


def _widget(lab: Lab, place: str, *, alone: bool) -> Widget:
    try:
        from convlens.lab.widget import Widget
    except ImportError as error:
        raise ImportError(
            f"a notebook shows the page with anywidget ({error}); pip install 'convlens[notebook]'"
        ) from error
    return Widget(lab, place, alone=alone)


def lab_on(shown: Shown, picture: Seen = None, beside: Beside = None) -> Lab:
    """Return a lab that has run on what is to be shown; see `show`.

    >>> lab_on("digits").recording.name_of(1)
    'conv1.bias'
    """
    if isinstance(shown, str | nn.Module | Opened):
        opened = shown if isinstance(shown, Opened) else open_network(shown)
        return _lab_of_network(opened, picture, others_of(opened, beside))
    if beside is not None:
        raise TypeError(
            f"`beside` must be left out: {type(shown).__name__} is shown as it is; give a network "
            "to compare it with others"
        )
    if isinstance(shown, Explanation | Recording):
        _check_alone(shown, picture)
        recording = shown if isinstance(shown, Recording) else shown.recording
        return Lab.of_recording(recording)
    if isinstance(shown, np.ndarray | Tensor):
        _check_alone(shown, picture)
        return Lab.of_recording(record(torch.clone, torch.as_tensor(shown)))
    if not callable(shown):
        raise TypeError(
            f"`shown` (of type {type(shown).__name__}) must be a network, a recording, an "
            "explanation, an array, or a function of an array; give one of these"
        )
    if not isinstance(picture, np.ndarray | Tensor):
        raise TypeError(
            f"`picture` (of type {type(picture).__name__}) must be the array that "
            f"{type(shown).__name__} is called with; give a NumPy array or a tensor"
        )
    recording = record(shown, torch.as_tensor(picture))
    if not recording.steps:
        why = f" ({recording.error.message})" if recording.error else ""
        raise ValueError(
            f"`shown` (a {type(shown).__name__}) took no step of torch that could be shown{why}; "
            "give a function of tensors, or a plan that was made for a tensor"
        )
    return Lab.of_recording(recording)


def _lab_of_network(opened: Opened, picture: Seen, others: Mapping[str, Opened]) -> Lab:
    source = opened.example if picture is None else picture
    if source is None:
        raise ValueError(f"`picture` is needed: {opened.name} has no example of its own; give one")
    if opened.preparation is not None and isinstance(source, np.ndarray | Tensor):
        given = torch.as_tensor(source)
        if given.dtype != torch.uint8:  # not pixels: the input itself
            with mode(opened.network, training=False):
                return Lab.of_recording(
                    record(opened.network, placed(given, opened.network)), opened, others
                )
    lab = Lab(opened, others)
    lab.look(source)
    return lab


def place_of(recording: Recording, at: str | None, index: Sequence[int] | None) -> str:
    """Return the page's address of a number, or of a value; "" without a name.

    Raises ValueError if there is no such value, or no such place in it.

    >>> place_of(lab_on("digits").recording, "conv1", (0, 5, -1, 4))
    'at=conv1&index=0,5,7,4'
    """
    if at is None:
        if index is not None:
            raise ValueError(f"`index` (={tuple(index)}) needs `at`, the value that it lies in")
        return ""
    value = recording.values[recording.made(at)[0]]
    place = f"at={quote(recording.name_of(value.id), safe='')}"
    if index is None:
        return place
    sizes = list(zip(index, value.shape, strict=False))
    if len(index) != len(value.shape) or not all(-n <= i < n for i, n in sizes):
        raise ValueError(
            f"`index` (={tuple(index)}) must lie in {at!r}, whose shape is {value.shape}; "
            "give one integer for each axis"
        )
    return f"{place}&index={','.join(str(i % n) for i, n in sizes)}"


def in_notebook() -> bool:
    """Return whether this runs in a notebook, which shows what a cell returns.

    >>> in_notebook()
    False
    """
    ipython, marimo = sys.modules.get("IPython"), sys.modules.get("marimo")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None or bool(
        marimo and marimo.running_in_notebook()
    )


def _check_alone(shown: object, picture: Seen) -> None:
    if picture is not None:
        raise TypeError(
            f"`picture` must be left out: {type(shown).__name__} is shown as it is; give a network "
            "to run it on a picture"
        )
