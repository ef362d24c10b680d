"""Commands about the zoo: list its networks, and convert weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convlens.cli.options import Json
from convlens.cli.printing import print_json

__all__ = ["convert", "models"]


def models(
    pattern: Annotated[
        str, Parameter(help="List networks whose names match this shell pattern: 'resnet*'.")
    ] = "*",
    /,
    *,
    count: Annotated[
        bool,
        Parameter(
            negative="",
            help="Count parameters and multiply-adds, step by step; detectors are left out.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Print the networks of the zoo: parameters, multiply-adds, file size, published accuracy."""
    from convlens.zoo.listing import listed, networks_table

    found = listed(pattern)
    if count:
        _print_counts(pattern, json)
    elif json:
        print_json({"networks": [network.to_dict() for network in found]})
    else:
        print(networks_table(found))


def _print_counts(pattern: str, json: bool) -> None:
    from convlens.learn.counting import counts, counts_table

    counted = list(counts(pattern))
    if json:
        print_json({"networks": [network.to_dict() for network in counted]})
    else:
        print(counts_table(counted))


def convert(
    source: Annotated[str, Parameter(help="A network of the zoo, or a .pt or .pth file.")],
    /,
    *,
    weights: Annotated[
        str | None,
        Parameter(help="The name of released weights of the network; by default DEFAULT."),
    ] = None,
    out: Annotated[
        str | None,
        Parameter(help="The .safetensors file to write; by default, named after the weights."),
    ] = None,
) -> None:
    """Write released weights, or a .pt or .pth file, as .safetensors."""
    from convlens.zoo.converting import convert as convert_weights
    from convlens.zoo.weights import metadata

    path = convert_weights(source, weights, out)
    _print_written(path, metadata(path))


def _print_written(path: Path, facts: dict[str, str]) -> None:
    """Print what weights were written, and where they come from."""
    of = f", {facts['network']} {facts['weights']}" if "network" in facts else ""
    print(f"{path}: {path.stat().st_size:,} bytes{of}")
    print(f"  from {facts['source']}, sha256 {facts['sha256']}")
    if "licence" in facts:
        print(f"  {facts['licence']}")
