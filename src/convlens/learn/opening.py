"""Open a network by name, with what its pictures need, and read its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from convlens.learn.own_networks import own_network, unknown_network
from convlens.learn.preparing import Preparation
from convlens.learn.sources.arrays import given_array, is_array, read_array
from convlens.learn.sources.clips import clip_frames, is_clip
from convlens.learn.sources.in_memory import is_given
from convlens.learn.sources.pictures.animations import moves
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.pictures.pages import pages_of, pages_of_opened
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.reading import read_sources
from convlens.learn.sources.sounds import Sound, is_sound, read_sound
from convlens.zoo import NETWORKS, Inputs, model
from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD
from convlens.zoo.shipped import DATA
from convlens.zoo.weights import load_weights
from convlens.zoo.weights.released import Weights

__all__ = [
    "Opened",
    "arrays_for",
    "load_all",
    "open_network",
    "opened_module",
    "placed",
    "read_inputs",
    "remark",
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
    if ":" in spec or spec.endswith(".py"):
        opened = _own_opened(spec, weights)
    elif spec in NETWORKS:
        opened = _zoo_opened(spec, "DEFAULT" if weights is None else weights)
    else:
        raise ValueError(unknown_network(spec))
    preparation = _adjusted(opened.preparation, size, crop, normalize, spec)
    asked = {"weights": weights, "size": size, "crop": crop, "normalize": normalize}
    return dataclasses.replace(opened, preparation=preparation, call=_call(repr(spec), asked))


def read_inputs(opened: Opened, source: object = None) -> tuple[Tensor, NDArray[np.uint8] | None]:
    """Return the input tensor for a picture, array or sound, and the pixels the network sees of it.

    `source` is one of these, or None for the network's own example:

    - the bytes or the path of a picture, of which the first page is read, or a picture as
      `read_sources` takes it from Python: the input is (1, c, h, w), the pixels are uint8
      (h, w, 3), row for row;
    - for a network that reads clips, a clip, of which the first frames are read, or a picture that
      is repeated: the input is (1, c, t, h, w), the pixels are those of the first frame;
    - a .npy array (n, c, *space) or (c, *space), or such an array or tensor for a network that
      reads only arrays: the input is the array, and the pixels are None;
    - a WAV sound, for a network that reads signals: the input is (1, c, samples) at the sound's own
      rate, and the pixels are None.

    The input has the network's float type and is on its device.

    Raises ValueError or TypeError for any other source, and for a picture if the network reads only
    arrays.

    >>> x, shown = read_inputs(open_network("digits"))
    >>> tuple(x.shape), shown.shape
    ((1, 1, 8, 8), (8, 8, 3))
    """
    if source is None:
        if opened.example is None:
            raise ValueError(_wants_array(opened))
        source = opened.example
    window = _first_window(opened.network)
    if isinstance(source, (np.ndarray, Tensor)) and opened.preparation is None:
        return placed(given_array(source, window), opened.network), None
    if not is_given(source) and not isinstance(source, (bytes, str, Path)):
        raise TypeError(
            f"`source` (of type {type(source).__name__}) must be a path, bytes, a picture or an "
            "array; convert it"
        )
    if isinstance(source, (bytes, str, Path)):
        if is_array(source):
            return placed(read_array(source, window), opened.network), None
        if is_sound(source) and opened.preparation is None:
            return placed(_sound(opened, source).x, opened.network), None
    if opened.preparation is None:
        raise ValueError(_wants_array(opened))
    pictures = _pictures(source, opened.frames)
    shown = opened.preparation.shown(pictures[0])
    if opened.frames is not None:
        return placed(opened.preparation.clip(pictures), opened.network), shown
    return placed(opened.preparation.normalized(shown), opened.network), shown


def remark(opened: Opened, source: object) -> str | None:
    """Return in words what `read_inputs` leaves out of a source: its other pages, a sound's rate.

    >>> from convlens.zoo.weights import DATA
    >>> remark(open_network("digits"), DATA / "digit-3.png") is None
    True
    """
    if isinstance(source, (bytes, str, Path)):
        if is_array(source):
            return None
        if is_sound(source):
            return None if opened.preparation is not None else _sound(opened, source).described()
        pages, moving = len(pages_of(source)), is_clip(source)
    elif isinstance(source, Image.Image):
        pages, moving = len(pages_of_opened(source)), moves(source)
    else:
        return None
    if pages > 1:
        return f"the first of {pages} pages"
    return "the first of its frames" if moving and opened.frames is None else None


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
        points = facts.keypoint_names if isinstance(facts, Weights) else ()
        opened = _opened_as(inputs, name, network, categories)
        return dataclasses.replace(opened, keypoints=points or None)
    preparation = _own_preparation(network, name)
    example = None if preparation is None else DATA / "cat.jpg"
    return Opened(name, network, preparation, categories, example)


def _check_normalize(normalize: str | None) -> None:
    if normalize not in (None, "imagenet"):
        raise ValueError(f"`normalize` (={normalize!r}) must be 'imagenet' or None; use one")


def _pictures(source: Any, frames: tuple[int, float] | None) -> list[Picture]:
    """Return one picture, or the frames of a clip that a network reads at once."""
    given = next(iter(read_sources(source))) if is_given(source) else None
    if frames is None:
        return [given.read(None) if given else read_picture(source)]
    count, rate = frames
    if not (given.moves() if given else is_clip(source)):
        return [given.read(None) if given else read_picture(source)] * count
    with closing(given.frames(rate) if given else clip_frames(source, rate)) as found:
        first = [frame.picture for frame in islice(found, count)]
    return first if len(first) > 1 else first * count  # a single frame is repeated


def _sound(opened: Opened, source: bytes | str | Path) -> Sound:
    window = _first_window(opened.network)
    if window is not None and window[1] != 1:
        raise ValueError(_wants_array(opened))
    return read_sound(source, None if window is None else window[0])


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


def load_all(network: nn.Module, weights: str | Path) -> None:
    """Load a file of weights into a network, in which no part is random any more.

    Raises ValueError as `load_weights` does.

    >>> from convlens.zoo.shipped import DIGITS
    >>> load_all(model("digits", weights=None), DIGITS)
    """
    load_weights(network, weights)
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
    window = _first_window(network)
    if window is None:
        return Preparation()
    channels, dimensions = window
    return Preparation(channels=channels) if dimensions == 2 and channels in (1, 3) else None


def _first_window(network: nn.Module) -> tuple[int, int] | None:
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


def _wants_array(opened: Opened) -> str:
    channels, dimensions = _first_window(opened.network) or (3, 2)
    space = {1: "length", 2: "h, w", 3: "depth, h, w"}.get(dimensions, "*space")
    return (
        f"`picture` must be an array for {opened.name!r}, which reads (n, {channels}, {space}) and "
        f"no pictures; give {arrays_for(opened)} (numpy.save writes arrays)"
    )


def arrays_for(opened: Opened) -> str:
    """Return in words which files a network reads instead of pictures.

    >>> arrays_for(opened_module(nn.Conv1d(1, 2, 9)))
    'a .npy array or a .wav sound'
    """
    window = _first_window(opened.network)
    return "a .npy array or a .wav sound" if window and window[1] == 1 else "a .npy array"


def placed(x: Tensor, network: nn.Module) -> Tensor:
    """Return x in the float type and on the device of the network's parameters.

    >>> placed(torch.zeros(2), nn.Linear(2, 1).double()).dtype
    torch.float64
    """
    own = next((p for p in network.parameters() if p.is_floating_point()), None)
    return x if own is None else x.to(own.device, own.dtype)
