"""List the formats of labelled data: what each is, how a path shows it, and what reads it.

To read another format, write its file and add its line here. Everything else reads this table.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from convlens.learn.data.cifar import find_cifar
from convlens.learn.data.clips import find_clips
from convlens.learn.data.coco import find_coco
from convlens.learn.data.csv_tables import find_csv
from convlens.learn.data.folders import find_folders
from convlens.learn.data.idx import find_idx
from convlens.learn.data.maps import find_maps
from convlens.learn.data.parts import Parts
from convlens.learn.data.samples import Boxed, ClipSample, Labelled, Mapped, Sample
from convlens.learn.data.tars import find_tars
from convlens.learn.data.voc import find_voc

__all__ = ["DATA_FORMATS", "KINDS", "DataFormat", "data_format", "kind_of"]


@dataclass(frozen=True)
class DataFormat:
    """A format of labelled data.

    `name`: what an option calls it. `words`: what messages call it. `shows`: what must be at the
    path. `find`: returns the readers of its parts at a path, none for data in another format.
    `sample`: the type of its samples. `of_kind`: what finds the parts for some kinds instead.
    """

    name: str
    words: str
    shows: str
    sample: type[Sample]
    find: Callable[[Path], Parts]
    of_kind: Mapping[str, Callable[[Path], Parts]] = field(default_factory=dict)


DATA_FORMATS = (
    DataFormat(
        "coco",
        "COCO's JSON",
        "*.json, or annotations/*.json",
        Boxed,
        find_coco,
        {"keypoints": partial(find_coco, first="person_keypoints")},
    ),
    DataFormat(
        "voc", "Pascal VOC's XML files", "Annotations/*.xml and JPEGImages", Boxed, find_voc
    ),
    DataFormat(
        "idx", "MNIST's idx files", "train-images-idx3-ubyte, perhaps with .gz", Labelled, find_idx
    ),
    DataFormat(
        "cifar", "CIFAR's binary files", "data_batch_1.bin, or train.bin", Labelled, find_cifar
    ),
    DataFormat(
        "csv", "a table of pictures", "a CSV file with columns path and label", Labelled, find_csv
    ),
    DataFormat(
        "tar",
        "WebDataset's tar files",
        "000.tar of a.jpg and a.cls, .json or .txt",
        Labelled,
        find_tars,
    ),
    DataFormat(
        "maps",
        "pictures and maps of their pixels",
        "images/PICTURE and masks/PNG",
        Mapped,
        find_maps,
    ),
    DataFormat(
        "clips", "clips in class folders", "CLASS/CLIP, or train/CLASS/CLIP", ClipSample, find_clips
    ),
    DataFormat(
        "folders",
        "a folder for each class",
        "CLASS/PICTURE, or train/CLASS/PICTURE",
        Labelled,
        find_folders,
    ),
)
"""All formats, in the order in which a path is tried; those that show themselves best first."""

KINDS: dict[str, type[Sample]] = {
    "classification": Labelled,
    "detection": Boxed,
    "instance segmentation": Boxed,
    "keypoints": Boxed,
    "semantic segmentation": Mapped,
    "video classification": ClipSample,
}
"""The kinds of data, called as the tasks of networks are, and the type of their samples."""


def data_format(name: str) -> DataFormat:
    """Return a format by its name.

    Raises ValueError for another name.

    >>> data_format("folder")
    Traceback (most recent call last):
        ...
    ValueError: `format` (='folder') must be a format of data; did you mean 'folders'?
    """
    known = {format.name: format for format in DATA_FORMATS}
    if name not in known:
        raise ValueError(f"`format` (={name!r}) must be a format of data; {_near(name, known)}")
    return known[name]


def kind_of(name: str) -> type[Sample]:
    """Return the type of the samples of a kind of data.

    Raises ValueError for another name.
    """
    if name not in KINDS:
        raise ValueError(f"`kind` (={name!r}) must be a kind of data; {_near(name, KINDS)}")
    return KINDS[name]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
