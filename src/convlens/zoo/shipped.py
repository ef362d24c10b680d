"""Say where the files are that ship with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DATA", "DIGITS"]

DATA = Path(__file__).parent / "data"
"""The folder of these files; `LICENSES.md` in it states their origins and licences."""

DIGITS = DATA / "digits.safetensors"
"""The trained weights of the digit network."""
