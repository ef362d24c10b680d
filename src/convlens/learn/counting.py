"""Parameters and multiply-adds of the zoo's networks, counted step by step, not quoted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from convlens.lens import costs
from convlens.tables import table
from convlens.zoo import DETECTORS, NETWORKS, list_models
from convlens.zoo.weights.released import RELEASED

__all__ = ["Count", "counts", "counts_table"]


@dataclass(frozen=True)
class Count:
    """What one network costs on an input of `shape`: `parameters`, and `multiply_adds` of it all.

    `published`: billions of multiply-adds as torchvision publishes them, None where it does not.
    `warnings` names what is not counted.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    published: float | None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def counts(pattern: str = "*") -> Iterator[Count]:
    """Count each network of the zoo whose name matches `pattern`, on one input as it was trained.

    By recording it on torch's meta device, where shapes are made and no numbers. Detectors are left
    out: what they compute depends on what they find.

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
    told = [f"{count.name}: {warning}" for count in found for warning in count.warnings]
    return "\n".join([table(rows, right=range(2, 5)), *told])


def _count(name: str) -> Count:
    family = NETWORKS[name]
    released = next(iter(RELEASED.get(name, {}).values()), None)
    shape: tuple[int, ...] = {"digits": (1, 1, 8, 8), "filters": (1, 3, 300, 451)}.get(
        name, (1, 3, 224, 224)
    )
    if released is not None:
        side = released.crop or released.resize or 224
        space = (side, side) if isinstance(side, int) else side
        shape = (1, 3, *([released.frames] if released.frames else []), *space)
    # The network of classical kernels computes its template when it is built: it has numbers.
    device = "cpu" if name == "filters" else "meta"
    with torch.device(device):
        network = family.build(name, family.classes).eval()
    found = costs(network, torch.empty(shape, device=device))
    published = None if released is None else released.multiply_adds
    return Count(name, shape, found.parameters, found.multiply_adds, published, found.warnings)
