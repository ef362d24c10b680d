"""What a step reads and costs, whatever it is called: regions against the truth, faults told."""

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import costs_of, explain, record, region
from convlens.lens.kinds import KINDS, bound
from convlens.lens.trees import tensors_in
from convlens.zoo.detection.boxes import nms
from convlens.zoo.detection.regions import roi_align, roi_pool
from tests.cases.networks import NETWORKS, build

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

G = torch.Generator().manual_seed(0)
PACK = nn.utils.rnn.pack_padded_sequence


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G, dtype=torch.float64)


class Held(nn.Module):
    """A function of a module and inputs, so that the module's precision is changed with it."""

    def __init__(self, own: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.own, self.call = own.double(), call

    def forward(self, *inputs: Tensor) -> Any:
        return self.call(self.own, *inputs)


def layer(own: nn.Module) -> Held:
    torch.manual_seed(3)
    for parameter in own.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return Held(own, lambda own, *inputs: own(*inputs))


def grid(size: int) -> Tensor:
    return torch.rand(2, 3, size, 2, generator=G, dtype=torch.float64) * 1.6 - 0.8


PLACES = torch.tensor([[0, 2], [1, 1]])
SQUARE = 4 * torch.eye(3, dtype=torch.float64)

# One call each: of known rules, of operators beneath, of nothing known. All in float64.
CALLS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "linalg.matmul": (torch.linalg.matmul, (drawn(2, 4, 6), drawn(2, 6, 5))),
    "multi_dot": (
        lambda a, b, c: torch.linalg.multi_dot([a, b, c]),
        (drawn(4, 6), drawn(6, 5), drawn(5, 3)),
    ),
    "inner": (torch.inner, (drawn(2, 3, 4), drawn(5, 4))),
    "outer": (torch.outer, (drawn(4), drawn(5))),
    "kron": (torch.kron, (drawn(2, 3), drawn(3, 2))),
    "vecdot": (torch.linalg.vecdot, (drawn(4, 6), drawn(6))),
    "tensordot": (
        lambda a, b: torch.tensordot(a, b, dims=([2], [1])),
        (drawn(2, 4, 6), drawn(2, 6, 5)),
    ),
    "addmm": (lambda a, b, c: torch.addmm(a, b, c, beta=0.5), (drawn(5), drawn(4, 6), drawn(6, 5))),
    "addmv": (torch.addmv, (drawn(4), drawn(4, 6), drawn(6))),
    "addr": (torch.addr, (drawn(4, 5), drawn(4), drawn(5))),
    "addbmm": (torch.addbmm, (drawn(4, 5), drawn(2, 4, 6), drawn(2, 6, 5))),
    "bilinear": (F.bilinear, (drawn(2, 3, 4), drawn(2, 3, 5), drawn(6, 4, 5), drawn(6))),
    "einsum": (lambda a, b: torch.einsum("bij,bjk->bik", a, b), (drawn(2, 3, 4), drawn(2, 4, 3))),
    "linear of a computed weight": (lambda x, w: F.linear(x, w * 2), (drawn(2, 4), drawn(3, 4))),
    "conv of a computed kernel": (
        lambda x, w, b: F.conv2d(x, w * 2, b + 1, padding=1, stride=2),
        (drawn(2, 3, 5, 6), drawn(4, 3, 3, 3), drawn(4)),
    ),
    "norm of a computed weight": (
        lambda x, w, b: F.layer_norm(x, (4,), w * 2, b + 1),
        (drawn(2, 3, 4), drawn(4), drawn(4)),
    ),
    "causal attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        (drawn(2, 4, 3), drawn(2, 4, 3), drawn(2, 4, 6)),
    ),
    "attention of a computed mask": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        (drawn(2, 4, 3), drawn(2, 5, 3), drawn(2, 5, 6), drawn(4, 5)),
    ),
    "attention of shared heads": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (drawn(1, 4, 4, 3), drawn(1, 2, 5, 3), drawn(1, 2, 5, 3)),
    ),
    "LSTM": (layer(nn.LSTM(4, 3, batch_first=True)), (drawn(2, 4, 4),)),
    "LSTM both ways, two deep": (layer(nn.LSTM(3, 2, 2, bidirectional=True)), (drawn(3, 2, 3),)),
    "LSTM projected": (layer(nn.LSTM(3, 3, 2, proj_size=2)), (drawn(3, 2, 3),)),
    "LSTM cell": (
        Held(nn.LSTMCell(4, 3), lambda own, x, h, c: own(x, (h, c))),
        (drawn(2, 4), drawn(2, 3), drawn(2, 3)),
    ),
    "LSTM of given states": (
        Held(nn.LSTM(4, 3), lambda own, x, h, c: own(x, (h, c))),
        (drawn(2, 2, 4), drawn(1, 2, 3), drawn(1, 2, 3)),
    ),
    "GRU both ways": (layer(nn.GRU(4, 3, bidirectional=True, bias=False)), (drawn(3, 2, 4),)),
    "GRU cell": (layer(nn.GRUCell(4, 3)), (drawn(2, 4), drawn(2, 3))),
    "RNN": (layer(nn.RNN(4, 3, batch_first=True)), (drawn(2, 3, 4),)),
    "packed": (
        Held(nn.LSTM(4, 3), lambda own, x: own(PACK(x, [2, 3], enforce_sorted=False))[0].data),
        (drawn(3, 2, 4),),
    ),
    "padded again": (
        Held(
            nn.GRU(4, 3, bidirectional=True),
            lambda own, x: nn.utils.rnn.pad_packed_sequence(
                own(PACK(x, [3, 1, 2], enforce_sorted=False))[0]
            )[0],
        ),
        (drawn(3, 3, 4),),
    ),
    "cdist": (torch.cdist, (drawn(2, 4, 3), drawn(2, 5, 3))),
    "weighted bags": (
        lambda w, p: F.embedding_bag(PLACES, w, per_sample_weights=p, mode="sum"),
        (drawn(4, 3), drawn(2, 2)),
    ),
    "embedding": (lambda w: F.embedding(PLACES, weight=w), (drawn(4, 3),)),
    "fft": (lambda x: torch.fft.irfft(torch.fft.rfft(x)), (drawn(2, 8),)),
    "solve": (lambda a, b: torch.linalg.solve(a + SQUARE, b), (drawn(2, 3, 3), drawn(2, 3, 2))),
    "cholesky": (lambda a: torch.linalg.cholesky(a @ a.mT + SQUARE), (drawn(2, 3, 3),)),
    "eigenvalues": (lambda a: torch.linalg.eigvalsh(a @ a.mT), (drawn(2, 3, 3),)),
    "matrix_exp": (torch.matrix_exp, (drawn(2, 3, 3),)),
    "matrix_power": (lambda a: torch.linalg.matrix_power(a, 3), (drawn(2, 3, 3),)),
    "lu": (lambda a: torch.linalg.lu(a)[2], (drawn(2, 3, 3),)),
    "cov": (torch.cov, (drawn(3, 6),)),
    "cosine_similarity": (F.cosine_similarity, (drawn(2, 3, 4), drawn(2, 3, 4))),
    "normalize": (F.normalize, (drawn(2, 3, 4),)),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, torch.tensor([0, 1]), reduction="none"),
        (drawn(2, 4),),
    ),
    "median": (lambda x: x.median(1), (drawn(2, 5),)),
    "mode": (lambda x: x.mode(1)[0], (drawn(2, 5),)),
    "cummax": (lambda x: x.cummax(1)[0], (drawn(2, 5),)),
    "aminmax": (lambda x: torch.aminmax(x, dim=1), (drawn(2, 5),)),
    "quantile": (lambda x: x.quantile(0.3, 1), (drawn(2, 5),)),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), (drawn(2, 5),)),
    "histc": (lambda x: torch.histc(x, 4), (drawn(6),)),
    "unique": (torch.unique, (drawn(4),)),
    "searchsorted": (
        lambda x: torch.searchsorted(torch.tensor([0.0, 1.0]).double(), x),
        (drawn(3),),
    ),
    "unpooled": (
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), (2, 2)),
        (drawn(1, 1, 4, 4),),
    ),
    "one_hot": (lambda x: F.one_hot(x.argmax(1), 4), (drawn(2, 4),)),
    "scatter_add": (lambda x, y: x.scatter_add(1, PLACES, y), (drawn(2, 5), drawn(2, 2))),
    "index_put added": (
        lambda x, y: x.index_put((torch.tensor([0, 1, 1]),), y, accumulate=True),
        (drawn(3, 2), drawn(3, 2)),
    ),
    "scatter of a number": (
        lambda x: x.scatter(1, torch.tensor([[0], [1]]), value=3.0),
        (drawn(2, 5),),
    ),
    "grid_sample": (
        lambda x, g: F.grid_sample(x, g, align_corners=False),
        (drawn(2, 3, 5, 6), grid(4)),
    ),
    "grouped norm": (lambda x, w: F.group_norm(x, 3, w), (drawn(2, 6, 4), drawn(6))),
    "where": (torch.where, (drawn(2, 3) > 0, drawn(2, 3), drawn(2, 3))),
    "lerp": (torch.lerp, (drawn(2, 3), drawn(2, 3), drawn(2, 3))),
    "special": (torch.special.i0, (drawn(2, 3),)),
    "hypot": (torch.hypot, (drawn(2, 3), drawn(2, 3))),
    "nuclear norm": (lambda x: x.norm(p="nuc"), (drawn(3, 3),)),
    "trapezoid": (torch.trapezoid, (drawn(2, 5),)),
    "batched by vmap": (lambda x: torch.vmap(lambda y: y @ y)(x), (drawn(2, 3),)),
}  # fmt: skip


def read_in_truth(
    call: Callable[..., Any], inputs: tuple[Tensor, ...], index: tuple[int, ...]
) -> list[Tensor]:
    """For each input the elements whose change, small or large, changes the output's element."""

    def run(given: list[Tensor]) -> Tensor:
        with torch.no_grad():
            return tensors_in(call(*given))[0][index]

    plain = run(list(inputs))
    found = []
    for i, x in enumerate(inputs):
        changes = torch.zeros(x.shape, dtype=torch.bool)
        for position in range(x.numel() if x.is_floating_point() else 0):
            for step in (0.37, -1.1, 7.0, -50.0):
                other = x.clone()
                other.view(-1)[position] += step
                try:
                    made = run([*inputs[:i], other, *inputs[i + 1 :]])
                except RuntimeError:  # a matrix that has no factors
                    continue
                if not torch.equal(made, plain):
                    changes.view(-1)[position] = True
                    break
        found.append(changes)
    return found


@pytest.mark.parametrize("name", CALLS)
def test_a_region_holds_what_moves_the_number_and_says_where_it_may_hold_more(name: str) -> None:
    call, inputs = CALLS[name]
    seen = record(call, *inputs)
    assert seen.error is None
    assert seen.output is not None
    generator = torch.Generator().manual_seed(5)
    for _ in range(2):
        index = tuple(int(torch.randint(n, (), generator=generator)) for n in seen.output.shape)
        for i, truth in enumerate(read_in_truth(call, inputs, index)):
            found = region(seen, seen.output.id, index, i)
            assert not bool((truth & ~found.mask).any())
            assert found.upper_bound == bool(found.warning)
            if not found.upper_bound and inputs[i].is_floating_point():
                assert torch.equal(found.mask, truth)


BATCHED = [
    "linalg.matmul", "einsum", "causal attention", "cdist", "fft", "solve", "cholesky",
    "eigenvalues", "matrix_exp", "lu", "cosine_similarity", "cross_entropy", "median", "mode",
    "cummax", "aminmax", "quantile", "logcumsumexp", "grid_sample", "special", "bilinear",
]  # fmt: skip


@pytest.mark.parametrize("name", BATCHED)
def test_no_number_comes_from_another_picture(name: str) -> None:
    call, inputs = CALLS[name]
    seen = record(call, *inputs)
    assert seen.output is not None
    rest = tuple(0 for _ in seen.output.shape[1:])
    for i, x in enumerate(inputs):
        if x.shape[0] == 2 and x.dim() > 1:
            found = region(seen, seen.output.id, (1, *rest), i)
            assert not bool(found.mask[0].any())


def test_the_truth_can_fail() -> None:
    call, inputs = CALLS["causal attention"]
    seen = record(call, *inputs)
    assert seen.output is not None
    truth = read_in_truth(call, inputs, (0, 2, 0))
    assert not torch.equal(region(seen, seen.output.id, (0, 1, 0), 2).mask, truth[2])


def test_the_region_of_an_lstm_is_its_own_sequence_up_to_its_own_step() -> None:
    seen = record(nn.LSTM(5, 3, batch_first=True), torch.randn(2, 4, 5))
    last = len(seen.steps) - 1
    found = explain(seen, last, (0, 1, 1)).pixels()
    assert found.box == (range(0, 1), range(0, 2), range(0, 5))
    assert not found.upper_bound
    explanation = explain(seen, last, (0, 1, 1))
    steps = {explanation.terms.index(k, seen)[1] for k in range(10)}
    assert steps == {0, 1}


def test_a_step_of_no_rule_says_that_its_region_is_an_upper_bound() -> None:
    seen = record(torch.linalg.inv, torch.eye(3) + 0.1)
    found = explain(seen, 0, (0, 0)).pixels()
    assert found.upper_bound
    assert (
        found.warning == "an upper bound: `linalg_inv` (step 0) may read fewer elements than these"
    )
    assert "warning" in repr(found)


# A fault of ours is told as one, never as a slope.

BOX = torch.tensor([[0.0, 1, 1, 4, 4]])
FAULTS = (KeyError, IndexError, TypeError, ValueError, RuntimeError)
RULES = sorted({type(kind) for kind in KINDS.values()}, key=lambda rule: rule.__name__)


@functools.cache
def a_step_of(rule: type) -> tuple[Any, Any]:
    """A recording with a step of that rule."""
    samples: list[Any] = [
        *(lambda name=name: record(build(name)[0], *build(name)[1]) for name in NETWORKS),
        *(lambda name=name: record(CALLS[name][0], *CALLS[name][1]) for name in CALLS),
        lambda: record(lambda x, b: roi_align(x, b, 2), torch.ones(1, 1, 5, 5), BOX),
        lambda: record(lambda x, b: roi_pool(x, b, 2), torch.ones(1, 1, 5, 5), BOX),
        lambda: record(lambda b: nms(b[:, 1:], b[:, 4], 0.5), BOX),
        lambda: record(lambda x: (x > 0).nonzero(), torch.ones(4)),
        lambda: record(lambda x: x.argmax(1), torch.ones(2, 4)),
        lambda: record(lambda x: x[0].mul_(2).sum() + x.sum(), torch.ones(2, 4)),
    ]
    for sample in samples:
        seen = sample()
        for step in seen:
            if type(bound(seen, step)[0]) is rule:
                return seen, step
    return None, None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_fault_in_a_kind_is_never_shown_as_a_slope(
    rule: type, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, step = a_step_of(rule)
    if step is None:
        pytest.fail(f"no step of {rule.__name__} here")

    def broken(*args: Any) -> Any:
        raise fault("planted")

    index = tuple(0 for _ in seen.values[step.outputs[0]].shape)
    for method in ("explain", "reads", "cost"):
        monkeypatch.setattr(rule, method, broken)
    with pytest.raises(fault, match="planted"):
        explain(seen, step, index)
    with pytest.raises(fault, match="planted"):
        costs_of(seen)


def test_terms_region_and_cost_are_of_one_kind() -> None:
    """A call that its rule does not know goes one way in all three."""
    seen = record(lambda x: x.norm(p="nuc"), torch.rand(3, 3))
    step = seen.steps[0]
    assert bound(seen, step)[0].name == "composed"
    assert "of order 'nuc'" in explain(seen, 0, ()).note
    assert explain(seen, 0, ()).rule == "slope"
    assert region(seen, step.outputs[0], ()).upper_bound
    assert costs_of(seen).rows[0].uncounted


def test_the_bound_of_an_attention_under_a_finite_mask_can_fail() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 5, 4).unbind()
    for masked in (-1e4, -1e9, torch.finfo(torch.float32).min):
        for share in (0.5, 1.1):
            mask = torch.where(torch.rand(5, 5) < share, masked, 0.0)

            def masked_by(q: Tensor, k: Tensor, v: Tensor, mask: Tensor = mask) -> Tensor:
                return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

            seen = record(masked_by, q, k, v)
            for row in range(5):
                explanation = explain(seen, len(seen) - 1, (1, row, 2))
                shown = float(abs(explanation.terms.product).sum())
                assert explanation.bound < 1e-4 * shown
                assert math.isfinite(explanation.bound)
