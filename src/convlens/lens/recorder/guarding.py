"""Guarding: below the calls of torch, every operator is seen before it writes."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.lens.trees import tensors_in

if TYPE_CHECKING:
    from convlens.lens.recorder.watching import Recorder


class Guard(TorchDispatchMode):
    """Sees every operator: copies values before they are overwritten, catches uncovered ones."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: torch would import its compiler (2 s) to keep it away; `_eager_regions` does."""
        return False

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        with _as_outside(func):
            return self._dispatch(func, args, kwargs or {})

    def _dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        recorder = self.recorder
        writes: list[Tensor] = []
        for i, name in _written_arguments(func):
            writes += tensors_in(args[i] if i < len(args) else kwargs.get(name))
        if recorder.depth == 0 or recorder.expanding:
            return recorder.run(func, args, kwargs, writes)
        if writes:
            with recorder.ours:
                for tensor in writes:
                    recorder.before_write(tensor)
        return func(*args, **kwargs)


def _as_outside(func: Any) -> contextlib.AbstractContextManager[None]:
    """torch's dispatch as it is outside a mode: in inference mode one key is taken away here.

    Without it torch computes what is composed of other operators (`rnn_tanh`, `linear`) with other
    last bits.
    """
    if not torch.is_inference_mode_enabled() or not _composed(func):
        return contextlib.nullcontext()
    without = torch._C._dispatch_tls_local_exclude_set().remove(
        torch._C.DispatchKey.ADInplaceOrView
    )
    guard: contextlib.AbstractContextManager[None] = torch._C._ForceDispatchKeyGuard(
        torch._C._dispatch_tls_local_include_set(), without
    )
    return guard


@functools.cache
def _composed(func: Any) -> bool:
    """Whether an operator is nothing but others, and no view, which torch makes only once."""
    if not hasattr(func, "_schema") or any(each.alias_info for each in func._schema.returns):
        return False
    kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return bool(kernel(func.name(), "CompositeImplicitAutograd"))


@functools.cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Position and name of the arguments an operator writes into, by its schema."""
    if not hasattr(func, "_schema"):  # of a higher order, as torch.cond
        return ()
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info and a.alias_info.is_write)
