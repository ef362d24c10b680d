"""Find out which format labelled data is in and which parts it has, and read it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from convlens.files import expanded, printed
from convlens.learn.data.files import InFiles, check_root, folders_in
from convlens.learn.data.formats import DATA_FORMATS, DataFormat, data_format, kind_of
from convlens.learn.data.labelled import counted
from convlens.learn.data.parts import Parts
from convlens.learn.data.samples import Boxed, Mapped, Sample, Samples
from convlens.learn.data.splits import Data, split

__all__ = ["MOST_CLASSES", "find_data", "found_parts", "read_parts"]

MOST_CLASSES = 10_000
"""With more classes, a warning asks whether they are meant."""


def find_data(
    path: str | Path,
    *,
    seed: int = 0,
    share: float = 0.2,
    kind: str | None = None,
    format: str | None = None,
) -> Data:
    """Read labelled data, in whichever format it is: samples to train on, and samples held out.

    If the data has a part to validate with, that is held out, else its part to test with. If it has
    neither, a `share` of each class is held out, the same ones for the same `seed`. `kind`: that of
    a network's task (see `KINDS`), for a path that holds several kinds of data. `format`: the name
    of a format (see `DATA_FORMATS`), for a path that shows several.

    Warns of what the data lacks. Raises ValueError for a path without data in a known format, for
    labels that do not fit, and for classification with fewer than 2 classes.

    >>> find_data("nowhere")
    Traceback (most recent call last):
        ...
    ValueError: `data` (='nowhere') must name an existing folder or file, and there is none; check
    the path
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` (={share}) must lie between 0 and 1; use 0.2")
    root = expanded(path)
    parts = read_parts(root, found_parts(root, kind, format)[1], test=False)
    for name, samples in parts.items():
        _check(samples, root, name)
        for sentence in getattr(samples, "warnings", ()):
            warnings.warn(sentence, UserWarning, stacklevel=2)
    train, *held_out = parts.values()
    if "train" not in parts and "whole" not in parts:
        raise ValueError(
            f"`data` (={str(root)!r}) must have a part to train on, and has only "
            f"{' and '.join(parts)}; add it, or name the folder of one part"
        )
    if not held_out:
        return split(train, share, seed)
    return Data(train, held_out[0])


def found_parts(
    root: Path, kind: str | None = None, format: str | None = None
) -> tuple[DataFormat, Parts]:
    """Return the format of the data at a path, and the readers of its parts.

    Raises ValueError if no format, or none of this kind, is there.
    """
    wanted = None if kind is None else kind_of(kind)
    tried: tuple[DataFormat, ...] = DATA_FORMATS if format is None else (data_format(format),)
    tried = tuple(one for one in tried if wanted is None or _fits(one, wanted))
    if not tried:
        raise ValueError(f"`format` (={format!r}) must be one of {kind} data; leave one of them")
    check_root(root)
    for one in tried:
        parts = one.of_kind.get(kind or "", one.find)(root)
        if parts:
            return one, parts
    sought = "; ".join(f"{one.shows} ({one.name})" for one in tried)
    raise ValueError(
        f"`data` (={str(root)!r}) must be labelled data in a known format, and shows none of: "
        f"{sought}; {_cure(root, tried)}"
    )


def _cure(root: Path, tried: Sequence[DataFormat]) -> str:
    """Return what to do, perhaps to name a folder below in which there is data."""
    for name in sorted(folders_in(root))[:20]:
        found = next((one for one in tried if one.find(root / name)), None)
        if found is not None:
            return f"did you mean {str(root / name)!r} ({found.name})?"
    return "arrange it as one of them"


def _fits(format: DataFormat, wanted: type[Sample]) -> bool:
    return format.sample is wanted


def read_parts(root: Path, parts: Parts, *, test: bool = True) -> dict[str, Samples]:
    """Read the parts of data, that to train on first; the others must have its classes.

    `test`: whether to read the part to test with even if there is one to validate with.

    Raises ValueError as the readers do, and if parts disagree about classes or points.
    """
    read: dict[str, Samples] = {}
    for name in ("train", "val", "test", "whole"):
        if name in parts and (test or name != "test" or "val" not in read):
            read[name] = parts[name](read["train"].classes if "train" in read else None)
            _check_same(next(iter(read.values())), read[name], root)
    return read


def _check(samples: Samples, root: Path, part: str) -> None:
    """Raise ValueError for samples without files, or of fewer than 2 classes; warn of too many."""
    lost = list(_lost(samples))
    if lost:
        raise ValueError(
            f"`data` ({printed(root.name)}, {part}): {len(lost):,} of {len(samples):,} labels name "
            f"files that are not there, the first {printed(lost[0])}; copy them, or remove the "
            "labels"
        )
    labels = samples.labels()
    if labels is None or samples.sample in (Boxed, Mapped):
        return
    there = int((counted(labels, samples.classes) > 0).sum())
    if len(samples.classes) < 2 or (there < 2 and part in ("train", "whole")):
        raise ValueError(
            f"`data` ({printed(root.name)}) must have samples of at least 2 classes, and has only "
            f"{samples.classes[int(labels[0])]!r}; add another, or name the folder of the classes"
        )
    if len(samples.classes) > MOST_CLASSES and part in ("train", "whole"):
        warnings.warn(
            f"`data` ({printed(root.name)}) has {len(samples.classes):,} classes, {len(labels):,} "
            "samples; are these classes, or names of samples?",
            UserWarning,
            stacklevel=3,
        )


def _lost(samples: Any) -> Iterator[str]:
    if isinstance(samples, InFiles):
        paths = (samples.path(index) for index in range(len(samples)))  # type: ignore[arg-type]
        yield from (str(path) for path in paths if not os.path.exists(path))


def _check_same(train: Samples, held_out: Samples, root: Path) -> None:
    for what in ("classes", "ids", "points"):
        one, other = getattr(train, what), getattr(held_out, what)
        if one != other:
            odd = next((k for k in (*other, *one) if k not in one or k not in other), "their order")
            raise ValueError(
                f"`data` ({printed(root.name)}) must have the same {what} in all parts, and they "
                f"disagree about {odd!r}; make them agree"
            )
