"""Run a network, or one call, under a watcher, and return what was recorded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
import torch
from torch import Tensor

from convlens.lens.recorder import caveats
from convlens.lens.recorder.bookkeeping import Fault
from convlens.lens.recorder.queries import plain_answers
from convlens.lens.recorder.watching import Interference, Watcher
from convlens.lens.recording import Recording
from convlens.lens.trees import tensors_in

_NO_LIMIT = 2**62


def record(network: Any, *inputs: Any, budget: int | None = None, **kwargs: Any) -> Recording:
    """Run `network(*inputs, **kwargs)` and keep every step and every value of it.

    The outputs are bit for bit those of the plain forward. Gradients are off; the network's mode
    (training or evaluation) is left as it is. Of a network that raises, the recording has the steps
    that ran, and the error at its step in `recording.error`.

    Args:
        network: a `torch.nn.Module`, or any callable of tensors.
        inputs: what it takes; tensors among them become values of kind "input".
        budget: the most bytes of computed values to keep; None is half of the free memory.
        kwargs: keyword arguments of the network.

    Raises:
        MemoryError: the values would need more than `budget` bytes; the message says how many.

    >>> import torch
    >>> recording = record(torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3)), torch.ones(1, 1, 5))
    >>> [step.op for step in recording.steps], recording.output.shape
    (['conv1d'], (1, 1, 3))
    """
    if not callable(network):
        raise TypeError(
            f"`network` (={type(network).__name__}) must be a torch.nn.Module or a callable "
            "of tensors; pass the module itself"
        )
    return _recorded(network, inputs, kwargs, budget)


def record_changed(network: Any, inputs: Any, kwargs: Any, interference: Interference) -> Recording:
    """Record a network, with changes that are made while it runs.

    Raises:
        MemoryError: as `record`.
    """
    return _recorded(network, inputs, kwargs, None, interference)


def _recorded(
    network: Any,
    inputs: Any,
    kwargs: Any,
    budget: int | None,
    interference: Interference | None = None,
) -> Recording:
    with torch._C.DisableTorchFunctionSubclass():  # a subclass is not to see our own calls
        limit = _default_budget(tensors_in(inputs)) if budget is None else budget
    if limit <= 0:
        raise ValueError(f"`budget` (={budget}) must be a positive number of bytes; raise it")
    compiled = hasattr(network, "_orig_mod")
    network = getattr(network, "_orig_mod", network)  # what torch.compile was given
    watcher = Watcher(network, limit, interference)
    if compiled:
        watcher.warn(caveats.COMPILED)
    outputs, output_ids, exception = _run(watcher, network, inputs, kwargs)
    _raise_own(watcher, "could not be recorded, by a fault of convlens, not of the network")
    if watcher.keeper.over_budget:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in tensors_in(inputs))
        raise MemoryError(
            f"recording this network on {shapes} would keep {_size(watcher.keeper.nbytes)}; "
            f"the budget is {_size(limit)}; use a smaller input or pass `budget` (bytes) if you "
            "have the room"
        )
    with torch._C.DisableTorchFunctionSubclass():
        return watcher.recording(outputs, output_ids, exception)


def record_operators(inputs: Sequence[Tensor], call: Callable[[], list[Tensor]]) -> Recording:
    """Record the operators that a call is made of; its inputs are the values 0, 1, ... in order.

    Whatever the call raises is raised here.
    """
    watcher = Watcher(None, _NO_LIMIT)
    for tensor in inputs:
        watcher.keeper.leaf(tensor, "input")
    outputs: list[Tensor] = []
    with contextlib.suppress(Fault), watcher.operators():
        outputs = call()
    _raise_own(watcher, "could not be recorded, by a fault of convlens")
    # What was written through a view of an output made it another value than the one first made.
    return watcher.recording(outputs, watcher.returned(outputs), None)


def _run(
    watcher: Watcher, network: Any, inputs: Any, kwargs: Any
) -> tuple[Any, tuple[int, ...], Exception | None]:
    """Return what the watched network returned, as it is and as values, or the error it raised."""
    outputs: Any = None
    ids: tuple[int, ...] = ()
    exception = None
    modes = torch.no_grad(), _eager_regions(), plain_answers(watcher), watcher
    with contextlib.suppress(Fault), contextlib.ExitStack() as on:
        for mode in modes:
            on.enter_context(mode)
        with watcher.own:
            for i, tensor in enumerate(tensors_in((inputs, kwargs))):
                watcher.keeper.leaf(tensor, "input", f"input{i}" if i else "input")
        try:
            outputs = network(*inputs, **kwargs)
        except Exception as error:
            exception = error
        with watcher.own:
            ids = watcher.returned(outputs)
            watcher.warn(caveats.of_outputs(outputs, bool(ids)))
    return outputs, ids, exception


def _raise_own(watcher: Watcher, what: str) -> None:
    """Raise an error of the recorder itself as one."""
    fault = watcher.own.fault
    if fault is not None:
        raise RuntimeError(
            f"step {len(watcher.steps)} {what}: {type(fault).__name__}: {fault}"
        ) from fault


def _default_budget(tensors: list[Tensor]) -> int:
    """Return half of the free memory of the device that the tensors are on, in bytes."""
    for tensor in tensors:
        if tensor.is_cuda:
            return int(torch.cuda.mem_get_info(tensor.device)[0]) // 2
    return int(psutil.virtual_memory().available) // 2


def _size(nbytes: int) -> str:
    """Return bytes in words, such as "1.5 GiB"."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if nbytes >= scale / 2:
            return f"{nbytes / scale:.1f} {unit}"
    return f"{nbytes / 2**10:.1f} KiB"


@contextlib.contextmanager
def _eager_regions() -> Iterator[None]:
    """Run compiled regions eagerly, so that their steps are seen."""
    if "torch._dynamo" in sys.modules:
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield
