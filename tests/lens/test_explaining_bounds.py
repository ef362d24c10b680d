"""The bound holds for numbers that round badly, and can still fail."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import Explanation, explain, record
from tests.cases.elements import can_fail

G = torch.Generator().manual_seed(7)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G)


SPIKE = torch.zeros(1, 1, 6, 6)
SPIKE[0, 0, 2, 2], SPIKE[0, 0, 3, 3] = 1e8, -1e-8
ONES = torch.ones(6)
HEADS = nn.MultiheadAttention(8, 2, batch_first=True)
for parameter in HEADS.parameters():
    parameter.data.copy_(drawn(*parameter.shape))
FEW = torch.tensor([-20.0, -8, -5, -1e-3, 1e-6, 3, 1e-20, 30])
MASK = torch.where(torch.rand(4, 6, generator=G) < 0.5, -1e9, 0.0)
LEAST = torch.where(torch.rand(4, 6, generator=G) < 1.1, torch.finfo(torch.float32).min, 0.0)

HARD: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    **{
        f"masked attention {name}": (
            lambda q, k, v, mask=mask: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
            (drawn(2, 4, 8), drawn(2, 6, 8), drawn(2, 6, 8)),
        )
        for name, mask in (
            ("-1e9", MASK), ("finfo.min everywhere", LEAST), ("-1e4", MASK / 1e5),
        )
    },
    "large scores": (
        F.scaled_dot_product_attention,
        (20 * drawn(2, 4, 8), 20 * drawn(2, 6, 8), drawn(2, 6, 8)),
    ),
    "masked heads": (
        lambda q, k: HEADS(q, k, k, attn_mask=MASK)[0],
        (drawn(2, 4, 8), drawn(2, 6, 8)),
    ),
    "filled scores": (lambda x: x.masked_fill(x > 0, -1e9).softmax(1), (drawn(4, 9),)),
    **{
        f"{name} around {shift:g} times {scale:g}": (
            lambda x, f=f, shift=shift, scale=scale: f(x * scale + shift, 1),
            (drawn(3, 20),),
        )
        for name, f in (
            ("softmax", torch.softmax), ("log_softmax", torch.log_softmax),
            ("logsumexp", torch.logsumexp), ("var", torch.var), ("std", torch.std),
        )
        for shift, scale in ((1e6, 1.0), (0.0, 1e4), (-1e9, 1.0), (1e4, 1e-3))
    },
    "log_softmax of a sure class": (lambda x: x.log_softmax(0), (torch.tensor([0.0, -20]),)),
    **{
        f"{name} around {shift:g} times {scale:g}": (
            lambda x, f=f, shift=shift, scale=scale: f(x * scale + shift),
            (drawn(2, 6, 40),),
        )
        for name, f in (
            ("layer_norm", lambda x: F.layer_norm(x, (40,))),
            ("group_norm", lambda x: F.group_norm(x, 2)),
            ("batch_norm", lambda x: F.batch_norm(x, None, None, training=True)),
            ("instance_norm", F.instance_norm),
            ("rms_norm", lambda x: F.rms_norm(x, (40,))),
        )
        for shift, scale in ((1e3, 1.0), (1e4, 1e-3), (1e6, 1.0))
    },
    "stored mean that cancels": (
        lambda x: F.batch_norm(x, 1e4 * ONES, ONES, None, 1e4 * ONES),
        (drawn(2, 6, 3) * 0.01,),
    ),
    **{
        f"{mode} beside a spike": (
            lambda x, mode=mode: F.interpolate(x, size=(13, 11), mode=mode), (SPIKE,)
        )
        for mode in ("bilinear", "bicubic", "nearest")
    },
    **{
        name: (f, (FEW,))
        for name, f in (
            ("gelu", F.gelu), ("mish", F.mish), ("elu", F.elu), ("selu", F.selu), ("silu", F.silu),
            ("tanhshrink", F.tanhshrink), ("logsigmoid", F.logsigmoid), ("softplus", F.softplus),
            ("expm1", torch.expm1), ("exp", torch.exp), ("clamp", lambda x: x.clamp(-1, 1)),
            ("over a tiny number", lambda x: x / 1e-30), ("reciprocal", lambda x: 1 / x),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_the_bound_holds_and_can_fail(name: str) -> None:
    torch.manual_seed(0)
    call, inputs = HARD[name]
    seen = record(call, *inputs)
    assert seen.error is None
    for step in seen:
        shape = seen.values[step.outputs[0]].shape if step.outputs else (0,)
        if 0 in shape or not step.inputs:
            continue
        for position in range(0, math.prod(shape), max(1, math.prod(shape) // 12)):
            index = tuple(int(i) for i in torch.unravel_index(torch.tensor(position), shape))
            assert can_fail(explain(seen, step, index))


def test_a_wrong_number_under_a_finite_mask_is_caught() -> None:
    seen = record(*HARD["masked attention -1e9"][:1], *HARD["masked attention -1e9"][1])
    explain(seen, 0, (0, 0, 0))
    assert seen.output is not None
    seen.output.tensor[0, 0, 0] *= 1.0001
    with pytest.raises(ArithmeticError, match="more than the bound"):
        explain(seen, 0, (0, 0, 0))


def test_a_bound_that_is_not_the_terms_says_whose_it_is() -> None:
    seen = record(F.gelu, torch.tensor([-20.0]))
    explanation: Explanation = explain(seen, 0, (0,))
    assert "rounded as numbers of size 20 are: its formula subtracts" in explanation.note
