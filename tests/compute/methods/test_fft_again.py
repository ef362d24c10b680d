"""Results that a transform may get wrong are recomputed, in each of the possible ways."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import convlens
from convlens.compute.deciding import MethodContest, _considered
from convlens.compute.methods.fft import method as fft
from convlens.compute.methods.fft.again import way
from convlens.compute.methods.promise import within
from convlens.compute.problems import Conv
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.compute.test_locally_right import noise, worst
from tests.running.broad import broad
from tests.running.poisoned_memory import poisoned

WAYS = ("directly", "tiles", "wide", "plainly")
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "signals": ((3, 1, 5000), (1, 1, 300), {"padding": 40}),
    "a signal the same way": ((1, 1, 9001), (2, 1, 257), {"padding": "same"}),
    "images": ((3, 1, 130, 121), (2, 1, 21, 18), {"padding": (3, 20)}),
    "channels": ((1, 2, 130, 121), (3, 2, 13, 13), {}),
    "dilated": ((1, 1, 140, 121), (1, 1, 9, 9), {"dilation": (2, 3)}),
    "far beyond the input": ((1, 1, 60, 70), (1, 1, 11, 9), {"padding": (30, 40)}),
    "a volume": ((1, 1, 40, 33, 37), (1, 1, 9, 8, 7), {"padding": (4, 0, 3)}),
}


def with_outliers(x: Tensor) -> Tensor:
    """Return the numbers with a spike in one place and a patch without data in another."""
    x.view(-1)[x.numel() // 2 + 17] = 1e6
    x[..., 20:25] = -9999.0
    return x


@pytest.mark.parametrize(
    ("how", "name"),
    broad(
        product(WAYS, SHAPES),
        lambda how, name: how != "plainly" or name in ("signals", "images", "a volume"),
    ),
)
def test_every_way_is_right(how: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x_shape, weight_shape, options = SHAPES[name]
    x, weight = with_outliers(noise(x_shape, 1)), noise(weight_shape, 2)
    bias = noise((weight_shape[0],), 3)
    asked: list[str] = []

    def chosen(problem: Conv, *_: Any) -> str:
        asked.append(problem.dtype)
        return how if problem.dtype == "float32" else "directly"

    monkeypatch.setattr(fft, "way", chosen)
    plan = convlens.plan(x, weight, bias, method="fft", **options)
    y = plan(x)
    assert "float32" in asked
    assert worst(y, x, weight, bias, **options) <= within(read_conv(x, weight, bias, **options))
    assert torch.equal(plan(x), y)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_tiles_see_what_stands_for_the_padding(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = with_outliers(noise((2, 1, 90, 80), 1)), noise((1, 1, 15, 16), 2)
    monkeypatch.setattr(fft, "way", lambda problem, *_: "tiles")
    options: dict[str, Any] = {"padding": [(7, 9), (3, 8)], "padding_mode": mode}
    y = convlens.plan(x, weight, method="fft", **options)(x)
    padded = torch.nn.functional.pad(x, (3, 8, 7, 9), mode=mode)
    assert worst(y, padded, weight) <= within(read_conv(padded, weight))


def test_the_way_is_the_cheapest() -> None:
    filters = Conv(space=(10**6,), windows=(Window(2047),), dtype="float32")
    assert way(filters, 8, 36, 1.5e5, 2 * 2047, 1) == "directly"
    assert way(filters, 8, 36, 1.5e5, 800 * 2047, 1) == "tiles"
    assert way(filters, 8, 36, 1.5e5, 28_800 * 2047, 36) == "wide"
    image = Conv(space=(1000, 1000), windows=(Window(31), Window(31)), dtype="float64")
    assert way(image, 8, 36, 1.5e6, 500 * 961, 1) == "directly"
    assert way(image, 8, 36, 1.5e6, 30_000 * 961, 36) == "plainly"


def test_a_method_that_random_numbers_do_not_suit_is_out_of_the_contest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With so few taps all is in doubt; another method's result must not be measured as its own."""
    monkeypatch.setattr(fft, "way", lambda *_: "plainly")
    x, weight = noise((1, 32, 40, 40), 1), noise((32, 32, 3, 3), 2)
    problem = read_conv(x, weight, padding=1)
    contest = MethodContest(problem, weight, None, 1e-5, _considered(problem, "auto", 1e-5))
    assert not contest._fit("fft")
    assert "are in doubt" in (contest.candidates["fft"].refused or "")
    plan = convlens.plan(x, weight, padding=1)
    assert worst(plan(x), x, weight, padding=1) <= within(problem)


def test_what_float64_leaves_in_doubt_is_summed() -> None:
    """For numbers that decay by 40 decades, even transforms in float64 lose most digits."""
    x = noise((1, 1, 200, 256), 1) * torch.exp(-torch.arange(256.0) / 2.8)
    weight = noise((1, 1, 31, 31), 2)
    plan = convlens.plan(x, weight, method="fft")
    assert worst(plan(x), x, weight) <= within(read_conv(x, weight))


def test_a_few_doubtful_results_need_no_second_kernel() -> None:
    """Test a corner of noise that windows mostly miss, and a patch that a single window reads."""
    x = torch.ones(1, 1, 200, 200) + noise((1, 1, 200, 200), 5) / 8
    x[..., 100:121, 100:121] *= 1e-4  # one window reads nothing else
    weight = noise((1, 1, 21, 21), 6)
    run = fft.METHOD.ready(read_conv(x, weight), weight, None)
    assert isinstance(run, fft.FourierRun)
    y = torch.empty(1, 1, 180, 180)
    run(x, y)
    assert "_settle" not in vars(run)
    assert worst(y, x, weight) <= within(run.problem)
    x[..., 90:130, 90:130] *= 1e-4  # several hundred windows read only this
    run(x, y)
    assert "_settle" in vars(run)
    assert worst(y, x, weight) <= within(run.problem)


def test_silence_is_counted_by_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes of a tile are read as needed, but all are read before sums count as silent."""
    x = torch.zeros(1, 1, 40, 30, 30)
    x[:, :, :4] = 1e4 * noise((1, 1, 4, 30, 30), 8)
    weight, asked = noise((1, 1, 7, 7, 7), 9), []
    run = fft.METHOD.ready(read_conv(x, weight), weight, None)

    def chosen(problem: Conv, lanes: int, tasks: int, seconds: float, *counts: int) -> str:
        asked.append(counts)
        return "directly"

    monkeypatch.setattr(fft, "way", chosen)
    for _ in range(2):  # the scratch memory of the first run is new
        y = poisoned(read_conv(x, weight), x, run)
        assert worst(y, x, weight) <= within(read_conv(x, weight))
    (first, again) = asked
    assert first == again == (0, 1)


def test_what_lies_outside_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the corners of an image, a kernel of its size meets few taps; only those cost time."""
    x, weight, asked = noise((1, 1, 64, 64), 1).double(), noise((1, 1, 64, 64), 2).double(), []
    problem = read_conv(x, weight, padding=63)

    def chosen(problem: Conv, lanes: int, tasks: int, *counts: Any) -> str:
        asked.append(counts[-2])
        return "directly"

    monkeypatch.setattr(fft, "way", chosen)
    run, y = fft.METHOD.ready(problem, weight, None), torch.empty(1, 1, 127, 127).double()
    run(x, y)
    assert asked
    assert asked[0] < 127 * 4 * 64 * 64 / 8  # an eighth of all taps of the doubtful edges
    assert worst(y, x, weight, padding=63) <= within(problem)
