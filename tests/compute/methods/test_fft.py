"""Convolution through Fourier transforms: within the rounding of its tiles, or refused."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from convlens.compute import measuring
from convlens.compute.deciding import decide
from convlens.compute.kernels.transforms import butterflies
from convlens.compute.methods import reference
from convlens.compute.methods.fft import library as fft_library
from convlens.compute.methods.fft import method as fft
from convlens.compute.methods.fft.layout import FourierLayout, radices_of
from convlens.compute.methods.fft.tiles import Tiles, choose
from convlens.compute.problems import Conv, MaxPool, Unsuited
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.cases.methods import LARGER
from tests.cases.problems import CASES, Case
from tests.oracles.compute import Numbers, arrays_of, oracle_conv
from tests.running.broad import broad
from tests.running.drawn_examples import examples

METHODS = [fft, fft_library]
EXACT = {"float32": 2.0**-24, "float64": 2.0**-53}


@pytest.fixture(params=METHODS, ids=["fft", "fft_library"])
def method(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


@pytest.fixture(params=["best tiles", "smallest tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Use the cheapest tiles, or the smallest possible ones, so that there are many."""

    def smallest(problem: Conv, lengths: Any, seconds: Any) -> tuple[Tiles, float]:
        return choose(problem, lengths, lambda length, count: np.prod(length, axis=0))

    if request.param == "smallest tiles":
        for module in METHODS:
            module._tiles.cache_clear()
            monkeypatch.setattr(module, "choose", smallest)
    yield request.param
    for module in METHODS:
        module._tiles.cache_clear()


def prepared(
    method: ModuleType, x: Numbers, weight: Numbers, bias: Numbers | None, dtype: str, options: Any
) -> tuple[Callable[[], None], torch.Tensor]:
    """Return a call of a method on arrays rounded to a type, and the tensor that it fills."""
    kind = getattr(torch, dtype)
    w = torch.from_numpy(weight).to(kind)
    b = None if bias is None else torch.from_numpy(bias).to(kind)
    problem = read_conv((x.shape, dtype), w, b, **options)
    assert method.METHOD.refused(problem) is None
    given = torch.from_numpy(x).to(kind).reshape(problem.batch, problem.channels, *problem.space)
    y = torch.full((problem.batch, problem.channels_out, *problem.outputs), torch.nan, dtype=kind)
    run = method.METHOD.ready(problem, w, b)
    return lambda: run(given, y), y


def computed(
    method: ModuleType,
    x: Numbers,
    weight: Numbers,
    bias: Numbers | None = None,
    dtype: str = "float32",
    **options: Any,
) -> Numbers:
    call, y = prepared(method, x, weight, bias, dtype, options)
    assert call() is None
    return np.asarray(y.numpy())


def expected(x: Numbers, weight: Numbers, bias: Numbers | None = None, **options: Any) -> Numbers:
    """Return the sums by the reference, in float64."""
    w = torch.from_numpy(weight)
    b = None if bias is None else torch.from_numpy(bias)
    problem = read_conv((x.shape, "float64"), w, b, **options)
    given = torch.from_numpy(x).reshape(problem.batch, problem.channels, *problem.space)
    return np.asarray(reference.run(problem, given, w, b)[0].numpy())


def check(found: Numbers, exact: Numbers, x: Numbers, weight: Numbers, dtype: str) -> None:
    """Raise unless every result is as accurate as one transform of the whole input.

    Higham, *Accuracy and Stability*, 2nd ed., theorem 24.2: each transform errs by less than
    log2(n) * 7 units of rounding times the norm; far less in practice, hence 16 in all.
    """
    assert found.shape == exact.shape
    reach = np.linalg.norm(weight.reshape(len(weight), -1), axis=1).max(initial=0)
    allowed = 16 * EXACT[dtype] * (reach * np.linalg.norm(x) + np.abs(exact).max(initial=0))
    np.testing.assert_allclose(found, exact, rtol=0, atol=allowed)


@pytest.mark.parametrize(
    ("case", "dtype"),
    broad(
        itertools.product((c for c in (*CASES, *LARGER) if c.operation == "conv"), EXACT),
        lambda case, dtype: dtype == "float32" or case in (*CASES[:6], LARGER[0]),
    ),
    ids=str,
)
def test_a_case_is_what_the_reference_says(
    method: ModuleType, tiles: str, case: Case, dtype: str
) -> None:
    x, weight, bias = arrays_of(case)
    strides = case.options.get("stride", 1)
    if method is fft and strides != 1:
        problem = read_conv(
            (x.shape, dtype), torch.from_numpy(weight.astype(dtype)), **case.options
        )
        assert "stride" in str(method.METHOD.refused(problem))
        return
    found = computed(method, x, weight, bias, dtype, **case.options)
    check(found, expected(x, weight, bias, **case.options), x, weight, dtype)


LENGTHS = st.one_of(st.integers(1, 40), st.sampled_from([15, 16, 17, 31, 33, 255, 257]))


@examples(data=st.data(), few=15, many=60)
def test_any_convolution_is_what_the_reference_says(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(METHODS))
    axes = data.draw(st.integers(1, 3))
    space = [data.draw(LENGTHS if axes == 1 else st.integers(1, 40 // axes)) for _ in range(axes)]
    size = [data.draw(st.integers(1, 9)) for _ in range(axes)]
    dilation = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    stride = [1 if method is fft else data.draw(st.integers(1, 3)) for _ in range(axes)]
    groups, each, outs = (data.draw(st.integers(1, 3)) for _ in range(3))
    mode = data.draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    ends = []
    for n, k, d in zip(space, size, dilation, strict=True):
        low, high = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
        ends.append((low, max(high, d * (k - 1) + 1 - n - low)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    x = random.standard_normal((data.draw(st.integers(1, 3)), groups * each, *space)).astype(dtype)
    weight = random.standard_normal((groups * outs, each, *size)).astype(dtype)
    bias = random.standard_normal(groups * outs).astype(dtype)
    options: dict[str, Any] = {
        "stride": tuple(stride),
        "padding": tuple(ends),
        "dilation": tuple(dilation),
        "groups": groups,
        "padding_mode": mode,
    }
    found = computed(method, x, weight, bias, dtype, **options)
    wide = [array.astype(np.float64) for array in (x, weight, bias)]
    exact = expected(*wide, **options)
    # The padding repeats the input, so an element may count as often as the kernel is long.
    often = max(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
    check(found, exact, np.tile(wide[0], often), wide[1], dtype)


@pytest.mark.parametrize(
    ("shape", "size", "batch"),
    broad(
        [
            (*arrays, batch)
            for arrays in (((3000,), (301,)), ((90, 110), (21, 17)), ((20, 24, 36), (7, 6, 5)))
            for batch in (1, 2, 3)
        ],
        lambda shape, size, batch: len(shape) == 1 or batch == 3,
    ),
)
def test_many_tiles_of_many_images(
    method: ModuleType, tiles: str, shape: Any, size: Any, batch: int
) -> None:
    """Test a single tile left over from pairs, and pairs from two images, in each channel."""
    random = np.random.default_rng(5)
    x = random.integers(-8, 9, (batch, 2, *shape)).astype(np.float64)
    weight = random.integers(-8, 9, (2, 1, *size)).astype(np.float64)
    exact = oracle_conv(x, weight, padding="same", groups=2)
    found = computed(method, x, weight, None, "float64", padding="same", groups=2)
    np.testing.assert_array_equal(np.rint(found), exact)
    found = computed(method, x, weight, None, "float32", padding="same", groups=2)
    error = np.sqrt(np.mean((found - exact) ** 2)) / exact.std()
    assert error < 6e-7


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1200, 1999])
def test_what_is_not_finite_stays_in_the_windows_that_hold_it(
    method: ModuleType, tiles: str, value: float, place: int
) -> None:
    x = np.ones((2, 1, 2000))
    x[1, 0, place] = value
    weight = np.ones((1, 1, 101))
    found = computed(method, x, weight, None, "float32", padding=50)
    exact = torch.nn.functional.conv1d(torch.from_numpy(x), torch.from_numpy(weight), padding=50)
    np.testing.assert_allclose(found, exact.numpy(), rtol=1e-6)
    with pytest.raises(Unsuited):
        computed(method, np.ones((1, 1, 9)), np.array([[[1.0, value]]]))


def test_a_result_beyond_the_largest_number_is_infinite(method: ModuleType) -> None:
    found = computed(method, np.full((1, 1, 99), 1e38), np.ones((1, 1, 50)))
    assert (found == np.inf).all()


@pytest.mark.parametrize(
    ("of_x", "of_weight"), [(1e-34, 1.0), (1e-4, 1e-30), (1e-30, 1e30), (1e22, 1e-30)]
)
def test_small_and_large_numbers_are_as_near(
    method: ModuleType, of_x: float, of_weight: float
) -> None:
    random = np.random.default_rng(2)
    x, weight = random.standard_normal((1, 1, 3000)), random.standard_normal((1, 1, 200))
    x, weight = (x * of_x).astype("f4"), (weight * of_weight).astype("f4")
    exact = oracle_conv(x.astype("f8"), weight.astype("f8"))
    found = computed(method, x, weight).astype("f8")
    assert np.abs(found - exact).max() < 4e-6 * exact.std()


def test_silence_beside_a_loud_tile_is_silent(method: ModuleType, tiles: str) -> None:
    x = np.zeros((1, 1, 20_000))
    x[..., :1000] = np.random.default_rng(3).standard_normal(1000) * 1e6
    found = computed(method, x, np.ones((1, 1, 101)), padding=50)
    assert found[..., :1000].all()
    assert not found[..., 1050:].any()


def test_an_empty_batch_is_left_alone(method: ModuleType) -> None:
    assert computed(method, np.zeros((0, 2, 40)), np.ones((3, 2, 5))).shape == (0, 3, 36)


@pytest.mark.parametrize(
    ("shape", "size"), [((1000,), (37,)), ((37, 61), (5, 9)), ((9, 20, 18), (3, 4, 5))]
)
def test_nothing_beyond_the_arrays_is_read_or_written(tiles: str, shape: Any, size: Any) -> None:
    random = np.random.default_rng(4)
    x, weight = random.standard_normal((1, 1, *shape)), random.standard_normal((1, 1, *size))
    problem = read_conv((x.shape, "float64"), torch.from_numpy(weight))
    run = fft.METHOD.ready(problem, torch.from_numpy(weight), None)
    count = int(np.prod(problem.outputs))
    for gap in (0, 1, 7):
        around = torch.full((x.size + 64 + gap,), torch.nan, dtype=torch.float64)
        given = around[gap : gap + x.size].view(x.shape)
        given.copy_(torch.from_numpy(x))
        results = torch.full((count + 64 + gap,), -7.0, dtype=torch.float64)
        run(given, results[gap : gap + count].view(1, 1, *problem.outputs))
        assert (results[:gap] == -7).all()
        assert (results[gap + count :] == -7).all()
        check(
            results[gap : gap + count].numpy().reshape(1, 1, *problem.outputs),
            oracle_conv(x, weight), x, weight, "float64",
        )  # fmt: skip


def test_threads_change_no_bit_and_do_not_meet() -> None:
    random = np.random.default_rng(6)
    x, weight = random.standard_normal((3, 2, 20_000)), random.standard_normal((4, 1, 500))
    call, y = prepared(fft, x, weight, None, "float32", {"groups": 2})
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            call()
            found.append(y.clone())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
    problem = read_conv((x.shape, "float32"), torch.from_numpy(weight).float(), groups=2)
    run = fft.METHOD.ready(problem, torch.from_numpy(weight).float(), None)
    results = [torch.empty_like(y) for _ in range(4)]
    given = torch.from_numpy(x).float()
    at_once = [threading.Thread(target=run, args=(given, result)) for result in results]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    assert all(torch.equal(result, found[0]) for result in results)


def test_others_are_refused(method: ModuleType) -> None:
    one = (Window(3),)
    for other, word in (
        (MaxPool(space=(9,), windows=one, dtype="float32"), "max_pool"),
        (
            Conv(space=(9,), windows=one, dtype="int32"),
            "int32",
        ),
        (
            Conv(space=(9,), windows=one, dtype="float32", device="xpu:0"),
            "CPU",
        ),
        (
            Conv(space=(9,), windows=one, dtype="float32", gradient=True),
            "gradient",
        ),
        (
            Conv(channels=9000, space=(9,), channels_out=9000, windows=one, dtype="float32"),
            "MB",
        ),
    ):
        assert word in str(method.METHOD.refused(other))


def test_on_a_gpu_long_kernels_go_through_a_fourier_transform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The code is the CPU's, on larger shares; the GPU's arrays are replaced by the CPU's here."""
    example = measuring.example
    monkeypatch.setattr(measuring, "example", lambda p: example(replace(p, device="cpu")))
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, device=None, **how: empty(*size, **how))
    generator = torch.Generator().manual_seed(0)
    chosen = []
    for taps in (31, 5001):
        window = (Window(taps, before=taps // 2, after=taps // 2),)
        problem = Conv(batch=2, space=(400000,), windows=window, dtype="float32", device="cuda:0")
        x = torch.randn(2, 1, 400_000, generator=generator)
        weight = torch.randn(1, 1, taps, generator=generator)
        plan = decide(problem, weight=weight)
        chosen.append(plan.decision.method)
        assert "on cuda:0" in plan.decision.refused["fft"]
        y, _ = plan.compute(x)
        expected = fftconvolve(x[0, 0].double(), weight[0, 0].flip(0).double(), "same")
        assert np.abs(y[0, 0].numpy() - expected).max() < 1e-5 * np.abs(expected).max()
    assert chosen == ["torch", "fft_library"]
    assert (plan.decision.candidates["fft_library"].error or 1.0) < 1e-6


def test_costs_rise_with_the_work(method: ModuleType) -> None:
    def seconds(n: int, k: int) -> float:
        return float(method.METHOD.seconds(Conv(space=(n,), windows=(Window(k),), dtype="float32")))

    assert seconds(10**6, 2047) > 5 * seconds(10**5, 2047)
    assert seconds(10**6, 2**17) > seconds(10**6, 2047)


@pytest.mark.parametrize("radix", butterflies.RADICES)
@pytest.mark.parametrize("twist", [0, 1, 2])
def test_a_butterfly_is_a_small_fourier_transform(radix: int, twist: int) -> None:
    """Run the text of a pass as Python on single numbers."""
    random = np.random.default_rng(radix)
    values = random.standard_normal(radix) + 1j * random.standard_normal(radix)
    factors = np.exp(-0.3j * np.arange(radix))
    memory = {"re": values.real.copy(), "im": values.imag.copy(), "w": factors[1:].view(float)}
    words: dict[str, Any] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "fma": lambda a, b, c: a * b + c,
        "splat": float,
        "number": float,
        "zero": lambda: 0.0,
        "WIDTH": 0,
        "load": lambda p, i: memory[p[0]][i],
        "broadcast": lambda p, i: memory[p[0]][i],
        "store": lambda p, i, v: memory[p[0]].__setitem__(i, v),
    }

    class Place(tuple[str]):
        """An address whose offsets are all multiples of a width of 0."""

        def __add__(self, other: Any) -> Any:
            return self

    text = "\n".join(butterflies._pass(radix).splitlines()[1:])
    exec(text, words)
    arguments = (1, 0, 1, 1, 1, 1, 0, Place(("w",)), twist)
    words[f"pass_{radix}"](Place(("re",)), Place(("im",)), *arguments)
    exact = np.fft.fft(values * (factors if twist == 1 else 1)) * (factors if twist == 2 else 1)
    np.testing.assert_allclose(memory["re"] + 1j * memory["im"], exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize("length", [(256,), (2048,), (4096,), (65536,), (48, 80), (6, 32, 64)])
def test_every_frequency_has_one_place(length: tuple[int, ...]) -> None:
    tiles = Tiles(length, length, (1,) * len(length))
    layout = FourierLayout.of(tiles, 16, (len(length) == 3, len(length) > 1, True))
    places = np.broadcast_arrays(*layout.frequencies())
    lengths = (1,) * (3 - len(length)) + length
    flat = np.ravel_multi_index([place.ravel() for place in places], lengths)
    np.testing.assert_array_equal(np.sort(flat), np.arange(tiles.points))


def test_radices_make_up_their_length() -> None:
    for length in (1, 2, 16, 45, 96, 640, 4096):
        assert np.prod(radices_of(length), dtype=int) == length


def test_tiles_cover_every_output() -> None:
    window = Window(7, stride=2, dilation=3, before=4, after=1)
    problem = Conv(space=(100,), windows=(window,), dtype="float32")
    for length in (20, 21, 36, 110):
        found, _ = choose(problem, [[length]], lambda length, count: count)
        each = found.step[0] // window.stride
        assert each * window.stride - window.stride + window.extent <= length
        assert (found.count[0] - 1) * each < problem.outputs[0] <= found.count[0] * each


def test_the_check_can_fail() -> None:
    x, weight = np.ones((1, 1, 400)), np.random.default_rng(1).standard_normal((1, 1, 50))
    exact = oracle_conv(x, weight)
    found = computed(fft, x, weight)
    check(found, exact, x, weight, "float32")
    for wrong in (found * (1 + 1e-4), found[..., ::-1] + 1e-3):
        with pytest.raises(AssertionError):
            check(wrong, exact, x, weight, "float32")
