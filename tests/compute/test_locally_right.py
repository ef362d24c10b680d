"""Every output is within roundings of its own window's products, for any data."""

from collections.abc import Callable
from math import log2
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

import convlens
from convlens.compute.memory.arena import Arena
from convlens.compute.methods import METHODS, prepared, refused
from convlens.compute.methods.fft import doubts as doubts
from convlens.compute.methods.fft import method as fft
from convlens.compute.methods.fft.layout import FourierLayout
from convlens.compute.methods.fft.tiles import Tiles
from convlens.compute.methods.promise import products, within
from convlens.compute.methods.winograd import method as winograd
from convlens.compute.problems import Conv, Unfit, Unsuited
from convlens.compute.reading.options import read_conv
from tests.running.drawn_examples import examples

ROUNDING = {"float32": 2.0**-24, "float64": 2.0**-53}
TINY = {"float32": 2.0**-149, "float64": 2.0**-1074}
TRANSFORMS = ("fft", "fft_library", "winograd2", "winograd4", "separable")


def sums(x: Tensor, weight: Tensor, bias: Tensor | None, **options: Any) -> Tensor:
    """Return plain sums in float64, by torch."""
    kind = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
    made: Tensor = kind(x.double(), weight.double(), bias, **options)
    return made


def worst(
    found: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None, **options: Any
) -> float:
    """Return the largest error of all outputs, in roundings of their own windows' products.

    Infinities and NaN must be in the same places.
    """
    dtype = str(x.dtype).removeprefix("torch.")
    wide, size = (None if bias is None else part for part in (bias, bias))
    exact = sums(x, weight, None if wide is None else wide.double(), **options)
    own = sums(x.abs(), weight.abs(), None if size is None else size.double().abs(), **options)
    finite = exact.isfinite() & (own < torch.finfo(x.dtype).max)
    assert torch.equal(found.isfinite()[finite], finite[finite])
    assert not found.isfinite()[~exact.isfinite()].any()
    count = weight[0].numel()
    error = (found.double() - exact)[finite].abs() - count * TINY[dtype]
    allowed = own[finite] * ROUNDING[dtype]
    beyond = torch.where(error > 0, error / allowed, 0.0)
    return float(beyond.max()) if beyond.numel() else 0.0


def promised(problem: Conv, method: str) -> float:
    return products(problem) + 2.0 if METHODS[method].exact else within(problem)


def by(method: str, x: Tensor, weight: Tensor, bias: Tensor | None, **options: Any) -> Any:
    """Return the result of one method and its problem, or None if it refuses."""
    problem = read_conv(x, weight, bias, **options)
    if refused(method, problem) is not None:
        return None
    try:
        return prepared(method, problem, weight, bias, Arena())(x, None)[0].clone(), problem
    except (Unsuited, Unfit):
        return None


def noise(shape: tuple[int, ...], seed: int, dtype: str = "float32") -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(
        getattr(torch, dtype)
    )


# Each changes an array in place; `at` is any position in it, `size` a magnitude.
PATTERNS: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "as it is": lambda x, at, size: x,
    "a spike": lambda x, at, size: x.view(-1)[at].fill_(size),
    "a patch without data": lambda x, at, size: x[..., at % 7 : at % 7 + 5].fill_(-size),
    "silence": lambda x, at, size: x[..., x.shape[-1] // 2 :].fill_(0.0),
    "a loud start": lambda x, at, size: x[..., : 1 + at % 9].mul_(size),
    "an offset": lambda x, at, size: x.add_(size),
    "a decaying tail": lambda x, at, size: x.mul_(
        torch.exp(-torch.arange(x.shape[-1]) / (1.0 + at % 12)).to(x.dtype)
    ),
    "any magnitudes": lambda x, at, size: x.mul_(
        torch.from_numpy(10.0 ** np.random.default_rng(at).uniform(-20, 20, x.shape)).to(x.dtype)
    ),
    "few numbers": lambda x, at, size: x.mul_(
        torch.from_numpy(np.random.default_rng(at).random(x.shape) < 0.05).to(x.dtype)
    ),
    "another scale": lambda x, at, size: x.mul_(1 / size),
}

# Name: input, weight, element type, options.
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], str, dict[str, Any]]] = {
    "signal": ((2, 1, 500), (1, 1, 70), "float32", {"padding": 69}),
    "in float64": ((1, 1, 500), (1, 1, 70), "float64", {"padding": 69}),
    "two channels": ((1, 2, 300), (3, 2, 40), "float32", {}),
    "image": ((1, 1, 40, 37), (2, 1, 13, 11), "float32", {"padding": (6, 5)}),
    "layer": ((2, 8, 13, 14), (9, 8, 3, 3), "float32", {"padding": 1}),
    "volume": ((1, 1, 14, 13, 12), (1, 1, 5, 5, 5), "float32", {"padding": 2}),
    "grouped": ((1, 4, 60), (4, 1, 9), "float32", {"groups": 4}),
}


@examples(data=st.data(), few=6, many=25)
def test_every_output_is_right_beside_any_others(data: st.DataObject) -> None:
    """Test sizes from 1e-20 to 1e20, spikes, decaying tails, offsets, patches without data."""
    x_shape, weight_shape, dtype, options = SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))]
    x, weight = noise(x_shape, 1, dtype), noise(weight_shape, 2, dtype)
    for array, patterns in ((x, sorted(PATTERNS)), (weight, ["as it is", *sorted(PATTERNS)])):
        pattern = PATTERNS[data.draw(st.sampled_from(patterns))]
        place = data.draw(st.integers(0, array.numel() - 1))
        pattern(array, place, 10.0 ** data.draw(st.integers(-20, 20)))
    if data.draw(st.booleans()):  # a kernel that is a product
        axes = range(2, weight.ndim)
        lines = [weight[:1, :1].movedim(axis, -1).flatten(0, -2)[0] for axis in axes]
        product = torch.ones((), dtype=x.dtype)
        for line in lines:
            product = product[..., None] * line
        weight = product.expand(weight.shape).nan_to_num().clone()
    bias = noise((weight_shape[0],), 3, dtype) if data.draw(st.booleans()) else None
    for name in METHODS:
        made = by(name, x, weight, bias, **options)
        if made is None:
            continue
        found, problem = made
        most = promised(problem, name)
        if name.startswith("winograd"):  # bounded by the window's inputs and the largest weights
            weight_of_bound = weight.abs().amax((0, *range(2, weight.ndim)), keepdim=True)
            error = worst_of_winograd(found, x, weight, weight_of_bound, bias, **options)
        else:
            error = worst(found, x, weight, bias, **options)
        assert error <= most, (name, error, most)


def worst_of_winograd(
    found: Tensor, x: Tensor, weight: Tensor, largest: Tensor, bias: Tensor | None, **options: Any
) -> float:
    """Return the largest error in roundings of the window's inputs times their largest weights."""
    exact = sums(x, weight, None if bias is None else bias.double(), **options)
    own = sums(x.abs(), largest.expand_as(weight), None, **options)
    own += 0 if bias is None else bias.double().abs().reshape(-1, *[1] * (x.ndim - 2))
    dtype = str(x.dtype).removeprefix("torch.")
    # Values between the transforms are larger than those of the result.
    fits = own < torch.finfo(x.dtype).max / 1e3
    error = (found.double() - exact)[fits].abs() - weight[0].numel() * TINY[dtype] * 1e3
    ratio = torch.where(error > 0, error / (own[fits] * ROUNDING[dtype]), 0.0)
    return float(ratio.max()) if ratio.numel() else 0.0


def field(name: str) -> tuple[Tensor, Tensor]:
    """Return the input and the kernel of a case that was once found."""
    if name == "an image with a patch without data":
        x = noise((1, 1, 180, 200), 1)
        x[..., 100:110, 100:110] = -9999
        return x, noise((1, 1, 31, 31), 2)
    if name == "an image with a number of 1e20":
        x = noise((1, 1, 180, 200), 1)
        x[..., 100:110, 100:110] = 1e20
        return x, noise((1, 1, 31, 31), 2)
    if name == "a click":
        x = noise((1, 1, 20_000), 1) * 1e-3
        x[..., 9_000] = 1e4
        return x, noise((1, 1, 1024), 2)
    if name == "an elevation map with a void":
        x = 500 + 100 * noise((1, 1, 150, 160), 1)
        x[..., 90:120, 90:130] = -3.3e7
        line = torch.exp(-(torch.linspace(-3, 3, 41) ** 2))
        return x, (line[:, None] * line / line.sum() ** 2)[None, None]
    if name == "a volume with one voxel":
        x = noise((1, 1, 30, 30, 30), 1)
        x[0, 0, 20, 20, 20] = 1e9
        return x, noise((1, 1, 9, 9, 9), 2)
    if name == "a loud start":
        x = noise((1, 1, 20_000), 1)
        x[..., :50] *= 1e8
        return x, noise((1, 1, 301), 2)
    x = noise((1, 64, 28, 28), 1)
    x[0, 5, 14, 14] = 1e6
    return x, noise((64, 64, 3, 3), 2)


FIELD = (
    "an image with a patch without data", "an image with a number of 1e20", "a click",
    "an elevation map with a void", "a volume with one voxel", "a loud start", "a layer",
)  # fmt: skip


@pytest.mark.parametrize("name", FIELD)
def test_a_large_number_spoils_nothing_beside_it(name: str) -> None:
    x, weight = field(name)
    tried = 0
    for method in (*TRANSFORMS, "auto"):
        if method == "auto":
            made: Any = convlens.conv(x, weight), read_conv(x, weight)
        else:
            made = by(method, x, weight, None)
        if made is not None:
            tried += 1
            error = worst(made[0], x, weight)
            assert error <= within(made[1]), (method, error)
    assert tried > 1


def test_probabilities_stay_positive() -> None:
    first, second = 0.2 * 0.8 ** np.arange(900), 0.3 * 0.7 ** np.arange(900)
    for dtype in ("f4", "f8"):
        found = convlens.signal.convolve(first.astype(dtype), second.astype(dtype))
        assert (found >= 0).all()
        exact = np.convolve(first, second)
        normal = exact > 1e-30
        np.testing.assert_allclose(
            found[normal], exact[normal], rtol=2e-4 if dtype == "f4" else 1e-12
        )


def test_a_chain_of_layers_stays_as_near_as_sums_do() -> None:
    x = noise((1, 16, 40, 40), 1)
    x[0, 3, 20, 20] = 1e6
    weights = [noise((16, 16, 3, 3), seed) / 12 for seed in range(2, 7)]
    for method in ("winograd4", "winograd2"):
        found, exact, sizes, plain = x, x.double(), x.double().abs(), x
        for weight in weights:
            made = by(method, found, weight, None, padding=1)
            found = made[0]
            exact, sizes = (
                sums(exact, weight, None, padding=1),
                sums(sizes, weight.abs(), None, padding=1),
            )
            plain = torch.nn.functional.conv2d(plain, weight, padding=1)
        error = ((found - exact).abs() / sizes).max()
        of_torch = ((plain - exact).abs() / sizes).max()
        assert error <= 40 * of_torch, method


def test_doubts_must_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the test of each window's own products, or with a weak one, there are errors."""
    x, weight = field("a loud start")
    monkeypatch.setattr(doubts, "SHARES", (1e-9, 1e-9))
    made = by("fft", x, weight, None)
    assert worst(made[0], x, weight) > 100 * within(made[1])
    x, weight = field("a layer")
    monkeypatch.setattr(winograd, "UNEVEN", 1e-9)
    monkeypatch.setattr(winograd, "ALONE", 2.0)
    made = by("winograd4", x, weight, None)
    assert worst(made[0], x, weight) > 10 * within(made[1])


@pytest.mark.parametrize(("down", "along"), [(1, 1), (1, 4), (2, 1), (2, 2), (4, 2)])
def test_blocks_prove_no_more_than_there_is(down: int, along: int) -> None:
    """Check the floors of a block for every result whose window holds it."""
    taps = np.abs(np.random.default_rng(0).standard_normal((1, 2, 11, 9)))
    taps[0, 0, 5] = 0
    layout = FourierLayout(False, 4, 16, 8, 4, ((4,), (4, 4), (8,)), (4,))
    pitch = layout.columns // along * layout.lanes
    found = doubts._proofs(taps, layout, down, along)
    assert (found.floors[0] > 0).any()
    for floor, place in zip(found.floors[0], found.places[0], strict=True):
        plane, rest = divmod(int(place), layout.high // down * pitch)
        i, j = rest // pitch * down, rest % pitch * along
        for r in range(down):
            for s in range(along):
                met = taps[0, plane, i - r :, j - s :][:down, :along]
                assert (i >= r, j >= s, *met.shape) == (True, True, down, along)
                if met.all():  # the numbers that prove the least, as 1 / met**2
                    rough = 9 / 8 * np.sum(1 / met) ** 2
                    assert floor * rough <= np.sum(1 / met) * (1 + 1e-9)
                else:
                    assert floor == 0


@pytest.mark.parametrize(
    ("space", "size"),
    [((3072,), (40,)), ((3072,), (300,)), ((96, 256), (9, 9)), ((96, 256), (33, 20)),
     ((20, 32, 48), (5, 9, 9)), ((288, 48), (21, 20)), ((24, 64, 32), (7, 11, 9))],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["patches", "tails", "spikes"])
def test_what_is_beyond_doubt_is_as_large_as_it_must_be(
    kind: str, space: tuple[int, ...], size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All results whose own products sum to less than the limit are recomputed.

    The limit is twice the least one. Spectra with a wrong factor show what is not recomputed.
    """
    x, weight = noise((1, 1, *space), 1), noise((1, 1, *size), 2)
    if kind == "patches":
        x[:, :, space[0] // 2 :] *= 1e3
    elif kind == "tails":
        x *= torch.exp(-torch.arange(x.numel()) * 20.0 / x.numel()).reshape(x.shape)
        weight *= torch.exp(-torch.arange(weight.numel()) * 5 / weight.numel()).view(weight.shape)
    else:
        x[:, :, space[0] // 2 :] *= 1e3 * (noise(tuple(x.shape), 3)[:, :, space[0] // 2 :] > -0.5)
        weight = torch.where(noise(tuple(weight.shape), 4) > 0, weight, 0 * weight)
    own = sums(x.abs(), weight.abs(), None)
    problem = read_conv(x, weight)
    tiles = Tiles(space, problem.outputs, (1,) * len(space))
    monkeypatch.setattr(fft, "_tiles", lambda _: (tiles, 1, 1e-3))
    limit = 2 * own.min()
    scale = x.double().norm() * weight.double().norm() / tiles.points**0.5
    rounding = log2(tiles.points) / within(problem)
    monkeypatch.setattr(doubts, "SHARES", (float(limit / scale / rounding), 0.0))
    monkeypatch.setattr(doubts, "PEAK", 0.0)
    made = fft._spectra

    def spoiled(*arguments: Any) -> tuple[Any, float, int]:
        spectra, factor, points = made(*arguments)
        return spectra * np.float32(0.5), factor, points

    monkeypatch.setattr(fft, "_spectra", spoiled)
    monkeypatch.setattr(fft, "way", lambda *_: "directly")
    run, y = fft.METHOD.ready(problem, weight, None), torch.empty(1, 1, *problem.outputs)
    run(x, y)
    exact = sums(x, weight, None)
    wrong = (y - exact).abs() > 1e-4 * own
    # A result above the limit passes by its own size, and rounding alone may reach a low limit.
    below = (own < limit * (1 - 1e-5)) & (y.abs() < limit)
    assert not (wrong & below).any()
    assert wrong.any()  # those beyond doubt are not recomputed
    assert below.any()


def test_ordinary_data_is_not_in_doubt() -> None:
    """Recomputing results one by one is slow, so noise and pictures must not need it."""
    for x, weight in (
        (noise((1, 1, 9_000), 1), noise((1, 1, 500), 2)),
        (noise((1, 1, 200, 200), 1), noise((1, 1, 31, 31), 2)),
        (0.1 + torch.rand(1, 1, 200, 200), 0.5 + torch.rand(1, 1, 31, 31)),
    ):
        problem = read_conv(x, weight)
        run = fft.METHOD.ready(problem, weight, None)
        assert isinstance(run, fft.FourierRun)
        y = torch.empty(1, 1, *problem.outputs)
        run(x, y)
        assert "_settle" not in vars(run)
        assert not run._made


def test_numbers_of_a_short_kernel_are_not_taken_for_blocks_of_it() -> None:
    """A window of so few taps need not hold two neighbours, so blocks prove nothing."""
    x = noise((1, 1, 60), 1) * torch.exp(-torch.arange(60.0) / 3)
    weight = noise((1, 1, 9), 2)
    made = by("fft", x, weight, None)
    assert made is not None
    assert worst(made[0], x, weight) <= within(made[1])


def test_data_in_doubt_may_go_through_float64() -> None:
    x, weight = noise((1, 1, 20_000), 1), noise((1, 1, 3000), 2)
    x[..., 5_000:] *= 1e-4
    run = fft.METHOD.ready(read_conv(x, weight), weight, None)
    assert isinstance(run, fft.FourierRun)
    y = torch.empty(1, 1, 17_001)
    run(x, y)
    assert run._made  # in float64
    assert worst(y, x, weight) <= within(run.problem)
