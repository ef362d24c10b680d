"""A copied element leads to the index or mask that chose it."""

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.lens import explain, explain_value, record
from tests.cases.elements import indices_in, numbers

CHOSEN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "getitem": lambda x, i: x[i],
    "second axis": lambda x, i: x[:, i],
    "slices before": lambda x, i: x[None, 1:3, ..., i],
    "broadcast": lambda x, i: x[i[:, None], i],
    "apart": lambda x, i: x[i, :, i],
    "a list beside": lambda x, i: x[[1], i],
    "one number": lambda x, i: x[1, i[0]],
    "negative": lambda x, i: x[i - 4],
    "index_select": lambda x, i: x.index_select(1, i),
    "gather": lambda x, i: x.gather(1, i[None, :, None].expand(2, 3, 2)),
    "take": lambda x, i: x.take(i * 7),
    "take along": lambda x, i: torch.take_along_dim(x, i.reshape(1, 3, 1), 1),
    "embedding": lambda x, i: F.embedding(i, x[0]),
    "operator": lambda x, i: torch.ops.aten.index(x, [None, i]),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_copy_leads_to_the_index_that_chose_it(name: str) -> None:
    x, order = numbers(4, 4, 4), torch.tensor([0.3, 0.9, 0.1])
    seen = record(lambda x, s: CHOSEN[name](x, s.argsort()), x, order)
    assert seen.output is not None
    for index in indices_in(seen.output.shape, 12):
        explanation = explain_value(seen, seen.output.id, index)
        assert explanation.rule == "copy"
        chooser = explanation.open(0, weight=True)
        at = explanation.terms.index(0, seen)
        positions = [int(n) for n in re.findall(r"-?\d+", explanation.note.split(" chosen by")[0])]
        if name == "take":  # as if the data had one axis
            assert positions == [at[0] * 16 + at[1] * 4 + at[2]] == [chooser.recorded]
        else:
            assert positions[0] == at[positions[1]] == chooser.recorded % 4
        assert "chosen by `" + ("sub@" if name == "negative" else "") in explanation.note


def test_a_mask_chose_what_it_let_through() -> None:
    x = torch.tensor([-1.0, 2, -3, 4, 5])[:, None].expand(5, 3).clone()
    for take in (lambda x: x[x[:, 0] > 0], lambda x: x.masked_select(x > 0)):
        seen = record(take, x)
        assert seen.output is not None
        index = (1,) * len(seen.output.shape)
        explanation = explain_value(seen, seen.output.id, index)
        assert "chosen as `gt@" in explanation.note
        assert "is true" in explanation.note
        assert explanation.open(0, weight=True).recorded == 1
        assert explanation.open(0, weight=True).index[0] == explanation.open(0).index[0]


def test_what_was_put_says_by_which_index() -> None:
    def put(x: Tensor, s: Tensor) -> Tensor:
        out = torch.zeros(5, 3)
        out[s.argsort()] = x
        out[x.new_tensor([1, 0, 0, 0, 0]) > 0] = x[:1] * 2
        return out

    def scattered(x: Tensor, s: Tensor) -> Tensor:
        return torch.zeros(5, 3).scatter(0, s.argsort()[:, None].expand(3, 3), x)

    x, order = numbers(3, 3), torch.tensor([0.3, 0.9, 0.1])
    for run in (put, scattered):
        seen = record(run, x, order)
        assert seen.output is not None
        explanation = explain_value(seen, seen.output.id, (2, 1))
        if run is put:  # not touched by the last call
            assert explanation.note == ""
            assert explain_value(seen, seen.output.id, (0, 1)).note.startswith("put here as `gt@")
            explanation = explanation.open(0)
        assert explanation.open(0, weight=True).recorded == 2
        assert "position 2 of axis 0" in explanation.note
        assert "by `argsort@" in explanation.note


def test_an_index_nothing_decides_chose_nothing() -> None:
    seen = record(lambda x: x[torch.arange(2)] + x[:2], numbers(3))
    explanation = explain(seen, 1, (0,))
    assert (explanation.rule, explanation.note) == ("copy", "")
    with pytest.raises(ValueError, match="its weight is computed"):
        explanation.open(0, weight=True)
