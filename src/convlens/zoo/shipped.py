"""Where the files lie that are shipped with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DATA", "SHIPPED"]

DATA = Path(__file__).parent / "data"
"""The folder of the files shipped with the package; `LICENSES.md` in it says whose they are."""

SHIPPED: dict[str, Path] = {"digits": DATA / "digits.safetensors"}
"""The trained weights of each network of the zoo that has some."""
