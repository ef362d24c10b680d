"""Give outputs their names, if there is one for each."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["fitting_names"]


def fitting_names(
    categories: Sequence[str], outputs: int | None, labels: Sequence[int] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a network's outputs, and warnings about them.

    `outputs`: how many there are. If the names are not as many, none are returned, and a warning
    says so. None if that is not known, as for detectors: then the names are returned, and a warning
    names a label that has none.

    >>> fitting_names(["cat", "dog"], 2)
    (('cat', 'dog'), ())
    >>> fitting_names(["dog"], 2)
    ((), ('the network has 1 name for 2 outputs: numbers are shown instead',))
    """
    names = tuple(categories)
    count = f"the network has {len(names):,} name{'s' * (len(names) != 1)}"
    if not names:
        return (), ()
    if outputs is None:
        most = max(labels, default=0)
        said = f"{count}, and none for category {most}: its number is shown instead"
        return names, (said,) if most >= len(names) else ()
    if outputs == len(names):
        return names, ()
    said = f"{count} for {outputs:,} output{'s' * (outputs != 1)}: numbers are shown instead"
    return (), (said,)
