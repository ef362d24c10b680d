"""The arguments of a step by name, whatever way the call was written."""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Any

import torch

from convlens.lens.steps import Recording, Ref, Step, Value

# Words torch's own signatures use for the same argument.
_SAME = {"self": "input", "axis": "dim", "x": "input", "tensor": "input"}


class Arguments:
    """One step's arguments under the names of a signature like "input, weight, bias=None".

    >>> import torch
    >>> from convlens.lens import record
    >>> recording = record(torch.nn.Conv1d(1, 1, 3, stride=2), torch.ones(1, 1, 5))
    >>> given = Arguments(recording, recording.step(0), "input, weight, bias=None, stride=1")
    >>> given.per_axis("stride", 1)
    (2,)
    """

    def __init__(self, recording: Recording, step: Step, signature: str) -> None:
        self.recording, self.step = recording, step
        names, defaults = _parse(signature)
        self.named = dict(defaults)
        self.named.update(zip(names, step.args, strict=False))
        for key, argument in step.kwargs.items():
            self.named[_SAME.get(key, key)] = argument

    def __getitem__(self, name: str) -> Any:
        return self.named.get(name)

    def has(self, name: str) -> bool:
        """Whether the argument is a tensor."""
        return isinstance(self.named.get(name), Ref)

    def id(self, name: str) -> int:
        """The value id of a tensor argument."""
        argument = self.named.get(name)
        if not isinstance(argument, Ref):
            raise NotImplementedError(
                f"step {self.step.index} (`{self.step.op}`): its argument `{name}` is no tensor"
            )
        return argument.id

    def value(self, name: str) -> Value:
        """The recorded value of a tensor argument."""
        return self.recording.values[self.id(name)]

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor of a tensor argument."""
        return self.value(name).tensor

    def number(self, name: str, index: Sequence[int] = (), otherwise: float = 0.0) -> float:
        """A number, or the element of a tensor argument at `index`; `otherwise` when None."""
        argument = self.named.get(name)
        if argument is None:
            return otherwise
        if isinstance(argument, Ref):
            return float(self.recording.values[argument.id].tensor[tuple(index)])
        return float(argument)

    def per_axis(self, name: str, axes: int) -> tuple[int, ...]:
        """An int or a sequence of ints as one int an axis."""
        return per_axis(self.named[name], axes)

    def dims(self, rank: int, name: str = "dim") -> tuple[int, ...]:
        """A dimension, several, or none (all of them), counted from the front."""
        dim = self.named.get(name)
        if dim is None or (isinstance(dim, (list, tuple)) and not dim):
            return tuple(range(rank))
        given = dim if isinstance(dim, (list, tuple)) else (dim,)
        return tuple(sorted(int(d) % max(rank, 1) for d in given))


def per_axis(given: Any, axes: int) -> tuple[int, ...]:
    """An int or a sequence of ints as one int an axis."""
    numbers = tuple(int(i) for i in given) if isinstance(given, Sequence) else (int(given),)
    return numbers * axes if len(numbers) == 1 else numbers


@functools.cache
def _parse(signature: str) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    function = ast.parse(f"def f({signature}): pass").body[0]
    if not isinstance(function, ast.FunctionDef):
        raise ValueError(f"`signature` (={signature!r}) must be a parameter list; write it so")
    names = tuple(argument.arg for argument in function.args.args)
    defaults = [ast.literal_eval(node) for node in function.args.defaults]
    return names, tuple(zip(names[len(names) - len(defaults) :], defaults, strict=True))
