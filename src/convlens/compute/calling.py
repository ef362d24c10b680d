"""Compute one call by torch's operators where torch must see it, else by the best known method.

A mode of torch, such as a recording, sees every public call of torch. Calls of convlens take part
through the same protocol. When no mode is active, this costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from convlens.compute.deciding import Prepared
from convlens.compute.dispatching import execute
from convlens.compute.memory.arena import check_memory
from convlens.compute.methods import check_method
from convlens.compute.operands.arrays import to_tensor
from convlens.compute.operands.autocast import autocast_off
from convlens.compute.operands.operands import Operands, needs_gradient
from convlens.compute.operators.gradients import differentiable, seen_by_torch
from convlens.compute.operators.operators import goes_forward
from convlens.compute.problems import Problem

__all__ = ["ShownCall", "answer", "call"]


def call(problem: Problem, given: Operands, method: str = "auto") -> Any:
    """Compute a problem that was read from these arrays, by the best method known so far.

    Return an array of the kind of `x`, or `out`; with indices, a pair. Raises TypeError or
    ValueError for a method that does not exist or cannot compute this, and where `answer` does.

    >>> from convlens.compute.reading.options import read_pool
    >>> x = torch.tensor([[1, 5, 2, 3]])
    >>> call(read_pool("max_pool", x, (2,)), Operands(x))
    tensor([[5, 3]])
    """
    check_method(method)
    if given.weight is None:
        cast = given.cast_pooled(len(problem.windows))
        if cast is not given:
            given, problem = cast, problem.in_type("float32")
    return answer(problem, given, method)


def answer(problem: Problem, given: Operands, method: str, prepared: Prepared | None = None) -> Any:
    """Return the result as an array like x, or in `out`; with indices, a pair.

    A plan passes what it `prepared`, which serves calls with its own weights. If torch must see the
    computation, to differentiate it for instance, torch's operators compute it. Raises ValueError
    if another method was asked for then, if `out` cannot be written to, or if memory runs out.
    """
    if torch.compiler.is_compiling():
        return _answer(problem, given, method, prepared)
    try:
        return _answer(problem, given, method, prepared)
    except (MemoryError, RuntimeError) as error:
        check_memory(error, f"a result of shape {problem.y_shape}")
        raise


@autocast_off
def _answer(problem: Problem, given: Operands, method: str, prepared: Prepared | None) -> Any:
    inputs = given.inputs
    if not torch.compiler.is_compiling() and has_torch_function(inputs):
        tensors = [array for array in inputs if isinstance(array, Tensor)]
        shown = ShownCall(problem, method, prepared)
        more = {} if given.out is None else {"out": given.out}
        return handle_torch_function(shown, tensors, *inputs, **more)
    if given.out is not None:
        _check_underived(inputs)
        given.check_out(problem)
    if seen_by_torch(*inputs):
        return _by_torch(problem, given, method)
    canonical = to_tensor(given.x)
    if not problem.batched:
        canonical = canonical.unsqueeze(0)
    target = given.target(problem)
    if prepared is not None and prepared.serves(problem, given.weight, given.bias):
        y, places = prepared.compute(canonical, target)
    else:
        y, places = execute(problem, canonical, *given.weights, method, target)
    if not problem.batched:
        y, places = y.squeeze(0), None if places is None else places.squeeze(0)
    result = given.result(problem, y)
    if places is None or not problem.return_indices:
        return result
    return result, places if isinstance(given.x, Tensor) else places.numpy()


def _check_underived(inputs: list[Any]) -> None:
    """Raise ValueError if torch must differentiate what is written into `out`."""
    if needs_gradient(*inputs):
        raise ValueError("`out` cannot be used where a gradient is required; leave it out")
    if goes_forward(*inputs):
        raise ValueError("`out` cannot hold a forward-mode derivative; leave it out")


def _by_torch(problem: Problem, given: Operands, method: str) -> Any:
    """Compute with operators that torch sees."""
    if method not in ("auto", "torch"):
        raise ValueError(
            f'`method` (="{method}") is not visible to torch, but here torch must follow, to '
            'compute a gradient for instance; use "auto" or detach'
        )
    y, places = differentiable(problem, to_tensor(given.x), *given.weights)
    result = given.stored(y, y)
    return (result, places) if problem.return_indices else result


@dataclass(frozen=True, eq=False)
class ShownCall:
    """One operation as torch's function modes see it: a function of x, weight, bias and `out`.

    It computes `problem` with the arrays it is called with. A plan's call uses what the plan
    `prepared` if the weights are the same.
    """

    problem: Problem
    method: str
    prepared: Prepared | None = field(default=None, repr=False)

    @property
    def __name__(self) -> str:
        """The name of the operation."""
        return self.problem.operation

    @property
    def settled(self) -> bool:
        """Whether every call computes in the same way."""
        return self.prepared is not None or self.method != "auto"

    def __call__(self, *arrays: Any, out: Any = None) -> Any:
        """Compute; raise ValueError for an array of another shape or type than the problem's."""
        x, weight, bias = (*arrays, None, None)[:3]
        given = Operands(x, weight, bias, out)
        given.check(self.problem)
        return answer(self.problem, given, self.method, self.prepared)

    def sloped(self) -> ShownCall:
        """Return the same call in float32, by any method that torch can differentiate."""
        return ShownCall(self.problem.in_type("float32"), "auto")
