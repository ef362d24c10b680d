"""Small labelled data, written as files."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture(path: Path, shade: int = 0, size: tuple[int, int] = (6, 4)) -> Path:
    """A picture of one grey; `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade,) * 3).save(path)
    return path


def class_folders(root: Path, counts: dict[str, int]) -> Path:
    """Class folders of so many pictures each, no two the same."""
    shade = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(root / name / f"{number}.png", shade)
            shade = (shade + 1) % 256
    return root


def idx(path: Path, numbers: NDArray[np.uint8]) -> Path:
    """An idx file of bytes, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, numbers.ndim]) + struct.pack(f">{numbers.ndim}I", *numbers.shape)
    content = head + numbers.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
