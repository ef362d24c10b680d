"""An assignment keeps and puts what a run of it does."""

from typing import Any

import pytest
import torch
from torch import Tensor

from convlens.lens import explain, record
from convlens.lens.kinds.moving import Moving
from convlens.lens.kinds.putting import Putting
from tests.cases.elements import indices_in, numbers

KEYS: dict[str, Any] = {
    "number": 1,
    "from the end": (-1, slice(None), 2),
    "slices": (slice(1, 3), slice(None, None, 2)),
    "ellipsis": (..., slice(-2, None)),
    "ellipsis between": (0, ..., 1),
    "new axis": (None, 1, slice(0, 2), None),
    "mask": torch.tensor([True, False, True, True]),
    "index": torch.tensor([2, 0]),
    "both": (slice(1, None), torch.tensor([2, 0])),
}


@pytest.mark.parametrize("whole", [False, True], ids=["row", "whole"])
@pytest.mark.parametrize("name", KEYS)
def test_an_assignment_keeps_and_puts_what_running_it_does(name: str, whole: bool) -> None:
    def put(x: Tensor, y: Tensor) -> Tensor:
        x[KEYS[name]] = y
        return x

    x = numbers(4, 3, 5)
    shape = x[KEYS[name]].shape
    y = numbers(*(shape if whole else shape[-1:]), seed=1)
    seen = record(put, x.clone(), y)
    step = seen.steps[-1]
    given = Putting().bind(seen, step)
    for index in indices_in((4, 3, 5), 40):
        direct = explain(seen, step, index)
        by_running = Moving().explain(given, 0, index)
        for field in ("source", "position", "value"):
            assert getattr(direct.terms, field) == getattr(by_running.terms, field)
        mask = torch.zeros(4, 3, 5, dtype=torch.bool)
        mask[index] = True
        for id, theirs in Moving().reads(given, 0, mask).items():
            assert torch.equal(Putting().reads(given, 0, mask)[id], theirs)
