"""Read the binary files of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from convlens.files import printed
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.files import read_text
from convlens.learn.data.parts import Parts

__all__ = ["find_cifar"]

_PIXELS = 3 * 32 * 32

_BINARY = ("", "cifar-10-batches-bin", "cifar-100-binary")
_PICKLED = ("", "cifar-10-batches-py", "cifar-100-python")
"""The folders in which the files may be."""


def find_cifar(path: Path) -> Parts:
    """Return the parts of a folder of the binary version.

    Raises ValueError for a folder of the version for Python: its files are pickles, which can run
    code.

    Source: Krizhevsky, *Learning Multiple Layers of Features from Tiny Images* (2009), and the page
    that distributes the files.
    """
    for name in _BINARY:
        folder = path / name
        batches = sorted(file for file in folder.glob("data_batch_*.bin") if file.is_file())
        if batches and (folder / "test_batch.bin").is_file():
            names = folder / "batches.meta.txt"
            return _parts(batches, [folder / "test_batch.bin"], names, 1)
        if all((folder / part).is_file() for part in ("train.bin", "test.bin")):
            names = folder / "fine_label_names.txt"
            return _parts([folder / "train.bin"], [folder / "test.bin"], names, 2)
    for name in _PICKLED:
        folder = path / name
        of_10 = (folder / "data_batch_1").is_file() and (folder / "batches.meta").is_file()
        if of_10 or all((folder / part).is_file() for part in ("train", "test", "meta")):
            file = "cifar-10-binary.tar.gz" if of_10 else "cifar-100-binary.tar.gz"
            raise ValueError(
                f"`data` (={str(folder)!r}) must be the binary version of CIFAR, and is the one "
                f"for Python, whose files can run code; take {file} instead"
            )
    return {}


def _parts(train: list[Path], test: list[Path], names: Path, labels: int) -> Parts:
    return {
        "train": partial(_read, train, names, labels),
        "test": partial(_read, test, names, labels),
    }


def _read(
    files: list[Path], names: Path, labels: int, classes: tuple[str, ...] | None = None
) -> ArraySamples:
    """Read records of `labels` bytes, the last of which counts, and the pixels of a picture."""
    record = labels + _PIXELS
    content = []
    for file in files:
        size = file.stat().st_size
        if size == 0 or size % record or size > 2**31:
            raise ValueError(
                f"`data` ({printed(file.name)}) must have records of {record:,} bytes, and has "
                f"{size:,} bytes; copy it again"
            )
        content.append(np.fromfile(file, np.uint8).reshape(-1, record))
    records = np.concatenate(content)
    if classes is None and names.is_file():
        classes = tuple(filter(None, map(str.strip, read_text(names, 2**20).splitlines())))
    pictures = np.ascontiguousarray(records[:, labels:]).reshape(-1, 3, 32, 32)
    targets = torch.from_numpy(records[:, labels - 1].astype(np.int64))
    return ArraySamples(torch.from_numpy(pictures), targets, classes or ())
