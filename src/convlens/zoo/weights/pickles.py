"""Outline what a pickle of tensors would make when opened, without making any of it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar

__all__ = ["Made", "Outline", "Table", "outlined"]

# The bytes of an element, by the name of torch's storage class; all others have 1.
_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    "ComplexDoubleStorage": 16,
}

_REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")
"""The functions that make a tensor of (storage, offset, size, stride, ...)."""


class Table(dict[Any, Any]):
    """A dictionary that remembers which keys were given twice."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.twice: list[object] = []

    def __setitem__(self, key: object, value: object) -> None:
        if key in self:
            self.twice.append(key)
        super().__setitem__(key, value)


@dataclass(frozen=True)
class Storage:
    """A stretch of numbers in the file: its record's name, its bytes, and those of an element."""

    key: str
    bytes: int
    item: int


@dataclass
class Outline:
    """What a pickle would make.

    `content`: dictionaries as `Table`, lists, numbers and texts as they are, all else as `Made`.
    `globals`: the names of its classes and functions. `storages`: those it refers to. `claimed`:
    the bytes of all tensors, each written out in full. `protocol`: the pickle's.
    """

    content: object = None
    globals: list[str] = field(default_factory=list)
    storages: dict[str, Storage] = field(default_factory=dict)
    claimed: int = 0
    protocol: int = 0


class Made:
    """A placeholder for what the class or function `of` would return; nothing is called."""

    of = ""
    outline: Outline

    def __new__(cls, *given: object, **_: object) -> Made:
        """Add the bytes that it would claim to the outline."""
        made = super().__new__(cls)
        cls.outline.claimed += _claimed(cls.of, given)
        return made

    def __init__(self, *given: object, **_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple):  # as tensors were built before torch 0.4
            self.outline.claimed += _claimed("torch._utils._rebuild_tensor", state)

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Accept an element, as a list would, and forget it."""

    def extend(self, values: object) -> None:
        """Accept elements, as a list would, and forget them."""

    add = append


def outlined(file: IO[bytes], pickles: int = 1) -> Outline:
    """Return what the last of `pickles` pickles, one after the other in `file`, would make.

    Raises whatever Python's unpickler raises for damaged bytes.

    >>> import io
    >>> outline = outlined(io.BytesIO(pickle.dumps({"a": print, "n": 3})))
    >>> outline.globals, outline.content["n"]
    (['builtins.print'], 3)
    """
    outline = Outline()
    for _ in range(pickles):
        outline = Outline()
        reader = _Reader(file, outline)
        outline.content = reader.load()
        outline.protocol = reader.proto
    return outline


class _Reader(pickle._Unpickler):
    # Written in Python: the one in C reserves as much memory as a number in the file asks for.
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    proto: int

    def __init__(self, file: IO[bytes], outline: Outline) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self.outline = outline

    def find_class(self, module: str, name: str) -> Any:
        of = f"{'builtins' if module == '__builtin__' else module}.{name}"  # of Python 2
        if of == "collections.OrderedDict":
            return Table
        self.outline.globals.append(of)
        return type("Made", (Made,), {"of": of, "outline": self.outline})

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, _, count = pid[:5]
        item = _BYTES.get(getattr(kind, "of", "").rpartition(".")[2], 1)
        storage = Storage(str(key), int(count) * item, item)
        known = self.outline.storages.get(storage.key)
        if known is None or known.bytes < storage.bytes:
            self.outline.storages[storage.key] = storage
        return storage

    def load_table(self) -> None:
        self.append(Table())  # type: ignore[attr-defined]


_Reader.dispatch[pickle.EMPTY_DICT[0]] = _Reader.load_table


def _claimed(of: str, given: tuple[object, ...]) -> int:
    """Return the bytes that a tensor, storage or array made in this way takes in full."""
    module, _, name = of.rpartition(".")
    if name in _REBUILT and len(given) > 2 and isinstance(given[2], tuple):
        item = given[0].item if isinstance(given[0], Storage) else 8
        return item * math.prod(n for n in given[2] if isinstance(n, int))
    if of == "builtins.bytearray" or (
        module.startswith("torch") and name.endswith(("Tensor", "Storage"))
    ):
        sizes = [n for n in given if isinstance(n, int)]
        return 8 * math.prod(sizes) if sizes else 0
    return 0
