"""Count the parameters and multiply-adds of the zoo's networks, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.lens import costs
from convlens.tables import table
from convlens.zoo import DETECTORS, NETWORKS, Inputs, list_models
from convlens.zoo.building import built_on_meta
from convlens.zoo.shipped import DATA

__all__ = ["Count", "counts", "counts_table"]


@dataclass(frozen=True)
class Count:
    """What one network costs on an input of `shape`: its `parameters` and all its `multiply_adds`.

    `published`: billions of multiply-adds as torchvision publishes them, or None. `warnings`: what
    was not counted.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    published: float | None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)


def counts(pattern: str = "*") -> Iterator[Count]:
    """Yield the costs of each network of the zoo whose name matches `pattern`, on one usual input.

    Networks are recorded on torch's meta device, which makes shapes but no numbers. Detectors are
    left out, as what they compute depends on what they find.

    >>> for count in counts("mobilenet_v3_s*"):
    ...     print(count.name, count.parameters, count.multiply_adds, count.published)
    mobilenet_v3_small 2542856 56510400 0.057
    mobilenet_v3_small_075 1653920 39115576 None
    """
    for name in list_models(pattern):
        if name not in DETECTORS:
            yield _count(name)


def counts_table(found: list[Count]) -> str:
    """Return a line of text a network: its input, what was counted, and what was published."""
    rows = [("network", "input", "parameters", "multiply-adds", "published")]
    for count in found:
        published = "-" if count.published is None else f"{count.published:.3f} G"
        shape = "x".join(map(str, count.shape))
        rows.append(
            (count.name, shape, f"{count.parameters:,}", f"{count.multiply_adds:,}", published)
        )
    warnings = [f"{count.name}: {warning}" for count in found for warning in count.warnings]
    return "\n".join([table(rows, right=range(2, 5)), *warnings])


def _count(name: str) -> Count:
    entry = NETWORKS[name]
    published = entry.weights[0].multiply_adds if entry.weights else None
    shape = _shape(entry.inputs) if entry.inputs else _published_shape(entry.weights[0].inputs)
    found = costs(built_on_meta(name).eval(), torch.empty(shape, device="meta"))
    return Count(name, shape, found.parameters, found.multiply_adds, published, found.warnings)


def _shape(inputs: Inputs) -> tuple[int, ...]:
    """Return the shape of the network's own example after preparation."""
    picture, preparation = read_picture(DATA / inputs.example), Preparation.of(inputs)
    if inputs.frames:
        return tuple(preparation.clip([picture] * inputs.frames).shape)
    return tuple(preparation(picture).shape)


def _published_shape(inputs: Inputs) -> tuple[int, ...]:
    """Return the shape that torchvision counts for: a square if nothing is cut out."""
    side = inputs.crop or inputs.resize or 224
    space = (side, side) if isinstance(side, int) else side
    return (1, inputs.channels, *([inputs.frames] if inputs.frames else []), *space)
