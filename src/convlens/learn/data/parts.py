"""Name the parts that data comes in: to train on, to hold out, to test with at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convlens.learn.data.files import folders_in

__all__ = ["Parts", "Reader", "check_known", "part_folders", "part_of"]

PARTS_OF = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""The parts, and how folders and files call them."""

Reader = Callable[[tuple[str, ...] | None], Any]
"""Reads one part as `Samples`; it is given the classes of the part to train on, if there is one."""

Parts = Mapping[str, Reader]
"""The readers of the parts: "train", "val" and "test", or "whole" for data that has no parts."""


def part_of(name: str) -> str | None:
    """Return the part that a word names, None for another word.

    >>> part_of("Validation"), part_of("cats")
    ('val', None)
    """
    return next((part for part, words in PARTS_OF.items() if name.casefold() in words), None)


def part_folders(root: Path) -> dict[str, Path]:
    """Return the folders in a folder that are parts.

    Raises ValueError if two folders are the same part.
    """
    found: dict[str, Path] = {}
    for name in sorted(folders_in(root)):
        part = part_of(name)
        if part in found:
            raise ValueError(
                f"`data` (={str(root)!r}) must have one folder for each part, and both "
                f"{found[part].name!r} and {name!r} are {part}; rename one"
            )
        if part is not None:
            found[part] = root / name
    return found


def check_known(found: list[str], classes: tuple[str, ...] | None, where: str) -> None:
    """Raise ValueError if a part has a category that the part to train on lacks."""
    known = found if classes is None else classes
    strange = [name for name in found if name not in known]
    if strange:
        more = f" and {len(strange) - 1:,} more" if len(strange) > 1 else ""
        raise ValueError(
            f"`data` ({where}) must have only classes of the training part, and {strange[0]!r}"
            f"{more} is not one; add it there, or rename it"
        )
