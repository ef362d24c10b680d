"""Single calls of torch are explained within the bound, or refused in a sentence."""

import pytest
import torch
import torch.nn.functional as F

from convlens.lens import explain, record
from convlens.lens.kinds import bound
from tests.cases.calls import SINGLE
from tests.cases.elements import can_fail, elements_of, misplaced


@pytest.mark.parametrize("name", SINGLE)
def test_every_single_operation(name: str) -> None:
    x = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(2))
    seen = record(SINGLE[name], x)
    assert seen.error is None, seen.error
    for step, slot, index in elements_of(seen, 10):
        if step.op == "median" and slot:
            continue
        explanation = explain(seen, step, index, slot=slot)
        assert explanation.kind == bound(seen, step)[0].name
        assert misplaced(explanation) == 0
        assert can_fail(explanation)
        assert explanation.pixels().mask.shape == x.shape


def test_the_universal_rule_is_labelled_a_slope() -> None:
    seen = record(lambda x: torch.logcumsumexp(x, 0), torch.tensor([0.5, 1.0]))
    explanation = explain(seen, 0, (1,))
    assert (explanation.kind, explanation.rule) == ("universal", "slope")
    assert "not terms of a sum" in explanation.note
    assert "universal, slope" in str(explanation)
    assert explanation.to_dict()["rule"] == "slope"
    assert explanation.terms.weight.tolist() == pytest.approx([0.37754067, 0.62245933])


def test_what_cannot_be_taken_apart_says_so() -> None:
    seen = record(lambda x: torch.unique(x), torch.tensor([3, 1, 3]))
    with pytest.raises(NotImplementedError, match=r"step 0 \(`unique`, module ``\) cannot"):
        explain(seen, 0, (0,))


def test_a_call_its_rule_does_not_know_has_slopes_all_the_same() -> None:
    seen = record(lambda x: x.norm(p="nuc"), torch.rand(3, 3))
    assert explain(seen, 0, ()).rule == "slope"


def test_random_numbers_are_refused_in_a_sentence() -> None:
    seen = record(lambda x: F.alpha_dropout(x, 0.5, training=True), torch.randn(9))
    with pytest.raises(NotImplementedError, match="it draws random numbers"):
        explain(seen, 0, (0,))


def test_dropout_says_kept_or_dropped() -> None:
    torch.manual_seed(0)
    seen = record(lambda x: F.dropout(x, 0.5, training=True), torch.ones(20))
    notes = {explain(seen, 0, (i,)).note.split(": ")[1] for i in range(20)}
    assert notes == {"kept and scaled", "dropped"}
