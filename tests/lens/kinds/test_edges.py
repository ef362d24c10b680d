"""Edge cases of kinds: scalars, nothing, NaN and infinity, calls that write, inference mode."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from convlens import conv
from convlens.lens import Explanation, Recording, costs, explain, explain_value, record, region
from tests.cases.elements import numbers, raises


def drawn(*shape: Any, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


S, V, M, Q = drawn(()), drawn(5), drawn(3, 4), drawn(6, 6)
NONE, INF, NAN = torch.zeros(3, 0), math.inf, math.nan
WHERE = torch.tensor([[True, False, True, True], [False, True, True, False]])

TOLD: dict[str, Callable[[], Any]] = {
    # Along any axis a scalar is one element.
    "softmax of a scalar": lambda: (S * 1).softmax(0),
    "log_softmax of a scalar": lambda: F.log_softmax(S * 1, -1),
    "cumsum of a scalar": lambda: (S * 1).cumsum(0),
    "max of a scalar": lambda: (S * 1).max(0),
    "argmin of a scalar": lambda: (S * 1).argmin(0),
    "topk of a scalar": lambda: (S * 1).topk(1),
    "kthvalue of a scalar": lambda: (S * 1).kthvalue(1),
    "sum of a scalar": lambda: (S * 1).sum(0),
    "prelu of a scalar": lambda: F.prelu(S * 1, torch.tensor([0.5])),
    "prelu by a scalar": lambda: F.prelu(V * 1, torch.tensor(0.5)),
    "index_select of a scalar": lambda: (S * 1).index_select(0, torch.tensor([0])),
    "gather of a scalar": lambda: (S * 1).gather(0, torch.tensor(0)),
    "take": lambda: (M * 1).take(torch.tensor(3)),
    "cosine_similarity": lambda: F.cosine_similarity(S * 1, S * 2, 0),
    "masked_fill by a scalar": lambda: (M * 1).masked_fill(M > 0, torch.tensor(2.0)),
    # Without elements.
    "mean of nothing": lambda: (NONE * 1).mean(1),
    "nanmean of nothing": lambda: torch.full((2, 2), NAN).mul(1).nanmean(1),
    "logsumexp of nothing": lambda: (NONE * 1).logsumexp(1),
    "all of nothing": lambda: (NONE > 0).all(1),
    "products of nothing": lambda: torch.inner(NONE * 1, NONE * 1),
    "attention to nothing": lambda: F.scaled_dot_product_attention(
        M[None] * 1, M[None, :0], M[None, :0]
    ),
    "loss of nothing": lambda: F.mse_loss(NONE * 1, NONE * 2),
    # NaN and infinity.
    "nansum": lambda: torch.tensor([[1.0, NAN, 3.0]]).mul(1).nansum(1),
    "nanmean": lambda: torch.tensor([[1.0, NAN, 3.0]]).mul(1).nanmean(1),
    "argmin with NaN": lambda: torch.tensor([2.0, INF, NAN, 1.0]).mul(1).argmin(0),
    "max with NaN": lambda: torch.tensor([2.0, INF, NAN, 1.0]).mul(1).max(0),
    "logsumexp of -inf": lambda: torch.full((2, 2), -INF).mul(1).logsumexp(1),
    "a number over 0": lambda: 0 / (V * 0),
    "a number over -0": lambda: 3 / torch.tensor([-0.0, 0.0]).mul(1),
    "batch_norm without eps": lambda: F.batch_norm(
        M * 1, torch.zeros(4), torch.zeros(4), eps=0.0
    ),
    "group_norm without eps": lambda: F.group_norm(torch.ones(1, 4).mul(1), 2, eps=0.0),
    "atan of inf": lambda: torch.tensor([-INF, INF]).mul(1).atan(),
    "selu of -inf": lambda: F.selu(torch.tensor([-INF, 1.0]).mul(1)),
    "bicubic beside inf": lambda: F.interpolate(
        torch.tensor([[[[1.0, 2, 3, -INF, 5]]]]).mul(1), size=(2, 9), mode="bicubic"
    ),
    "norm of squares that vanish": lambda: (M * 1e-23).norm(dim=1),
    "rms_norm of half": lambda: F.rms_norm((M * 1e-6).half(), (4,)),
    # One of several values, some returned unchanged.
    "atleast_2d of several": lambda: torch.atleast_2d(M * 1, V * 1, S * 1),
    "atleast_3d of a list": lambda: torch.atleast_3d([M * 1, V * 1]),
    "masked_select": lambda: (V[:4] * 1).masked_select(WHERE),
    "take_along_dim": lambda: (M * 1).take_along_dim(torch.tensor([[0, 1], [5, 6]])),
    "dropout3d that drops nothing": lambda: F.dropout3d(drawn(2, 2, 2, 2) * 1, 0.5, False),
    "special functions": lambda: torch.special.bessel_y0(M.abs() * 4),
}  # fmt: skip


def every_element(seen: Recording) -> list[Explanation]:
    assert seen.error is None
    return [
        explain_value(seen, id, index)
        for step in seen
        for id in step.outputs
        for index in np.ndindex(*seen.values[id].shape)
    ]


@pytest.mark.parametrize("name", TOLD)
def test_every_number_is_told_within_its_bound(name: str) -> None:
    for explanation in every_element(record(TOLD[name])):
        finite = math.isfinite(explanation.recorded)
        assert not finite or math.isfinite(explanation.bound)


def test_a_row_of_padding_is_read_by_who_looks_it_up() -> None:
    table, rows = drawn(4, 3), torch.tensor([2, 1])
    seen = record(lambda table: F.embedding(rows, table, padding_idx=2), table)
    assert explain(seen, 0, (0, 1)).pixels().box == (range(2, 3), range(1, 2))


def test_what_a_call_writes_is_told_before_what_it_returns() -> None:
    seen = record(lambda t: F.embedding(torch.tensor([0, 1]), t, max_norm=1.0), drawn(4, 3) * 9)
    written, found = seen.steps[-1].outputs
    assert torch.equal(seen.values[written].tensor[:2], seen.values[found].tensor)
    for id in (written, found):
        assert explain_value(seen, id, (1, 2)).rule == "slope"


def test_what_the_network_wrote_since_is_said_to_be_stale() -> None:
    network = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))
    seen = record(network, drawn(2, 3))
    at = next(step for step in seen if step.op == "normalize")
    explain(seen, at.index, (0,))
    network(drawn(2, 3))
    with pytest.raises(ValueError, match="changed in place after it was recorded; record again"):
        explain(seen, at.index, (0,))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "view of bits": (lambda: (M * 1).view(torch.int32), "reads the same bits"),
    "shares dropped": (
        lambda: F.scaled_dot_product_attention(M[None] * 1, M[None], M[None], dropout_p=0.5),
        "drops shares at random",
    ),
    "an infinite sequence": (
        lambda: nn.GRU(4, 2)(torch.full((2, 1, 4), INF).mul(1))[0],
        "not all it reads is finite",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    seen = record(call)
    id = seen.output_ids[0]
    with pytest.raises(NotImplementedError, match=words):
        explain_value(seen, id, (0,) * len(seen.values[id].shape))


WATCHED: dict[str, Callable[[Tensor], Tensor]] = {
    "svdvals": torch.linalg.svdvals,
    "into another": lambda x: torch.linalg.svdvals(x, out=torch.empty(6)),
    "eigvalsh": lambda x: torch.linalg.eigvalsh(x @ x.T),
    "matrix_norm": lambda x: torch.linalg.matrix_norm(x, -2),
    "nuclear norm": lambda x: torch.norm(x, "nuc"),
    "norm": lambda x: torch.linalg.norm(x, 2),
    "cond": torch.linalg.cond,
}


@pytest.mark.parametrize("name", WATCHED)
def test_what_torch_computes_another_way_when_watched_is_the_plain_call(name: str) -> None:
    with torch.no_grad():
        plain = [WATCHED[name](Q * k) for k in (1, 2.5, 7)]
    seen = [record(WATCHED[name], Q * k).outputs for k in (1, 2.5, 7)]
    assert all(map(torch.equal, seen, plain))


def test_products_in_einsum_and_of_whole_numbers_are_counted() -> None:
    assert costs(torch.einsum, "i,j->ij", V, V).multiply_adds == 25
    assert costs(torch.einsum, "ij,ij->ij", M, M).multiply_adds == 12
    whole = torch.ones(32, 16, dtype=torch.int8)
    assert costs(torch._int_mm, whole, whole.T.contiguous()).multiply_adds == 32 * 16 * 32
    found = costs(F.scaled_dot_product_attention, M, drawn(2, 5, 4), drawn(2, 5, 4))
    assert found.multiply_adds == 2 * 3 * 5 * 8  # the query stands for both


def test_whole_weights_that_were_computed_have_a_region() -> None:
    x, w = (drawn(1, 2, 5) * 9).to(torch.int8), (drawn(3, 2, 3) * 9).to(torch.int8)
    seen = record(lambda x, w: conv(x, w * 1, method="direct"), x, w)
    opened = explain_value(seen, seen.output_ids[0], (0, 1, 2))
    assert opened.pixels(1).box == (range(1, 2), range(2), range(3))
    assert opened.pixels(0).box == (range(1), range(2), range(2, 5))


def test_arrays_of_numpy_inside_a_network_leave_no_steps_of_ours() -> None:
    weight = drawn(3, 2, 3).numpy()
    seen = record(lambda x: torch.from_numpy(np.asarray(conv(x.numpy(), weight))), drawn(1, 2, 8))
    assert [step.op for step in seen] == ["numpy"]
    assert "takes numbers out of torch" in seen.warnings[0]


def test_the_region_of_slopes_holds_the_terms() -> None:
    made = drawn(3, 3)
    seen = record(torch.linalg.cholesky, made @ made.T + torch.eye(3))
    for index in ((1, 0), (2, 1), (2, 2)):
        explanation = explain(seen, 0, index)
        region = explanation.pixels()
        assert region.upper_bound
        assert bool(region.mask.flatten()[explanation.terms.position.tolist()].all())


def test_slopes_that_do_not_give_the_number_are_no_fault_of_ours() -> None:
    seen = record(lambda x: torch.cdist(x, x.flip(0)), drawn(3, 4) * 1e-23)
    with pytest.raises(NotImplementedError, match="rounds more than its slopes show"):
        explain(seen, 1, (0, 0))


def test_a_number_kept_for_the_gradient_of_attention_has_no_region() -> None:
    x = drawn(1, 2, 3, 4)
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    seen = record(lambda x: attend(x, x, x), x)
    with pytest.raises(NotImplementedError, match="kept for the gradient; no region"):
        region(seen, seen.steps[0].outputs[1], (0, 0, 0))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_interpolation_has_a_bound_of_its_own(mode: str) -> None:
    x = numbers(10, 3, 56, 56)
    seen = record(lambda x: F.interpolate(x, (15, 6), mode=mode), x)
    assert raises(seen, 0, 300) == 0
    value = seen.values[seen.steps[0].inputs[0]]
    object.__setattr__(value, "tensor", value.tensor * 1.001)
    assert raises(seen, 0) > 30


def test_what_is_less_than_a_normal_number_may_be_zero() -> None:
    seen = record(lambda x: x.sigmoid(), torch.full((16,), -93.0))
    assert explain(seen, 0, (3,)).kind == "pointwise"
    seen = record(lambda x: x.softmax(0), torch.tensor([0.0] * 8 + [-95.0] * 8))
    assert explain(seen, 0, (12,)).recorded < 1e-38


def test_a_number_over_an_element_has_a_rule() -> None:
    seen = record(lambda x: 3 / x, torch.tensor([2.0, 4.0]))
    explanation = explain(seen, 0, (1,))
    assert (seen.steps[0].op, explanation.kind, explanation.formula) == (
        "rdiv",
        "pointwise",
        "number / a",
    )
    assert explanation.terms.weight.tolist() == [-0.1875]


class Packed(nn.Module):
    """A recurrent layer over sequences of several lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.RNN(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, [3, 5], batch_first=True, enforce_sorted=False)
        y: Tensor = pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]
        return y


def test_regions_of_what_ran_in_inference_mode() -> None:
    network, x = Packed(), numbers(2, 5, 4)
    with torch.inference_mode():
        seen = record(network, x)
    box = explain(seen, "", (1, 2, 0)).pixels().box
    assert box == explain(record(network, x), "", (1, 2, 0)).pixels().box
