"""Every number of every step is explained within the bound; seeded faults are not."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convlens.lens import Recording, Step, explain, explain_value, record
from convlens.lens.kinds import bound
from convlens.lens.recorder.keeping import Keeper
from tests.cases.elements import can_fail, elements_of, misplaced
from tests.cases.networks import NETWORKS, build


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_step_is_explained_within_the_bound(name: str, training: bool) -> None:
    network, inputs = build(name, training)
    seen = record(network, *inputs)
    count = 0
    for step, slot, index in elements_of(seen, 6):
        explanation = explain(seen, step, index, slot=slot)
        assert explanation.kind == bound(seen, step)[0].name
        assert explanation.recorded == float(seen.values[step.outputs[slot]].tensor[index])
        assert abs(explanation.recorded - explanation.total) <= explanation.bound
        assert misplaced(explanation) == 0
        if explanation.rule == "sum":  # the terms shown are what the total is made of
            rest = explanation.total - float(explanation.terms.product.sum()) - explanation.bias
            size = float(np.abs(explanation.terms.product).sum()) + abs(explanation.bias)
            assert abs(rest) <= 1e-12 * (size + 1)
        assert can_fail(explanation)
        count += 1
    assert count >= 8 * len(seen) * 0.9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["residual", "dilated", "depthwise"])
def test_other_precisions_have_their_own_bound(name: str, dtype: torch.dtype) -> None:
    network, inputs = build(name)
    seen = record(network.to(dtype), *(x.to(dtype) for x in inputs))
    assert seen.error is None
    for step, slot, index in elements_of(seen, 3):
        explain(seen, step, index, slot=slot)


# Seeded faults: each must be caught by the bound.


def caught(seen: Recording, op: str, each: int = 40) -> bool:
    found = False
    for step, slot, index in elements_of(seen, each):
        if step.op == op:
            try:
                explain(seen, step, index, slot=slot)
            except ArithmeticError:
                found = True
    return found


def changed(seen: Recording, name: str, change: Any) -> Recording:
    """Return the recording with one value's tensor replaced."""
    value = next(v for v in seen.values if v.name == name)
    object.__setattr__(value, "tensor", change(value.tensor.clone()))
    object.__setattr__(value, "version", value.tensor._version)
    return seen


def replace_argument(step: Step, name: str, position: int, wrong: Any) -> Any:
    """Give a recorded step another argument, and return the one it had."""
    if name in step.kwargs:
        had, step.kwargs[name] = step.kwargs[name], wrong
        return had
    args = [*step.args]
    had, args[position] = args[position], wrong
    object.__setattr__(step, "args", tuple(args))
    return had


def test_a_weight_off_by_a_ten_thousandth_is_caught() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    assert not caught(seen, "conv2d")
    assert caught(changed(seen, "conv1.weight", lambda w: w * 1.0001), "conv2d")


def test_a_wrong_padding_is_caught() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    step = seen.step("conv2")
    assert replace_argument(step, "padding", 4, (2, 2)) == (1, 1)
    assert caught(seen, "conv2d")


def test_a_shifted_map_is_caught() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    stem = seen.values[seen.step("stem.0").outputs[0]]
    stem.tensor.copy_(stem.tensor.roll(1, -1))
    assert caught(seen, "conv2d")


def test_without_copy_on_write_the_explanations_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Keeper, "before_write", lambda self, tensor: None)
    network, inputs = build("residual")
    assert caught(record(network, *inputs), "batch_norm")


def test_a_wrong_eps_is_caught() -> None:
    network, inputs = build("transposed")
    seen = record(network, *inputs)
    step = seen.step("norm")
    assert replace_argument(step, "eps", 4, 1e-3) == 1e-5
    assert caught(seen, "group_norm")


def test_a_parameter_trained_on_since_is_said_to_be_stale() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    explain(seen, "conv2", (0, 0, 1, 1))
    with torch.no_grad():
        network.get_parameter("conv2.weight").add_(1e-12)
    with pytest.raises(ValueError, match=r"`conv2\.weight` was changed in place after"):
        explain(seen, "conv2", (0, 0, 1, 1))
    explain(seen, "conv1", (0, 0, 1, 1))


# What an explanation can do.


def hand_made() -> Recording:
    network = nn.Conv2d(1, 1, 2, padding=1)
    network.weight.data = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    network.bias.data = torch.tensor([0.5])  # type: ignore[union-attr]
    return record(network, torch.tensor([[[[1.0, -1.0], [2.0, 5.0]]]]))


def test_window_times_kernel_by_hand() -> None:
    explanation = explain(hand_made(), 0, (0, 0, 1, 1))
    assert explanation.terms.value.tolist() == [1, -1, 2, 5]
    assert explanation.terms.weight.tolist() == [1, 2, 3, 4]
    assert explanation.terms.product.tolist() == [1, -2, 6, 20]
    assert explanation.terms.arrangement == (1, 2, 2)
    assert (explanation.bias, explanation.recorded) == (0.5, 25.5)


def test_taps_in_the_padding_are_terms_of_zero() -> None:
    explanation = explain(hand_made(), 0, (0, 0, 0, 0))
    assert explanation.terms.source.tolist() == [-1, -1, -1, 0 + explanation.terms.source[3]]
    assert explanation.terms.product.tolist() == [0, 0, 0, 4]
    assert explanation.label(0) == "padding"
    with pytest.raises(ValueError, match="reads padding"):
        explanation.open(0)


def test_a_misplaced_term_is_seen() -> None:
    explanation = explain(hand_made(), 0, (0, 0, 1, 1))
    assert misplaced(explanation) == 0
    explanation.terms.position.flags.writeable = True
    explanation.terms.position[:2] = explanation.terms.position[:2][::-1].copy()
    assert misplaced(explanation) == 2


def test_open_goes_down_to_the_pixel_and_the_weight() -> None:
    seen = hand_made()
    explanation = explain(seen, 0, (0, 0, 1, 1))
    pixel = explanation.open(3)
    assert (pixel.kind, pixel.rule, pixel.recorded, pixel.index) == (
        "input",
        "given",
        5,
        (0, 0, 1, 1),
    )
    weight = explanation.open(3, weight=True)
    assert (weight.value.name, weight.recorded) == ("weight", 4)
    with pytest.raises(ValueError, match="use 0 to 3"):
        explanation.open(4)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_largest_term_leads_to_an_input_in_every_network(name: str) -> None:
    network, inputs = build(name)
    seen = record(network, *inputs)
    assert seen.output is not None
    explanation = explain_value(seen, seen.output.id, tuple(n // 2 for n in seen.output.shape))
    for _ in range(200):
        if explanation.rule == "given":
            break
        order = np.argsort(-np.abs(explanation.terms.product), kind="stable")
        following = [int(k) for k in order if explanation.terms.source[k] >= 0]
        explanation = explanation.open(following[0])
    assert explanation.kind in ("input", "constant", "parameter")


def test_contributions_close_the_sum() -> None:
    network, inputs = build("residual")
    explanation = explain(record(network, *inputs), "conv2", (1, 5, 2, 1))
    for by in ("term", "channel"):
        parts = explanation.contributions(4, by)
        assert parts[-1].label == "all others"
        assert len(parts) == 5
        total = sum(part.product for part in parts) + explanation.bias
        assert total == pytest.approx(explanation.total, abs=1e-12)
        sizes = [abs(part.product) for part in parts[:-1]]
        assert sizes == sorted(sizes, reverse=True)
        assert sorted(k for part in parts for k in part.terms) == list(
            range(len(explanation.terms))
        )
    with pytest.raises(ValueError, match='"term" or "channel"'):
        explanation.contributions(4, "pixel")


def test_to_dict_is_json_and_the_text_names_the_numbers() -> None:
    explanation = explain(hand_made(), 0, (0, 0, 1, 1))
    content = json.loads(json.dumps(explanation.to_dict(limit=2)))
    assert [row["product"] for row in content["terms"]] == [20, 6]
    assert content["others"] == -1
    text = str(explanation)
    assert "25.5" in text
    assert "5 × 4" in text
    assert "+0.5  bias" in text


@pytest.mark.parametrize(
    ("index", "words"),
    [((0, 0, 3, 0), "axis 2, which has 3 elements"), ((0, 0, 0), "4 integers"), ((0,) * 5, "4")],
)
def test_bad_index(index: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        explain(hand_made(), 0, index)
    with pytest.raises(ValueError, match="use 0 to 0"):
        explain(hand_made(), 0, (0, 0, 0, 0), slot=1)


def test_negative_index_counts_from_the_end() -> None:
    seen = hand_made()
    assert explain(seen, 0, (0, 0, -1, -1)).index == (0, 0, 2, 2)


def test_complex_numbers_are_refused_in_a_sentence() -> None:
    seen = record(lambda x: torch.fft.rfft(x).abs(), torch.randn(8))
    with pytest.raises(NotImplementedError, match="made of complex numbers"):
        explain(seen, 1, (1,))


def test_infinity_and_nan_stay_what_they_are() -> None:
    x = torch.tensor([[[math.inf, 1.0, math.nan, 1.0, 1.0, 1.0]]])
    seen = record(nn.Conv1d(1, 1, 2, bias=False), x)
    for i in range(5):
        json.dumps(explain(seen, 0, (0, 0, i)).to_dict(), allow_nan=False)
    assert math.isnan(explain(seen, 0, (0, 0, 1)).recorded)
