"""Open a network by name, with what its pictures need, and read its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from convlens.learn.own_networks import own_network, unknown_network
from convlens.learn.preparing import Preparation
from convlens.learn.run_folder import RunFolder
from convlens.zoo import NETWORKS, Inputs, model
from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD
from convlens.zoo.shipped import DATA
from convlens.zoo.weights import load_weights
from convlens.zoo.weights.released import Weights

__all__ = [
    "Opened",
    "load_all",
    "open_network",
    "opened_module",
]


@dataclass(frozen=True)
class Opened:
    """A network ready to be looked at.

    `name`: as it was asked for, the class of a module. `network`: in evaluation mode, but for a
    module of the caller, which keeps its own; `convlens.learn.modes.mode` changes it for a while.
    `call`: the Python that opens it, for a module with `network` in its place. `preparation`: what
    a picture goes through, and `example`: a picture to begin with; both are None if the network
    reads only arrays.
    `categories`: the names of its outputs, if known. `frames`: how many frames are one input of a
    network that reads clips (n, c, t, h, w), and how many of them a second; None if it reads
    pictures. `keypoints`: the names of those it finds.
    """

    name: str
    network: nn.Module
    preparation: Preparation | None
    categories: tuple[str, ...] | None
    example: Path | None
    frames: tuple[int, float] | None = None
    keypoints: tuple[str, ...] | None = None
    call: str = "convlens.open_network(network)"


def open_network(
    spec: str | nn.Module,
    *,
    weights: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
) -> Opened:
    """Build the network that `spec` names and settle how a picture becomes its input.

    `spec`: a name of the zoo, `package.module:callable` or `path/file.py:callable`, or a module
    that is already built. The callable returns a torch.nn.Module, or is one; its arguments may
    follow as literals, as in `net.py:Net(width=8)`. `net.py` alone opens the one callable that the
    file holds. Opening a network of your own runs its code. A module keeps its mode: `show`, the
    lab and `predict` put it in evaluation mode while they run it.

    `spec` may also be the folder of a training: its network opens with the best weights, or, with
    `weights="last"`, those of the last checkpoint.

    `weights`: a .safetensors, .pt or .pth file to load into it. For a network of the zoo also the
    name of released ones, such as "IMAGENET1K_V1"; None means "DEFAULT". "none" means weights drawn
    at random, the same each time. `size`: pixels, as in `Preparation`. `crop`: what
    is cut from the middle of that, by default the square of `size`. `normalize`: "imagenet" for
    ImageNet's mean and deviation.

    Pictures go into a network of the zoo as they did when the accuracy of its weights was measured,
    also into one that `model` built. For other weights they are prepared as for its DEFAULT. A
    network of your own may have the attributes `preparation` (a `Preparation`) and `categories`
    (names). Without them its first convolution decides. If that reads 1 channel (grey) or 3
    (colours), the shorter side is scaled to 224 pixels, the middle is cut out, and values are 0 to
    1. Other networks read arrays.

    Raises ValueError or TypeError if it cannot be found or built, or is not a Module.

    >>> open_network("digits").categories[:3]
    ('0', '1', '2')
    >>> open_network("r3d_18", weights="none").frames
    (16, 15)
    """
    if isinstance(spec, nn.Module):
        if weights is not None:
            raise ValueError(
                f"`weights` (={weights!r}) are for a network that is opened by its name; load them "
                "with convlens.zoo.weights.load_weights(network, weights)"
            )
        return opened_module(spec, size=size, crop=crop, normalize=normalize)
    _check_normalize(normalize)
    if RunFolder.at(spec).is_run():
        opened = _run_opened(RunFolder.at(spec), weights)
    elif ":" in spec or spec.endswith(".py"):
        opened = _own_opened(spec, weights)
    elif spec in NETWORKS:
        opened = _zoo_opened(spec, "DEFAULT" if weights is None else weights)
    else:
        raise ValueError(unknown_network(spec))
    preparation = _adjusted(opened.preparation, size, crop, normalize, spec)
    asked = {"weights": weights, "size": size, "crop": crop, "normalize": normalize}
    return dataclasses.replace(opened, preparation=preparation, call=_call(repr(spec), asked))


def opened_module(
    network: nn.Module,
    *,
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
) -> Opened:
    """Settle how a picture becomes the input of a network that is already built.

    Pictures are prepared as `open_network` does it for a network of your own. If the network has
    `released` weights (`convlens.zoo.Weights`) or `inputs` (`convlens.zoo.Inputs`), as those of the
    zoo have, they are prepared as for these. Its attribute `preparation` goes before both.

    Raises ValueError or TypeError as `open_network` does.

    >>> opened_module(nn.Conv2d(1, 4, 3)).preparation.channels
    1
    """
    _check_normalize(normalize)
    name = type(network).__name__
    opened = _as_it_says(network, name)
    preparation = _adjusted(opened.preparation, size, crop, normalize, name)
    asked = {"size": size, "crop": crop, "normalize": normalize}
    return dataclasses.replace(opened, preparation=preparation, call=_call("network", asked))


def _call(spec: str, asked: Mapping[str, object]) -> str:
    """Return the Python that opens a network with the options that were given."""
    given = [
        f"{name}={(str(option) if isinstance(option, Path) else option)!r}"
        for name, option in asked.items()
        if option is not None
    ]
    return f"convlens.open_network({', '.join([spec, *given])})"


def _as_it_says(network: nn.Module, name: str) -> Opened:
    categories = _categories(network, name)
    facts = getattr(network, "released", None)
    inputs = facts.inputs if isinstance(facts, Weights) else getattr(network, "inputs", None)
    if isinstance(inputs, Inputs) and getattr(network, "preparation", None) is None:
        opened = _opened_as(inputs, name, network, categories)
        return dataclasses.replace(opened, keypoints=getattr(network, "keypoint_names", None))
    preparation = _own_preparation(network, name)
    example = None if preparation is None else DATA / "cat.jpg"
    return Opened(name, network, preparation, categories, example)


def _check_normalize(normalize: str | None) -> None:
    if normalize not in (None, "imagenet"):
        raise ValueError(f"`normalize` (={normalize!r}) must be 'imagenet' or None; use one")


def _zoo_opened(spec: str, weights: str | Path) -> Opened:
    return _as_it_says(_built_of_zoo(spec, weights), spec)


def _opened_as(
    inputs: Inputs, name: str, network: nn.Module, categories: tuple[str, ...] | None
) -> Opened:
    frames = (inputs.frames, inputs.rate or inputs.frames) if inputs.frames else None
    preparation = Preparation.of(inputs)
    return Opened(name, network, preparation, categories, DATA / inputs.example, frames)


def _built_of_zoo(spec: str, weights: str | Path) -> nn.Module:
    if weights != "none":
        return model(spec, weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model(spec, None)


def _own_opened(spec: str, weights: str | Path | None) -> Opened:
    network = own_network(spec)
    if weights not in (None, "DEFAULT", "none"):
        load_all(network, weights)
    return _as_it_says(network.eval(), spec)


def _run_opened(folder: RunFolder, weights: str | Path | None) -> Opened:
    """Open the network of a training, with the categories that it learned."""
    facts = folder.facts()
    if not facts.network:
        raise ValueError(
            f"`network` (={str(folder.path)!r}) must be a run of a network that has a name, and "
            "was one of a module built in Python; build it again, and load "
            f"{folder.best.name} with convlens.zoo.weights.load_weights"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if facts.network in NETWORKS:
            entry = NETWORKS[facts.network]
            outputs = facts.outputs if entry.classes else None
            points = (len(facts.points) or None) if entry.points else None
            network = model(facts.network, None, outputs, points=points)
        else:
            network = own_network(facts.network).eval()
    _load_run(network, folder, weights)
    background = ("__background__",) if facts.outputs == len(facts.classes) + 1 else ()
    return Opened(
        name=str(folder.path),
        network=network,
        preparation=facts.preparation,
        categories=(*background, *facts.classes),
        example=next(iter(folder.examples()), DATA / "cat.jpg"),
        frames=facts.frames,
        keypoints=facts.points or None,
    )


def _load_run(network: nn.Module, folder: RunFolder, weights: str | Path | None) -> None:
    """Load the best weights of a run, those of its last checkpoint, or those of a file."""
    if weights == "last":
        network.load_state_dict(folder.last_weights())
        _know_loaded(network)
    elif weights in (None, "DEFAULT", "best"):
        if not folder.best.is_file():
            raise ValueError(
                f"`network` (={str(folder.path)!r}) must have weights, and no epoch of its "
                "training has ended yet; wait for the first"
            )
        load_all(network, folder.best)
    else:
        load_all(network, weights)


def load_all(network: nn.Module, weights: str | Path) -> None:
    """Load a file of weights into a network, in which no part is random any more.

    Raises ValueError as `load_weights` does.

    >>> from convlens.zoo.shipped import DIGITS
    >>> load_all(model("digits", weights=None), DIGITS)
    """
    load_weights(network, weights)
    _know_loaded(network)


def _know_loaded(network: nn.Module) -> None:
    if hasattr(network, "random_parts"):  # it said what was random before
        network.random_parts = ()  # type: ignore[assignment]


def _own_preparation(network: nn.Module, spec: str) -> Preparation | None:
    own = getattr(network, "preparation", None)
    if own is not None and not isinstance(own, Preparation):
        raise TypeError(
            f"`preparation` of {spec!r} (of type {type(own).__name__}) must be a "
            "convlens.learn.preparing.Preparation; make one"
        )
    if own is not None:
        return own
    window = first_window(network)
    if window is None:
        return Preparation()
    channels, dimensions = window
    return Preparation(channels=channels) if dimensions == 2 and channels in (1, 3) else None


def first_window(network: nn.Module) -> tuple[int, int] | None:
    """Return the channels and the space dimensions that the first convolution reads, if any."""
    for module in network.modules():
        channels, size = getattr(module, "in_channels", 0), getattr(module, "kernel_size", None)
        if channels and isinstance(size, tuple):
            return int(channels), len(size)
    for parameter in network.parameters():
        # A lazy parameter has no shape before the first input.
        lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
        if not lazy and parameter.ndim >= 3:
            return int(parameter.shape[1]), parameter.ndim - 2
    return None


def _adjusted(
    preparation: Preparation | None,
    size: int | tuple[int, int] | None,
    crop: int | tuple[int, int] | None,
    normalize: str | None,
    spec: str,
) -> Preparation | None:
    if preparation is None:
        if size is not None or crop is not None or normalize is not None:
            raise ValueError(
                f"`size` (={size}), `crop` (={crop}) and `normalize` (={normalize!r}) are for "
                f"pictures, and {spec!r} reads arrays; leave them out"
            )
        return None
    if size is not None:
        # A crop of pixels was meant for the old size; the new size becomes the crop.
        cut = preparation.crop if isinstance(preparation.crop, bool) else True
        preparation = dataclasses.replace(preparation, size=size, crop=cut, stretch=False)
    if crop is not None:
        preparation = dataclasses.replace(preparation, crop=crop)
    if normalize is not None:
        if preparation.channels != 3:
            raise ValueError(
                f"`normalize` (={normalize!r}) needs 3 channels, and {spec!r} reads "
                f"{preparation.channels}; leave it out"
            )
        preparation = dataclasses.replace(preparation, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return preparation


def _categories(network: nn.Module, spec: str) -> tuple[str, ...] | None:
    own = getattr(network, "categories", None)
    if own is None:
        return None
    if isinstance(own, (str, bytes)) or not hasattr(own, "__iter__"):
        raise TypeError(
            f"`categories` of {spec!r} (={own!r}) must be a list or tuple of names; "
            "give one name an output"
        )
    return tuple(str(name) for name in own)
