"""Read a picture, clip, array or sound as the input of an opened network."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from convlens.learn.opening import Opened, first_window
from convlens.learn.sources.arrays import given_array, is_array, read_array
from convlens.learn.sources.clips import clip_frames, is_clip
from convlens.learn.sources.in_memory import is_given
from convlens.learn.sources.pictures.animations import moves
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.pictures.pages import pages_of, pages_of_opened
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.reading import read_sources
from convlens.learn.sources.sounds import Sound, is_sound, read_sound

__all__ = ["arrays_for", "placed", "read_inputs", "remark"]


def read_inputs(opened: Opened, source: object = None) -> tuple[Tensor, NDArray[np.uint8] | None]:
    """Return the input tensor for a picture, array or sound, and the pixels the network sees of it.

    `source` is one of these, or None for the network's own example:

    - the bytes or the path of a picture, of which the first page is read, or a picture as
      `read_sources` takes it from Python: the input is (1, c, h, w), the pixels are uint8
      (h, w, 3), row for row;
    - for a network that reads clips, a clip, of which the first frames are read, or a picture that
      is repeated: the input is (1, c, t, h, w), the pixels are those of the first frame;
    - a .npy array (n, c, *space) or (c, *space), a NIfTI volume (see `read_volume`), or such an
      array or tensor for a network of arrays: the input is the array, the pixels are None;
    - a WAV sound, for a network that reads signals: the input is (1, c, samples) at the sound's own
      rate, and the pixels are None.

    The input has the network's float type and is on its device.

    Raises ValueError or TypeError for any other source, and for a picture if the network reads only
    arrays.

    >>> from convlens.learn.opening import open_network
    >>> x, shown = read_inputs(open_network("digits"))
    >>> tuple(x.shape), shown.shape
    ((1, 1, 8, 8), (8, 8, 3))
    """
    if source is None:
        if opened.example is None:
            raise ValueError(_wants_array(opened))
        source = opened.example
    window = first_window(opened.network)
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

    >>> from convlens.learn.opening import open_network
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


def arrays_for(opened: Opened) -> str:
    """Return in words which files a network reads instead of pictures.

    >>> from convlens.learn.opening import opened_module
    >>> arrays_for(opened_module(nn.Conv1d(1, 2, 9)))
    'a .npy array or a .wav sound'
    """
    window = first_window(opened.network)
    others = {1: " or a .wav sound", 3: " or a NIfTI volume"}
    return "a .npy array" + (others.get(window[1], "") if window else "")


def placed(x: Tensor, network: nn.Module) -> Tensor:
    """Return x in the float type and on the device of the network's parameters.

    >>> import torch
    >>> placed(torch.zeros(2), nn.Linear(2, 1).double()).dtype
    torch.float64
    """
    own = next((p for p in network.parameters() if p.is_floating_point()), None)
    return x if own is None else x.to(own.device, own.dtype)


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
    window = first_window(opened.network)
    if window is not None and window[1] != 1:
        raise ValueError(_wants_array(opened))
    return read_sound(source, None if window is None else window[0])


def _wants_array(opened: Opened) -> str:
    channels, dimensions = first_window(opened.network) or (3, 2)
    space = {1: "length", 2: "h, w", 3: "depth, h, w"}.get(dimensions, "*space")
    return (
        f"`picture` must be an array for {opened.name!r}, which reads (n, {channels}, {space}) and "
        f"no pictures; give {arrays_for(opened)} (numpy.save writes arrays)"
    )
