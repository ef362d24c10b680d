"""What a number feeds is exactly `explain` of every output, reversed."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens import conv
from convlens.lens import (
    Mute,
    Recording,
    explain_value,
    feeds,
    feeds_value,
    record,
    replay,
)
from convlens.lens.feeding import MOST_ASKED
from convlens.lens.terms import unravel
from tests.cases.networks import build

Row = tuple[int, str, int, float, float, float]
"""Output value, role, flat position, value, weight and product."""

G = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G)


def network(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(*layers).eval()


def normed(norm: nn.Module) -> nn.Module:
    for tensor in (*norm.parameters(), *norm.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5)
    return network(norm)


CASES: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "conv1d": (network(nn.Conv1d(2, 3, 3, stride=2, padding=2, dilation=2)), (drawn(2, 2, 9),)),
    "conv2d": (network(nn.Conv2d(4, 4, (3, 2), (1, 2), 1, groups=2)), (drawn(1, 4, 5, 4),)),
    "conv3d": (network(nn.Conv3d(1, 2, 2, padding=1, bias=False)), (drawn(1, 1, 3, 2, 3),)),
    "no batch": (network(nn.Conv2d(2, 2, 3, padding=1)), (drawn(2, 4, 4),)),
    "transposed": (
        network(nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1, groups=2)), (drawn(2, 4, 3, 2),)
    ),
    "dilated transposed": (
        network(nn.ConvTranspose1d(2, 2, 3, 3, 2, 0, 1, True, 4)), (drawn(1, 2, 5),)
    ),
    "own reflecting": (
        lambda x, w: conv(x, w, padding=2, padding_mode="reflect", method="direct"),
        (drawn(1, 1, 6), drawn(2, 1, 5)),
    ),
    "own padded": (
        lambda x, w: conv(x, w, padding=((2, 1),), method="direct"),
        (drawn(1, 2, 6), drawn(2, 2, 3)),
    ),
    "max pool": (network(nn.MaxPool2d(3, 2, 1)), (drawn(1, 2, 6, 5),)),
    "average pool": (network(nn.AvgPool2d(3, 2, 1, True)), (drawn(1, 2, 6, 5),)),
    "adaptive pool": (network(nn.AdaptiveAvgPool2d((2, 3))), (drawn(1, 2, 5, 7),)),
    "linear": (network(nn.Linear(4, 3)), (drawn(2, 5, 4),)),
    "matrices": (lambda a, b: (a @ b, torch.mm(a[0], b[0])), (drawn(2, 3, 4), drawn(2, 4, 2))),
    "square": (lambda x: (x * x, x @ x), (drawn(4, 4),)),
    "activations": (lambda x: (F.relu(x), F.gelu(x), F.hardswish(x) + 1), (drawn(3, 4),)),
    "prelu": (network(nn.PReLU(3)), (drawn(2, 3, 4),)),
    "broadcast": (lambda a, b: (a + b, a * b, a / b), (drawn(2, 3, 4), drawn(3, 1))),
    "choice": (lambda a, b: torch.where(a > 0, a, b), (drawn(3, 4), drawn(4))),
    "batch norm": (normed(nn.BatchNorm2d(3)), (drawn(2, 3, 3, 2),)),
    "group norm": (normed(nn.GroupNorm(2, 4)), (drawn(2, 4, 3),)),
    "layer norm": (normed(nn.LayerNorm(5)), (drawn(3, 5),)),
    "moves": (
        lambda x: (torch.cat((x, x.flip(1)), 1), x.permute(1, 0), F.pad(x, (1, 1)), x[1:, ::2]),
        (drawn(3, 4),),
    ),
    "reductions": (lambda x: (x.mean(1), x.sum(), x.amax(0), x.var(1)), (drawn(3, 4),)),
    "softmax": (lambda x: (x.softmax(-1), x.log_softmax(0)), (drawn(3, 4),)),
    "enlarged": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
        (drawn(1, 2, 3, 3),),
    ),
    "attention": (F.scaled_dot_product_attention, (drawn(2, 3, 4), drawn(2, 5, 4), drawn(2, 5, 2))),
    "gathered": (lambda x: (x.topk(2, 1)[0], x.gather(1, torch.tensor([[0], [2], [1]]))),
                 (drawn(3, 4),)),
    "put": (lambda x: torch.zeros(3, 4).index_put((torch.tensor([1]),), x), (drawn(1, 4),)),
    "slopes": (lambda x: torch.linalg.inv(x + 3 * torch.eye(3)), (drawn(3, 3),)),
    "composed": (lambda a, b: torch.tensordot(a, b, 1), (drawn(2, 3), drawn(3, 4))),
}  # fmt: skip


def reversed_terms(seen: Recording) -> dict[tuple[int, int], list[Row]]:
    """Return by element every term that has it, from the explanation of every output."""
    table: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for step in seen:
        for output in step.outputs:
            shape = seen.values[output].shape
            for place in range(math.prod(shape)):
                try:
                    found = explain_value(seen, output, unravel(place, shape))
                except NotImplementedError:
                    continue
                t = found.terms
                for k in range(len(t)):
                    row = (float(t.value[k]), float(t.weight[k]), float(t.product[k]))
                    if t.source[k] >= 0:
                        element = (int(t.source[k]), int(t.position[k]))
                        table[element].append((output, "term", place, *row))
                    if t.weight_source[k] >= 0:
                        element = (int(t.weight_source[k]), int(t.weight_position[k]))
                        table[element].append((output, "weight", place, *row))
                if found.bias_source is not None:
                    row = (found.bias, 1.0, found.bias)
                    table[found.bias_source].append((output, "bias", place, *row))
    return table


def rows(seen: Recording, id: int, position: int) -> list[Row]:
    found = feeds_value(seen, id, unravel(position, seen.values[id].shape))
    columns = ("positions", "value", "weight", "product")
    return [
        (reading.output, reading.role, int(place), float(value), float(weight), float(product))
        for reading in found.readings
        for place, value, weight, product in zip(
            *(getattr(reading, column) for column in columns), strict=True
        )
    ]


def in_order(table: list[Row]) -> list[str]:
    return sorted(repr(row) for row in table)


@pytest.mark.parametrize("name", CASES)
def test_what_a_number_feeds_is_what_has_it_among_its_terms(name: str) -> None:
    call, inputs = CASES[name]
    seen = record(call, *inputs)
    assert seen.error is None
    table = reversed_terms(seen)
    assert table
    for value in seen.values:
        for position in range(math.prod(value.shape)):
            truth = in_order(table[value.id, position])
            assert in_order(rows(seen, value.id, position)) == truth, (value, position)


@pytest.mark.parametrize("name", ["residual", "depthwise", "transposed", "in place", "shared"])
def test_numbers_of_whole_networks_feed_what_has_them(name: str) -> None:
    made, given = build(name)
    seen = record(made, *given)
    generator = torch.Generator().manual_seed(0)
    for value in seen.values:
        shape = value.shape
        at = tuple(int(torch.randint(n, (), generator=generator)) for n in shape)
        found = feeds_value(seen, value.id, at)
        for reading in found.readings[:3]:
            k = int(torch.randint(len(reading), (), generator=generator))
            place = unravel(int(reading.positions[k]), seen.values[reading.output].shape)
            if reading.role != "term":
                continue
            terms = explain_value(seen, reading.output, place).terms
            here = [terms.index(i, seen) == at for i in range(len(terms))]
            mine = (terms.source == value.id) & here
            assert reading.product[k] in terms.product[mine]


def test_a_kernels_number_feeds_its_whole_map_at_once() -> None:
    seen = record(network(nn.Conv2d(3, 8, 3, padding=1)), torch.randn(4, 3, 100, 100))
    found = feeds(seen, "0.weight", (5, 1, 0, 2))
    assert found.count == 4 * 100 * 100 > MOST_ASKED
    assert seen.output is not None
    (reading,) = found.readings
    x = nn.functional.pad(seen.inputs[0].tensor[:, 1], (1, 1, 1, 1))[:, :100, 2:]
    weight = seen.values[seen.made("0.weight")[0]].tensor[5, 1, 0, 2]
    assert torch.equal(torch.from_numpy(reading.product), (x.double() * weight.double()).flatten())
    place, k = found.strongest(1)[0]
    assert abs(place.product[k]) == abs(reading.product).max()


def test_a_step_that_does_not_name_the_number_says_so() -> None:
    seen = record(normed(nn.BatchNorm2d(3)), drawn(1, 3, 4, 4))
    found = feeds(seen, "0.weight", (1,))
    assert found.count == 0
    assert found.refusals == (
        "step 0 (`batch_norm`, module `0`) has no term of it: its rule names it nowhere, or it "
        "reads others of it",
    )
    seen = record(lambda x: (x.sum().item(), x * torch.ones(9000, 1)), torch.ones(2))
    found = feeds(seen, "input", (1,))
    assert [len(reading) for reading in found.readings] == [1]
    assert "9000 outputs, more than are asked one by one" in found.refusals[0]
    assert "hands it to Python" in feeds(seen, "sum@0", ()).refusals[0]
    with pytest.raises(ValueError, match="use 0 to 0"):
        feeds(seen, "input", (1,), slot=1)


def test_a_number_that_lends_only_its_type_feeds_nothing() -> None:
    seen = record(lambda x, y: x.to(y), torch.ones(3, dtype=torch.int64), torch.ones(3, 4))
    found = feeds(seen, "input1", (1, 2))
    assert (found.count, len(found.refusals)) == (0, 1)
    assert feeds(seen, "input", (1,)).count == 1


def test_a_number_that_a_change_put_is_fed_by_nothing() -> None:
    seen = record(network(nn.Conv1d(1, 2, 1), nn.ReLU()), drawn(1, 1, 3))
    muted = replay(seen, [Mute("0", 1)])
    (reading,) = feeds(muted, "input", (0, 0, 2)).readings
    assert reading.positions.tolist() == [2]
