"""Define records, the arguments of a kernel: frozen dataclasses that it reads by name.

A record's fields are numbers and other records. An `int` is passed to the kernel as a word, a
`Pointer` as the address of an array, and a `Fixed` number is compiled in. A record `InMemory` is
passed as one address, from which the kernel reads its numbers.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

__all__ = [
    "Fixed", "InMemory", "Leaf", "Pointer", "fixed", "in_memory", "leaves", "record_type",
    "words_of",
]  # fmt: skip


class Fixed(int):
    """A number that is compiled into the kernel as a constant.

    An `int` field may also hold one. Then only the kernel's own source reads it as a constant; the
    functions that the record is passed to take it as an argument.
    """


class Pointer(int):
    """The address of an array's first element, 0 for None; it keeps the array alive.

    Raises ValueError for an array that is not contiguous.

    >>> Pointer(None)
    0
    """

    array: Tensor | np.ndarray[Any, Any] | None

    def __new__(cls, array: Tensor | np.ndarray[Any, Any] | None) -> Pointer:
        """Return the address of an array."""
        if array is None:
            address, contiguous = 0, True
        elif isinstance(array, Tensor):
            address, contiguous = array.data_ptr(), array.is_contiguous()
        else:
            address = array.__array_interface__["data"][0]
            contiguous = array.flags.c_contiguous
        if not contiguous:
            raise ValueError("a kernel reads an array as one block; make it contiguous first")
        pointer = super().__new__(cls, address)
        pointer.array = array
        return pointer


class InMemory:
    """The base of a record that is kept in memory as a table, for more numbers than registers.

    A kernel reads its number `g.wide` as `word(g, i)`. No number may be `Fixed`.
    """

    @functools.cached_property
    def table(self) -> np.ndarray[Any, Any]:
        """All numbers, in the order of the fields."""
        kind: type = type(self)
        return np.array(_getter(kind)(self), np.int64)


class Leaf(NamedTuple):
    """A number of a record: its path, such as "band.rows", and its constant's name if fixed."""

    path: str
    constant: str | None


def in_memory(kind: type) -> bool:
    """Return whether the records of a type are passed as one address."""
    return issubclass(kind, InMemory)


def record_type(kind: object) -> bool:
    """Return whether this is the type of a record."""
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


@functools.cache
def leaves(kind: type) -> tuple[Leaf, ...]:
    """Return every number of a record type, in the order of the fields.

    Raises TypeError for a type that is not frozen or has positional fields. Raises it also for a
    field that is neither a number nor a record, and for a fixed one in memory.

    >>> from convlens.compute.kernels.shapes import Axes
    >>> [leaf.path for leaf in leaves(Axes)]
    ['d', 'h', 'w']
    """
    if not record_type(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"record {kind.__name__} must be a frozen dataclass")
    types = typing.get_type_hints(kind)
    found = []
    for field in dataclasses.fields(kind):
        one = types[field.name]
        if not field.kw_only:
            raise TypeError(f"field `{field.name}` of record {kind.__name__} must be keyword-only")
        if one is Fixed:
            found.append(Leaf(field.name, f"{kind.__name__}_{field.name}"))
        elif one in (int, Pointer):
            found.append(Leaf(field.name, None))
        elif record_type(one):
            found += [Leaf(f"{field.name}.{path}", constant) for path, constant in leaves(one)]
        else:
            raise TypeError(
                f"field `{field.name}` of record {kind.__name__} is a {one}; "
                "use int, Fixed, Pointer or a record"
            )
    if in_memory(kind) and any(leaf.constant for leaf in found):
        raise TypeError(f"record {kind.__name__} lies in memory; none of its fields can be Fixed")
    return tuple(found)


@functools.cache
def _getter(kind: type) -> Callable[[Any], tuple[int, ...]]:
    """Return a function that returns all numbers of a record."""
    paths = [leaf.path for leaf in leaves(kind)]
    if len(paths) > 1:
        return typing.cast(Callable[[Any], tuple[int, ...]], attrgetter(*paths))
    return lambda record: tuple(attrgetter(path)(record) for path in paths)


def fixed(record: object, name: str) -> tuple[tuple[str, int], ...]:
    """Return the constants of a kernel whose parameter `name` is this record.

    Raises TypeError for a field of type `Fixed` that holds any other type, and ValueError for two
    constants of the same name that differ.

    >>> from convlens.compute.kernels.shapes import Axes
    >>> fixed(Axes(d=Fixed(1), h=4, w=5), "space")
    (('space_d', 1),)
    """
    kind: type = type(record)
    if in_memory(kind):
        return ()
    found: dict[str, int] = {}
    for (path, constant), value in zip(leaves(kind), _getter(kind)(record), strict=True):
        if type(value) is not Fixed:
            if constant is not None:
                raise TypeError(f"`{path}` (={value!r}) of {kind.__name__} must be a Fixed number")
            continue
        key = constant or f"{name}_{path.replace('.', '_')}"
        if found.setdefault(key, int(value)) != value:
            raise ValueError(
                f"`{path}` of {kind.__name__} has two values, {found[key]} and {value}"
            )
    return tuple(found.items())


def words_of(record: object) -> list[int]:
    """Return the arguments for a record: the numbers that are not fixed, or one address.

    >>> from convlens.compute.kernels.shapes import Axes
    >>> words_of(Axes(d=Fixed(1), h=4, w=5))
    [4, 5]
    """
    if isinstance(record, InMemory):
        return [Pointer(record.table)]
    kind: type = type(record)
    return [int(value) for value in _getter(kind)(record) if type(value) is not Fixed]
