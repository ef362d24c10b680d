"""See every operator below the calls of torch, before it writes."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.lens.trees import tensors_in

if TYPE_CHECKING:
    from convlens.lens.recorder.watching import Watcher


class OperatorGuard(TorchDispatchMode):
    """Gives the watcher what an operator is about to write, and operators outside all calls."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: else torch imports its compiler, which takes 2 s, to keep it away here.

        Compiled regions run eagerly while a network is recorded, so that it is not needed.
        """
        return False

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watcher = watcher

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if torch.is_inference_mode_enabled() and _composed(func):
            with _as_outside():
                return self._dispatch(func, args, kwargs or {})
        return self._dispatch(func, args, kwargs or {})

    def _dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        writes: list[Tensor] = []
        for i, name in _written_arguments(func):
            writes += tensors_in(args[i] if i < len(args) else kwargs.get(name))
        if not self.watcher.own.depth:
            return self.watcher.run(func, args, kwargs, writes)
        if writes:
            self.watcher.before_write(writes)
        return func(*args, **kwargs)


def _as_outside() -> contextlib.AbstractContextManager[None]:
    """Dispatch in inference mode as torch does outside a mode: without one key that is set here.

    With that key torch computes operators composed of others (`rnn_tanh`, `linear`) with other
    last bits.
    """
    without = torch._C._dispatch_tls_local_exclude_set().remove(
        torch._C.DispatchKey.ADInplaceOrView
    )
    guard: contextlib.AbstractContextManager[None] = torch._C._ForceDispatchKeyGuard(
        torch._C._dispatch_tls_local_include_set(), without
    )
    return guard


@functools.cache
def _composed(func: Any) -> bool:
    """Return whether an operator only calls others, and is not a view, which torch makes once."""
    if not hasattr(func, "_schema") or any(each.alias_info for each in func._schema.returns):
        return False
    kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return bool(kernel(func.name(), "CompositeImplicitAutograd"))


@functools.cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Return position and name of the arguments an operator writes into, by its schema."""
    if not hasattr(func, "_schema"):  # an operator of higher order, such as torch.cond
        return ()
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info and a.alias_info.is_write)
