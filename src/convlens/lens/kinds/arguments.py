"""Bind a step's call to a signature: its arguments by name, whatever way it was written."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.recording import Recording, Ref, Step, Value

# The words that torch's own signatures use for the same argument.
_SAME = {
    "self": "input",
    "x": "input",
    "tensor": "input",
    "axis": "dim",
    "keepdims": "keepdim",
    "train": "training",
    "indices": "key",
    "values": "value",
}
# Where a result goes, and how it lies in memory. No number depends on these.
_ASIDE = frozenset("out inplace memory_format layout device non_blocking _stacklevel".split())


class UnboundCall(TypeError):
    """A call that fits no signature of its kind: the `step`, its `signature`, and the `argument`.

    Only such a call, and one of an operation without a kind, is explained by the operators beneath
    it or by slopes.
    """

    def __init__(self, step: Step, signature: str, argument: object, why: str) -> None:
        super().__init__(f"`{step.op}` {why}")
        self.step, self.signature, self.argument = step, signature, argument


@dataclass(slots=True, eq=False)
class Arguments:
    """A step of a recording, with its arguments by the names of a signature.

    >>> import torch
    >>> from convlens.lens import record
    >>> x, kernel = torch.ones(1, 1, 5), torch.ones(1, 1, 3)
    >>> recording = record(lambda x: torch.conv1d(x, kernel, stride=2), x)
    >>> given = Arguments.of(recording, recording.step(0), "input, weight, bias=None, stride=1")
    >>> given.per_axis("stride", 1), given.value("weight").shape
    ((2,), (1, 1, 3))
    """

    recording: Recording
    step: Step
    named: Mapping[str, Any]

    @classmethod
    def of(cls, recording: Recording, step: Step, signature: str) -> Arguments:
        """Bind a step's call to a signature such as "input, weight, bias=None".

        Raises:
            UnboundCall: an argument is missing, or not in the signature.

        >>> import torch
        >>> from convlens.lens import record
        >>> recording = record(lambda x: x.sum(1, keepdim=True), torch.ones(2, 3))
        >>> Arguments.of(recording, recording.step(0), "input, dim=None")
        Traceback (most recent call last):
        convlens.lens.kinds.arguments.UnboundCall: `sum` was called with `keepdim`, which its ...
        """
        return cls(recording, step, _bound(step, signature))

    @classmethod
    def as_called(cls, recording: Recording, step: Step) -> Arguments:
        """Return a step whose arguments have no names; its kind may run the call again."""
        return cls(recording, step, {})

    def __getitem__(self, name: str) -> Any:
        """Return an argument: `Ref` for a tensor, None where the signature lacks it."""
        return self.named.get(name)

    def has(self, name: str) -> bool:
        """Return whether the argument is a tensor."""
        return isinstance(self.named.get(name), Ref)

    def id(self, name: str) -> int:
        """Return the value id of a tensor argument."""
        argument = self.named.get(name)
        if not isinstance(argument, Ref):
            raise StepRefused(self.step, f"its argument `{name}` is not a tensor")
        return argument.id

    def value(self, name: str) -> Value:
        """Return the recorded value of a tensor argument."""
        return self.recording.values[self.id(name)]

    def tensor(self, name: str) -> torch.Tensor:
        """Return the tensor of a tensor argument."""
        return self.value(name).tensor

    def number(self, name: str, index: Sequence[int] = (), otherwise: float = 0.0) -> float:
        """Return a number, or the element of a tensor argument at `index`; `otherwise` for None."""
        argument = self.named.get(name)
        if argument is None:
            return otherwise
        if isinstance(argument, Ref):
            return float(self.recording.values[argument.id].tensor[tuple(index)])
        return float(argument)

    def per_axis(self, name: str, axes: int) -> tuple[int, ...]:
        """Return an int, or a sequence of ints, as one int for each axis."""
        return per_axis(self.named[name], axes)

    def dims(self, rank: int, name: str = "dim") -> tuple[int, ...]:
        """Return one dimension, several, or (for none) all, counted from the front."""
        dim = self.named.get(name)
        if dim is None or (isinstance(dim, (list, tuple)) and not dim):
            return tuple(range(rank))
        given = dim if isinstance(dim, (list, tuple)) else (dim,)
        return tuple(sorted(int(d) % max(rank, 1) for d in given))

    def output(self, slot: int = 0) -> Value:
        """Return a value that the step made."""
        return self.recording.values[self.step.outputs[slot]]

    def recorded(self, slot: int, index: tuple[int, ...]) -> float:
        """Return an element of a value that the step made."""
        return float(self.output(slot).tensor[index])


class KnownByName:
    """A kind that reads arguments by name; `signatures` has those of each operation."""

    signatures: Mapping[str, str]

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature, or raise UnboundCall."""
        return Arguments.of(recording, step, self.signatures[step.op])


class KnownAsCalled:
    """A kind that reads no argument by name; it may run the call again."""

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Leave the call as it is."""
        return Arguments.as_called(recording, step)


def per_axis(given: Any, axes: int) -> tuple[int, ...]:
    """Return an int, or a sequence of ints, as one int for each axis."""
    numbers = tuple(int(i) for i in given) if isinstance(given, Sequence) else (int(given),)
    return numbers * axes if len(numbers) == 1 else numbers


def library_of(step: Step) -> str:
    """Return the library that an operator is of, such as "aten"; "" for a function."""
    if isinstance(step.function, torch._ops.OpOverload):
        return step.function.namespace
    if isinstance(step.function, torch._ops.OpOverloadPacket):
        return step.function._qualified_op_name.split("::")[0]
    return ""


def _bound(step: Step, signature: str) -> dict[str, Any]:
    """Return a step's arguments by name, or raise UnboundCall."""
    names, defaults = _parsed(signature)
    if len(step.args) > len(names):
        why = f"was called with {len(step.args)} arguments in a row; its rule knows {len(names)}"
        raise UnboundCall(step, signature, step.args[len(names)], why)
    named = {**dict(defaults), **dict(zip(names, step.args, strict=False))}
    for key, argument in step.kwargs.items():
        name = key if key in names else _SAME.get(key, key)
        if name not in names and key not in _ASIDE:
            why = f"was called with `{key}`, which its rule does not know"
            raise UnboundCall(step, signature, key, why)
        named[name] = argument
    missing = [name for name in names if name not in named]
    if missing:
        why = f"was called without `{missing[0]}`, which its rule needs"
        raise UnboundCall(step, signature, missing[0], why)
    return named


@functools.cache
def _parsed(signature: str) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    """Return the names of a signature, and its defaults by name."""
    function = ast.parse(f"def f({signature}): pass").body[0]
    if not isinstance(function, ast.FunctionDef):
        raise ValueError(f"`signature` (={signature!r}) must be a list of parameters")
    names = tuple(argument.arg for argument in function.args.args)
    defaults = [ast.literal_eval(node) for node in function.args.defaults]
    return names, tuple(zip(names[len(names) - len(defaults) :], defaults, strict=True))
