"""Open what a lab may compare with, by short names: other weights and other networks."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convlens.files import expanded
from convlens.lab.answers.choosing import samples
from convlens.learn.opening import Opened, load_all, open_network, opened_module
from convlens.zoo import NETWORKS
from convlens.zoo.weights import fitted
from convlens.zoo.weights.sniffing import in_place_of_a_network

Other = str | Path | nn.Module | Opened | Mapping[str, Tensor]
"""Other weights (a file, the name of released ones, a state dict), or another network."""

Beside = Other | Mapping[str, Other] | Sequence[Other] | None
"""What to compare with: one, several, or several by names of one's own."""

LAST, RANDOM = "last", "random"
"""What every lab compares with: the look before this one, and weights drawn at random."""

_WEIGHTS = (".safetensors", ".pt", ".pth")


def others_of(opened: Opened, beside: Beside) -> dict[str, Opened]:
    """Return what a network may be compared with, by the names that the page lists.

    Other weights are loaded into a copy of the network. A name is that of a file without its
    folder, of a network, or of a module's class; a number tells equal ones apart.

    Args:
        opened: the network that is compared.
        beside: what it is compared with.

    Raises:
        ValueError: weights are missing or do not fit; a network cannot be opened.
        TypeError: something is neither weights nor a network.

    >>> list(others_of(open_network("digits"), ["filters", nn.ReLU(), nn.ReLU()]))
    ['filters', 'ReLU', 'ReLU 2']
    """
    listed = _listed(beside)
    found: dict[str, Opened] = {}
    for name, (_, other) in zip(_names(listed), listed, strict=True):
        found[name] = replace(_opened(opened, other), name=name)
    return found


def with_random_weights(opened: Opened) -> Opened:
    """Return a network with weights drawn at random, the same each time.

    Raises ValueError for a module that is only in memory: nothing says how its weights are drawn.
    """
    if opened.name not in NETWORKS and not _is_network(opened.name):
        raise ValueError(
            f"`name` (={RANDOM!r}) needs a network that is opened by its name, and {opened.name} "
            "is a module in memory; give another one with beside="
        )
    drawn = open_network(opened.name, weights="none").network
    return replace(opened, network=drawn, name="random weights")


def short_name(spec: str) -> str:
    """Return the name of a network without the folder of its file.

    >>> short_name("~/nets/mine.py:Net(width=8)"), short_name("torch.nn:ReLU")
    ('mine.py:Net(width=8)', 'torch.nn:ReLU')
    """
    place, ending, name = spec.partition(".py")
    return f"{Path(place).name}{ending}{name}" if ending else spec


def _listed(beside: Beside) -> list[tuple[str, Other]]:
    """Return what is given one by one, each with its own name or ""."""
    if beside is None:
        return []
    if isinstance(beside, Mapping) and not _is_state_dict(beside):
        named: Mapping[str, Any] = beside
        return [(str(name), other) for name, other in named.items()]
    if isinstance(beside, Sequence) and not isinstance(beside, str):
        return [("", other) for other in beside]
    return [("", beside)]  # type: ignore[list-item]  # mypy does not know what the mapping holds


def _is_state_dict(given: object) -> bool:
    parts = given.values() if isinstance(given, Mapping) else ()
    return bool(parts) and all(isinstance(part, Tensor) for part in parts)


def _names(listed: Sequence[tuple[str, Other]]) -> list[str]:
    """Return a name for each, all different."""
    plain = [name or _name(other) for name, other in listed]
    taken = {LAST, RANDOM, "", *(path.name for path in samples())}
    names = []
    for name, (_, other) in zip(plain, listed, strict=True):
        if _is_file(other) and plain.count(name) > 1:
            name = f"{expanded(str(other)).absolute().parent.name}/{name}"
        numbered = (f"{name} {count}" for count in range(2, len(listed) + len(taken) + 2))
        unique = next(each for each in (name, *numbered) if each not in taken)
        taken.add(unique)
        names.append(unique)
    return names


def _name(other: Other) -> str:
    if isinstance(other, Opened):
        return short_name(other.name)
    if isinstance(other, nn.Module):
        return type(other).__name__
    if _is_file(other):
        return Path(str(other)).name
    return short_name(other) if isinstance(other, str) else "weights"


def _is_file(other: Other) -> bool:
    """Return whether this stands for a file of weights."""
    if isinstance(other, Path):
        return other.suffix != ".py"
    return isinstance(other, str) and not _is_network(other) and expanded(other).is_file()


def _is_network(spec: str) -> bool:
    own = ":" in spec or spec.endswith(".py")
    return spec in NETWORKS or (own and Path(spec).suffix.lower() not in _WEIGHTS)


def _opened(opened: Opened, other: Other) -> Opened:
    """Return a network to compare with, ready to run."""
    if isinstance(other, Opened):
        return other
    if isinstance(other, nn.Module):
        return opened_module(other)
    if isinstance(other, Mapping) and _is_state_dict(other):
        network = _copied(opened)
        network.load_state_dict(fitted(network, other, "a state dict"), strict=False)
        return replace(opened, network=network)
    if not isinstance(other, str | Path):
        raise TypeError(
            f"`beside` (of type {type(other).__name__}) must be weights (a file, a released name, "
            "a state dict) or a network; give one of these, or a list of them"
        )
    spec = str(other)
    if _is_network(spec):
        return open_network(spec)
    entry = NETWORKS.get(opened.name)
    released = ("DEFAULT", *(each.name for each in entry.weights)) if entry else ()
    if spec in released and not _is_file(other):
        return replace(opened, network=open_network(opened.name, weights=spec).network)
    return replace(opened, network=_loaded(opened, spec, released))


def _loaded(opened: Opened, spec: str, released: Sequence[str]) -> nn.Module:
    """Return a copy of a network with the weights of a file."""
    path = expanded(spec)
    if not path.exists():
        if path.suffix.lower() in _WEIGHTS:
            raise ValueError(
                f"`beside` (={spec!r}) must name an existing file of weights; check the path"
            )
        near = difflib.get_close_matches(spec, [*released, *NETWORKS], n=1)
        cure = f"did you mean {near[0]!r}?" if near else "check the name"
        names = ", ".join(released)
        known = f"released weights of {opened.name} ({names})" if names else "a state dict"
        raise ValueError(
            f"`beside` (={spec!r}) must be a file of weights, {known} or a network; "
            f"{in_place_of_a_network(spec) or cure}"
        )
    network = _copied(opened)
    load_all(network, path)
    return network


def _copied(opened: Opened) -> nn.Module:
    """Return a copy of a network, for other weights."""
    try:
        return copy.deepcopy(opened.network)
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"`beside` needs a copy of {short_name(opened.name)} for the other weights, and it "
            f"cannot be copied ({error}); give a network that has these weights instead"
        ) from error
