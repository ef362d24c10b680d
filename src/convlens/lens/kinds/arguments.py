"""The arguments of a step by name, whatever way the call was written."""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Any

import torch

from convlens.lens.recording import Recording, Ref, Step, Value

# Words torch's own signatures use for the same argument.
_SAME = {"self": "input", "axis": "dim",
    "keepdims": "keepdim", "x": "input", "tensor": "input", "train": "training",
         "indices": "key", "values": "value"}  # fmt: skip
# Where the result goes and how it lies in memory: no number depends on it.
_BESIDE = frozenset("out inplace memory_format layout device non_blocking _stacklevel".split())


class UnboundCall(TypeError):
    """A call that fits no signature its rule knows; nothing else is answered with slopes.

    >>> raise UnboundCall("`p` (='nuc') is no number")
    Traceback (most recent call last):
    convlens.lens.kinds.arguments.UnboundCall: `p` (='nuc') is no number
    """


class Arguments:
    """One step's arguments under the names of a signature like "input, weight, bias=None".

    >>> import torch
    >>> from convlens.lens import record
    >>> x, kernel = torch.ones(1, 1, 5), torch.ones(1, 1, 3)
    >>> recording = record(lambda x: torch.conv1d(x, kernel, stride=2), x)
    >>> given = Arguments(recording, recording.step(0), "input, weight, bias=None, stride=1")
    >>> given.per_axis("stride", 1)
    (2,)

    Raises:
        UnboundCall: the call has arguments that the signature has not.
    """

    def __init__(self, recording: Recording, step: Step, signature: str) -> None:
        self.recording, self.step = recording, step
        self.named = bind(step, signature)

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


def bind(step: Step, signature: str) -> dict[str, Any]:
    """A step's arguments by name.

    Raises:
        UnboundCall: it has arguments that the signature has not.
    """
    names, defaults = _parse(signature)
    if len(step.args) > len(names):
        raise UnboundCall(
            f"`{step.op}` was called with {len(step.args)} arguments in a row; "
            f"its rule knows {len(names)}"
        )
    named = {**dict(defaults), **dict(zip(names, step.args, strict=False))}
    for key, argument in step.kwargs.items():
        name = key if key in names else _SAME.get(key, key)
        if name not in names and key not in _BESIDE:
            raise UnboundCall(f"`{step.op}` was called with `{key}`, which its rule does not know")
        named[name] = argument
    return named


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
