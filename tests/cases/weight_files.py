"""Files of weights, as torch.save writes them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

TABLE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def bytes_of(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


class Calls:
    """Pickled as a call of a function with arguments."""

    def __init__(self, function: Any, *given: object) -> None:
        self.call = (function, given)

    def __reduce__(self) -> Any:
        return self.call


def released(folder: Path, name: str, table: Mapping[str, object], *, archive: bool = True) -> Path:
    """A file as torchvision releases it: by torch.save, with digits of its sha256 in its name."""
    path = folder / "saved.pth"
    torch.save(dict(table), path, _use_new_zipfile_serialization=archive)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(folder / f"{name}-{digest}.pth")
