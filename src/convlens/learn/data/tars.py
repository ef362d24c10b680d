"""Read WebDataset's tar files, in which files of one name are a sample."""

from __future__ import annotations

import json
import tarfile
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.files import printed
from convlens.learn.data.files import PICTURE_NAMES, folders_in, read_pixels, read_text
from convlens.learn.data.packed import Texts, digest_of, natural
from convlens.learn.data.parts import Parts, check_known, part_of
from convlens.learn.data.samples import Labelled
from convlens.learn.sentences import first_line

__all__ = ["TarSamples", "find_tars", "read_tars"]

_LABELS = ("cls", "json", "txt")
"""The endings of files with a label: its number, an object with a label, its name."""

_KEYS = ("label", "class", "cls", "category")
"""Where an object has the label."""

MOST_LABEL, MOST_PICTURE = 2**16, 2**28
"""The most bytes that a file of a label and one of a picture may have."""


class TarSamples:
    """Pictures in tar files, read at their places; nothing is unpacked.

    `shards`: the tar files. Of each sample: its name in `keys`, its `shard`, and the `place` and
    `size` of its picture in it, in bytes.
    """

    sample = Labelled
    points: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()

    def __init__(
        self,
        shards: Texts,
        keys: Texts,
        places: NDArray[np.int64],
        labels: NDArray[np.int64],
        classes: tuple[str, ...],
    ) -> None:
        self.shards, self.keys, self.places, self.classes = shards, keys, places, classes
        self._labels = labels

    def __len__(self) -> int:
        return len(self.keys)

    def labels(self) -> NDArray[np.int64]:
        """Return the category of each sample."""
        return self._labels

    @cached_property
    def fingerprint(self) -> str:
        """Return the digest of names, places, sizes and categories; pictures are not read."""
        names = [Path(shard).name for shard in self.shards]
        return digest_of(names, self.keys, self.places, self._labels, self.classes)

    def read(self, index: int) -> Labelled:
        """Return a sample; its key is its name in the tar file."""
        shard, place, size = (int(number) for number in self.places[index])
        with open(self.shards[shard], "rb") as file:
            file.seek(place)
            content = file.read(size)
        key = self.keys[index]
        return Labelled(key, read_pixels(content, key), int(self._labels[index]))


def find_tars(path: Path) -> Parts:
    """Return the parts of a tar file, or of those in a folder: `train-000.tar` or `train/000.tar`.

    Their names begin with the part's, or they are in a folder of its name; else they are one part.
    """
    if path.is_file():
        return {"whole": partial(read_tars, [path])} if _is_tar(path) else {}
    shards: dict[str, list[Path]] = {}
    folders = [path, *(path / name for name in folders_in(path) if part_of(name))]
    for folder in folders:
        files = (file for file in folder.glob("*.tar") if file.is_file())
        for file in sorted(files, key=lambda file: natural(file.name)):
            word = file.stem.replace("_", "-").split("-")[0]
            part = part_of(word) or (part_of(folder.name) if folder != path else None) or "whole"
            shards.setdefault(part, []).append(file)
    if len(shards) > 1 and "whole" in shards:
        raise ValueError(
            f"`data` (={str(path)!r}) must name the part of every tar file, as train-000.tar does, "
            f"and {shards['whole'][0].name} has none; rename it"
        )
    return {part: partial(read_tars, files) for part, files in shards.items()}


def _is_tar(path: Path) -> bool:
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.zst"))


def read_tars(shards: list[Path], classes: tuple[str, ...] | None = None) -> TarSamples:
    """Read where the samples of tar files are, and their labels.

    A sample is a picture and `.cls`, `.json` or `.txt` of the same name, next to each other. Links
    are not followed. Numbers get their names from `classes.txt` next to the files.

    Raises ValueError for compressed and damaged files, and for a picture without a label.
    """
    keys: list[str] = []
    places: list[tuple[int, int, int]] = []
    given: list[int | str] = []
    for number, shard in enumerate(shards):
        for key, label, place, size in _indexed(shard):
            keys.append(key)
            given.append(label)
            places.append((number, place, size))
    called = printed(shards[0].name)
    if not keys:
        raise ValueError(
            f"`data` ({called}) must hold pictures with labels, and has none; add some"
        )
    labels, names = _numbered(given, classes, shards[0], called)
    at = np.array(places, np.int64)
    return TarSamples(Texts(map(str, shards)), Texts(keys), at, labels, names)


def _numbered(
    given: list[int | str], classes: tuple[str, ...] | None, shard: Path, called: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the numbers of labels, which are numbers or names, and the names of the classes."""
    if len({type(label) for label in given}) > 1:
        raise ValueError(f"`data` ({called}) must have labels of one kind, numbers or names")
    if isinstance(given[0], str):
        found = sorted({str(label) for label in given}, key=natural)
        check_known(found, classes, called)
        named = classes or tuple(found)
        places = {name: number for number, name in enumerate(named)}
        return np.array([places[str(label)] for label in given], np.int64), named
    labels = np.array(given, np.int64)
    listed = shard.parent / "classes.txt"
    if classes is None and listed.is_file():
        classes = tuple(filter(None, map(str.strip, read_text(listed, 2**20).splitlines())))
    names = classes or tuple(str(number) for number in range(int(labels.max()) + 1))
    if not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(
            f"`data` ({called}) must have labels from 0 to {len(names) - 1}, and has some from "
            f"{labels.min()} to {labels.max()}; name all classes"
        )
    return labels, names


def _indexed(shard: Path) -> list[tuple[str, int | str, int, int]]:
    """Return the name, label, place and size of each picture in a tar file."""
    called = f"`data` ({printed(shard.name)})"
    try:
        pictures, labels = _members(shard)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ValueError(
            f"{called} must be a whole tar file that is not compressed, and cannot be read "
            f"({first_line(error)}); unpack it with gzip -d, or copy it again"
        ) from error
    lacks = next((key for key in pictures if key not in labels), None)
    if lacks is not None:
        raise ValueError(
            f"{called} must have a label for each picture, .cls, .json or .txt, and "
            f"{printed(lacks)} has none; add it"
        )
    found = []
    for key, place in pictures.items():
        ending, content = labels[key]
        try:
            found.append((key, _label(content, ending), *place))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{called} must have a label in {printed(key)}.{ending}, and has not "
                f"({first_line(error)}); correct it"
            ) from error
    return found


def _members(shard: Path) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[str, bytes]]]:
    """Return the place and size of each picture, and the ending and content of its label."""
    pictures: dict[str, tuple[int, int]] = {}
    labels: dict[str, tuple[str, bytes]] = {}
    with tarfile.open(shard, "r:") as archive:
        for member in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
            folder, slash, base = member.name.rpartition("/")
            stem, _, ending = base.partition(".")
            if not member.isreg() or not stem or member.issparse():
                continue
            key, ending = folder + slash + stem, ending.lower()
            if ending in _LABELS and member.size <= MOST_LABEL:
                content = archive.extractfile(member)
                labels.setdefault(key, (ending, content.read() if content else b""))
            elif f".{ending}".endswith(PICTURE_NAMES) and member.size <= MOST_PICTURE:
                pictures[key] = (member.offset_data, member.size)
    return pictures, labels


def _label(content: bytes, ending: str) -> int | str:
    text = content.decode("utf-8").strip()
    value: Any = text
    if ending == "json":
        value = json.loads(text)
        if isinstance(value, dict):
            value = next((value[key] for key in _KEYS if key in value), None)
    elif ending == "cls":
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError("it is neither a number nor a name")
    return value
