"""Record a network again with changes, where a replay of its recording is refused."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from convlens.lens.changing import Change, Changes
from convlens.lens.recorder.running import record_changed
from convlens.lens.recorder.watching import Interference, StartedCall
from convlens.lens.recording import Recording
from convlens.lens.trees import replace_refs, replace_tensors


def rerun(
    network: Any, recording: Recording, changes: Sequence[Change], *inputs: Any, **kwargs: Any
) -> Recording:
    """Record `network(*inputs, **kwargs)` again with the changes that `replay` takes.

    The network runs as a whole, so that it may go another way: detectors, sizes, random numbers.
    Steps and values after that have other numbers than in the first recording. The network and its
    inputs stay as they are; a copy of the network runs if a weight changes.

    Args:
        network: what was recorded.
        recording: its recording, in which the changes name values and steps.
        changes: `SetNumber`, `SetValue`, `SetArgument` or `Mute`, in order.
        inputs: what the network was given.
        kwargs: its keyword arguments.

    Raises:
        ValueError: a change is impossible, or the run went another way before its step.

    >>> from convlens.lens import SetNumber, record
    >>> def half(x):
    ...     return x / 2 if x.sum() > 0 else x
    >>> x = torch.ones(2)
    >>> changed = rerun(half, record(half, x), [SetNumber("input", (0,), -3.0)], x)
    >>> changed.output.tensor.tolist()
    [-3.0, 1.0]
    """
    found = Changes.of(recording, changes)
    with torch.no_grad():
        network = _with_weights(network, found)
        args, words = _with_inputs((inputs, kwargs), found)
    interfering = Interfering(found)
    again = record_changed(network, args, words, interfering)
    interfering.check()
    return again


def _with_weights(network: Any, changes: Changes) -> Any:
    """Return a network, or a copy of it with the changed parameters and buffers."""
    values = changes.recording.values
    changed = [id for id in changes.values if values[id].kind in ("parameter", "buffer")]
    for id in changes.values:
        if values[id].kind == "constant":
            name = changes.recording.name_of(id)
            raise ValueError(f"`{name}` was made outside the network; change it where it is made")
    if not changed or not isinstance(network, nn.Module):
        return network
    network = copy.deepcopy(network)
    for id in changed:
        path, _, name = values[id].name.rpartition(".")
        own = getattr(network.get_submodule(path), name)
        own.copy_(changes.value(id, own)[0])
    return network


def _with_inputs(given: Any, changes: Changes) -> Any:
    """Return what the network is given, with the changed inputs."""
    values = iter(changes.recording.inputs)
    seen: dict[int, Tensor] = {}

    def changed(tensor: Tensor) -> Tensor:
        if id(tensor) not in seen:
            value = next(values, None)
            own = value is not None and value.id in changes.values
            seen[id(tensor)] = changes.value(value.id, tensor)[0] if value and own else tensor
        return seen[id(tensor)]

    return replace_tensors(given, changed)


class Interfering(Interference):
    """The changes of steps and of what they make, applied while the network runs."""

    def __init__(self, changes: Changes) -> None:
        self.changes, self.steps = changes, changes.recording.steps
        self.waiting = {changes.recording.values[id].step for id in changes.values} - {-1}
        self.waiting |= changes.arguments.keys()
        self.error: Exception | None = None

    def call(self, index: int, call: StartedCall) -> StartedCall:
        """Return a call with the changed arguments of its step."""
        if index not in self.changes.arguments or not self._is(index, call):
            return call
        self.waiting.discard(index)
        args, kwargs = call.refs
        step = self.changes.step(replace(self.steps[index], args=args, kwargs=kwargs))
        held = dict(zip(call.ids, call.tensors, strict=True))
        args, kwargs = replace_refs((step.args, step.kwargs), lambda ref: held[ref.id])
        return replace(call, args=args, kwargs=kwargs, refs=(step.args, step.kwargs))

    def made(
        self, index: int, call: StartedCall, made: list[Tensor], written: list[Tensor]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Return what a step made, with the changes of it; second, the mask of what was put."""
        if index not in self.waiting or not self._is(index, call):
            return [(tensor, None) for tensor in made]
        self.waiting.discard(index)
        outputs = self.steps[index].outputs
        return [self._put(id, t, written) for id, t in zip(outputs, made, strict=True)]

    def _put(self, id: int, tensor: Tensor, written: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Return a tensor with its changes; one that was written in place stays the same one."""
        if id not in self.changes.values:
            return tensor, None
        try:
            changed, put = self.changes.value(id, tensor)
        except ValueError as error:
            self.error = error
            return tensor, None
        if any(tensor is each for each in written):
            return tensor.copy_(changed), put
        return changed, put

    def _is(self, index: int, call: StartedCall) -> bool:
        """Return whether a call is that of the recorded step."""
        step = self.steps[index]
        return step.op == call.op and len(step.inputs) == len(call.ids)

    def check(self) -> None:
        """Raise if a change could not be made."""
        if self.error is not None:
            raise self.error
        if self.waiting:
            step = self.steps[min(self.waiting)]
            raise ValueError(
                f"step {step.index} (`{step.op}`, module `{step.module}`) was not reached in the "
                "same way, so its change was not made; make one change after the other"
            )
