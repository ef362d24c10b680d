"""Arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from convlens.learn.sources.formats import NIFTI, NPY, PICTURES, SOUNDS, choice

__all__ = ["AS_IT_SAYS", "Json", "NetworkName", "Opening", "SourceName", "SourceNames"]

NetworkName = Annotated[
    str,
    Parameter(
        help="A network of the zoo (convlens models lists them), package.module:callable, "
        "or path/file.py:callable, with arguments if need be: 'mine.py:Net(width=8)'."
    ),
]

SourceName = Annotated[
    str | None,
    Parameter(
        help=f"A picture ({choice(PICTURES)}), a {NPY.name} array or {NIFTI.name} volume shaped "
        f"as the network's input, or a {choice(SOUNDS)} sound for a network that reads signals; by "
        "default, the network's own example."
    ),
]

SourceNames = Annotated[
    str,
    Parameter(
        help="A picture, array or sound for each input of the network; by default, the network's "
        "own example."
    ),
]

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Opening:
    """How a network is opened: the options of every command that takes a network."""

    weights: Annotated[
        str | None,
        Parameter(
            help="A .safetensors file, or a .pt or .pth file without code. For the zoo's networks "
            "also the name of released weights (DEFAULT, IMAGENET1K_V1), or none for random ones."
        ),
    ] = None
    size: Annotated[
        int | None,
        Parameter(
            help="Scale the shorter side to this many pixels, and cut a square of this size from "
            "the middle unless --crop names another."
        ),
    ] = None
    crop: Annotated[
        int | None,
        Parameter(help="Cut a square of this many pixels from the middle: --size 256 --crop 224."),
    ] = None
    normalize: Annotated[
        Literal["imagenet"] | None,
        Parameter(help="Subtract ImageNet's mean and divide by its standard deviation."),
    ] = None


AS_IT_SAYS = Opening()
"""Open a network as it says itself."""
