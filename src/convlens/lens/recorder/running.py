"""Recording a network: run it once, keep every step and value of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import torch
from torch import Tensor

from convlens.lens.recorder.asking import answered
from convlens.lens.recorder.calls import COMPILED
from convlens.lens.recorder.keeping import Fault
from convlens.lens.recorder.watching import Recorder
from convlens.lens.recording import Recording
from convlens.lens.trees import tensors_in


def record(network: Any, *inputs: Any, budget: int | None = None, **kwargs: Any) -> Recording:
    """Run `network(*inputs, **kwargs)` and keep every step and value of it.

    The outputs are bitwise those of the plain forward. Gradients are off; the network's mode
    (training or evaluation) is left as it is. A network that raises gives the steps that ran,
    with the error at its step in `recording.error`.

    Args:
        network: a `torch.nn.Module`, or any callable of tensors.
        inputs: what it takes; tensors among them become values of kind "input".
        budget: bytes of computed values to keep at most; half of the free memory when None.
        kwargs: keyword arguments of the network.

    Raises:
        MemoryError: the values would need more than `budget` bytes; says how many.

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
    with torch._C.DisableTorchFunctionSubclass():  # ours are no calls of a subclass
        limit = _default_budget(tensors_in(inputs)) if budget is None else budget
    if limit <= 0:
        raise ValueError(f"`budget` (={budget}) must be a positive number of bytes; raise it")
    compiled = hasattr(network, "_orig_mod")
    network = getattr(network, "_orig_mod", network)  # what torch.compile was given
    recorder = Recorder(network, limit)
    if compiled:
        recorder.warnings[COMPILED] = None
    outputs, output_ids, exception = _run(recorder, network, inputs, kwargs)
    if recorder.fault is not None:
        raise RuntimeError(
            f"step {len(recorder.steps)} could not be recorded, by a fault of convlens, not of the "
            f"network: {type(recorder.fault).__name__}: {recorder.fault}"
        ) from recorder.fault
    if recorder.over_budget:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in tensors_in(inputs))
        raise MemoryError(
            f"recording this network on {shapes} would keep {_size(recorder.nbytes)}; the budget "
            f"is {_size(limit)}; use a smaller input or pass `budget` (bytes) if you have the room"
        )
    with torch._C.DisableTorchFunctionSubclass():
        return recorder.recording(outputs, output_ids, exception)


def _run(
    recorder: Recorder, network: Any, inputs: Any, kwargs: Any
) -> tuple[Any, tuple[int, ...], Exception | None]:
    """What the watched network returned, as it is and as values, or the error it raised."""
    outputs: Any = None
    ids: tuple[int, ...] = ()
    exception = None
    modes = torch.no_grad(), _eager_regions(), answered(recorder), recorder
    with contextlib.suppress(Fault), contextlib.ExitStack() as on:
        for mode in modes:
            on.enter_context(mode)
        with recorder.ours:
            for i, tensor in enumerate(tensors_in((inputs, kwargs))):
                recorder.leaf(tensor, "input", f"input{i}" if i else "input")
        try:
            outputs = network(*inputs, **kwargs)
        except Exception as error:
            exception = error
        with recorder.ours:
            ids = recorder.returned(outputs)
            if not ids and not _plain(outputs):
                recorder.warnings[
                    f"the network returned a {type(outputs).__name__}, in which no tensor was "
                    "found; lists, tuples, mappings and dataclasses are looked through"
                ] = None
    return outputs, ids, exception


def _plain(outputs: Any) -> bool:
    """Whether there is nothing to look for in an answer without tensors."""
    return outputs is None or isinstance(
        outputs, (bool, int, float, complex, str, list, dict, tuple)
    )


def _default_budget(tensors: list[Tensor]) -> int:
    for tensor in tensors:
        if tensor.is_cuda:
            return int(torch.cuda.mem_get_info(tensor.device)[0]) // 2
    return int(psutil.virtual_memory().available) // 2


def _size(nbytes: int) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if nbytes >= scale / 2:
            return f"{nbytes / scale:.1f} {unit}"
    return f"{nbytes / 2**10:.1f} KiB"


@contextlib.contextmanager
def _eager_regions() -> Iterator[None]:
    """Compiled regions run eagerly, so that their steps are seen."""
    if "torch._dynamo" in sys.modules:
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield
