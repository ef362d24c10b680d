"""Scores of a sigmoid are recognised, whatever moves or combines them afterwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.cases.answering import rows, said


@pytest.mark.parametrize("scores", [(0.9, 0.8, 0.1), (0.2, 0.3, 0.1), (0.5, 0.3, 0.2)])
def test_a_sigmoids_classes_are_each_by_itself(scores: tuple[float, ...]) -> None:
    logits = torch.tensor(scores).logit()
    for answer in (
        lambda x: logits.expand(len(x), -1).sigmoid(),
        lambda x: logits.expand(len(x), -1)[..., None, None].sigmoid().flatten(1).clone(),
    ):
        found = said(answer, top=3)
        assert not found.probabilities
        np.testing.assert_allclose(np.sort(found.scores), np.sort(scores), rtol=1e-5)
    # A sigmoid inside the network does not count, only one at its end.
    inner = said(lambda x: logits.expand(len(x), -1).sigmoid() * 9 - 4)
    assert inner.probabilities
    # Their sum shows it, too, whatever made them.
    assert said(rows(*scores)).probabilities == (sum(scores) <= 1.0001)


@pytest.mark.parametrize(
    "end",
    [
        lambda y: torch.cat([y[:, :1], y[:, 1:]], 1),
        lambda y: torch.stack(y.unbind(1), 1).flip(1),
        lambda y: (y + y.clone()) / 2,
        lambda y: y.clamp(1e-6, 1 - 1e-6).half(),
        lambda y: y[:, [2, 0, 1]] * y.amax(1, keepdim=True),
        lambda y: F.dropout(y[..., None, None].expand(-1, -1, 2, 2).mean((2, 3)), training=False),
        lambda y: F.adaptive_avg_pool2d(y[..., None, None], 1).flatten(1),
        lambda y: torch.where(y > 0.15, y, 0.0),
    ],
)
def test_what_is_made_of_a_sigmoids_scores_alone_is_no_part_of_a_whole(
    end: Callable[[Tensor], Tensor],
) -> None:
    """A softmax would turn 0.2, 0.1 and 0.3 into 33 %, 30 % and 37 %."""
    logits = torch.tensor([0.2, 0.1, 0.3]).logit()
    for sigmoid in (torch.sigmoid, torch.special.expit):
        found = said(lambda x, f=sigmoid: end(f(logits.expand(len(x), -1))))  # type: ignore[misc]
        assert not found.probabilities
        expected = end(torch.tensor([[0.2, 0.1, 0.3]]))[0].float().sort(descending=True).values
        np.testing.assert_allclose(found.scores, expected, rtol=1e-3, atol=1e-6)
    # A gate is not such a score; the number that it multiplies is.
    gated = said(lambda x: logits.expand(len(x), -1).sigmoid() * (0.1 * x.mean((2, 3)) + 0.3))
    assert gated.probabilities
