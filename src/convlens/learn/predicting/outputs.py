"""Describe a network's output in words, and refuse one of an unknown form."""

from __future__ import annotations

from typing import Any

from torch import Tensor

__all__ = ["UnknownFormError", "described"]


class UnknownFormError(TypeError):
    """An output in none of the known forms."""


def described(output: Any) -> str:
    """Return what messages call an output.

    >>> described({"aux": None}), described("cat")
    ('a dictionary of aux', 'a str')
    """
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, dict):
        return f"a dictionary of {', '.join(map(str, output)) or 'nothing'}"
    return f"a {type(output).__name__}"
