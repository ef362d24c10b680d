"""What a call writes is known beforehand, or left to those who watch its operators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import resolve_name
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.lens.recorder.guarding import _written_arguments
from convlens.lens.recorder.operations import HARMLESS, IN_PLACE, treatment_of

X = torch.arange(24.0).reshape(1, 2, 3, 4) - 9
LINE, VOLUME = X.reshape(1, 2, 12), X.reshape(1, 2, 3, 2, 2)
TWO = torch.ones(2)
OTHERS: dict[str, tuple[Any, ...]] = {
    "conv1d": (LINE, torch.ones(1, 2, 3)),
    "conv2d": (X, torch.ones(1, 2, 1, 1)),
    "conv3d": (VOLUME, torch.ones(1, 2, 1, 1, 1)),
    "conv_transpose1d": (LINE, torch.ones(2, 1, 3)),
    "conv_transpose2d": (X, torch.ones(2, 1, 1, 1)),
    "conv_transpose3d": (VOLUME, torch.ones(2, 1, 1, 1, 1)),
    "linear": (X, torch.ones(5, 4)),
    "matmul": (X, torch.ones(4, 5)),
    "group_norm": (X, 2),
    "layer_norm": (X, [4]),
    "softmax": (X, 1),
    "log_softmax": (X, 1),
    "max_pool1d": (LINE, 2),
    "max_pool2d": (X, 2),
    "max_pool3d": (VOLUME, 1),
    "avg_pool1d": (LINE, 2),
    "avg_pool2d": (X, 2),
    "avg_pool3d": (VOLUME, 1),
    "adaptive_avg_pool1d": (LINE, 1),
    "adaptive_avg_pool2d": (X, 1),
    "adaptive_avg_pool3d": (VOLUME, 1),
    "interpolate": (X, 6),
    "cat": ([X, X],),
}
"""The arguments of functions that do not take one tensor, or two of one size."""

TWO_OPERANDS = ("add", "sub", "mul", "div")


class Writes(TorchDispatchMode):
    """Notes which tensors the operators beneath a call write into."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        for i, name in _written_arguments(func):
            self.seen.append(args[i] if i < len(args) else kwargs[name])
        return func(*args, **kwargs)


def arguments(function: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    name = function.__name__
    if name == "batch_norm":
        statistics = TWO.clone(), TWO.clone()
        if function is torch.nn.functional.batch_norm:
            return (X, *statistics, None, None, False, 0.1, 1e-5), {}
        return (X, None, None, *statistics, False, 0.1, 1e-5, False), {}
    if name in OTHERS:
        return OTHERS[name], {}
    both = any(each in name for each in TWO_OPERANDS)
    return ((X.clone(), X) if both else (X.clone(),)), {}


def written(function: Any, *args: Any, **kwargs: Any) -> list[Tensor]:
    writes = Writes()
    with writes, torch.no_grad():
        function(*args, **kwargs)
    return writes.seen


@pytest.mark.parametrize(
    "function", sorted(HARMLESS | IN_PLACE, key=resolve_name), ids=resolve_name
)
def test_what_is_said_to_be_written_is_written(function: Any) -> None:
    args, kwargs = arguments(function)
    said = treatment_of(function).writes(args, kwargs)
    assert said is not None
    seen = [t for t in written(function, *args, **kwargs) if any(t is a for a in args)]
    assert [id(t) for t in said] == [id(t) for t in seen]


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "hardtanh", "silu", "hardswish"])
def test_an_activation_in_place_writes_its_input(name: str) -> None:
    function, x = getattr(torch.nn.functional, name), X.clone()
    said = treatment_of(function).writes((x,), {"inplace": True})
    assert said is not None
    assert [id(t) for t in said] == [id(x)]
    assert any(t is x for t in written(function, x, inplace=True))


def test_what_the_arguments_do_not_tell_is_left_to_the_operators() -> None:
    functional, x = torch.nn.functional, X.clone()
    for function, args, kwargs in (
        (functional.relu, (x, True), {}),
        (functional.batch_norm, (x, TWO, TWO, None, None, True), {}),
        (functional.batch_norm, (x, TWO, TWO), {"training": True}),
        (functional.dropout, (x,), {"inplace": True, "training": False}),
        (torch.add, (x, x), {"out": x}),
        (torch.cumsum, (x, 0), {}),
    ):
        assert treatment_of(function).writes(args, kwargs) is None
