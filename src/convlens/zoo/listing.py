"""List the networks of the zoo with their sizes, costs and accuracies, as published."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import Any

from convlens.tables import table
from convlens.zoo.building import built_on_meta, list_models
from convlens.zoo.networks import NETWORKS
from convlens.zoo.weights.released import Weights

__all__ = ["Listed", "listed", "networks_table"]


@dataclass(frozen=True)
class Listed:
    """A network of the zoo and what was published of it.

    `weights`: all that were released for it, the DEFAULT first; their `multiply_adds` are of one
    input, in billions, their `megabytes` of 2**20 bytes.
    """

    name: str
    task: str
    parameters: int
    weights: tuple[Weights, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in plain values, for JSON; of the categories, how many there are."""
        entries = [
            {
                **asdict(entry),
                "file": entry.file,
                "digest": entry.digest,
                "categories": len(entry.categories),
            }
            for entry in self.weights
        ]
        return {
            "name": self.name,
            "task": self.task,
            "parameters": self.parameters,
            "weights": entries,
        }


def listed(pattern: str = "*") -> list[Listed]:
    """Return the networks of the zoo whose names match a shell `pattern`, sorted by name.

    Raises ValueError if none does.

    >>> [(found.name, found.parameters) for found in listed("resnet1*")]
    [('resnet101', 44549160), ('resnet152', 60192808), ('resnet18', 11689512)]
    """
    names = list_models(pattern)
    if not names:
        near = difflib.get_close_matches(pattern.strip("*?"), NETWORKS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else "write it like 'resnet*'"
        raise ValueError(f"`pattern` (={pattern!r}) must match a network of the zoo; {cure}")
    return [_listed(name) for name in names]


def networks_table(found: list[Listed]) -> str:
    """Return the text table `convlens models` prints: a line a network, with its DEFAULT weights.

    >>> print(networks_table(listed("resnet18")))
    network   task            parameters  multiply-adds      file  accuracy
    resnet18  classification  11,689,512         1.81 G   44.7 MB  acc@1 69.758
    """
    head = ("network", "task", "parameters", "multiply-adds", "file", "accuracy")
    return table([head, *(_row(network) for network in found)], right=range(2, 5))


def _listed(name: str) -> Listed:
    entry = NETWORKS[name]
    if entry.weights:
        parameters = entry.weights[0].parameters
    else:
        parameters = sum(parameter.numel() for parameter in built_on_meta(name).parameters())
    return Listed(name, entry.task, parameters, entry.weights)


def _row(network: Listed) -> tuple[str, ...]:
    start = (network.name, network.task, f"{network.parameters:,}")
    shipped = NETWORKS[network.name].shipped
    if shipped is not None:
        return (*start, "-", f"{_three_digits(shipped.stat().st_size / 2**20)} MB", "shipped")
    if not network.weights:
        return (*start, "-", "-", "no released weights")
    best = network.weights[0]
    accuracy = "-" if best.accuracy is None else f"{best.accuracy[0]} {best.accuracy[1]:g}"
    return (
        *start,
        f"{_three_digits(best.multiply_adds)} G",
        f"{_three_digits(best.megabytes)} MB",
        accuracy,
    )


def _three_digits(number: float) -> str:
    """Return three significant digits, with at most three decimals.

    >>> _three_digits(0.057), _three_digits(7.801), _three_digits(280.371)
    ('0.057', '7.80', '280')
    """
    return f"{number:.3f}" if number < 1 else f"{number:#.3g}".rstrip(".")
