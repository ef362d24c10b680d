"""Say where the files are that ship with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DATA", "DIGITS", "shipped_weights"]

DATA = Path(__file__).parent / "data"
"""The folder of these files; `LICENSES.md` in it states their origins and licences."""

DIGITS = DATA / "digits.safetensors"
"""The trained weights of the digit network."""


def shipped_weights(name: str) -> Path:
    """Return the file of the weights that come with the package for a network.

    >>> shipped_weights("digits") == DIGITS
    True
    """
    return DATA / f"{name}.safetensors"
