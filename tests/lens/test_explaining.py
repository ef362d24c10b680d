"""Every number of every step is explained within the bound; seeded faults are not."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import Explanation, Recording, Step, explain, explain_value, record
from convlens.lens.kinds import bound
from convlens.lens.recorder.keeping import Keeper
from convlens.lens.recording import Ref
from convlens.lens.trees import replace_refs, tensors_in
from tests.cases.networks import NETWORKS, build

# Kept by torch for the gradient; no number of the network.
SAVED = {("_scaled_dot_product_flash_attention_for_cpu", 1)}


def elements(seen: Recording, each: int) -> Iterator[tuple[Step, int, tuple[int, ...]]]:
    """The first, the last and some random elements of every output of every step."""
    rng = np.random.default_rng(0)
    for step in seen:
        for slot, id in enumerate(step.outputs):
            shape = seen.values[id].shape
            if (step.op, slot) in SAVED or 0 in shape:
                continue
            yield step, slot, tuple(0 for _ in shape)
            yield step, slot, tuple(n - 1 for n in shape)
            for _ in range(each):
                yield step, slot, tuple(int(rng.integers(n)) for n in shape)


def misplaced(explanation: Explanation) -> int:
    """Terms whose number is not the tensor's number at the place they name; weights alike."""
    terms, values = explanation.terms, explanation.recording.values
    count = 0
    for sources, positions, numbers in (
        (terms.source, terms.position, terms.value),
        (terms.weight_source, terms.weight_position, terms.weight),
    ):
        if numbers is terms.weight and explanation.kind not in ("windowed", "linear"):
            continue  # elsewhere a weight may be made of the element it names
        for id in {int(i) for i in sources if i >= 0}:
            mine = sources == id
            flat = values[id].tensor.double().reshape(-1).numpy()
            count += int((~np.equal(flat[positions[mine]], numbers[mine])).sum())
    return count


def can_fail(explanation: Explanation) -> bool:
    """Whether the bound is a small multiple of the rounding of the terms shown, or says why not."""
    terms, dtype = explanation.terms, explanation.value.dtype
    if not dtype.is_floating_point:
        return explanation.bound == 0
    size = float(np.abs(terms.product).sum()) + abs(explanation.bias) + abs(explanation.total)
    rounding = 2 * (4 + math.sqrt(len(terms) + 16)) * torch.finfo(dtype).eps / 2
    least = 2 * torch.finfo(dtype).smallest_normal * (1 + len(terms))
    told = "rounded as numbers of size" in explanation.note
    return told or explanation.bound <= 64 * (rounding * size + least)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_step_is_explained_within_the_bound(name: str, training: bool) -> None:
    network, inputs = build(name, training)
    seen = record(network, *inputs)
    count = 0
    for step, slot, index in elements(seen, 6):
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
    for step, slot, index in elements(seen, 3):
        explain(seen, step, index, slot=slot)


# Seeded faults: each must be caught by the bound.


def caught(seen: Recording, op: str, each: int = 40) -> bool:
    found = False
    for step, slot, index in elements(seen, each):
        if step.op == op:
            try:
                explain(seen, step, index, slot=slot)
            except ArithmeticError:
                found = True
    return found


def changed(seen: Recording, name: str, change: Any) -> Recording:
    """The recording with one value's tensor replaced, or one step's argument."""
    value = next(v for v in seen.values if v.name == name)
    object.__setattr__(value, "tensor", change(value.tensor.clone()))
    object.__setattr__(value, "version", value.tensor._version)
    return seen


def replace_argument(step: Step, name: str, position: int, wrong: Any) -> Any:
    """Give a recorded step another argument; returns the one it had."""
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


# The coefficients, against float64 autograd through the one step.


def coefficients(seen: Recording, step: Step, index: tuple[int, ...], data: int) -> Tensor:
    """How an output element changes with every element of one input: the oracle."""
    leaf = seen.values[data].tensor.double().requires_grad_()

    def tensor(ref: Ref) -> Tensor:
        recorded = seen.values[ref.id].tensor
        if ref.id == data:
            return leaf.clone()
        return recorded.double() if recorded.is_floating_point() else recorded

    args, kwargs = replace_refs((step.args, step.kwargs), tensor)
    with torch.enable_grad():
        made = step.function(*args, **kwargs)
        out = tensors_in(args if made is None else made)[0]
    (grad,) = torch.autograd.grad(out[index], leaf, materialize_grads=True)
    return grad


def from_terms(explanation: Explanation, id: int) -> Tensor:
    """The coefficient of each element of an input, as the terms give it."""
    shape = explanation.recording.values[id].shape
    made = torch.zeros(math.prod(shape), dtype=torch.float64)
    mine = explanation.terms.source == id
    made.index_add_(
        0,
        torch.from_numpy(explanation.terms.position[mine]),
        torch.from_numpy(explanation.terms.weight[mine]),
    )
    return made.view(shape)


LINEAR = ("conv", "linear", "avg_pool", "interpolate", "cat", "permute", "transpose", "mean", "pad",
          "batch_norm", "pixel_shuffle", "add", "sub", "getitem", "flatten", "view", "amax",
          "max_pool", "relu", "sigmoid", "softmax", "gelu", "hardswish", "silu", "elu")  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "in place"])
def test_coefficients_are_those_of_autograd(name: str) -> None:
    network, inputs = build(name)
    seen = record(network, *inputs)
    compared = 0
    for step, slot, index in elements(seen, 2):
        if slot or not step.op.startswith(LINEAR) or not step.inputs:
            continue
        if not seen.values[step.outputs[0]].dtype.is_floating_point:
            continue
        explanation = explain(seen, step, index)
        if not len(explanation.terms):
            continue
        data = int(explanation.terms.source.max())
        truth = coefficients(seen, step, index, data)
        assert torch.allclose(from_terms(explanation, data), truth, rtol=2e-6, atol=1e-7)
        compared += 1
    assert compared > 0


def test_the_autograd_oracle_can_fail() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    step = seen.step("conv1")
    explanation = explain(seen, step, (0, 3, 1, 1))
    truth = coefficients(seen, step, (0, 3, 1, 2), step.inputs[0])
    assert not torch.allclose(from_terms(explanation, step.inputs[0]), truth, atol=1e-7)


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
    told = json.loads(json.dumps(explanation.to_dict(limit=2)))
    assert [row["product"] for row in told["terms"]] == [20, 6]
    assert told["others"] == -1
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


# Kinds the networks do not reach.

SINGLE: dict[str, Any] = {
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "power": lambda x: x.abs() ** 1.5,
    "number over element": lambda x: 3 / (x.abs() + 1),
    "number minus element": lambda x: 1 - x,
    "add alpha": lambda x: torch.add(x, x * 2, alpha=0.25),
    "floor divide": lambda x: x // 0.3,
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
    "masked fill": lambda x: x.masked_fill(x > 0, -3.0),
    "where number": lambda x: torch.where(x > 0, x, 0.0),
    "where method": lambda x: x.where(x > 0, -x),
    "softplus": lambda x: F.softplus(x * 10),
    "mish": F.mish,
    "selu": F.selu,
    "tanh gelu": lambda x: F.gelu(x, approximate="tanh"),
    "to half": lambda x: x.half(),
    "to int": lambda x: (x * 10).to(torch.int32),
    "type": lambda x: x.type(torch.float64) * 2,
    "compare": lambda x: x > 0.2,
    "dropout": lambda x: F.dropout(x, 0.4, training=True),
    "rms norm": lambda x: F.rms_norm(x, (x.shape[-1],)),
    "layer norm of two axes": lambda x: F.layer_norm(x, x.shape[-2:]),
    "normalize": lambda x: F.normalize(x, dim=1),
    "var biased": lambda x: x.var(1, unbiased=False),
    "std of all": lambda x: x.std(),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=-1),
    "logsumexp": lambda x: x.logsumexp(1),
    "prod": lambda x: x[..., :4].prod(-1),
    "sum of all": lambda x: x.sum(),
    "amin": lambda x: x.amin((1, 2)),
    "argmax": lambda x: x.argmax(1),
    "argmax of all": lambda x: x.argmax(),
    "sort": lambda x: x.sort(1, descending=True),
    "argsort": lambda x: x.argsort(-1),
    "minimum": lambda x: x.min(-1),
    "nonzero": lambda x: (x > 0).nonzero(),
    "cumsum": lambda x: x.cumsum(-1),
    "nearest": lambda x: F.interpolate(x, scale_factor=1.7),
    "bicubic": lambda x: F.interpolate(x, size=(9, 4), mode="bicubic"),
    "antialias": lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True),
    "corners": lambda x: F.interpolate(x, (11, 5), mode="bilinear", align_corners=True),
    "grid sample": lambda x: F.grid_sample(
        x, torch.rand(2, 4, 4, 2, generator=torch.Generator().manual_seed(3)) * 2 - 1,
        align_corners=False,
    ),
    "unfold": lambda x: F.unfold(x, 3, padding=1),
    "fold": lambda x: F.fold(F.unfold(x, 3), x.shape[-2:], 3),
    "circular pad": lambda x: F.pad(x, (2, 1, 1, 0), mode="circular"),
    "constant pad": lambda x: F.pad(x, (2, 1), value=7.0),
    "gather": lambda x: x.gather(1, torch.ones(2, 1, 3, 3, dtype=torch.int64)),
    "advanced index": lambda x: x[:, [2, 0], 1],
    "cat the same twice": lambda x: torch.cat((x, x * 2, x[:, :1], x), 1),
    "cat by keyword": lambda x: torch.cat(tensors=[x, x], dim=1),
    "sum in NumPy's words": lambda x: x.sum(axis=1, keepdims=True),
    "stack": lambda x: torch.stack((x, -x), 1),
    "roll flip": lambda x: x.roll(1, 2).flip(-1),
    "repeat": lambda x: x.repeat(1, 2, 1, 1).tile(2),
    "expand": lambda x: x[:, :1].expand(-1, 4, -1, -1),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    "max with indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "dilated max": lambda x: F.max_pool2d(x, 2, 1, 1, dilation=2),
    "divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "matrix vector": lambda x: x[0, 0] @ x[0, 0, 0],
    "dot": lambda x: x[0, 0, 0] @ x[0, 0, 1],
    "addmm": lambda x: torch.addmm(x[0, 0], x[0, 0], x[0, 1], beta=0.5, alpha=2),
    "causal attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "masked attention": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=x[0, 0] > 0),
    "local response": lambda x: F.local_response_norm(x, 2),
    "median": lambda x: x.median(1),
    "bilinear": lambda x: F.bilinear(x, x, torch.ones(3, 7, 7) / 7),
    "log": lambda x: (x.abs() + 1e-3).log(),
    "embedding": lambda x: F.embedding(torch.tensor([[3, 0], [6, 6]]), x[0, 0]),
    "zeros like": lambda x: torch.zeros_like(x),
    "softmin": lambda x: F.softmin(x, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_every_single_operation(name: str) -> None:
    x = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(2))
    seen = record(SINGLE[name], x)
    assert seen.error is None, seen.error
    for step, slot, index in elements(seen, 10):
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


def test_complex_numbers_are_refused_in_a_sentence() -> None:
    seen = record(lambda x: torch.fft.rfft(x).abs(), torch.randn(8))
    with pytest.raises(NotImplementedError, match="made of complex numbers"):
        explain(seen, 1, (1,))


def test_random_numbers_are_refused_in_a_sentence() -> None:
    seen = record(lambda x: F.alpha_dropout(x, 0.5, training=True), torch.randn(9))
    with pytest.raises(NotImplementedError, match="it draws random numbers"):
        explain(seen, 0, (0,))


def test_dropout_says_kept_or_dropped() -> None:
    torch.manual_seed(0)
    seen = record(lambda x: F.dropout(x, 0.5, training=True), torch.ones(20))
    notes = {explain(seen, 0, (i,)).note.split(": ")[1] for i in range(20)}
    assert notes == {"kept and scaled", "dropped"}


def test_infinity_and_nan_stay_what_they_are() -> None:
    x = torch.tensor([[[math.inf, 1.0, math.nan, 1.0, 1.0, 1.0]]])
    seen = record(nn.Conv1d(1, 1, 2, bias=False), x)
    for i in range(5):
        json.dumps(explain(seen, 0, (0, 0, i)).to_dict(), allow_nan=False)
    assert math.isnan(explain(seen, 0, (0, 0, 1)).recorded)
