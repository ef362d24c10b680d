"""Give each network of the zoo one entry: how it is built, what goes in, and its weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from convlens.zoo.categories import BACKGROUND, CLOTHES, FIGURES, MOTIONS, POINTS
from convlens.zoo.detection import DETECTORS, detector
from convlens.zoo.detection.anatomy import BOX_PREDICTOR
from convlens.zoo.detection.masks import MASKS
from convlens.zoo.fashion import FashionMNIST
from convlens.zoo.inputs import Inputs
from convlens.zoo.mobilenet import MOBILENETS, mobilenet
from convlens.zoo.mobilenet_v2 import MobileNetV2
from convlens.zoo.resnet import RESNETS, resnet
from convlens.zoo.segmentation import SEGMENTERS, segmenter
from convlens.zoo.shapes import ShapesClips, ShapesResNet, ShapesUNet, shapes_mobilenet
from convlens.zoo.shipped import DIGITS, shipped_weights
from convlens.zoo.small import Digits, Filters, digits, filters
from convlens.zoo.vgg import VGGS, vgg
from convlens.zoo.video import VIDEOS, video
from convlens.zoo.weights.released import AT_RANDOM, RELEASED, Weights

__all__ = ["NETWORKS", "Network", "weights"]

Build = Callable[[str, int], nn.Module]
"""What builds an untrained network from its name and its number of classes."""


@dataclass(frozen=True)
class Network:
    """One network of the zoo.

    `task`: what it does, such as "classification". `classes`: the number that the released weights
    know, or 0 if the network has a fixed number. `heads`: the prefixes of the parameters whose
    shapes depend on the number of classes. `weights`: the released ones, the DEFAULT first.
    `inputs`: what goes in, for a network without released weights; those have inputs of their own.
    `categories` and `keypoint_names`: the names of its outputs and points, likewise.
    `shipped`: the weights that come with the package. `fixed`: whether its numbers are written in
    its code, so that it needs no weights.

    Raises ValueError unless the entry has either `inputs` or `weights`.
    """

    build: Build
    task: str
    classes: int = 0
    heads: tuple[str, ...] = ()
    inputs: Inputs | None = None
    categories: tuple[str, ...] = ()
    keypoint_names: tuple[str, ...] = ()
    weights: tuple[Weights, ...] = ()
    shipped: Path | None = None
    fixed: bool = False

    @property
    def points(self) -> int:
        """Return how many points of a figure it finds; 0 if it looks for none."""
        return len(self.weights[0].keypoint_names if self.weights else self.keypoint_names)

    def __post_init__(self) -> None:
        if (self.inputs is None) == (not self.weights):
            given = "neither" if self.inputs is None else "both"
            raise ValueError(
                f"a network of the zoo needs `inputs` or released `weights`, which have inputs of "
                f"their own, and here are {given}; give one of the two"
            )


def released(
    names: Iterable[str], build: Build, classes: int, heads: tuple[str, ...]
) -> dict[str, Network]:
    """Return the entries of those `names` that have released weights."""
    entries: dict[str, Network] = {}
    for name in names:
        if name in RELEASED:
            found = tuple(RELEASED[name].values())
            entries[name] = Network(build, found[0].task, classes, heads, weights=found)
    return entries


OF_SHAPES = Inputs(
    resize=96, crop=96, mean=(127.5 / 255,) * 3, std=(60 / 255,) * 3, example="figures.png"
)
AS_THEY_ARE = Inputs(resize=None, crop=None, mean=None, std=None, example="figures.png")
"""Detectors resize and normalize pictures themselves."""

FIGURES_AND_GROUND = (BACKGROUND, *FIGURES)

MOBILENET_HEAD = ("classifier.3.",)
BOX_HEAD = (f"{BOX_PREDICTOR}.",)
BOX_AND_MASK_HEADS = (*BOX_HEAD, f"{MASKS.layer}.")
MAP_HEADS = (
    *("classifier.4.", "aux_classifier.4."),
    *("classifier.low_classifier.", "classifier.high_classifier."),
)

NETWORKS: dict[str, Network] = {
    "digits": Network(
        lambda name, classes: digits(),
        "classification",
        inputs=Digits.inputs,
        shipped=DIGITS,
    ),
    "filters": Network(
        lambda name, classes: filters(),
        "template matching",
        inputs=Filters.inputs,
        fixed=True,
    ),
    "fashion_mnist": Network(
        lambda name, classes: FashionMNIST(classes),
        *("classification", 10, ("fc.",)),
        Inputs(1, 28, 28, mean=(72.94 / 255,), std=(90.02 / 255,), example="boot.png"),
        CLOTHES,
        shipped=shipped_weights("fashion_mnist"),
    ),
    "shapes_resnet": Network(
        lambda name, classes: ShapesResNet(classes),
        *("classification", 8, ("fc.",)),
        replace(OF_SHAPES, example="figure.png"),
        FIGURES,
        shipped=shipped_weights("shapes_resnet"),
    ),
    "shapes_mobilenet": Network(
        lambda name, classes: shapes_mobilenet(classes),
        *("classification", 8, MOBILENET_HEAD),
        replace(OF_SHAPES, example="figure.png"),
        FIGURES,
        shipped=shipped_weights("shapes_mobilenet"),
    ),
    "shapes_unet": Network(
        lambda name, classes: ShapesUNet(classes),
        *("semantic segmentation", 9, ("classifier.",)),
        OF_SHAPES,
        FIGURES_AND_GROUND,
        shipped=shipped_weights("shapes_unet"),
    ),
    "shapes_clips": Network(
        lambda name, classes: ShapesClips(classes),
        *("video classification", 6, ("fc.",)),
        replace(OF_SHAPES, resize=48, crop=48, frames=8, example="motion.png"),
        MOTIONS,
        shipped=shipped_weights("shapes_clips"),
    ),
    "shapes_boxes": Network(
        *(detector, "detection", 9, BOX_HEAD, AS_THEY_ARE, FIGURES_AND_GROUND),
        shipped=shipped_weights("shapes_boxes"),
    ),
    "shapes_masks": Network(
        *(detector, "instance segmentation", 9, BOX_AND_MASK_HEADS),
        *(AS_THEY_ARE, FIGURES_AND_GROUND),
        shipped=shipped_weights("shapes_masks"),
    ),
    "shapes_keypoints": Network(
        *(detector, "keypoints", 9, BOX_HEAD, AS_THEY_ARE, FIGURES_AND_GROUND, POINTS),
        shipped=shipped_weights("shapes_keypoints"),
    ),
    **released(VGGS, vgg, 1000, ("classifier.6.",)),
    **released(RESNETS, resnet, 1000, ("fc.",)),
    **released(
        ["mobilenet_v2"], lambda name, classes: MobileNetV2(classes), 1000, ("classifier.1.",)
    ),
    **released(MOBILENETS, mobilenet, 1000, MOBILENET_HEAD),
    "mobilenet_v3_large_075": Network(mobilenet, "classification", 1000, MOBILENET_HEAD, Inputs()),
    "mobilenet_v3_small_075": Network(mobilenet, "classification", 1000, MOBILENET_HEAD, Inputs()),
    **released(SEGMENTERS, segmenter, 21, MAP_HEADS),
    **released(VIDEOS, video, 400, ("fc.",)),
    **released(DETECTORS, detector, 91, BOX_AND_MASK_HEADS),
    **released(["keypointrcnn_resnet50_fpn"], detector, 2, BOX_HEAD),
}
"""Every network by its name; a network without released weights is one line with its inputs."""


def weights(network: str, name: str = "DEFAULT") -> Weights:
    """Return what is known of the released weights called `name` for `network`.

    `name`: "DEFAULT" is the one that torchvision takes by default, the most accurate.

    Raises ValueError for a network without released weights, and for unknown names.

    >>> weights("resnet50", "IMAGENET1K_V1").url
    'https://download.pytorch.org/models/resnet50-0676ba61.pth'
    """
    entries = {entry.name: entry for entry in _entry(network).weights}
    if name == "DEFAULT":
        return next(iter(entries.values()))
    if name not in entries:
        near = difflib.get_close_matches(name.upper(), entries, n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"use DEFAULT, {', '.join(entries)}"
        raise ValueError(
            f"`weights` (={name!r}) must be released weights of {network}, or a file; "
            f"{cure}{'' if near else ','} {AT_RANDOM}"
        )
    return entries[name]


def _entry(network: str) -> Network:
    """Return the entry of a network with released weights; raise ValueError for others."""
    entry = NETWORKS.get(network)
    if entry is None:
        near = difflib.get_close_matches(network, RELEASED, n=1)
        cure = f"did you mean {near[0]!r}?" if near else "list_models() lists them"
        raise ValueError(f"`network` (={network!r}) must be a network of the zoo; {cure}")
    if entry.shipped is not None:
        raise ValueError(
            f"`network` (={network!r}) must be one with released weights; its own come with "
            f"convlens, take model({network!r}), {AT_RANDOM}"
        )
    if not entry.weights:
        raise ValueError(
            f"`network` (={network!r}) must be one with released weights, and there are none for "
            f"it; give a file of your own, {AT_RANDOM}"
        )
    return entry
