"""Examples are checked, and their varied copies are near them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from convlens.learn.training.data import Examples, varied
from convlens.learn.training.digits import digits_data


def test_varied_copies_are_near_the_originals_and_repeatable() -> None:
    examples = Examples(digits_data().train.inputs[:200], digits_data().train.labels[:200])
    more = varied(examples, copies=2, seed=3)
    assert torch.equal(more.inputs[:200], examples.inputs)
    assert torch.equal(more.labels, examples.labels.repeat(3))
    assert torch.equal(more.inputs, varied(examples, copies=2, seed=3).inputs)
    assert not torch.equal(more.inputs, varied(examples, copies=2, seed=4).inputs)
    copies = more.inputs[200:400]
    near = (copies - examples.inputs).abs().mean()
    far = (copies - examples.inputs.roll(1, 0)).abs().mean()
    assert 0 < near < far / 2


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.zeros(3), "must be one int64 number"),
        (torch.zeros(4, dtype=torch.int64), "must be as many as the 3 inputs"),
        (torch.tensor([0, -1, 2]), "must count categories from 0"),
    ],
)
def test_examples_are_checked(labels: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=rf"`labels` .*{said}"):
        Examples(torch.zeros(3, 1, 8, 8), labels)
