"""Symbolic sizes: one exported program and one compiled graph serve all sizes."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._dynamo.testing
from torch import Tensor, nn
from torch.export import Dim

import convlens.functional as ours
from convlens.compute import conv
from convlens.functional.adapting import _beside

WEIGHT, TURNED = torch.randn(6, 4, 3, 3), torch.randn(4, 6, 3, 3)

CALLS: dict[str, Callable[[Any], Any]] = {
    "conv": lambda x: ours.conv2d(x, WEIGHT, padding="same", stride=1),
    "conv, strided": lambda x: ours.conv2d(x, WEIGHT, stride=2, padding=1),
    "conv, same_upper": lambda x: conv(x, WEIGHT, stride=2, padding="same_upper"),
    "max_pool, same_lower": lambda x: ours.max_pool2d(x, 3, 3, "same_lower"),
    "conv, reflected": lambda x: conv(x, WEIGHT, padding=1, padding_mode="reflect"),
    "conv_transpose": lambda x: ours.conv_transpose2d(x, TURNED, stride=2, output_padding=1),
    "max_pool": lambda x: ours.max_pool2d(x, 3, 2, ceil_mode=True),
    "max_pool, where": lambda x: ours.max_pool2d(x, 2, return_indices=True)[1],
    "avg_pool, divided": lambda x: ours.avg_pool2d(x, 2, divisor_override=3),
    "avg_pool": lambda x: ours.avg_pool2d(x, 3, 2, 1),
    "adaptive_avg_pool": lambda x: ours.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool": lambda x: ours.adaptive_max_pool2d(x, 2),
    "adaptive_max_pool beside an axis": lambda x: ours.adaptive_max_pool2d(x, (3, None)),
    "adaptive_max_pool, where": lambda x: ours.adaptive_max_pool2d(x, (None, 2), True)[1],
    "adaptive_max_pool of nothing": lambda x: ours.adaptive_max_pool2d(x, (None, None)),
}


class Calls(nn.Module):
    def __init__(self, call: Callable[[Any], Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Any:
        return self.call(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_one_program_for_all_sizes(name: str) -> None:
    call = CALLS[name]
    free = {0: Dim("n"), 2: Dim("h", min=8, max=500), 3: Dim("w", min=8, max=500)}
    program = torch.export.export(
        Calls(call), (torch.randn(2, 4, 14, 16),), dynamic_shapes={"x": free}
    )
    for shape in ((5, 4, 20, 31), (3, 4, 9, 8)):
        x = torch.randn(shape)
        torch.testing.assert_close(program.module()(x), call(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_maxima_beside_axes_that_stay_are_torchs(axes: int, batch: tuple[int, ...]) -> None:
    x = torch.randn(*batch, 3, *(7, 5, 6)[:axes]).round()  # with equal numbers
    x.view(-1)[4] = torch.nan
    theirs = getattr(torch.nn.functional, f"adaptive_max_pool{axes}d")
    for asked in itertools.product((None, 2, 4), repeat=axes):
        kept = [axis for axis, count in enumerate(asked) if count is None]
        counts = tuple(n if c is None else c for c, n in zip(asked, x.shape[-axes:], strict=True))
        if kept:
            found = _beside(axes, x, counts, kept, True)
            for one, other in zip(found, theirs(x, counts, return_indices=True), strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ["conv", "conv, reflected", "max_pool", "adaptive_avg_pool"])
def test_one_graph_for_all_sizes(name: str) -> None:
    torch._dynamo.reset()
    call, graphs = CALLS[name], torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(call, dynamic=True, fullgraph=True, backend=graphs)
    for shape in ((2, 4, 14, 16), (5, 4, 20, 31), (3, 4, 9, 8)):
        x = torch.randn(shape)
        torch.testing.assert_close(compiled(x), call(x), rtol=1e-4, atol=1e-4)
    assert graphs.frame_count == 1
