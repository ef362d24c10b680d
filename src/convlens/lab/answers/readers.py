"""List what one number feeds, as the page shows it: the terms that have it in them, ranked."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from convlens.lab.answers.arithmetic import STRONGEST
from convlens.lens import Feeds


class ReadersAnswer(TypedDict):
    """The terms of `convlens.lens.Feeds`, the largest products first.

    Lists have an entry for each term: `source` and `position` lead to the element that reads the
    number, `role` and `rule` are those of its `Reading`, and `value` times `weight` is `product`.
    `count` are all terms, and `products` the sum of all. `refusals` says of each step that reads
    the number and has no terms here, why.
    """

    source: list[int]
    position: list[int]
    role: list[str]
    rule: list[str]
    value: list[float]
    weight: list[float]
    product: list[float]
    count: int
    products: float
    refusals: list[str]


def readers_of(feeds: Feeds) -> ReadersAnswer:
    """Return what a number feeds with the terms that weigh most."""
    found = feeds.strongest(STRONGEST)
    with np.errstate(invalid="ignore", over="ignore"):
        products = float(sum(reading.product.sum() for reading in feeds.readings))
    return {
        "source": [reading.output for reading, _ in found],
        "position": [int(reading.positions[k]) for reading, k in found],
        "role": [reading.role for reading, _ in found],
        "rule": [reading.rule for reading, _ in found],
        "value": [float(reading.value[k]) for reading, k in found],
        "weight": [float(reading.weight[k]) for reading, k in found],
        "product": [float(reading.product[k]) for reading, k in found],
        "count": feeds.count,
        "products": products,
        "refusals": list(feeds.refusals),
    }
