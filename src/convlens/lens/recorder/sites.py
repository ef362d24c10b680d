"""Where in the network's own code something happened: file, line and module."""

from __future__ import annotations

import functools
import os
import sys
from types import FrameType
from typing import Any

import torch
from torch import nn

_LENS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OPERATORS = tuple(
    os.path.join(os.path.dirname(_LENS), room) for room in ("compute", "functional", "signal")
)
"""The folders of our operators, and of the drop-ins that call them."""
_TORCH = os.path.dirname(torch.__file__) + os.sep


@functools.cache
def belongs(file: str) -> str:
    """Whose code a file is: torch's (our operators' too), the lens's, or the network's."""
    if file.startswith((_TORCH, *_OPERATORS, "<")):
        return "torch"
    return "lens" if file.startswith(_LENS + os.sep) else "network"


def site() -> tuple[str, int]:
    """File and line of the network's own code: the first frame outside torch and the lens."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        place = belongs(frame.f_code.co_filename)
        if place == "lens" and frame.f_code.co_name == "record":
            break  # what lies above called the recording, not the network
        if place == "network":
            return (frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ("", 0)


def raised_in(exception: Exception, names: dict[Any, str]) -> tuple[str, str, tuple[str, int]]:
    """Module path, "" and line of an error raised outside any call of torch."""
    module, source = "", ("", 0)
    trace = exception.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        file = frame.f_code.co_filename
        if belongs(file) == "network":
            source = (file, trace.tb_lineno)
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module):
                module = names.get(owner, module)
        trace = trace.tb_next
    return module, "", source
