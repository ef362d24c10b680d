"""Notice changed weights without comparing them at every call.

Code that changes a parameter or buffer must first get it from its module. `Held` notes that, and
copies the numbers before it hands the tensor out. As long as other code may have a reference, the
numbers are compared with the copy, bit for bit, and once more after the last reference is gone. If
no other code had a reference, nothing is compared.
"""

from __future__ import annotations

import copy
import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from convlens.compute.operators.operators import goes_forward

__all__ = ["Held", "hold", "raw", "unchanged"]

_lock = threading.RLock()
_unchanged: ContextVar[bool] = ContextVar("unchanged", default=False)


@contextmanager
def unchanged() -> Iterator[None]:
    """Compare no weights in this context, in which the caller guarantees that none change.

    Networks that share weights are timed within it: otherwise each would compare all weights at
    every call, which it never does once it is the only one.

    >>> layer = torch.nn.Conv1d(1, 1, 1)
    >>> (held, _), weight = hold(layer), layer.weight
    >>> before = held.settled()
    >>> layer.weight.detach().zero_().sum().item()
    0.0
    >>> with unchanged():
    ...     held.settled() == before
    True
    >>> held.settled() == before
    False
    """
    token = _unchanged.set(True)
    try:
        yield
    finally:
        _unchanged.reset(token)


class Held(dict[str, Any]):
    """The parameters or buffers of a module, in place of the dict that torch keeps them in.

    >>> import numpy as np
    >>> layer = torch.nn.Conv1d(1, 1, 1)
    >>> (held, _) = hold(layer)
    >>> before = held.settled()
    >>> held.settled() == before
    True
    >>> layer.weight.detach().numpy()[:] = 0
    >>> held.settled() == before
    False
    """

    def __init__(self, tensors: dict[str, Any]) -> None:
        super().__init__(tensors)
        self._lent, self._version, self._plain = True, 0, False
        self._kept: dict[str, Any] | None = None

    @property
    def plain(self) -> bool:
        """Whether all tensors are known to be plain numbers, and no other code has one.

        >>> (held, _) = hold(torch.nn.Conv1d(1, 1, 1).requires_grad_(False))
        >>> before = held.plain
        >>> _ = held.settled()
        >>> before, held.plain
        (False, True)
        """
        return self._plain and not self._lent

    def settled(self) -> int:
        """Return a version number, which differs from the last one if the tensors have changed."""
        if self._lent and not _unchanged.get():
            with _lock:
                self._settle()
        return self._version

    def _settle(self) -> None:
        lent = any(_has_others(self, name) for name in dict.keys(self))
        tensors = raw(self)
        if self._kept is None or not _equal(self._kept, tensors):
            self._version += 1
            self._kept = None
        if not lent:
            self._plain = all(map(_is_plain, tensors.values()))
            self._lent, self._kept = False, None
        elif self._kept is None:
            self._kept = _copies(tensors)

    def _lend(self) -> None:
        """Keep a copy of the tensors before they are handed out."""
        if torch.compiler.is_compiling():  # compiled code repeats only these assignments
            self._lent, self._kept = True, None
            return
        with _lock:
            if not self._lent:
                self._kept, self._lent = _copies(raw(self)), True

    def __getitem__(self, name: str) -> Any:
        value = dict.__getitem__(self, name)
        self._lend()
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return a tensor, or the default."""
        value = dict.get(self, name, default)
        self._lend()
        return value

    def __iter__(self) -> Iterator[str]:  # without it, dict(self) would not ask for the items
        return iter(tuple(dict.keys(self)))

    def items(self) -> Any:
        """Return all names and tensors."""
        pairs = raw(self).items()
        self._lend()
        return pairs

    def values(self) -> Any:
        """Return all tensors."""
        values = raw(self).values()
        self._lend()
        return values

    def copy(self) -> dict[str, Any]:
        """Return a plain dict of the same tensors."""
        return dict(self.items())

    def __setitem__(self, name: str, value: Any) -> None:
        self._lend()
        dict.__setitem__(self, name, value)

    def __delitem__(self, name: str) -> None:
        self._lend()
        dict.__delitem__(self, name)

    def pop(self, name: str, *default: Any) -> Any:
        """Remove and return a tensor."""
        self._lend()
        return dict.pop(self, name, *default)

    def popitem(self) -> tuple[str, Any]:
        """Remove and return the last name and tensor."""
        self._lend()
        return dict.popitem(self)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return a tensor, after storing the default if there is none."""
        self._lend()
        return dict.setdefault(self, name, default)

    def update(self, *others: Any, **more: Any) -> None:
        """Store several tensors."""
        self._lend()
        dict.update(self, *others, **more)

    def clear(self) -> None:
        """Remove all tensors."""
        self._lend()
        dict.clear(self)

    def __ior__(self, other: Any) -> Held:  # type: ignore[override]
        self.update(other)
        return self

    def __or__(self, other: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.copy() | dict(other)

    def __ror__(self, other: Any) -> dict[str, Any]:  # type: ignore[override]
        return dict(other) | self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Held:
        return Held({name: copy.deepcopy(value, memo) for name, value in raw(self).items()})

    def __reduce__(self) -> Any:
        return Held, (raw(self),)


def hold(module: torch.nn.Module) -> tuple[Held, Held]:
    """Put the parameters and buffers of a module into `Held` dicts and return these."""
    for name in ("_parameters", "_buffers"):
        if not isinstance(vars(module)[name], Held):
            vars(module)[name] = Held(vars(module)[name])
    return vars(module)["_parameters"], vars(module)["_buffers"]


def raw(held: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors for internal use, without noting them as handed out.

    >>> raw(Held({"bias": None}))
    {'bias': None}
    """
    return dict(dict.items(held))


def _has_others(held: dict[str, Any], name: str) -> bool:
    """Return whether other code may hold a reference to a tensor or its memory."""
    tensor = dict.__getitem__(held, name)
    if not isinstance(tensor, Tensor):
        return False
    plain = type(tensor) in (Tensor, torch.nn.Parameter) and tensor.layout is torch.strided
    if not plain or tensor.is_shared():
        return True
    del tensor  # this reference would be counted
    return _holders(held, name) != _nobody_else()


def _is_plain(tensor: Any) -> bool:
    """Return whether torch never needs to follow operations on a tensor."""
    if tensor is None:
        return True
    watched = tensor.requires_grad or tensor.is_meta or goes_forward(tensor)
    return not (watched or torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def _holders(held: dict[str, Any], name: str) -> tuple[int, ...]:
    """Count the references to a tensor, its memory, and the Python objects of both."""
    tensor = dict.__getitem__(held, name)
    storage = tensor.untyped_storage()
    count = torch._C._storage_Use_Count(storage._cdata)
    return sys.getrefcount(tensor), tensor._use_count(), sys.getrefcount(storage), count


@functools.cache
def _nobody_else() -> tuple[int, ...]:
    """Return the reference counts of a tensor that only its module has."""
    return _holders({"weight": torch.nn.Parameter(torch.ones(1), requires_grad=False)}, "weight")


def _copies(tensors: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in tensors.items()
    }


def _equal(kept: dict[str, Any], tensors: dict[str, Any]) -> bool:
    return kept.keys() == tensors.keys() and all(
        _same_bits(one, tensors[name]) for name, one in kept.items()
    )


def _same_bits(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one is other
    equal = one.shape == other.shape and one.dtype is other.dtype and one.device == other.device
    if not equal or one.device.type != "cpu" or one.layout is not torch.strided:
        return False
    return torch.equal(_bits(one), _bits(other))


def _bits(tensor: Tensor) -> Tensor:
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return real.detach().resolve_neg().view(whole[real.element_size()])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
