"""The words of kernels, compiled for this machine and, in other processes, for weaker ones."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from convlens.compute.kernels.language import compiling, words
from convlens.compute.kernels.language.compiling import Kernel, address, at_hand
from convlens.compute.kernels.language.words import (
    LANES,
    add,
    broadcast,
    evens,
    fma,
    high,
    load,
    load_some,
    low,
    maximum,
    minimum,
    mul,
    odds,
    put,
    put_word,
    rough_root,
    store,
    store_some,
    sub,
    take,
    word,
)
from convlens.compute.kernels.launching import Launch, address_of
from convlens.compute.kernels.machine import machine
from convlens.compute.kernels.records import Pointer, record_type
from convlens.compute.kernels.transforms.doubting import met
from convlens.compute.kernels.transforms.geometry import FourierGeometry
from convlens.compute.kernels.transforms.weighing import uncertain_blocks
from convlens.files import cache_folder


def lanewise(task: int, scratch: int, x: int, y: int) -> None:
    a, b = load(x, 0), load(x, LANES)
    store(y, 0, add(a, b))
    store(y, LANES, sub(a, b))
    store(y, 2 * LANES, mul(a, b))
    store(y, 3 * LANES, fma(a, b, a))
    store(y, 4 * LANES, maximum(a, b))
    store(y, 5 * LANES, minimum(a, b))
    store(y, 6 * LANES, evens(a, b))
    store(y, 7 * LANES, odds(a, b))
    store(y, 8 * LANES, low(a, b))
    store(y, 9 * LANES, high(a, b))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_words_mean_what_numpy_means(dtype: str) -> None:
    n = machine().lanes(dtype)
    x = np.random.default_rng(0).integers(-9, 9, 2 * n).astype(dtype)
    if "float" in dtype:
        x[0], x[n + 1], x[2] = np.nan, np.nan, np.inf
    y = np.zeros((10, n), dtype)
    Launch(Kernel("lanewise", dtype, lanewise), tasks=1)(address_of(x), address_of(y))
    a, b = x[:n], x[n:]
    both = np.stack([a, b], axis=1).ravel()
    with np.errstate(invalid="ignore"):
        expected = [
            a + b, a - b, a * b, a * b + a, np.maximum(a, b), np.minimum(a, b),
            x[::2], x[1::2], both[:n], both[n:],
        ]  # fmt: skip
    np.testing.assert_array_equal(y, np.array(expected))


def rooted(task: int, scratch: int, x: int, y: int) -> None:
    store(y, task * LANES, rough_root(load(x, task * LANES)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rough_roots_are_the_root_or_a_little_more(dtype: str) -> None:
    """Check that its square is at most 9 / 8 of the number; subnormal numbers are excepted."""
    n, limits = machine().lanes(dtype), np.finfo(dtype)
    generator = np.random.default_rng(0)
    tenfold = generator.uniform(np.log10(limits.tiny), np.log10(limits.max), 64 * n)
    powers = np.float64(4.0) ** np.arange(limits.minexp // 2, limits.maxexp // 2)
    ordinary = np.concatenate([10**tenfold, powers, 2 * powers])
    special = [0.0, limits.smallest_subnormal, limits.tiny / 3, limits.max, np.inf, np.nan]
    x = np.concatenate([ordinary, special]).astype(dtype)
    x *= np.where(generator.random(len(x)) < 0.5, -1, 1).astype(dtype)
    x = np.pad(x, (0, -len(x) % n))
    y = np.zeros_like(x)
    Launch(Kernel("rooted", dtype, rooted), tasks=len(x) // n)(address_of(x), address_of(y))
    ratio = y[: len(ordinary)].astype(float) ** 2 / np.abs(x[: len(ordinary)].astype(float))
    assert ratio.min() == 1
    assert 1.124 < ratio.max() <= 1.125 * (1 + 4 * limits.eps)
    nothing, least, little, most, endless, none = y[len(ordinary) :][: len(special)]
    assert (
        nothing == np.sqrt(limits.smallest_normal) * 0.75 < least < little < most <= endless < none
    )


def some(task: int, scratch: int, x: int, y: int, n: int) -> None:
    store_some(y, 0, load_some(x, 0, n), n)


@pytest.mark.parametrize("n", [-3, 0, 1, 5, 15, 16, 99])
def test_some_lanes_touch_nothing_beyond_them(n: int) -> None:
    lanes = machine().lanes("float32")
    x, y = np.ones(2 * lanes, np.float32), np.zeros(2 * lanes, np.float32)
    Launch(Kernel("some", "float32", some), tasks=1)(address_of(x), address_of(y), n)
    kept = min(max(n, 0), lanes)
    assert y.tolist() == [1.0] * kept + [0.0] * (2 * lanes - kept)


def counted(task: int, scratch: int, y: int) -> None:
    put(y, task, take(y + 8 * 1000))


def test_every_task_is_done_once_whatever_the_threads() -> None:
    y = np.full(1001, -1, np.int64)
    y[1000] = 0
    Launch(Kernel("counted", "int64", counted), tasks=1000, scratch=64)(address_of(y))
    assert sorted(y[:1000].tolist()) == list(range(1000))


def test_words_have_no_meaning_outside_a_kernel() -> None:
    with pytest.raises(RuntimeError, match="`load` works only inside a compiled kernel"):
        load(0, 0)
    with pytest.raises(AttributeError, match="has no attribute 'jump'"):
        words.jump  # noqa: B018


def test_a_launch_that_does_not_fit_its_kernel_is_refused() -> None:
    with pytest.raises(TypeError, match="kernel some takes 3, not 2"):
        Launch(Kernel("some", "float32", some), tasks=1)(1, 2)


def test_kernels_are_kept_on_disk_and_found_again() -> None:
    kernel = Kernel("some", "float64", some)
    assert address(kernel) == address(kernel) > 0
    assert at_hand(kernel)
    folder = cache_folder()
    assert folder is not None
    assert list(folder.glob("kernels/some-*.o"))


LESSER = """
import llvmlite.binding as llvm
features = llvm.get_host_cpu_features()
kept = {name: on and not name.startswith((HIDDEN)) for name, on in features.items()}
llvm.get_host_cpu_features = lambda: type(features)(kept)
from convlens.compute.kernels.machine import machine
assert (machine().vector, machine().fused) == (VECTOR, FUSED), machine()
import sys
sys.path.insert(0, TESTS)
from tests.cases.problems import CASES
from tests.oracles.compute import arrays_of, computed_of, methods_of
from convlens.compute.methods import METHODS
import numpy as np
done = set()
for case in CASES[::STEP]:
    x, weight, bias = (part.astype("float32") for part in arrays_of(case))
    expected = computed_of(case, x, weight, bias, "reference")
    for method in methods_of(case, "float32"):
        if METHODS[method].compiles:
            found = computed_of(case, x, weight, bias, method)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            done.add(method)
print(*sorted(done))
"""


@pytest.mark.parametrize("step", [8, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("vector", "fused", "hidden"),
    [
        (32, True, ("avx512", "avx10", "evex")),
        (16, False, ("avx", "evex", "fma", "f16c", "vaes", "vpclmul", "xop")),
    ],
)
def test_a_lesser_machine_computes_the_same(
    vector: int, fused: bool, hidden: tuple[str, ...], step: int
) -> None:
    if vector > machine().vector:
        pytest.skip("this machine has no such vectors")
    text = LESSER.replace("(HIDDEN)", repr(hidden))
    text = text.replace("VECTOR", str(vector)).replace("FUSED", str(fused))
    text = text.replace("STEP", str(step)).replace("TESTS", repr(str(Path(__file__).parents[3])))
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"rows", "shift", "transposed", "pooling"} <= {*done.stdout.split()}


@pytest.mark.parametrize(
    "damage",
    [
        lambda code: b"nonsense",
        lambda code: b"",
        lambda code: code[:-1],
        lambda code: code[:200] + bytes([code[200] ^ 1]) + code[201:],
    ],
)
def test_a_damaged_kernel_is_compiled_anew(
    damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(compiling, "_compiled", {})
    kernel = Kernel("some", "int32", some)
    before = address(kernel)
    kept = compiling._compiled.copy()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    files[0].write_bytes(damage(files[0].read_bytes()))
    compiling._compiled.clear()
    assert address(kernel) != before
    assert kept
    assert len(files[0].read_bytes()) > 1000
    x, y = np.ones(99, np.int32), np.zeros(99, np.int32)
    Launch(kernel, tasks=1)(address_of(x), address_of(y), 4)
    assert y[:6].tolist() == [1, 1, 1, 1, 0, 0]


def empty(kind: type) -> Any:
    """A record whose numbers are all 0."""
    types = get_type_hints(kind)
    return kind(
        **{
            field.name: empty(types[field.name]) if record_type(types[field.name]) else 0
            for field in fields(kind)
        }
    )


def blocks_in_doubt(
    task: int,
    scratch: int,
    blocks: int,
    limits: int,
    lefts: int,
    y: int,
    g: FourierGeometry,
) -> None:
    put_word(y, task, uncertain_blocks(blocks, 3, word(lefts, task), broadcast(limits, task), 1, g))


@pytest.mark.parametrize("along", [1, 4])
def test_blocks_prove_the_sums_of_what_stands_at_their_places(along: int) -> None:
    """Test limits just above and just below each lane's own sum, with two vectors and with four."""
    dtype, random = "float32", np.random.default_rng(0)
    lanes = machine().lanes(dtype)
    blocks = random.integers(0, 9, 5 * lanes + 60).astype(dtype)
    floors = np.array([[64, 1, 32, 4, 16, 2, 8, 1]] * 2, dtype)  # of the first four, then of all
    places = np.stack([np.arange(8), random.permutation(50)[:8]])
    sums = [
        sum(floors[1, n] * blocks[3 + places[1, n] :][: 4 * lanes] for n in range(count))
        for count in (4, 8)
    ]
    cases = [
        (held * along, limit)
        for held in (1, lanes, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1, 4 * lanes)
        for limit in np.unique(sums[1])
    ]
    limits = np.array([limit for _, limit in cases], dtype)
    lefts = np.array([left for left, _ in cases], np.int64)
    y = np.zeros(len(cases), np.uint64)
    nothing = empty(FourierGeometry)
    g = replace(
        nothing,
        blocks=replace(
            nothing.blocks,
            along=along,
            count=8,
            first=4,
            floors=Pointer(floors),
            places=Pointer(places),
        ),
    )
    kernel = Kernel.of("blocks_in_doubt", dtype, blocks_in_doubt, g)
    Launch(kernel, g, tasks=len(cases))(*map(Pointer, (blocks, limits, lefts, y)))
    for (left, limit), bits in zip(cases, y.tolist(), strict=True):
        held = left // along
        few, all_ = (np.flatnonzero(each[:held] < limit) for each in sums)
        expected = all_ if len(few) else few
        assert bits == sum(1 << int(lane // lanes * 16 + lane % lanes) for lane in expected)


def test_taps_that_meet_the_input_are_those_of_the_definition() -> None:
    """Test one window and several neighbours, dilated or not, in the padding and beyond it."""
    cases = itertools.product(range(12), (1, 2, 5), (1, 3), (1, 2, 3), (0, 3), (4, 6))
    for position, spread, size, apart, begin, until in cases:
        meeting = [
            tap
            for tap in range(size)
            if any(begin <= position + i + tap * apart < until for i in range(spread))
        ]
        first, beyond = met(position, spread, size, apart, begin, until)
        assert 0 <= first <= beyond <= size
        assert set(meeting) <= set(range(first, beyond))
        if apart == 1:
            assert meeting == list(range(first, beyond))
