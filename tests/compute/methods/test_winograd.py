"""Winograd's convolution: accurate, with the same bits in any bands, and infinities noticed."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH, put_word
from convlens.compute.kernels.launching import Launch, address_of
from convlens.compute.kernels.machine import Machine, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.methods import reference
from convlens.compute.methods.method import ConvMethod
from convlens.compute.methods.winograd.bands import TileShape, best_band
from convlens.compute.methods.winograd.method import F2, F4
from convlens.compute.methods.winograd.tiles import Tile, is_uneven
from convlens.compute.methods.winograd.transforms import weight_matrix
from convlens.compute.problems import Conv, MaxPool, Unfit, Unsuited
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.cases.methods import LARGER, check_near
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole

METHODS = [F2, F4]
UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}


def check(method: ConvMethod[Conv], dtype: str, seed: int, layer: dict[str, Any]) -> None:
    """Raise unless the method is as accurate as its transforms allow."""
    rng = np.random.default_rng(seed)
    layer = dict(layer)
    kind = getattr(torch, dtype)
    x, weight = (
        torch.from_numpy(rng.standard_normal(layer.pop(name))).to(kind) for name in ("x", "weight")
    )
    bias = torch.from_numpy(rng.standard_normal(len(weight))).to(kind)
    problem = read_conv(x, weight, bias, **layer)
    assert method.refused(problem) is None
    found = poisoned(problem, x, method.ready(problem, weight, bias))
    wide = read_conv(x.double(), weight.double(), bias.double(), **layer)
    parts = [part.double() for part in (x, weight, bias)]
    exact, _ = reference.run(wide, *parts)
    total, _ = reference.run(wide, *(part.abs() for part in parts))
    terms = weight[0].numel() + 1
    check_near(found.numpy(), exact.numpy(), total.numpy(), terms, dtype, exact=False)


@pytest.mark.parametrize("method", METHODS, ids=["F2", "F4"])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_images_of_every_padding(method: ConvMethod[Conv], mode: str) -> None:
    check(
        method,
        "float32",
        1,
        {
            "x": (2, 17, 13, 37),
            "weight": (37, 17, 3, 3),
            "padding": ((2, 1), (0, 3)),
            "padding_mode": mode,
        },
    )


def test_the_layer_that_all_methods_go_through() -> None:
    (case,) = (case for case in LARGER if case.name == "a dense layer")
    check(F4, "float64", 2, {"x": case.x, "weight": case.weight, **case.options})


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    groups, each = draw(st.integers(1, 2)), draw(st.integers(8, 11))
    out_each, depth = draw(st.sampled_from([8, 14, 16])), draw(st.sampled_from([0, 0, 1, 2, 3]))
    sizes = st.one_of(st.integers(1, 12), st.sampled_from([15, 16, 17, 31, 33, 63, 65]))
    ends = st.tuples(st.integers(1, 3), st.integers(1, 3))
    planes = (draw(st.integers(1, 5)),) if depth else ()
    return {
        "x": (
            draw(st.integers(0, 3)),
            each * groups,
            *planes,
            draw(st.integers(1, 9)),
            draw(sizes),
        ),
        "weight": (out_each * groups, each, *([depth] if depth else []), 3, 3),
        "dilation": ((draw(st.integers(1, 2)),) if depth else ()) + (1, 1),
        "padding": (((depth, depth),) if depth else ()) + (draw(ends), draw(ends)),
        "groups": groups,
        "padding_mode": draw(st.sampled_from(["zeros", "zeros", "replicate"])),
    }


@examples(st.sampled_from(METHODS), layers(), st.integers(0, 99), few=15, many=60)
def test_any_layer_is_near_the_reference(
    method: ConvMethod[Conv], layer: dict[str, Any], seed: int
) -> None:
    check(method, "float64", seed, layer)


@pytest.mark.parametrize("method", METHODS, ids=["F2", "F4"])
@pytest.mark.parametrize("shape", [(3, 9, 30, 41), (2, 9, 6, 13, 30)], ids=str)
def test_threads_batch_and_bands_change_no_bit(
    method: ConvMethod[Conv], shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(shape, generator=generator)
    weight = torch.randn(40, 9, *[3] * (len(shape) - 2), generator=generator)
    before = torch.get_num_threads()
    problem, one = read_conv(x, weight, padding=1), read_conv(x[1:2], weight, padding=1)
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(poisoned(problem, x, method.ready(problem, weight, None)))
        single = poisoned(one, x[1:2], method.ready(one, weight, None))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[0][1:2], single)


def test_the_error_is_that_of_good_points() -> None:
    """The tolerance of plans is 1e-5 of the output; tiles of 4 at the usual points come near it."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(1, 512, 8, 8, generator=generator)
    weight = torch.randn(8, 512, 3, 3, generator=generator)
    problem = read_conv(x, weight, padding=1)
    exact = torch.nn.functional.conv2d(x.double(), weight.double(), padding=1)
    for method, most in ((F2, 1.5e-6), (F4, 3e-6)):
        found = poisoned(problem, x, method.ready(problem, weight, None))
        error = (found - exact).square().mean().sqrt() / exact.square().mean().sqrt()
        assert error < most


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 3e38])
def test_what_is_not_finite_is_never_passed_over(bad: float) -> None:
    weight = whole((8, 8, 3, 3), "float32", 2) + 0.5
    for shape, method in (((2, 8, 9, 21), F4), ((2, 8, 6, 7), F2)):
        x = whole(shape, "float32", 1)
        problem = read_conv(x, weight, padding=1)
        run = method.ready(problem, weight, None)
        poisoned(problem, x, run)
        for place in ((0, 0, 0, 0), (1, 7, -1, -1), (1, 3, 4, 5)):
            spoiled = x.clone()
            spoiled[place] = bad
            if bad == 3e38:
                spoiled[place[0]] = bad
            with pytest.raises(Unfit, match="not finite"):
                poisoned(problem, spoiled, run)
        poisoned(problem, x, run)


def test_inputs_that_no_output_reads_spoil_nothing() -> None:
    weight = whole((8, 8, 3, 3), "float32", 2)
    x = whole((1, 8, 11, 14), "float32", 1)
    problem = read_conv(x[..., :-1, :-1].contiguous(), weight)
    for method in METHODS:
        poisoned(problem, x[..., :-1, :-1].contiguous(), method.ready(problem, weight, None))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
def test_weights_that_are_not_finite_are_unsuited(bad: float) -> None:
    x, weight = whole((1, 8, 6, 6), "float32", 1), whole((8, 8, 3, 3), "float32", 2)
    weight[3, 2] = bad
    with pytest.raises(Unsuited, match="not finite"):
        F4.ready(read_conv(x, weight), weight, None)


def test_what_it_refuses() -> None:
    plane = (Window(3), Window(3))
    accepted = Conv(channels=8, space=(9, 9), channels_out=8, windows=plane, dtype="float32")
    assert F4.refused(accepted) is None
    for operation, space, channels, windows, options in (
        ("max_pool", (9, 9), 8, plane, {}),
        ("conv", (9,), 8, (Window(3),), {}),
        ("conv", (9, 9), 7, plane, {}),
        ("conv", (9, 9), 8, (Window(3), Window(3, stride=2)), {}),
        ("conv", (9, 9), 8, (Window(3, dilation=2), Window(3)), {}),
        ("conv", (9, 9), 8, (Window(5), Window(3)), {}),
        ("conv", (9, 9, 9), 8, (Window(3, stride=2), *plane), {}),
        ("conv", (9, 9), 8, plane, {"dtype": "int32"}),
        ("conv", (9, 9), 8, plane, {"dtype": "float16"}),
        ("conv", (9, 9), 8, plane, {"gradient": True}),
        ("conv", (9, 9), 16, plane, {"groups": 4}),
    ):
        more: dict[str, Any] = {"dtype": "float32", **options}
        more |= {"space": space, "windows": windows, "channels": channels}
        pool = operation == "max_pool"
        problem = MaxPool(**more) if pool else Conv(channels_out=channels, **more)
        assert F4.refused(problem) is not None


def test_bands_leave_no_thread_idle() -> None:
    here = Machine("any", 64, 32, True, 2**15, 2**20)
    for channels, side in ((64, 56), (256, 14), (512, 7)):
        problem = Conv(
            channels=channels,
            space=(side, side),
            channels_out=channels,
            windows=(Window(3),) * 2,
            dtype="float32",
        )
        alone, together = (best_band(TileShape.of(problem, 4), count, here) for count in (1, 2))
        assert together.cycles < 0.6 * alone.cycles


def test_a_wrong_transform_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that an error of a thousandth in one of the six values does not pass for rounding."""

    def wrong(m: int) -> Any:
        matrix = weight_matrix(m)
        matrix[1] *= 1.001
        return matrix

    monkeypatch.setattr("convlens.compute.methods.winograd.method.weight_matrix", wrong)
    with pytest.raises(AssertionError):
        check(F4, "float32", 1, {"x": (1, 8, 9, 9), "weight": (8, 8, 3, 3)})


@dataclass(frozen=True, kw_only=True)
class Gauge:
    sizes: Pointer
    factors: Pointer
    span: int
    lead: int
    inputs: int
    high: int
    count: int
    wide: int
    tile: Tile


def gauged(task: int, scratch: int, y: int, a: Gauge) -> None:
    columns = a.sizes + a.inputs * a.span * WIDTH
    found = is_uneven(
        a.sizes + a.lead * WIDTH, a.span, a.high, a.count, a.wide,
        a.factors + 2 * task * WIDTH, columns + a.lead * WIDTH, a.tile,
    )  # fmt: skip
    put_word(y, task, found)


@pytest.mark.parametrize(("m", "high"), [(4, 4), (4, 3), (2, 2)])
def test_the_test_of_evenness_is_its_definition(m: int, high: int) -> None:
    """Test just above and just below the limits of the tile's largest and the window's share."""
    lanes, tiles = machine().lanes("float32"), 11
    count, wide = tiles * m + 2, tiles * m - 1
    span = count // lanes * lanes + 4 * lanes
    random = np.random.default_rng(m + high)
    for _ in range(20):
        sizes = np.zeros((m + 2 + 1 + 2 * m, span), np.float32)
        sizes[: m + 2, lanes : lanes + count] = random.integers(1, 99, (m + 2, count))
        ratios, shares = [], []
        for row, w in product(range(high), range(wide)):
            own = sizes[row : row + 3, lanes + w : lanes + w + 3]
            near = sizes[: m + 2, lanes + w + 1 - m : lanes + w + m + 2]
            ratios.append(near.max() / own.max() if m == 4 else 0.0)
            shares.append(own.max() / own.sum())
        ratio, share = max(ratios), max(shares)
        cases = [
            (2 * ratio + 1, 1.0),
            (2 * ratio + 1, share * 1.001),
            (2 * ratio + 1, share * 0.999),
        ]
        cases += [(ratio * 1.001, 1.0), (ratio * 0.999, 1.0)] if m == 4 else []
        y = np.full(len(cases), -1, np.int64)
        gauge = Gauge(
            sizes=Pointer(sizes), factors=Pointer(np.array(cases, np.float32)), span=span,
            lead=lanes, inputs=m + 2, high=high, count=count, wide=wide, tile=Tile(M=Fixed(m)),
        )  # fmt: skip
        kernel = Kernel.of("gauged", "float32", gauged, gauge)
        Launch(kernel, gauge, tasks=len(cases))(address_of(y))
        assert (y != 0).tolist() == [False, False, True, False, True][: len(cases)]
