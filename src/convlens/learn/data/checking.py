"""Check labelled data before it is trained on, and say what is in it and what is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.files import expanded, printed
from convlens.learn.data.examining import Examined, examined
from convlens.learn.data.faults import Faults
from convlens.learn.data.files import InFiles, pictures_below
from convlens.learn.data.finding import found_parts, read_parts
from convlens.learn.data.formats import DataFormat
from convlens.learn.data.samples import Boxed, Mapped, Samples
from convlens.tables import table

__all__ = ["DataReport", "check_data", "picked"]

UNEVEN = 10
"""The largest class may have this many times as many samples as the smallest."""

MOST_ROWS = 40
"""The classes that the text of a report lists."""

Progress = Callable[[int, int], None]
"""Is called with how many samples were read, and how many there are."""


@dataclass(frozen=True, eq=False)
class DataReport:
    """What labelled data holds, and what is wrong with it; it prints as text.

    `counts`: by part, how often each class occurs, in samples, figures or pixels as `unit` says.
    `sizes`: the least, the median and the largest width and height. `faults`: what is wrong, how
    often, and up to five examples. `parts`: the samples.
    """

    path: str
    format: DataFormat
    parts: Mapping[str, Samples] = field(repr=False)
    unit: str
    classes: tuple[str, ...]
    counts: Mapping[str, NDArray[np.int64]]
    sizes: Mapping[str, tuple[int, int]]
    faults: tuple[tuple[str, int, list[str]], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON needs it."""
        return {
            "path": self.path,
            "format": self.format.name,
            "samples": {name: len(samples) for name, samples in self.parts.items()},
            "fingerprints": {name: samples.fingerprint for name, samples in self.parts.items()},
            "unit": self.unit,
            "classes": list(self.classes),
            "counts": {name: counts.tolist() for name, counts in self.counts.items()},
            "sizes": {name: list(size) for name, size in self.sizes.items()},
            "faults": [
                {"what": what, "count": count, "examples": examples}
                for what, count, examples in self.faults
            ],
        }

    def __str__(self) -> str:
        """Return tables of parts and classes, and a paragraph for each fault."""
        names = list(self.parts)
        sums = ", ".join(f"{name} {len(samples):,}" for name, samples in self.parts.items())
        rows = [[self.unit, *names]]
        for number, name in list(enumerate(self.classes))[:MOST_ROWS]:
            rows.append([printed(name), *(f"{self.counts[part][number]:,}" for part in names)])
        lines = [f"{printed(self.path)}: {self.format.words} ({self.format.name})"]
        lines += [f"samples: {sums}", "", table(rows, right=range(1, len(names) + 1))]
        if len(self.classes) > MOST_ROWS:
            lines.append(f"... and {len(self.classes) - MOST_ROWS:,} more classes")
        if self.sizes:
            sizes = ", ".join(f"{name} {w} x {h}" for name, (w, h) in self.sizes.items())
            lines += ["", f"width x height: {sizes}"]
        for what, count, examples in self.faults:
            lines += ["", f"{count:,} {what}:", *(f"  {printed(one)}" for one in examples)]
            lines += ["  ..."] if count > len(examples) else []
        return "\n".join([*lines, "", "nothing is wrong" if not self.faults else ""]).rstrip()


def check_data(
    path: str | Path,
    *,
    kind: str | None = None,
    format: str | None = None,
    progress: Progress = lambda done, whole: None,
) -> DataReport:
    """Read all labelled data at a path, and report what it holds and what is wrong with it.

    It finds files that cannot be read or are not there, pictures without labels, boxes of no area
    and uneven classes. It finds equal pictures in two parts, or with different labels: their files
    or their decoded pixels are equal. `kind` and `format`: as for `find_data`.

    Raises ValueError if `find_data` finds no data there, or it contradicts itself.
    """
    root = expanded(path)
    found, readers = found_parts(root, kind, format)
    parts = read_parts(root, readers)
    whole = sum(len(samples) for samples in parts.values())
    faults, done = Faults(), 0
    about: dict[str, list[Examined]] = {}
    for name, samples in parts.items():
        about[name] = []
        for one in examined(samples):
            about[name].append(one)
            done += 1
            progress(done, whole)
        for what, count, examples in getattr(samples, "faults", ()):
            for place, example in enumerate(examples):
                faults.add(what, example, count - len(examples) + 1 if place == 0 else 1)
    first = next(iter(parts.values()))
    counts = {name: _counts(ones, len(first.classes)) for name, ones in about.items()}
    _add_unread(faults, about)
    _add_unlabelled(faults, parts)
    _add_equal(faults, about, first.sample in (Boxed, Mapped))
    _add_uneven(faults, first, next(iter(counts.values())))
    unit = {Boxed: "figures", Mapped: "pixels"}.get(first.sample, "samples")
    sizes = _sizes([one for ones in about.values() for one in ones])
    return DataReport(str(root), found, parts, unit, first.classes, counts, sizes, tuple(faults))


def picked(samples: Samples, count: int) -> list[Any]:
    """Return samples for a sheet to look at, from all over the data; those unread are left out.

    >>> import torch
    >>> from convlens.learn.data.arrays import ArraySamples
    >>> many = ArraySamples(torch.zeros(100, 1, 2, 2), torch.arange(100) % 2)
    >>> [sample.key for sample in picked(many, 3)]
    ['0', '50', '99']
    """
    places = np.unique(np.rint(np.linspace(0, len(samples) - 1, count)).astype(int))
    found = []
    for place in places:
        try:
            found.append(samples.read(int(place)))
        except (ValueError, OSError):  # the report names it
            continue
    return found


def _counts(ones: list[Examined], classes: int) -> NDArray[np.int64]:
    total = np.zeros(classes, np.int64)
    for one in ones:
        if one.counts is not None:
            total += one.counts
    return total


def _sizes(ones: list[Examined]) -> dict[str, tuple[int, int]]:
    sizes = np.array([one.size for one in ones if one.error is None])
    if not len(sizes):
        return {}
    found = {"least": sizes.min(0), "median": np.median(sizes, 0), "most": sizes.max(0)}
    return {name: (int(w), int(h)) for name, (w, h) in found.items()}


def _add_unread(faults: Faults, about: Mapping[str, list[Examined]]) -> None:
    for ones in about.values():
        for one in ones:
            if one.lost:
                faults.add("labels name files that are not there", one.key)
            elif one.error is not None:
                faults.add("samples cannot be read", f"{one.key}: {one.error}")
            elif one.short is not None:
                faults.add("clips are short, so that their last frame is repeated", one.key)


def _add_unlabelled(faults: Faults, parts: Mapping[str, Samples]) -> None:
    """Count the pictures next to labelled ones that have no label."""
    roots = {root for samples in parts.values() if (root := getattr(samples, "root", None))}
    if not roots:
        return
    labelled = set()
    for samples in parts.values():
        if isinstance(samples, InFiles):
            labelled |= {samples.path(index) for index in range(len(samples))}
    for root in sorted(roots):
        for name in pictures_below(root):
            if root / name not in labelled:
                faults.add("pictures have no label", name)


def _add_equal(faults: Faults, about: Mapping[str, list[Examined]], several: bool) -> None:
    """Count pictures that occur in two parts, with two labels, or twice.

    `several`: whether a picture has several labels, so that two cannot be compared.
    """
    for what, of in (("files", "file"), ("pixels", "pixels")):
        places: dict[str, list[tuple[str, Examined]]] = defaultdict(list)
        for part, ones in about.items():
            for one in ones:
                if getattr(one, of):
                    places[getattr(one, of)].append((part, one))
        for same in places.values():
            if len(same) < 2 or (of == "pixels" and len({one.file for _, one in same} - {""}) == 1):
                continue  # equal files are counted already
            some = " = ".join(f"{part} {one.key}" for part, one in same[:4])
            if len({part for part, _ in same}) > 1:
                faults.add(f"groups of equal {what} are in several parts", some)
            elif not several and len({_label(one) for _, one in same}) > 1:
                faults.add(f"groups of equal {what} have different labels", some)
            else:
                faults.add(f"groups of equal {what} are in one part", some)


def _label(one: Examined) -> int:
    return -1 if one.counts is None else int(one.counts.argmax())


def _add_uneven(faults: Faults, samples: Samples, counts: NDArray[np.int64]) -> None:
    """Count the classes that have far fewer than the largest; of maps, those without a pixel."""
    classes, most = samples.classes, int(counts.max(initial=0))
    if samples.sample is Mapped:  # grounds are large, and figures small
        for number in np.flatnonzero(counts == 0):
            faults.add("classes have no pixel", classes[number])
        return
    for number in np.flatnonzero(counts * UNEVEN < most):
        faults.add(
            f"classes have less than a {UNEVEN}th of {classes[int(counts.argmax())]!r} ({most:,})",
            f"{classes[number]} ({counts[number]:,})",
        )
