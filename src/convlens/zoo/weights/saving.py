"""Write named tensors to a file that is whole at every moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from convlens.files import expanded, write_whole
from convlens.zoo.weights.digests import DIGEST, digest_of, is_dense
from convlens.zoo.weights.fitting import listed

__all__ = ["check_destination", "halved", "save_tensors"]


def check_destination(out: str | Path) -> Path:
    """Return `out` as a path if weights can be written there.

    Raises ValueError if its suffix is not .safetensors or its folder does not exist.

    >>> check_destination("weights.bin")
    Traceback (most recent call last):
        ...
    ValueError: `out` (='weights.bin') must end in .safetensors; use 'weights.safetensors'
    """
    path = expanded(out)
    if path.suffix != ".safetensors":
        cure = str(path.with_suffix(".safetensors")) if path.name else "weights.safetensors"
        raise ValueError(f"`out` (={str(out)!r}) must end in .safetensors; use {cure!r}")
    if not os.path.isdir(path.parent):  # Path.is_dir raises for a name that is too long
        raise ValueError(
            f"`out` (={str(out)!r}) must be in an existing folder; make {str(path.parent)!r} first"
        )
    if os.path.isdir(path):
        raise ValueError(f"`out` (={str(out)!r}) must be a file, not a folder; name a file in it")
    return path


def save_tensors(
    tensors: Mapping[str, Tensor], out: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write `tensors` to the safetensors file `out`, atomically.

    The bytes go to another file, which then takes the name `out` in one step. At every moment, even
    if it is interrupted, `out` is the old file or the new one, with the old one's mode. `metadata`:
    texts to store with the tensors. One more holds their sha256, which `read_weights` checks.

    Raises ValueError for a destination that `check_destination` refuses and for tensors that such a
    file cannot hold, and OSError if the disk refuses. In both cases the old file remains.

    >>> import tempfile, torch
    >>> from convlens.zoo.weights.digests import metadata
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_tensors({"a": torch.ones(2)}, f"{folder}/a.safetensors", {"epoch": "3"})
    ...     sorted(metadata(f"{folder}/a.safetensors"))
    ['epoch', 'tensors_sha256']
    """
    path = check_destination(out)
    _check_tensors(tensors)
    # A copy of each: safetensors refuses tensors that share memory, as tied weights do.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    try:
        content = safetensors.torch.save(copies, {**(metadata or {}), DIGEST: digest_of(copies)})
    except KeyError as error:
        raise ValueError(
            f"`tensors` must be of types that .safetensors has, and {error} is not one; convert it"
        ) from error
    try:
        write_whole(path, content)
    except OSError as error:
        raise OSError(
            f"`out` (={str(out)!r}) could not be written ({error.strerror or error}), and what was "
            "there remains; make room, or name another place"
        ) from error


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return float tensors rounded to float16, which takes half the room of float32; others as is.

    `load_weights` widens them again, exactly. A number is off by at most one part in 2048, or by
    3e-8 below 6e-5. Measure a network on the rounded weights, which are those that others load.

    Raises ValueError for a number beyond 65504, which float16 cannot hold.

    >>> import torch
    >>> halved({"a": torch.tensor([1.0, 1 / 3]), "count": torch.tensor(3)})
    {'a': tensor([1.0000, 0.3333], dtype=torch.float16), 'count': tensor(3)}
    """
    found = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    lost = [name for name, t in tensors.items() if (found[name].isinf() & ~t.isinf()).any()]
    if lost:
        raise ValueError(
            f"`tensors` must be at most 65504 to be stored as float16, and {listed(lost)} has "
            "more; store them as float32"
        )
    return found


def _check_tensors(tensors: Mapping[Any, Any]) -> None:
    for name, tensor in tensors.items():
        is_text = isinstance(name, str) and name.encode("utf-8", "replace").decode() == name
        if not is_text or name == "__metadata__":
            raise ValueError(
                f"`tensors` must have names that .safetensors can hold, and {name!r} is not one; "
                "rename it"
            )
        if not isinstance(tensor, Tensor) or not is_dense(tensor):
            raise ValueError(
                f"`tensors` must be dense tensors with numbers in them, and {name} is not one; "
                "save it as a plain tensor, or leave it out"
            )
