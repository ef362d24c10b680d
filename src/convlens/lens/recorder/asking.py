"""What a network asks torch about its run, answered as in a run that nobody watches.

torch's attention layers, and a network of one's own, may ask `torch.overrides.has_torch_function`
whether somebody watches, and go another way then. While a recording is made, that function tells
the network what it would hear in a plain run; where we want the other way all the same, because
its steps can be explained, it is said.
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

from convlens.lens.recorder.sites import belongs

if TYPE_CHECKING:
    from convlens.lens.recorder.watching import Recorder

ATTENTION = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)
"""torch's layers that ask before they compute everything by one operator."""

_lock = threading.Lock()
_recorders: dict[int, list[Recorder]] = {}
_asked: dict[str, Callable[..., bool]] = {}


@contextlib.contextmanager
def answered(recorder: Recorder) -> Iterator[None]:
    """Answer for a recorder of this thread."""
    with _lock:
        if not _recorders:
            _asked.update(
                watched=torch.overrides.has_torch_function, gradients=torch.is_grad_enabled
            )
            torch.overrides.has_torch_function = _is_watched  # type: ignore[assignment]
            torch.is_grad_enabled = _has_gradients
        mine = _recorders.setdefault(threading.get_ident(), [])
        mine.append(recorder)
    try:
        yield
    finally:
        with _lock:
            mine.pop()
            if not mine:
                del _recorders[threading.get_ident()]
            if not _recorders:
                torch.overrides.has_torch_function = _asked["watched"]
                torch.is_grad_enabled = _asked["gradients"]


def _is_watched(relevant_args: Any) -> bool:
    """`torch.overrides.has_torch_function`, which knows nothing of a recording."""
    found = _asked["watched"](relevant_args)
    mine = _recorders.get(threading.get_ident())
    if not found or not mine or mine[-1].depth:
        return found
    recorder = mine[-1]
    stack = _get_current_function_mode_stack()
    if not stack or stack[-1] is not recorder:
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
    if recorder.gradients and any(tensor.requires_grad for tensor in tensors):
        return found  # as in a plain run, which has gradients
    if isinstance(module, nn.TransformerEncoder) or any(tensor.is_nested for tensor in tensors):
        # What leaves padding out gives other numbers there; nested tensors have no other way.
        return plain
    recorder.separate(module)
    return found


def _has_gradients() -> bool:
    """`torch.is_grad_enabled`; who asks it may go another way than with gradients."""
    mine = _recorders.get(threading.get_ident())
    if mine and mine[-1].gradients and not mine[-1].depth:
        frame = sys._getframe(1)
        if belongs(frame.f_code.co_filename) == "network":
            mine[-1].warnings[
                f"{frame.f_code.co_filename}:{frame.f_lineno} asks for `torch.is_grad_enabled()`: "
                "recorded as without gradients, with which it may go another way"
            ] = None
    return _asked["gradients"]()
