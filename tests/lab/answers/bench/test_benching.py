"""The bench's answer: what it refuses, what it cuts, and what travels to the page."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.lab import Lab
from convlens.lab.answers.bench.benching import FAMILIES, bench_of
from convlens.lab.answers.envelope import pack
from convlens.lens import Recording, record
from tests.oracles.seats import RULES, has, recomputed, seat

WEIGHT = torch.linspace(-1, 1, 3 * 4 * 3 * 3).view(3, 4, 3, 3)
X = torch.linspace(-2, 2, 4 * 6 * 6).sin().view(1, 4, 6, 6)


def named(lab: Lab, name: str) -> int:
    return next(value["id"] for value in lab.network()["values"] if value["name"] == name)


def test_a_convolution_of_the_lab(digits: Lab) -> None:
    bench = digits.bench(1, named(digits, "conv1"), (0, 5, 6, 4))
    assert (bench["family"], bench["rule"], bench["channel"]) == ("conv", "sum", 0)
    assert [(row["role"], row["shape"]) for row in bench["seats"]] == [
        ("in", [1, 8, 8]),
        ("kernel", [1, 3, 3]),
        ("bias", []),
        ("out", [8, 8]),
    ]
    assert bench["numbers"].dtype == np.float32
    assert bench["explained"] is not None
    assert bench["explained"]["total"] == bench["total"]
    assert not bench["others"]
    assert pack(bench)


def test_the_input_map_that_adds_most_is_shown_unless_another_is_wanted(digits: Lab) -> None:
    value = named(digits, "conv2")
    bench = digits.bench(1, value, (0, 3, 1, 2))
    sums = [abs(total) for _, total in bench["channels"]]
    assert sums == sorted(sums, reverse=True)
    assert bench["channel"] == bench["channels"][0][0]
    assert bench["others"]
    other = bench["channels"][-1][0]
    assert digits.bench(1, value, (0, 3, 1, 2), other)["channel"] == other
    assert digits.bench(1, value, (0, 3, 1, 2), 99)["channel"] == bench["channel"]


def test_of_large_maps_only_the_one_shown_comes() -> None:
    x, weight = torch.randn(1, 8, 200, 200), torch.randn(2, 8, 3, 3)
    recording = record(lambda x: F.conv2d(x, weight, padding=1), x)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 1, 199, 3), 5)
    row = bench["seats"][0]
    assert (row["at"], row["shape"]) == ([0, 5], [200, 200])
    assert np.array_equal(seat(bench, "in"), x[0, 5].numpy())
    assert abs(recomputed(recording, bench) - bench["total"]) <= bench["bound"]


def test_a_row_that_was_maps_says_which(digits: Lab) -> None:
    bench = digits.bench(1, named(digits, "linear"), (0, 3))
    values = digits.network()["values"]
    origin = bench["detail"]["origin"]
    assert values[origin["value"]]["name"] == "pool2"
    assert origin["shape"] == values[origin["value"]]["shape"][1:]
    alone = record(lambda x: F.linear(x, torch.ones(2, 6)), X)
    assert alone.output is not None
    assert "origin" not in bench_of(alone, alone.output, (0, 0, 0, 0))["detail"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_every_width_are_the_recorded_ones(dtype: torch.dtype) -> None:
    recording = record(lambda x: F.conv2d(x, WEIGHT.to(dtype)), X.to(dtype))
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 2, 1, 3))
    assert bench["numbers"].dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert np.array_equal(seat(bench, "in"), X[0].to(dtype).double().numpy())
    assert abs(recomputed(recording, bench) - bench["total"]) <= bench["bound"]


def test_what_is_not_finite_stays_so() -> None:
    x = X.clone()
    x[0, 1, 2, 2], x[0, 0, 5, 5] = math.nan, math.inf
    recording = record(lambda x: F.relu(F.conv2d(x, WEIGHT)), x)
    for id in (v.id for v in recording.values if v.kind == "computed"):
        bench = bench_of(recording, recording.values[id], (0, 0, 1, 1))
        assert math.isnan(bench["recorded"])
        assert math.isnan(bench["total"])
        assert math.isnan(recomputed(recording, bench))
        assert pack(bench)
    curve = seat(bench_of(recording, recording.values[id], (0, 2, 3, 3)), "curve")
    assert np.isfinite(curve).all()


def whole(value: int = 1) -> Recording:
    return record(lambda x: x + x, torch.full((2, 3), value))


def test_whole_numbers_are_told_by_their_explanation() -> None:
    recording = whole(2**30)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (1, 2))
    assert (bench["family"], bench["recorded"]) == ("other", 2.0**31)
    assert bench["explained"] is not None
    assert "int64" in bench["note"]
    assert bench["numbers"].dtype == np.float64


def test_a_given_number_stands_alone(digits: Lab) -> None:
    for name, index in (("input", (0, 0, 3, 3)), ("conv1.weight", (5, 0, 1, 1))):
        bench = digits.bench(1, named(digits, name), index)
        assert (bench["family"], bench["rule"], bench["step"]) == ("other", "given", None)
        assert [row["role"] for row in bench["seats"]] == ["out"]
        assert bench["recorded"] == bench["total"]


def test_a_step_without_terms_of_its_own_shows_where_most_comes_from() -> None:
    recording = record(lambda x: F.scaled_dot_product_attention(x, x, x), X)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 3, 1, 2))
    assert bench["family"] == "other"
    assert [(row["role"], row["at"]) for row in bench["seats"]] == [("in", [0, 3]), ("out", [0, 3])]


def test_a_refusal_is_one_sentence_beside_the_map() -> None:
    recording = record(lambda x: torch.poisson(x.abs()), X)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 3, 1, 2))
    assert "random numbers" in bench["refusal"]
    assert bench["explained"] is None
    assert np.array_equal(seat(bench, "out"), recording.output.tensor[0, 3].numpy())
    assert pack(bench)


def test_complex_numbers_are_refused_without_a_map() -> None:
    recording = record(lambda x: torch.fft.fft(x), X)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 3, 1, 2))
    assert bench["refusal"]
    assert bench["seats"] == []
    assert math.isnan(bench["recorded"])
    assert pack(bench)


def test_a_number_that_was_overwritten_is_refused() -> None:
    x = X.clone()
    recording = record(lambda x: F.relu(x), x)
    x.add_(1)
    bench = bench_of(recording, recording.inputs[0], (0, 0, 0, 0))
    assert "record again" in bench["refusal"]
    assert bench["seats"] == []


def test_of_a_huge_view_only_the_map_is_cut() -> None:
    """2^31 numbers that are 4,096 in memory."""
    x = torch.randn(1, 1, 64, 64)
    recording = record(lambda x: x.expand(2**19, 1, 64, 64).mean(0), x)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 5, 7))
    assert seat(bench, "in").shape == (2**19,)
    assert abs(recomputed(recording, bench) - bench["total"]) <= bench["bound"]


def test_a_map_beyond_a_seat_is_not_sent() -> None:
    recording = record(lambda x: x.expand(2, 1, 4096, 4096), torch.ones(1, 1, 1, 1))
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (1, 0, 7, 7))
    assert bench["seats"] == []
    assert bench["family"] == "other"
    assert "16,777,216 numbers is larger" in bench["note"]
    assert bench["explained"] is not None


def test_the_maps_of_a_window_that_reads_nothing() -> None:
    recording = record(lambda x: F.conv_transpose2d(x, WEIGHT.mT[:4], stride=5), X[:, :3])
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 0, 4, 4))
    assert (bench["total"], recomputed(recording, bench)) == (0.0, 0.0)
    assert has(bench, "in")


def test_a_view_of_a_huge_value_takes_no_memory() -> None:
    x = torch.randn(1, 1, 64, 64)
    recording = record(lambda x: x.expand(2**19, 1, 64, 64)[2**18].mT, x)
    for id in (v.id for v in recording.values if v.kind == "computed"):
        value = recording.values[id]
        bench = bench_of(recording, value, (0,) * (len(value.shape) - 2) + (5, 7))
        assert bench["family"] == "move"
        assert recomputed(recording, bench) == bench["recorded"]


def test_padding_has_no_origin() -> None:
    recording = record(lambda x: F.pad(x, (2, 0, 0, 0), value=0.5), X)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 2, 3, 1))
    assert (bench["rule"], bench["recorded"]) == ("given", 0.5)
    origin = seat(bench, "origin")
    assert (origin[:, :2] == -1).all()
    assert np.array_equal(origin[:, 2:].reshape(-1), np.arange(36))
    assert np.array_equal(seat(bench, "in"), X[0, 2].numpy())


def test_what_is_copied_in_another_type_is_a_function() -> None:
    recording = record(lambda x: torch.empty_like(x, dtype=torch.float16).copy_(x), X)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 2, 3, 1))
    assert bench["family"] == "other"
    assert "rounds" in bench["note"]


def test_an_operator_beneath_is_resampled_by_its_terms() -> None:
    recording = record(lambda x: torch.ops.aten.upsample_bilinear2d(x, [12, 12], False), X)
    assert recording.output is not None
    bench = bench_of(recording, recording.output, (0, 2, 3, 1))
    assert bench["family"] == "other"
    assert bench["explained"] is not None


def test_the_chosen_one_is_on_the_map_shown() -> None:
    recording = record(lambda x: x.topk(2, 1), X)
    bench = bench_of(recording, recording.values[1], (0, 1, 3, 2))
    first = bench["seats"][0]
    assert (bench["family"], first["role"]) == ("select", "in")
    assert seat(bench, "in")[3, 2] == bench["recorded"]


def test_an_average_and_a_layer_state_their_facts() -> None:
    padded = record(lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), X)
    assert padded.output is not None
    detail = bench_of(padded, padded.output, (0, 2, 0, 0))["detail"]
    assert detail == {"divisor": 9, "counts_padding": True, "padded": [8, 8]}
    joined = record(lambda x: torch.cat([x[:, :1], x], 1), X)
    assert joined.output is not None
    detail = bench_of(joined, joined.output, (0, 3, 0, 0))["detail"]
    assert detail == {"operand": 1, "offset": 1, "dim": 1}
    leaky = record(lambda x: F.leaky_relu(x, 0.25), X)
    assert leaky.output is not None
    assert bench_of(leaky, leaky.output, (0, 3, 0, 0))["detail"] == {"negative_slope": 0.25}
    clamped = record(lambda x: x.clamp(min=-1), X)
    assert clamped.output is not None
    assert bench_of(clamped, clamped.output, (0, 3, 0, 0))["detail"] == {"low": -1.0}
    assert bench_of(whole(), whole().values[1], (0, 0))["detail"] == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.softmax(1),
        lambda x: x.mean((0, 1)),
        lambda x: F.conv2d(x, WEIGHT),
        lambda x: F.conv_transpose2d(x, WEIGHT.mT.repeat(2, 1, 1, 1)[:4], groups=2),
        lambda x: x * x[:, :, :1],
    ],
)
def test_the_same_parts_of_another_recording_lie_beside(call: Callable[[Tensor], Tensor]) -> None:
    one, other = record(call, X), record(call, X * 2)
    assert one.output is not None
    index = tuple(n - 1 for n in one.output.shape)
    bench = bench_of(one, one.output, index, beside=other)
    assert np.array_equal(seat(bench, "real_in"), 2 * seat(bench, "in"))
    theirs = bench_of(other, other.values[one.output.id], index)
    assert np.array_equal(seat(bench, "real"), seat(theirs, "out"))
    wide = record(call, torch.cat([X, X], 3))
    bench = bench_of(one, one.output, index, beside=wide)
    assert has(bench, "real") == (bench["family"] == "softmax")


def test_every_family_is_laid() -> None:
    assert set(FAMILIES) == set(RULES) | {"select", "other"}
