"""Cases of the benchmark: their shapes, their groups, and the least work that each needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convlens.windows import TransposedWindow, Window

Shape = tuple[int, ...]
PerAxis = int | Shape

GROUPS = {
    "filters": "filters of 1-3 channels",
    "dense": "dense layers",
    "grouped": "depthwise and grouped",
    "transposed": "transposed",
    "pooling": "pooling",
}


@dataclass(frozen=True)
class Case:
    """One operation on float32: `window` is the shape of the weight, or the size of a pooling.

    `separable`: the filter is the outer product of one for each axis. `one_filter`: all channels
    have the same filter, which peers may use.
    """

    name: str
    operation: str
    x: Shape
    window: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int = 1
    separable: bool = False
    one_filter: bool = False

    @property
    def pools(self) -> bool:
        return self.operation in ("max_pool", "avg_pool")

    @property
    def space(self) -> Shape:
        return self.x[2:]

    @property
    def size(self) -> Shape:
        """The size of the window along every axis of space."""
        return self.window if self.pools else self.window[2:]

    @property
    def group(self) -> str:
        if self.pools:
            return "pooling"
        if self.operation == "conv_transpose":
            return "transposed"
        if self.x[1] <= 3 and self.window[0] == self.x[1] == self.groups:
            return "filters"
        return "dense" if self.groups == 1 else "grouped"

    @property
    def y(self) -> Shape:
        """The shape of the result."""
        transposed = self.operation == "conv_transpose"
        kind = TransposedWindow if transposed else Window
        steps = zip(self.size, self.stride, self.dilation, self.padding, self.space, strict=True)
        space = tuple(kind(k, s, d, p, p).outputs(n) for k, s, d, p, n in steps)
        if self.pools:
            return (*self.x[:2], *space)
        channels = self.window[1] * self.groups if transposed else self.window[0]
        return (self.x[0], channels, *space)

    @property
    def flops(self) -> int:
        """Twice the multiplications of the definition; a separable filter goes axis by axis.

        Those on padding count, too. A pooling counts as 0, as it needs almost none.
        """
        if self.pools:
            return 0
        if self.separable:
            return 2 * prod(self.y) * sum(self.size)
        places = prod(self.x if self.operation == "conv_transpose" else self.y)
        return 2 * places * prod(self.window[1:])

    @property
    def traffic(self) -> int:
        """The bytes of input, result and weight, which every method must move."""
        return 4 * (prod(self.x) + prod(self.y)) + self.weight_bytes

    @property
    def weight_bytes(self) -> int:
        return 0 if self.pools else 4 * prod(self.window)


def conv(
    name: str,
    x: Shape,
    weight: Shape,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    operation: str = "conv",
    separable: bool = False,
    one_filter: bool = False,
) -> Case:
    """Return a case of convolution; one integer stands for all axes of space."""
    axes = len(x) - 2
    return Case(
        name,
        operation,
        x,
        weight,
        _each(stride, axes),
        _each(padding, axes),
        _each(dilation, axes),
        groups,
        separable,
        one_filter,
    )


def transposed(name: str, x: Shape, weight: Shape, stride: PerAxis, padding: PerAxis) -> Case:
    return conv(name, x, weight, stride, padding, operation="conv_transpose")


def pool(operation: str, name: str, x: Shape, size: int, stride: int, padding: PerAxis = 0) -> Case:
    axes = len(x) - 2
    return conv(name, x, _each(size, axes), stride, padding, operation=f"{operation}_pool")


def _each(value: PerAxis, axes: int) -> Shape:
    return (value,) * axes if isinstance(value, int) else value
