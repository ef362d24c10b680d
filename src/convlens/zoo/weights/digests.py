"""Read what a file of weights states about itself, and sum up its bytes and tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from convlens.files import expanded

__all__ = ["DIGEST", "digest_of", "is_dense", "metadata", "sha256_of"]

DIGEST = "tensors_sha256"
"""The text in a file that holds the digest of its tensors, as they were when saved."""


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file in 64 hexadecimal digits; raise OSError if it cannot be read."""
    with expanded(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256, in hexadecimal, of tensors on the CPU, their names, types and shapes.

    >>> digest_of({"a": torch.ones(2)}) == digest_of({"a": torch.zeros(2)})
    False
    """
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor is strided and holds all its numbers itself.

    >>> is_dense(torch.ones(2)), is_dense(torch.eye(2).to_sparse())
    (True, False)
    """
    odd = tensor.is_quantized or tensor.is_meta or tensor.is_nested
    return tensor.layout == torch.strided and not odd


def metadata(path: str | Path) -> dict[str, str]:
    """Return the texts that a safetensors file holds besides its tensors.

    Raises ValueError if the file is missing, truncated or of another format.

    >>> from convlens.zoo.shipped import DIGITS
    >>> metadata(DIGITS)["network"]
    'Digits'
    """
    try:
        with safetensors.safe_open(str(expanded(path)), framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"`path` (={str(path)!r}) must be a whole .safetensors file ({error}); "
            "copy or make it again"
        ) from error
