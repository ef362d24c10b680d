"""Answer what a network asks torch about its run as in a plain run.

torch's attention layers, and any network, may ask `torch.overrides.has_torch_function` whether a
mode is active, and compute in another way then. While a network is recorded, that function gives
the answer of a plain run. Where the other way is wanted all the same, because its steps can be
explained, the recording says so.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack, _pop_mode_temporarily

from convlens.lens.recorder import caveats
from convlens.lens.recorder.sites import belongs

if TYPE_CHECKING:
    from convlens.lens.recorder.watching import Watcher

ATTENTION = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)
"""torch's layers that ask for modes before they compute everything by one operator."""

_lock = threading.Lock()
_watchers: dict[int, list[Watcher]] = {}
_asked: dict[str, Callable[..., bool]] = {}


@contextlib.contextmanager
def plain_answers(watcher: Watcher) -> Iterator[None]:
    """Answer as in a plain run while this watcher follows the thread."""
    with _lock:
        if not _watchers:
            _asked.update(
                watched=torch.overrides.has_torch_function, gradients=torch.is_grad_enabled
            )
            torch.overrides.has_torch_function = _is_watched  # type: ignore[assignment]
            torch.is_grad_enabled = _has_gradients
        mine = _watchers.setdefault(threading.get_ident(), [])
        mine.append(watcher)
    try:
        yield
    finally:
        with _lock:
            mine.pop()
            if not mine:
                del _watchers[threading.get_ident()]
            if not _watchers:
                torch.overrides.has_torch_function = _asked["watched"]
                torch.is_grad_enabled = _asked["gradients"]


def _is_watched(relevant_args: Any) -> bool:
    """Return what `torch.overrides.has_torch_function` would without a watcher."""
    found = _asked["watched"](relevant_args)
    mine = _watchers.get(threading.get_ident())
    if not found or not mine or mine[-1].own.depth:
        return found
    watcher = mine[-1]
    stack = _get_current_function_mode_stack()
    if not stack or stack[-1] is not watcher:
        return found
    with _pop_mode_temporarily():
        plain = _asked["watched"](relevant_args)
    frame = sys._getframe(1)
    if belongs(frame.f_code.co_filename) != "torch":
        return plain
    module = frame.f_locals.get("self")
    tensors = [each for each in relevant_args if isinstance(each, Tensor)]
    if plain or not isinstance(module, ATTENTION):
        return found
    if watcher.gradients and any(tensor.requires_grad for tensor in tensors):
        return found  # as in a plain run, which has gradients
    if isinstance(module, nn.TransformerEncoder) or any(tensor.is_nested for tensor in tensors):
        # What leaves padding out gives other numbers there; nested tensors have no other way.
        return plain
    watcher.calls.separate(module)
    return found


def _has_gradients() -> bool:
    """Return `torch.is_grad_enabled()`, and warn that the network may depend on it."""
    mine = _watchers.get(threading.get_ident())
    if mine and mine[-1].gradients and not mine[-1].own.depth:
        frame = sys._getframe(1)
        if belongs(frame.f_code.co_filename) == "network":
            mine[-1].warn(caveats.of_gradients_asked(frame.f_code.co_filename, frame.f_lineno))
    return _asked["gradients"]()
