"""Write named tensors so that the file on disk is whole at every moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor

from convlens.files import expanded, write_whole
from convlens.zoo.digests import DIGEST, digest_of

__all__ = ["check_destination", "save_tensors"]


def check_destination(out: str | Path) -> Path:
    """Return `out` as a path if weights can be written there.

    Raises ValueError where its suffix is not .safetensors or its folder does not exist.

    >>> check_destination("weights.bin")
    Traceback (most recent call last):
        ...
    ValueError: `out` (='weights.bin') must end in .safetensors; use 'weights.safetensors'
    """
    path = expanded(out)
    if path.suffix != ".safetensors":
        cure = str(path.with_suffix(".safetensors")) if path.name else "weights.safetensors"
        raise ValueError(f"`out` (={str(out)!r}) must end in .safetensors; use {cure!r}")
    if not path.parent.is_dir():
        raise ValueError(
            f"`out` (={str(out)!r}) must lie in an existing folder; make {str(path.parent)!r} first"
        )
    if path.is_dir():
        raise ValueError(f"`out` (={str(out)!r}) must be a file, not a folder; name a file in it")
    return path


def save_tensors(
    tensors: Mapping[str, Tensor], out: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write `tensors` to the safetensors file `out`, atomically.

    The bytes go to a file beside `out`, which then takes its name in one step: whoever looks, and
    whatever interrupts, `out` is the old file or the new one, with the old one's mode. `metadata`:
    texts to store with the tensors; `read_weights` checks the tensors against one more, their
    sha256.

    Raises ValueError for a destination `check_destination` refuses, OSError when the disk does.

    >>> import tempfile, torch
    >>> from convlens.zoo.digests import metadata
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_tensors({"a": torch.ones(2)}, f"{folder}/a.safetensors", {"epoch": "3"})
    ...     sorted(metadata(f"{folder}/a.safetensors"))
    ['epoch', 'tensors_sha256']
    """
    path = check_destination(out)
    # A copy of each: safetensors refuses tensors that share memory, as tied weights do.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(copies, {**(metadata or {}), DIGEST: digest_of(copies)})
    try:
        write_whole(path, content)
    except OSError as error:
        raise OSError(
            f"`out` (={str(out)!r}) could not be written ({error.strerror or error}), and what was "
            "there is as it was; make room, or name another place"
        ) from error
