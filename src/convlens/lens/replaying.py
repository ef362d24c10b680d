"""Run the steps of a recording again that depend on a change, and share all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convlens.lens.changing import Change, Changes
from convlens.lens.kinds.moving import extent
from convlens.lens.memory import copy_of, memory_of, version_of
from convlens.lens.recording import Call, Failure, Recording, Ref, Step, Value
from convlens.lens.repeating import NotRepeated, call_again, unannounced_writes, without_out
from convlens.lens.trees import replace_refs, replace_tensors, tensors_in

CURE = "run the changed network (`rerun`)"

_SAME_SIZE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integers of each size in bytes, to compare the bits of numbers."""


class ReplayRefused(ValueError):
    """A change that a replay cannot follow exactly, while `rerun` can."""


def replay(recording: Recording, changes: Sequence[Change]) -> Recording:
    """Return the recording of the same run with changes, bit for bit that of a changed network.

    Only the steps that depend on a change run again; all other steps and values are shared with
    the recording, which stays as it is. The ids of values and the indices of steps stay too. A
    number put where a step computes another one is explained as given. Where a step fails now, the
    recording ends, with the `error`.

    Args:
        recording: what `record` returned.
        changes: `SetNumber`, `SetValue`, `SetArgument` or `Mute`, in order. A value is named as for
            `explain`, or by its id; a step by a name or its index.

    Raises:
        ValueError: a change is impossible, or the run may have gone another way with it. A step
            may draw random numbers, hand numbers to Python, or write statistics. The network may
            have asked for sizes that change now. The message names the step.

    >>> import torch
    >>> from convlens.lens import SetNumber, record
    >>> network = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), torch.nn.ReLU())
    >>> recording = record(network, torch.ones(1, 1, 3))
    >>> changed = replay(recording, [SetNumber("0", (0, 0, 1), 7.0)])
    >>> changed.output.tensor[0, 0, 1].item(), changed.values[0] is recording.values[0]
    (7.0, True)
    """
    if recording.error is not None:
        raise ReplayRefused(
            f"the network raised ({recording.error.message}), and a change may cure it; {CURE}"
        )
    with torch.no_grad():
        return Replay(recording, Changes.of(recording, changes)).run()


def refused(step: Step, why: str) -> ReplayRefused:
    """Return the error for a step that a replay cannot follow."""
    where = f"step {step.index} (`{step.op}`, module `{step.module}`)"
    return ReplayRefused(f"{where} cannot be replayed: {why}; {CURE}")


@dataclass(frozen=True, slots=True)
class Repeated:
    """What was seen when a step ran again on what it had read.

    `why` says why it cannot be replayed ("" if it can), `shared` which of its inputs share their
    memory with each output.
    """

    why: str
    shared: tuple[frozenset[int], ...] = ()


class Stopped(Exception):
    """A step that fails with the changed numbers; its error is the cause."""


class Replay:
    """One replay: the values so far, and those that differ from the recorded ones."""

    def __init__(self, recording: Recording, changes: Changes) -> None:
        self.recording, self.changes = recording, changes
        self.values, self.steps = list(recording.values), list(recording.steps)
        self.changed: set[int] = set()
        self._given = {memory_of(v.tensor)[0] for v in recording.values if v.kind != "computed"}

    def run(self) -> Recording:
        """Return the new recording."""
        for id in self.changes.values:
            if self.values[id].step < 0:
                self._change(id)
        for step in self.recording.steps:
            try:
                self._follow(step)
            except Stopped as stop:
                return self._partial(step, stop.__cause__)
        outputs = [self.values[id].tensor for id in self.recording.output_ids]
        return replace(
            self.recording,
            steps=tuple(self.steps),
            values=tuple(self.values),
            outputs=_rebuilt(self.recording.outputs, outputs),
        )

    def _follow(self, step: Step) -> None:
        """Run a step again if it depends on a change; then change what it made."""
        own = step.index in self.changes.arguments
        if own:
            self.steps[step.index] = self.changes.step(step)
        if own or not self.changed.isdisjoint(step.inputs):
            self._run(step)
        for id in step.outputs:
            if id in self.changes.values:
                self._change(id)

    def _run(self, step: Step) -> None:
        """Run a step again on what it reads now."""
        for id in step.inputs:
            if self.values[id].stale:
                name = self.recording.name_of(id)
                raise ValueError(f"`{name}` was changed after it was recorded; record again")
        if not step.outputs:
            self._check_answer(step)
            return
        if step.op == "alias" and "offset" in step.kwargs:
            self._set(step.outputs[0], self._aliased(step))
            return
        seen = self.recording.kept(
            "repeated", step.index, len(self.steps), lambda: _repeated(self.recording, step)
        )
        if seen.why:
            raise refused(step, seen.why)
        made, shared = self._made(step)
        if shared != seen.shared:
            raise refused(step, "what it makes lies in other memory now")
        for id, tensor in zip(step.outputs, made, strict=True):
            self._set(id, tensor)

    def _made(self, step: Step) -> tuple[list[Tensor], tuple[frozenset[int], ...]]:
        """Return what a step makes now, and which inputs share memory with it."""
        try:
            return _called(self.steps[step.index], self.values)
        except NotRepeated as error:
            if error.__cause__ is None:  # it makes another number of tensors
                raise refused(step, str(error)) from error
            raise Stopped from error.__cause__
        except Exception as error:
            raise Stopped from error

    def _change(self, id: int) -> None:
        """Change a value as asked."""
        old = self.recording.values[id]
        if old.stale:
            name = self.recording.name_of(id)
            raise ValueError(f"`{name}` was changed after it was recorded; record again")
        tensor, put = self.changes.value(id, self.values[id].tensor)
        self._set(id, tensor, put if old.kind == "computed" else None)

    def _set(self, id: int, tensor: Tensor, put: Tensor | None = None) -> None:
        """Give a value another tensor, or keep its own if that is the same."""
        old = self.recording.values[id]
        if put is None and same_bits(old.tensor, tensor) and old.tensor.stride() == tensor.stride():
            return
        shape = tuple(tensor.shape)
        if id in self.recording.taken:
            raise self._unfollowed(id, "the network took numbers out of it by a call of its own")
        if shape != old.shape and id in self.recording.asked:
            size = "x".join(map(str, shape))
            raise self._unfollowed(id, f"the network asked for its sizes, which would be {size}")
        given = old.kind != "computed" or memory_of(tensor)[0] in self._given
        version = version_of(tensor) if given else -1
        self.values[id] = replace(old, tensor=tensor, shape=shape, version=version, put=put)
        self.changed.add(id)

    def _unfollowed(self, id: int, why: str) -> ValueError:
        """Return the error for a value on which the network's own code may depend."""
        value, name = self.values[id], self.recording.name_of(id)
        if value.step >= 0:
            return refused(self.recording.steps[value.step], f"it makes `{name}`, and {why}")
        return ReplayRefused(f"`{name}` cannot be changed in a replay: {why}; {CURE}")

    def _check_answer(self, step: Step) -> None:
        """Raise unless a step that hands numbers to Python hands it the same ones."""
        answers = []
        for values in (self.recording.values, self.values):
            args, kwargs = _arguments(step, values)
            try:
                answers.append(_answer(step.function(*args, **kwargs)))
            except Exception as error:
                raise refused(step, f"it gives no number now ({error})") from error
        if answers[0] != answers[1]:
            raise refused(step, "it hands numbers to Python that are others now")

    def _aliased(self, step: Step) -> Tensor:
        """Return what a tensor shows of its memory, written through other views."""
        out = self.recording.values[step.outputs[0]]
        places = [(self.values[ref.id], offset, strides) for ref, offset, strides in step.args]
        for value, _, _ in places:
            if value.shape != self.recording.values[value.id].shape or value.dtype != out.dtype:
                raise refused(step, "the memory it shows is laid out in another way now")
        own = (out, step.kwargs["offset"], step.kwargs["strides"])
        size = extent((value.shape, offset, strides) for value, offset, strides in (*places, own))
        memory = out.tensor.new_empty(size)
        covered = torch.zeros(size, dtype=torch.bool)
        for value, offset, strides in places:
            _put(memory, value.tensor, offset, strides)
            _put(covered, torch.ones(value.shape, dtype=torch.bool), offset, strides)
        if not bool(covered.as_strided(out.shape, own[2], own[1]).all()):
            raise refused(step, "no recorded value wrote some of the memory it shows")
        return memory.as_strided(out.shape, own[2], own[1])

    def _partial(self, step: Step, error: BaseException | None) -> Recording:
        """Return the recording up to a step that fails."""
        if not isinstance(error, Exception):
            raise refused(step, "it stops without an error") from error
        last = min(step.outputs)
        given = self.steps[step.index].args, self.steps[step.index].kwargs
        calls = [c for c in self.recording.calls if c.first <= step.index]
        return replace(
            self.recording,
            steps=tuple(self.steps[: step.index]),
            values=tuple(self.values[:last]),
            calls=tuple(_cut(call, step.index) for call in calls),
            outputs=None,
            output_ids=(),
            error=Failure(step.index, step.module, step.op, step.source, error, *given),
        )


def _arguments(step: Step, values: Sequence[Value]) -> tuple[Any, dict[str, Any]]:
    """Return a step's arguments, with copies of those that it writes."""
    held: dict[int, Tensor] = {}

    def tensor(ref: Ref) -> Tensor:
        if ref.id not in held:
            value = values[ref.id]
            found = copy_of(value.tensor) if ref.id in step.written else value.tensor
            held[ref.id] = found.detach().requires_grad_() if value.graded else found
        return held[ref.id]

    return replace_refs((step.args, without_out(step)), tensor)  # type: ignore[no-any-return]


def _called(step: Step, values: Sequence[Value]) -> tuple[list[Tensor], tuple[frozenset[int], ...]]:
    """Return what a step makes of these values, and which inputs share memory with each."""
    args, kwargs = _arguments(step, values)
    given = [memory_of(tensor)[0] for tensor in tensors_in((args, kwargs))]
    made = call_again(step, args, kwargs)
    shared = tuple(
        frozenset(i for i, key in enumerate(given) if key == memory_of(tensor)[0])
        for tensor in made
    )
    return [tensor.detach() for tensor in made], shared


def _repeated(recording: Recording, step: Step) -> Repeated:
    """Run a step again on what it had read, and say whether that gives what was recorded."""
    values = recording.values
    outputs = [values[id] for id in step.outputs]
    odd = [v.opaque for v in (*outputs, *(values[i] for i in step.inputs)) if v.opaque]
    if odd:
        return Repeated(f"it has a tensor that is {odd[0]}")
    if any(value.graded for value in outputs):
        return Repeated("it ran with gradients on")
    args, kwargs = _arguments(step, values)
    if unannounced_writes(step.op, args, kwargs):
        return Repeated("it writes running statistics, as in training")
    before = _random_states()
    try:
        made, shared = _called(step, values)
    except Exception as error:
        return Repeated(f"it does not run again on what it read ({error})")
    after = _random_states()
    if not all(map(torch.equal, before, after)) or _draws(step):
        _restore(before)
        return Repeated("it draws random numbers")
    if not all(
        same_bits(value.tensor, tensor) for value, tensor in zip(outputs, made, strict=True)
    ):
        return Repeated("it gives other bits when it runs again on what it read")
    return Repeated("", shared)


def _draws(step: Step) -> bool:
    """Return whether a step was given a generator of random numbers."""
    return any(isinstance(a, torch.Generator) for a in (*step.args, *step.kwargs.values()))


def _random_states() -> list[Tensor]:
    """Return the states of torch's generators of random numbers, that of the CPU first."""
    states = [torch.get_rng_state()]
    return states + (torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [])


def _restore(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state_all(states[1:])


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Return whether two dense tensors are equal, bit for bit.

    >>> zero, nan = torch.tensor(0.0), torch.tensor(torch.nan)
    >>> same_bits(zero, -zero), same_bits(nan, nan)
    (False, True)
    """
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    if one.dtype.is_complex:
        one, other = (
            torch.view_as_real(one.resolve_conj()),
            torch.view_as_real(other.resolve_conj()),
        )
    whole = _SAME_SIZE.get(one.element_size())
    if whole is None or not one.dtype.is_floating_point:
        return torch.equal(one, other)
    return torch.equal(one.detach().view(whole), other.detach().view(whole))


def _answer(answer: Any) -> Any:
    """Return what Python was given in a form that compares bit for bit."""
    return (answer.dtype, answer.tobytes()) if hasattr(answer, "tobytes") else repr(answer)


def _put(memory: Tensor, tensor: Tensor, offset: int, strides: Sequence[int]) -> None:
    """Write a tensor to where it lies in a memory; an element in several places is written once."""
    for axis, stride in enumerate(strides):
        if stride == 0:
            tensor = tensor.narrow(axis, 0, min(1, tensor.size(axis)))
    memory.as_strided(tensor.shape, strides, offset).copy_(tensor)


def _cut(call: Call, last: int) -> Call:
    """Return a call up to a step; one that was running then returned nothing."""
    return call if call.last <= last else replace(call, last=last, outputs=())


def _rebuilt(tree: Any, tensors: list[Tensor]) -> Any:
    """Return what the network returned with other tensors; None if it holds them in its own way."""
    rest = iter(tensors)
    found = replace_tensors(tree, lambda _: next(rest))
    same = zip(tensors_in(found), tensors, strict=True)
    return found if all(one is other for one, other in same) else None
