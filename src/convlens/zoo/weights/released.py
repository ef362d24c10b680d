"""Know every released file of weights: its address, accuracies, inputs and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD, Inputs, Sides
from convlens.zoo.shipped import DATA
from convlens.zoo.weights.digests import DIGEST, metadata, sha256_of
from convlens.zoo.weights.released_table import GROUPS, RECIPES, Group

__all__ = ["AT_RANDOM", "RELEASED", "Weights", "recognized", "released_file"]

AT_RANDOM = "or take --weights none, from Python weights=None, for ones drawn at random"
"""What remains for users who cannot have the weights that they asked for."""

_HOST = "https://download.pytorch.org/models/"
_IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}

# How pictures were prepared when the published accuracies were measured.
_PREPARATIONS: dict[str, dict[str, Any]] = {
    "256": {"resize": 256, "crop": 224, **_IMAGENET},
    "232": {"resize": 232, "crop": 224, **_IMAGENET},
    "none": {},
    "voc": {"resize": 520, **_IMAGENET},
    "features": {
        **{"resize": 256, "crop": 224},
        # The mean is subtracted from values of 0 to 255, and nothing is divided.
        **{"mean": (0.48235, 0.45882, 0.40784), "std": (1 / 255, 1 / 255, 1 / 255)},
        "vocabulary": None,
        "note": "Only `features` was trained: the numbers of `classifier` are filled in and mean "
        "nothing, nor do the scores; take IMAGENET1K_V1 to classify.",
    },
    "clips": {
        **{"resize": (128, 171), "crop": (112, 112), "antialias": False},
        **{"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)},
        **{"frames": 16, "frames_per_second": 15},
    },
}


class _Task(NamedTuple):
    """A task: its main accuracy, the data it was measured on and learned from, and its names."""

    main: str
    data: str
    learned_from: str
    vocabulary: str


_TASKS = {
    "classification": _Task("acc@1", "ImageNet-1K", "ImageNet", "imagenet"),
    "detection": _Task("box_map", "COCO-val2017", "COCO", "coco"),
    "instance segmentation": _Task("mask_map", "COCO-val2017", "COCO", "coco"),
    "keypoints": _Task("kp_map", "COCO-val2017", "COCO", "person"),
    "semantic segmentation": _Task("miou", "COCO-val2017-VOC-labels", "COCO", "voc"),
    "video classification": _Task("acc@1", "Kinetics-400", "Kinetics-400", "kinetics400"),
}


@dataclass(frozen=True)
class Weights:
    """One released file of weights for one network, and all that was published of it.

    `network`, `name`: as in `model(network, name)`. `task`: "classification", "detection",
    "instance segmentation", "keypoints", "semantic segmentation" or "video classification".
    `url`: where the file is, its name ending in the first 8 hexadecimal digits of its sha256.

    How a picture becomes an input, in pixels: `resize` scales the shorter side to an int, or both
    sides to (h, w), by `interpolation`, with `antialias` or without. `crop` then cuts the square of
    an int, or (h, w), from the middle. Values of 0 to 1 become (value - `mean`) / `std`, a channel
    at a time. Each of these is None if that step is left out; detectors do it all themselves. A
    clip has `frames` at `frames_per_second`. `least`: the smallest input (h, w). `inputs` has all
    of them as the zoo's entries have theirs.

    `metrics`: accuracies in percent, measured on `data`, by torchvision's names. `multiply_adds`:
    of one input, in billions. `megabytes`: of 2**20 bytes. `recipe`: where the training is
    described. `licence`: one sentence. `note`: what to know before using them, mostly "".

    >>> from convlens.zoo import weights
    >>> found = weights("resnet50")
    >>> found.name, found.file, found.digest, found.metrics["acc@1"]
    ('IMAGENET1K_V2', 'resnet50-11ad3fa6.pth', '11ad3fa6', 80.858)
    >>> found.categories[:2], found.resize, found.crop
    (('tench', 'goldfish'), 232, 224)
    """

    network: str
    name: str
    task: str
    url: str
    data: str
    parameters: int
    multiply_adds: float
    megabytes: float
    recipe: str
    licence: str
    metrics: dict[str, float] = field(default_factory=dict, hash=False)
    vocabulary: str | None = None
    keypoints: str | None = None
    resize: Sides = None
    crop: Sides = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: str = "bilinear"
    antialias: bool = True
    frames: int | None = None
    frames_per_second: int | None = None
    least: tuple[int, int] = (1, 1)
    note: str = ""

    @property
    def file(self) -> str:
        """The file's name, in torch.hub's folder too."""
        return self.url.rpartition("/")[2]

    @property
    def digest(self) -> str:
        """The first 8 hexadecimal digits of the file's sha256, which are in its name."""
        return self.file.rpartition(".")[0].rpartition("-")[2]

    @property
    def inputs(self) -> Inputs:
        """How a picture or clip becomes an input."""
        return Inputs(
            resize=self.resize,
            crop=self.crop,
            mean=self.mean,
            std=self.std,
            antialias=self.antialias,
            frames=self.frames,
            rate=self.frames_per_second,
        )

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the outputs, in order; () if the outputs have no names.

        Detectors and segmenters have the background first; "N/A" marks a number not in use.
        """
        return () if self.vocabulary is None else _names(self.vocabulary)

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """The names of the keypoints, in order; () if the weights find none."""
        return () if self.keypoints is None else _names(self.keypoints)

    @property
    def accuracy(self) -> tuple[str, float] | None:
        """The main accuracy of the task, after its name; None if none was published.

        >>> from convlens.zoo import weights
        >>> weights("maskrcnn_resnet50_fpn").accuracy
        ('mask_map', 34.6)
        """
        main = _TASKS[self.task].main
        return (main, self.metrics[main]) if main in self.metrics else None


def released_file(name: str) -> Weights | None:
    """Return which released weights are in the file called `name`; None for any other name.

    >>> released_file("resnet18-f37072fd.pth").network
    'resnet18'
    """
    entries = (entry for named in RELEASED.values() for entry in named.values())
    return next((entry for entry in entries if entry.file == name), None)


def recognized(entries: Sequence[Weights], path: Path) -> Weights | None:
    """Return which of a network's released weights a file holds; None where it holds others.

    Its name says so, or the texts that `convert` wrote into it, or its sha256. Whatever the file
    is called, pictures must be prepared for it as they were in training.
    """
    if path.suffix == ".safetensors":
        texts = metadata(path)
        if DIGEST not in texts:  # without it, nothing says that the tensors are still those
            return None
        wanted = (texts.get("network"), texts.get("weights"))
        return next((entry for entry in entries if (entry.network, entry.name) == wanted), None)
    named = next((entry for entry in entries if entry.file == path.name), None)
    if named is not None:
        return named
    digest = sha256_of(path)
    return next((entry for entry in entries if digest.startswith(entry.digest)), None)


@cache
def _names(vocabulary: str) -> tuple[str, ...]:
    text = (DATA / "categories" / f"{vocabulary}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def _read() -> dict[str, dict[str, Weights]]:
    table: dict[str, dict[str, Weights]] = {}
    for group in GROUPS:
        head, *lines = group.text.splitlines()
        for line in lines:
            row = dict(zip(head.split(), line.split(), strict=True))
            entry = _entry(group, row)
            table.setdefault(entry.network, {})[entry.name] = entry
    return table


def _entry(group: Group, row: dict[str, str]) -> Weights:
    network, recipe = row.pop("network"), row.pop("recipe")
    task = _TASKS[group.task]
    facts = {"vocabulary": task.vocabulary, **_PREPARATIONS[group.preparation]}
    if group.task == "keypoints":
        facts["keypoints"] = "keypoints"
    if network.startswith("vgg"):
        facts["least"] = (32, 32)
    return Weights(
        *(network, group.name, group.task),
        url=f"{_HOST}{network}{row.pop('file')}.pth",
        data=task.data,
        parameters=int(row.pop("parameters")),
        multiply_adds=float(row.pop("gflops")),
        megabytes=float(row.pop("mb")),
        recipe=RECIPES[network if recipe == "=" else recipe],
        licence="Published with torchvision, whose code is under BSD-3-Clause; learned from "
        f"{task.learned_from}, whose terms may bind what the weights are used for.",
        metrics={name: float(value) for name, value in row.items()},
        **facts,
    )


RELEASED: dict[str, dict[str, Weights]] = _read()
"""All released weights: by network, then by name, the DEFAULT first."""
