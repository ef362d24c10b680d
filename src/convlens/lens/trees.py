"""Walk nests of lists, tuples, mappings, slices and dataclasses for the tensors in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from convlens.lens.recording import Ref

# Most arguments are one of these, and every step of a recording goes through here: test them first.
_ATOMS = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size})
PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
"""The classes of tensors that do not take part in torch's calls."""


def replace_tensors(tree: Any, replace: Callable[[torch.Tensor], Any]) -> Any:
    """Return the same nest of lists, tuples, dicts and slices, with every tensor replaced."""
    kind = type(tree)
    if kind in _ATOMS:
        return tree
    if kind is tuple and _ATOMS.issuperset(map(type, tree)):
        return tree
    if kind is tuple or kind is list:
        parts = [
            p
            if (each := type(p)) in _ATOMS
            else replace(p)
            if each in PLAIN
            else replace_tensors(p, replace)
            for p in tree
        ]
        return parts if kind is list else tuple(parts)
    if isinstance(tree, torch.Tensor):
        return replace(tree)
    return _rebuild(tree, lambda part: replace_tensors(part, replace))


def replace_refs(tree: Any, replace: Callable[[Ref], Any]) -> Any:
    """Return the same nest of lists, tuples, dicts and slices, with every `Ref` replaced."""
    if isinstance(tree, Ref):
        return replace(tree)
    return _rebuild(tree, lambda part: replace_refs(part, replace))


def refs_in(tree: Any) -> list[int]:
    """Return the value ids of all `Ref`s in a nest, in order."""
    found: list[int] = []
    replace_refs(tree, lambda ref: found.append(ref.id))
    return found


def _rebuild(tree: Any, each: Callable[[Any], Any]) -> Any:
    """Return a nest of the same kind, with `each` applied to its parts."""
    if isinstance(tree, torch.Size):
        return tree
    if isinstance(tree, tuple):
        parts = [each(part) for part in tree]
        if hasattr(tree, "n_fields"):  # a named result of torch
            return type(tree)(parts)
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if isinstance(tree, list):
        return [each(part) for part in tree]
    if isinstance(tree, dict):
        return {key: each(part) for key, part in tree.items()}
    if isinstance(tree, slice):
        return slice(each(tree.start), each(tree.stop), each(tree.step))
    return tree


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """Return all tensors in a nest of lists, tuples, mappings, slices and dataclasses, in order."""
    found: list[torch.Tensor] = []
    _collect(tree, found)
    return found


def _collect(tree: Any, found: list[torch.Tensor]) -> None:
    """Add the tensors of a nest to those found."""
    if isinstance(tree, torch.Tensor):
        found.append(tree)
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            if type(part) not in _ATOMS:
                _collect(part, found)
    elif isinstance(tree, Mapping):
        for part in tree.values():
            _collect(part, found)
    elif isinstance(tree, slice):
        _collect((tree.start, tree.stop, tree.step), found)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        for each in dataclasses.fields(tree):
            _collect(getattr(tree, each.name, None), found)
