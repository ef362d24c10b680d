"""What a file of weights says of itself, and the sums that say whether it is still so."""

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
"""The text beside the tensors that says what they were when they were saved."""


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file in 64 hexadecimal digits; OSError where it cannot be read."""
    with expanded(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of tensors on the CPU, their names, types and shapes, in hexadecimal.

    >>> digest_of({"a": torch.ones(2)}) == digest_of({"a": torch.zeros(2)})
    False
    """
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor holds all its numbers, one beside the other.

    >>> is_dense(torch.ones(2)), is_dense(torch.eye(2).to_sparse())
    (True, False)
    """
    odd = tensor.is_quantized or tensor.is_meta or tensor.is_nested
    return tensor.layout == torch.strided and not odd


def metadata(path: str | Path) -> dict[str, str]:
    """Return the texts stored beside the tensors of a safetensors file.

    Raises ValueError where the file is missing, truncated or no safetensors file.

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
