"""Pack an answer and its arrays into one piece of bytes: the envelope that goes to the page."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ALIGNMENT = 8
"""Every array begins at a multiple of this many bytes, as the page's typed arrays need."""


def pack(answer: Mapping[str, object]) -> bytes:
    """Return an answer as bytes: the length of the head, the head, and the arrays.

    The length is a little-endian uint32; spaces pad the head. The head is JSON with three parts.
    `answer` has null where an array or a number that is not finite stands. `buffers` lists name,
    type and length of each array in order, and `odd` lists name and text of each such number. A
    name is a path into the answer, as in `sheet.codes`. Arrays are little-endian.

    >>> pack({"most": np.float64("inf"), "codes": np.array([7], np.uint8)})[4:-8].decode().strip()
    '{"answer":{"most":null,"codes":null},"buffers":[["codes","uint8",1]],"odd":[["most","Infinity"]]}'
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    text = _head(_without_arrays(answer, arrays), arrays)
    text += b" " * (-(4 + len(text)) % ALIGNMENT)
    parts = [struct.pack("<I", len(text)), text]
    for array in arrays.values():
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        parts += [content, bytes(-len(content) % ALIGNMENT)]
    return b"".join(parts)


def _without_arrays(
    answer: Mapping[str, object], arrays: dict[str, npt.NDArray[Any]], path: str = ""
) -> dict[str, object]:
    """Return an answer with None in place of its arrays, which go to `arrays` by their names."""
    plain: dict[str, object] = {}
    for name, part in answer.items():
        plain[name] = part
        if isinstance(part, np.ndarray):
            arrays[path + name], plain[name] = part, None
        elif isinstance(part, dict):
            plain[name] = _without_arrays(part, arrays, f"{path}{name}.")
        elif isinstance(part, list) and any(isinstance(each, dict) for each in part):
            numbered = {str(i): each for i, each in enumerate(part)}
            plain[name] = [*_without_arrays(numbered, arrays, f"{path}{name}.").values()]
    return plain


def _head(plain: dict[str, object], arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    odd: list[tuple[str, str]] = []
    buffers = [(name, str(array.dtype), array.size) for name, array in arrays.items()]
    try:
        return _json({"answer": plain, "buffers": buffers, "odd": odd})
    except ValueError:  # JSON has no word for a number that is not finite
        plain = _finite(plain, "", odd)
        return _json({"answer": plain, "buffers": buffers, "odd": odd})


def _json(head: dict[str, object]) -> bytes:
    return json.dumps(head, separators=(",", ":"), allow_nan=False).encode()


def _finite(part: Any, path: str, odd: list[tuple[str, str]]) -> Any:
    """Return part of an answer with None in place of numbers that are not finite."""
    if isinstance(part, float) and not math.isfinite(part):
        odd.append((path, "NaN" if math.isnan(part) else "Infinity" if part > 0 else "-Infinity"))
        return None
    ahead = path + "." if path else ""
    if isinstance(part, dict):
        return {name: _finite(inner, f"{ahead}{name}", odd) for name, inner in part.items()}
    if isinstance(part, list | tuple):
        return [_finite(inner, f"{ahead}{at}", odd) for at, inner in enumerate(part)]
    return part
