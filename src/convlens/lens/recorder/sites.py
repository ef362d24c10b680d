"""Find the line of the network's own code that is running."""

from __future__ import annotations

import functools
import os
import sys
from types import FrameType

import torch

_LENS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OPERATORS = tuple(
    os.path.join(os.path.dirname(_LENS), room) for room in ("compute", "functional", "signal")
)
"""The folders of our operators, and of the drop-ins that call them."""
_TORCH = os.path.dirname(torch.__file__) + os.sep


@functools.cache
def belongs(file: str) -> str:
    """Return whose code a file is: "torch" (with our operators), "lens" or "network"."""
    if file.startswith((_TORCH, *_OPERATORS, "<")):
        return "torch"
    return "lens" if file.startswith(_LENS + os.sep) else "network"


def site() -> tuple[str, int]:
    """Return file and line of the network's own code: the first frame outside torch and lens."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        place = belongs(frame.f_code.co_filename)
        if place == "lens" and frame.f_code.co_name == "record":
            break  # the frames above called `record`, not the network
        if place == "network":
            return (frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ("", 0)
