"""Readable networks, one family a file, and the one way to build each by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable
from pathlib import Path

from torch import nn

from convlens.zoo.small import Digits, Filters, digits, filters
from convlens.zoo.weights import SHIPPED, load_weights

__all__ = ["NETWORKS", "Digits", "Filters", "digits", "filters", "list_models", "model"]

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "digits": digits,
    "filters": filters,
}


def model(name: str, weights: str | Path | None = "DEFAULT") -> nn.Module:
    """Build the network of the zoo called `name`, in evaluation mode.

    `weights`: "DEFAULT" for those shipped (a network of fixed kernels has none and needs none),
    the path of a .safetensors, .pt or .pth file, or None for freshly drawn ones.

    Raises ValueError for a name the zoo does not have, and for weights that do not fit.

    >>> [name for name, child in model("digits").named_children()][:3]
    ['conv1', 'relu1', 'pool1']
    """
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(NETWORKS)}"
        raise ValueError(f"`name` (={name!r}) must be a network of the zoo; {meant}")
    network = NETWORKS[name]()
    if weights == "DEFAULT":
        weights = SHIPPED.get(name)
    if weights is not None:
        load_weights(network, weights)
    return network.eval()


def list_models(pattern: str = "*") -> list[str]:
    """Return the sorted names of the zoo that match a shell `pattern`.

    >>> list_models("d*")
    ['digits']
    """
    return sorted(fnmatch.filter(NETWORKS, pattern))
