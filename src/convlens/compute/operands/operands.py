"""Hold the arrays of one call, and return its result as an array of the same kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from convlens.compute.operands.arrays import (
    Array,
    check_out,
    dtype_of,
    store,
    to_array,
    to_tensor,
)
from convlens.compute.operands.autocast import cast_pooled, cast_weighted
from convlens.compute.problems import Problem

__all__ = ["Operands", "needs_gradient"]


def needs_gradient(*arrays: Array | None) -> bool:
    """Return whether torch may differentiate a result of these arrays.

    >>> needs_gradient(torch.ones(1, requires_grad=True), None)
    True
    """
    tensors = [array for array in arrays if isinstance(array, Tensor)]
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


@dataclass(slots=True, eq=False)
class Operands:
    """The arrays of a call: `x`, for a convolution `weight` and maybe `bias`, and maybe `out`.

    >>> given = Operands(torch.ones(3, 8), torch.ones(4, 3, 3))
    >>> [tuple(array.shape) for array in given.inputs]
    [(3, 8), (4, 3, 3)]
    """

    x: Array
    weight: Array | None = None
    bias: Array | None = None
    out: Array | None = None

    @property
    def inputs(self) -> list[Array]:
        """The arrays that are read."""
        return [array for array in (self.x, self.weight, self.bias) if array is not None]

    @property
    def weights(self) -> tuple[Tensor | None, Tensor | None]:
        """`weight` and `bias` as tensors."""
        weight, bias = self.weight, self.bias
        return (
            None if weight is None else to_tensor(weight),
            None if bias is None else to_tensor(bias),
        )

    def cast(self) -> Operands:
        """Return these as torch's autocast casts the arrays of a convolution."""
        x, weight, bias = cast_weighted(self.x, self.weight, self.bias)
        same = x is self.x and weight is self.weight and bias is self.bias
        return self if same else Operands(x, weight, bias, self.out)

    def cast_pooled(self, axes: int) -> Operands:
        """Return these as torch's autocast casts the array of a pooling over `axes` axes."""
        x = cast_pooled(self.x, axes)
        return self if x is self.x else replace(self, x=x)

    def check(self, problem: Problem) -> None:
        """Raise ValueError for an array whose shape or element type is not the problem's."""
        bias_shape = None if self.bias is None else (problem.channels_out,)
        shapes = {"x": problem.x_shape, "weight": problem.weight_shape, "bias": bias_shape}
        for name, shape in shapes.items():
            array = getattr(self, name)
            found = None if array is None else tuple(array.shape)
            if found != shape:
                cure = f"pass an array of shape {shape}" if shape else "leave it out"
                what = f"of shape {found} does not fit this call" if found else "is missing"
                raise ValueError(f"`{name}` {what}; {cure}")
            if array is not None and dtype_of(name, array) != problem.dtype:
                raise ValueError(
                    f"`{name}` holds {dtype_of(name, array)} values, but this call was made for "
                    f"{problem.dtype}; convert them"
                )

    def check_out(self, problem: Problem) -> None:
        """Raise ValueError or TypeError unless `out`, if there is one, fits the result."""
        if self.out is None:
            return
        inputs = {"x": self.x, "weight": self.weight, "bias": self.bias}
        given = {name: array for name, array in inputs.items() if array is not None}
        if any(_without_memory(array) for array in given.values()):
            raise ValueError(
                "`out` cannot be used with arrays that have no memory of their own, such as those "
                "that torch.func.vmap maps; leave it out"
            )
        check_out(self.out, self.x, problem.y_shape, problem.y_dtype, given)

    def target(self, problem: Problem) -> Tensor | None:
        """Return `out` as (n, k, *outputs) if a method can write its result there directly."""
        out = self.out
        if out is None or str(getattr(out, "device", "cpu")) != "cpu":
            return None
        if isinstance(out, Tensor):
            tensor = out
        elif out.flags.c_contiguous and out.dtype.isnative and out.flags.aligned:
            tensor = to_tensor(out)
        else:
            return None
        shape = (problem.batch, problem.channels_out, *problem.outputs)
        return tensor.view(shape) if tensor.is_contiguous() else None

    def result(self, problem: Problem, y: Tensor) -> Array:
        """Return a result as an array of the kind of `x`, written to `out` if that was given."""
        if isinstance(self.x, Tensor):
            return y if self.out is None else self.stored(y, y)
        # In the element type `out_dtype`, or with the byte order of x.
        found = y.numpy() if problem.out_dtype is not None else to_array(y, self.x.dtype)
        return self.stored(found, y)

    def stored(self, found: Array, y: Tensor) -> Array:
        """Return `found`, or `out` if given, after copying unless `y` is in it already."""
        out = self.out
        if out is None:
            return found
        if not isinstance(out, Tensor) or out.data_ptr() != y.data_ptr():
            store(found, out)
        return out


def _without_memory(array: Array) -> bool:
    """Return whether torch maps or wraps a tensor, or has it on the device "meta"."""
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    return isinstance(array, Tensor) and (array.is_meta or wrapped(array))
