"""Recognise scores that a sigmoid made: each class is judged by itself, without a softmax."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["KEEPING", "SIGMOIDS", "Sigmoids"]

SIGMOIDS = ("sigmoid", "hardsigmoid", "special_expit")
"""The names of sigmoids in torch."""

KEEPING = frozenset(
    """_to_copy clone copy type_as cat concat concatenate stack hstack vstack flip roll index
    index_select gather sort topk pad constant_pad_nd repeat dropout mean sum prod amax amin max min
    max_pool2d max_pool2d_with_indices adaptive_max_pool2d avg_pool2d adaptive_avg_pool2d
    _adaptive_avg_pool2d upsample_bilinear2d upsample_nearest2d upsample_bicubic2d
    add sub rsub mul div pow sqrt clamp clip clamp_min clamp_max maximum minimum where""".split()
)
"""Operations after a sigmoid that keep its classes apart: they move its numbers or combine them.

A segmenter, for example, resizes its maps after the sigmoid."""


class Sigmoids(TorchDispatchMode):
    """A mode of torch that follows which memory holds numbers made by sigmoids.

    Numbers made from those of sigmoids alone count, too, such as a mean or a product of two.

    >>> import torch
    >>> with Sigmoids() as seen:
    ...     y = torch.zeros(2, 3).sigmoid()
    >>> seen.made(y), seen.made(torch.zeros(2, 3))
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.rstrip("_")
        for tensor in output if isinstance(output, (list, tuple)) else (output,):
            if isinstance(tensor, Tensor):
                place = _place(tensor)
                if name in SIGMOIDS:
                    self._places.add(place)
                elif (func.is_view or name in KEEPING) and self._all_made(args):
                    self._places.add(place)  # a view may be a copy
                else:
                    self._places.discard(place)
        return output

    def _all_made(self, args: Any) -> bool:
        """Return whether sigmoids made all numbers that an operation reads, except scalars."""
        read = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        read = [tensor for tensor in read if tensor.is_floating_point() and tensor.ndim]
        return bool(read) and all(_place(tensor) in self._places for tensor in read)

    def made(self, output: Any) -> bool:
        """Return whether sigmoids made an output's first tensor, and it lies between 0 and 1."""
        tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if not tensors or _place(tensors[0]) not in self._places:
            return False
        return bool(((tensors[0] >= 0) & (tensors[0] <= 1)).all())


def _place(tensor: Any) -> int:
    return tensor.untyped_storage().data_ptr() if isinstance(tensor, Tensor) else 0
