"""Build a network of the zoo by its name, and fill it with weights."""

from __future__ import annotations

import difflib
import fnmatch
import operator
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convlens.files import expanded
from convlens.zoo.detection import detector
from convlens.zoo.detection.keypoints import KEYPOINTS
from convlens.zoo.networks import NETWORKS, Network, weights
from convlens.zoo.weights.downloading import fetch
from convlens.zoo.weights.drawn import EVERYTHING, TrackedModule, random_parts, random_text
from convlens.zoo.weights.loading import load_weights, read_weights
from convlens.zoo.weights.released import Weights, recognized
from convlens.zoo.weights.sniffing import in_place_of_a_network

__all__ = ["built_on_meta", "list_models", "model"]


def model(
    name: str,
    weights: str | Path | None = "DEFAULT",
    classes: int | None = None,
    *,
    points: int | None = None,
    new_head: bool = False,
) -> nn.Module:
    """Build the network of the zoo called `name`, in evaluation mode.

    `weights`: "DEFAULT" for the best released ones (or those shipped with convlens), the name of
    others ("IMAGENET1K_V1"), the path of a file (see `convlens.zoo.weights.read_weights`), or None
    for weights drawn at random. Released weights are downloaded once, into the cache folder of
    torch.hub.

    `classes`: the number of classes, by default the released one. With another number, released
    weights fill all but the last layer, which is drawn at random, with a warning. A file of your
    own for other classes is refused; with `new_head`, as `train` asks for, it is treated likewise.
    A detector counts the background as class 0. `points`: likewise, how many a keypoint detector
    finds of a figure.

    The attribute `released` holds the facts about the weights, by which `predict` prepares a
    picture. A released file is known by its sha256, whatever its name, and a converted one by the
    texts in it. For other files, and for random weights, the facts are those of the DEFAULT. A
    network without released weights has `inputs` (`convlens.zoo.Inputs`) instead.
    `categories` are the names of the outputs, and `keypoint_names` those of points. `random_parts`
    are the paths of the modules whose weights are still as they were drawn, ("*",) for all of them.

    Raises ValueError for an unknown name, for weights that do not fit, cannot be downloaded or are
    damaged, and for classes or points that the network cannot have.

    >>> [name for name, child in model("digits").named_children()][:3]
    ['conv1', 'relu1', 'pool1']
    >>> model("resnet18", weights=None, classes=7).fc.out_features
    7
    """
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else "convlens.list_models() lists them"
        cure = in_place_of_a_network(name) or cure
        raise ValueError(f"`name` (={name!r}) must be a network of the zoo; {cure}")
    entry = NETWORKS[name]
    count = _checked_classes(classes, name, entry)
    path = _weights_file(name, entry, weights)
    points = _checked_points(points, name, entry)
    changed = _Changed(entry, count, points)
    network = entry.build(name, count) if points is None else detector(name, count, points)
    if isinstance(network, TrackedModule):
        network.random_parts = EVERYTHING  # until they are loaded
    if path is not None:
        _fill(network, path, changed, new_head)
    _name(network, path, changed)
    return network.eval()


def built_on_meta(name: str) -> nn.Module:
    """Return the network called `name` on torch's meta device: names and shapes, no numbers.

    >>> sum(parameter.numel() for parameter in built_on_meta("filters").parameters())
    1977
    """
    entry = NETWORKS[name]
    with torch.device("meta"):
        return entry.build(name, entry.classes)


def list_models(pattern: str = "*") -> list[str]:
    """Return the sorted names of the zoo that match a shell `pattern`.

    >>> list_models("d*")
    ['deeplabv3_mobilenet_v3_large', 'deeplabv3_resnet101', 'deeplabv3_resnet50', 'digits']
    """
    return sorted(fnmatch.filter(NETWORKS, pattern))


def _checked_classes(classes: int | None, name: str, entry: Network) -> int:
    if classes is None:
        return entry.classes
    if not entry.classes:
        raise ValueError(
            f"`classes` (={classes}) must be left out for {name!r}, whose outputs are settled; "
            "take another network for other classes"
        )
    least = 2 if entry.build is detector else 1
    if operator.index(classes) < least:
        what = "2, the background and one more" if least == 2 else "1"
        raise ValueError(f"`classes` (={classes}) must be at least {what}; count those you have")
    return operator.index(classes)


def _weights_file(name: str, entry: Network, asked: str | Path | None) -> Path | None:
    """Return the file of the weights asked for, fetched where need be; None for fresh ones."""
    if asked is None:
        return None
    if asked == "DEFAULT" and not entry.weights and (entry.shipped or not entry.heads):
        return entry.shipped  # None for fixed kernels: there is nothing to load
    if not isinstance(asked, str | Path):
        raise TypeError(
            f"`weights` (of type {type(asked).__name__}) must be a name, a path or None; tensors "
            "go in by network.load_state_dict(tensors)"
        )
    if asked == "DEFAULT" or asked in [known.name for known in entry.weights]:
        return fetch(weights(name, str(asked)))
    path = expanded(asked)
    is_path = isinstance(asked, Path) or path.suffix or len(path.parts) > 1 or path.exists()
    if not is_path:
        weights(name, str(asked))  # refuses, and says which may be meant
    return path


@dataclass(frozen=True)
class _Changed:
    """How many classes and points were asked for; points are None if the weights know as many."""

    entry: Network
    classes: int
    points: int | None

    @property
    def heads(self) -> tuple[str, ...]:
        """Return the prefixes of all layers that another number of classes or points changes."""
        return (*self.entry.heads, *([f"{KEYPOINTS.layer}."] if self.entry.points else []))

    @property
    def said(self) -> str:
        """Return the argument that is another one, in words; "" if none is."""
        if self.classes != self.entry.classes:
            return f"`classes` (={self.classes})"
        return "" if self.points is None else f"`points` (={self.points})"


def _name(network: Any, path: Path | None, changed: _Changed) -> None:
    """Give a network the facts about its weights or inputs, and the names that fit its outputs."""
    entry = changed.entry
    names, points = entry.categories, entry.keypoint_names
    if entry.weights:
        network.released = _facts(entry, path)
        names, points = network.released.categories, network.released.keypoint_names
    else:
        network.inputs = entry.inputs
    if names and len(names) == changed.classes:
        network.categories = names
    if points and changed.points is None:
        network.keypoint_names = points


def _fill(network: nn.Module, path: Path, changed: _Changed, new_head: bool) -> None:
    """Load a file into a network; warn if it was made for another number of classes or points."""
    entry = changed.entry
    fresh, is_known = changed.heads if new_head else (), False
    if changed.said and (entry.weights or entry.shipped):
        read_weights(path)  # a fault of the file itself is reported first
        is_known = path == entry.shipped or recognized(entry.weights, path) is not None
        # Else only these weights lose their head: a user's own are for the classes they learned.
        fresh = changed.heads if is_known else fresh
    load_weights(network, path, fresh=fresh)
    drawn = random_parts(network)
    if is_known:
        kind = "released" if entry.weights else "shipped"
        _warn(
            f"{changed.said} are not those of the {kind} weights: {random_text(drawn)}, so "
            "that answers mean nothing until it is trained"
        )
    elif drawn:
        many = f"{changed.classes} classes" + ("" if changed.points is None else " or these points")
        _warn(f"`weights` ({path.name}) are for other than {many}: {random_text(drawn)}")


def _checked_points(points: int | None, name: str, entry: Network) -> int | None:
    """Return another number of points than an entry's, None for as many as it has."""
    if points is not None and not entry.points:
        raise ValueError(
            f"`points` (={points}) must be left out for {name!r}, which finds none; take a "
            "keypoint detector"
        )
    if points is not None and operator.index(points) < 1:
        raise ValueError(f"`points` (={points}) must be at least 1; count those of a figure")
    return None if points == entry.points else points


def _warn(sentence: str) -> None:
    """Warn the caller of `model`."""
    warnings.warn(sentence, UserWarning, stacklevel=4)


def _facts(entry: Network, path: Path | None) -> Weights:
    """Return what is known of the weights in a file, else of the DEFAULT."""
    return (path and recognized(entry.weights, path)) or entry.weights[0]
