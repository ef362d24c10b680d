"""Read array files as inputs, for networks that do not read pictures."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from convlens.learn.sentences import first_line
from convlens.learn.sources.binary import name_of, opened
from convlens.learn.sources.formats import NIFTI, NPY
from convlens.learn.sources.volumes import is_volume, read_volume

__all__ = ["given_array", "is_array", "read_array"]


def is_array(source: bytes | str | Path) -> bool:
    """Return whether `source` is an array: bytes by how they begin, a path by its suffix.

    >>> is_array("signal.npy"), is_array("brain.nii.gz"), is_array(b"GIF89a")
    (True, True, False)
    """
    if isinstance(source, bytes):
        return NPY.begins(source) or NIFTI.begins(source)
    return Path(source).suffix in NPY.suffixes or is_volume(source)


def read_array(source: bytes | str | Path, reads: tuple[int, int] | None = None) -> Tensor:
    """Return the numbers of a .npy file as a tensor (n, c, *space); whole numbers as float32.

    A NIfTI volume is read as `read_volume` does.

    `reads`: the channels and space dimensions that the network takes, None if it does not say. An
    array (c, *space) gets n = 1. Pickled objects are refused, and a file that is shorter than its
    header says, before any memory is taken.

    Raises ValueError for another file, and for numbers of another kind, shape or channels.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.zeros((2, 50)))
    >>> read_array(file.getvalue(), reads=(2, 1)).shape
    torch.Size([1, 2, 50])
    """
    if is_volume(source):
        return _shaped(read_volume(source), reads)
    with opened(source) as file:
        return _shaped(_loaded(file, name_of(source)), reads)


def given_array(x: object, reads: tuple[int, int] | None = None) -> Tensor:
    """Return an array or tensor as a network's input, as `read_array` does for a file.

    Raises ValueError for numbers of another kind, shape or channels.

    >>> given_array(np.zeros((2, 50)), reads=(2, 1)).shape
    torch.Size([1, 2, 50])
    """
    x = torch.as_tensor(x)
    if x.is_complex():
        raise ValueError(
            f"`source` (of {x.dtype}) must hold real numbers; give its parts separately"
        )
    return _shaped(x if x.is_floating_point() else x.float(), reads)


def _loaded(file: BinaryIO, name: str) -> Tensor:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        shape, dtype = _header(file)
        if dtype.kind not in "fiub" or dtype.itemsize > 8:
            raise ValueError(f"its numbers are {dtype}")
        missing = math.prod(shape) * dtype.itemsize - (size - file.tell())
        if missing > 0:
            raise ValueError(f"{missing:,} bytes are missing")
        file.seek(0)
        array = np.load(file, allow_pickle=False)
    except Exception as error:
        # NumPy's reader fails on damaged headers with any exception.
        raise ValueError(
            f"`picture` ({name}) must be a whole .npy file of real numbers ({first_line(error)}); "
            "write it with numpy.save"
        ) from error
    # torch takes native byte order only, and networks take floats.
    kept = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.float32
    return torch.from_numpy(np.array(array, kept, order="C"))


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype


def _shaped(x: Tensor, reads: tuple[int, int] | None) -> Tensor:
    if reads is None:
        return x
    channels, dimensions = reads
    given = tuple(x.shape)
    if x.ndim == dimensions + 1:
        x = x[None]
    if x.ndim != dimensions + 2 or x.shape[1] != channels or 0 in x.shape:
        cure = "reshape it"
        if x.ndim == dimensions + 2 and given[-1] == channels:
            place = len(given) - dimensions - 1
            cure = f"put the channels there, as numpy.moveaxis(array, -1, {place}) does"
        raise ValueError(
            f"`picture` (an array {given}) must have {dimensions + 2} dimensions "
            f"(n, {channels}, *space), none of them 0; {cure}"
        )
    return x
