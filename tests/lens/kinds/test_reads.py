"""A region holds every element whose change moves the number, whatever the step is called."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import explain, record, region
from convlens.lens.trees import tensors_in
from tests.cases.calls import CALLS

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")


def read_in_truth(
    call: Callable[..., Any], inputs: tuple[Tensor, ...], index: tuple[int, ...]
) -> list[Tensor]:
    """Return for each input the elements whose change, small or large, changes the output."""

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
    assert "at most 9 elements" in repr(found)


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
