"""Pooling by rows: every window and band, exactly; infinities and NaN; no access out of bounds."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from convlens.compute.kernels.language import compiling
from convlens.compute.kernels.machine import machine
from convlens.compute.memory.arena import Arena
from convlens.compute.methods import eager, prepared, reference, refused
from convlens.compute.methods.pooling import layout as pooling_layout
from convlens.compute.methods.pooling import method as pooling
from convlens.compute.methods.spans import divisors, places, spans
from convlens.compute.problems import AvgPool, Conv, MaxPool, Problem
from convlens.compute.reading.options import read_pool
from convlens.windows import Window
from tests.oracles.compute import check_sum
from tests.running.broad import broad
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole

FLOATS, INTEGERS = ["float32", "float64"], ["int32", "int64"]
LANES = [1, 3, 15, 16, 17, 31, 33, 64, 100]
SIZES = [1, 2, 3, 4, 5, 8, 13]


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    space = [draw(st.integers(1, 9)) for _ in range(axes - 1)] + [draw(st.sampled_from(LANES))]
    small, ends = st.integers(1, 5), st.tuples(st.integers(0, 7), st.integers(0, 7))
    return {
        "shape": (draw(st.integers(1, 2)), draw(st.integers(1, 5)), *space),
        "size": [draw(st.sampled_from(SIZES)) for _ in range(axes)],
        "stride": [draw(small) for _ in range(axes)],
        "dilation": [draw(st.integers(1, 3)) for _ in range(axes)],
        "padding": [draw(ends) for _ in range(axes)],
        "ceil_mode": draw(st.booleans()),
    }


def drawn(operation: str, x: torch.Tensor, layer: dict[str, Any]) -> Problem:
    """Return the problem of a drawn layer, if it is one."""
    options = {name: value for name, value in layer.items() if name not in ("shape", "size")}
    try:
        return read_pool(operation, x, layer["size"], **options)
    except ValueError as error:
        assume("`size`" not in str(error) and "`padding`" not in str(error))
        raise


def check_exactly(problem: Problem, x: torch.Tensor) -> None:
    """Raise unless the method gives the same as the reference, with NaN in the same places."""
    assert pooling.METHOD.refused(problem) is None
    expected, _ = reference.run(problem, x, None, None)
    found = poisoned(problem, x, pooling.METHOD.ready(problem, None, None))
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


PADDING_ALONE = {
    "shape": (1, 2, 3, 5),
    "size": [2, 3],
    "stride": [1, 2],
    "dilation": [3, 1],
    "padding": [(7, 6), (5, 7)],
    "ceil_mode": True,
}


@examples(layers(), st.sampled_from(FLOATS + INTEGERS), st.integers(0, 99), few=12, many=40)
@example(PADDING_ALONE, "float32", 1)
@example(PADDING_ALONE, "int64", 1)
def test_any_largest_is_the_reference(layer: dict[str, Any], dtype: str, seed: int) -> None:
    x = whole(layer["shape"], dtype, seed)
    check_exactly(drawn("max_pool", x, layer), x)


@examples(layers(), st.booleans(), st.sampled_from(FLOATS), st.integers(0, 99), few=12, many=40)
@example(PADDING_ALONE, True, "float64", 1)
@example(PADDING_ALONE, False, "float32", 1)
def test_any_mean_is_the_reference(
    layer: dict[str, Any], counted: bool, dtype: str, seed: int
) -> None:
    # The sums are exact, so that only the quotient is rounded.
    x = whole(layer["shape"], dtype, seed)
    check_exactly(drawn("avg_pool", x, {**layer, "count_include_pad": counted}), x)


ORDINARY: list[tuple[Any, Any, dict[str, Any]]] = [
    ((2, 3, 20, 40), 13, {"stride": 1, "padding": 6}),
    ((2, 3, 23, 37), 3, {"stride": 2, "padding": 1}),
    ((1, 2, 9, 64, 50), 3, {"stride": 1}),
    ((1, 2, 9, 12, 70), (2, 9, 2), {"stride": (2, 1, 2)}),
    ((3, 2, 5000), 4, {"stride": 4}),
    ((1, 1, 20000), 101, {"stride": 1, "padding": 50}),
    ((2, 40, 7, 7), 7, {}),
    ((2, 2, 3, 4, 300), (1, 1, 4), {"stride": (1, 1, 2)}),
    ((1, 2, 30, 90), (11, 9), {"stride": 3, "dilation": 2, "padding": ((3, 19), (17, 2))}),
]
"""Windows of every way to compute them, on more than one band."""


@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(("shape", "size", "options"), ORDINARY, ids=str)
def test_every_way_to_compute_is_exact(
    operation: str, shape: Any, size: Any, options: dict[str, Any]
) -> None:
    x = whole(shape, "float64", 7)
    problem = read_pool(operation, x, size, **options)
    expected, _ = eager.run(problem, x, None, None)
    found = poisoned(problem, x, pooling.METHOD.ready(problem, None, None))
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("vector", "operation"),
    broad(
        product((32, 16), ("max_pool", "avg_pool")),
        lambda vector, operation: (vector, operation) in ((32, "avg_pool"), (16, "max_pool")),
    ),
)
def test_machines_with_narrower_vectors_give_the_same(
    vector: int, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine()
    if vector > here.vector:
        pytest.skip("this machine has no such vectors")
    lesser = replace(here, vector=vector, registers=16, fused=False)
    monkeypatch.setattr(compiling, "_compiled", {})
    for module in (compiling, pooling_layout):
        monkeypatch.setattr(module, "machine", lambda: lesser)
    for shape, size, options in ORDINARY:
        x = whole(shape, "float64", 7)
        problem = read_pool(operation, x, size, **options)
        expected, _ = eager.run(problem, x, None, None)
        found = poisoned(problem, x, pooling.METHOD.ready(problem, None, None))
        assert torch.equal(found, expected), (shape, size)


@pytest.mark.parametrize(("shape", "size", "options"), ORDINARY, ids=str)
def test_means_keep_their_bound(shape: Any, size: Any, options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(shape, generator=generator)
    x *= 2.0 ** torch.randint(-6, 7, shape, generator=generator)
    for dtype in FLOATS:
        of_type = x.to(getattr(torch, dtype))
        problem = read_pool("avg_pool", of_type, size, **options)
        found = poisoned(problem, of_type, pooling.METHOD.ready(problem, None, None))
        wide = replace(problem, dtype="float64")
        exact, _ = eager.run(wide, x.double(), None, None)
        total, _ = eager.run(wide, x.double().abs(), None, None)
        check_sum(found.numpy(), exact.numpy(), total.numpy(), prod(problem.size), dtype)


BAD = [torch.nan, torch.inf, -torch.inf]


@pytest.mark.parametrize("bad", BAD, ids=str)
@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("size", [(3, 3), (9, 11)], ids=str)
def test_what_is_not_finite_is_seen_wherever_it_stands(
    operation: str, size: tuple[int, int], bad: float
) -> None:
    space = (11, 19)
    options: dict[str, Any] = {"stride": (1, 2), "padding": ((2, 3), (1, 4))}
    x = whole((prod(space), 1, *space), "float32", 3)
    x.view(prod(space), -1).fill_diagonal_(bad)
    check_exactly(read_pool(operation, x, size, **options), x)


@pytest.mark.parametrize("bad", BAD, ids=str)
@pytest.mark.parametrize("size", [(2, 3), (1, 9), (12, 1)], ids=str)
def test_windows_of_nothing_finite(size: tuple[int, int], bad: float) -> None:
    x = torch.full((1, 2, 17, 33), bad)
    x[0, 1, ::3, ::5] = -torch.inf
    for operation in ("max_pool", "avg_pool"):
        check_exactly(read_pool(operation, x, size, stride=1, padding=3), x)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_least_integer_is_no_less_than_padding(dtype: str) -> None:
    least = torch.iinfo(getattr(torch, dtype)).min
    x = torch.full((1, 1, 6, 20), least, dtype=getattr(torch, dtype))
    x[..., 3] = torch.iinfo(x.dtype).max
    check_exactly(read_pool("max_pool", x, 4, stride=1, padding=3), x)


@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(("shape", "size", "options"), ORDINARY, ids=str)
def test_threads_batch_and_bands_change_no_bit(
    operation: str,
    shape: Any,
    size: Any,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.randn((3, *shape[1:]), generator=torch.Generator().manual_seed(3))
    # Zeros of both signs are equal but differ in a bit.
    x[x.abs() < 0.2] = 0.0
    x[x.abs() < 0.4] = -0.0
    problem, one = (read_pool(operation, part, size, **options) for part in (x, x[1:2]))
    found = []
    before = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(poisoned(problem, x, pooling.METHOD.ready(problem, None, None)))
        single = poisoned(one, x[1:2], pooling.METHOD.ready(one, None, None))
        small = replace(machine(), level1=2**9, level2=2**12)
        monkeypatch.setattr(pooling_layout, "machine", lambda: small)
        found.append(poisoned(problem, x, pooling.METHOD.ready(problem, None, None)))
    finally:
        torch.set_num_threads(before)
    bits = [y.view(torch.int32) for y in found]
    assert all(torch.equal(bits[0], other) for other in bits[1:])
    assert torch.equal(bits[0][1:2], single.view(torch.int32))


WALLED = """
import ctypes, mmap, sys
import torch
from convlens.compute.methods.pooling import method as pooling, small as small_pooling
from convlens.compute.reading.options import read_pool
from tests.compute.methods.test_pooling import ORDINARY, SHORT

PAGE, kept = mmap.PAGESIZE, []

def walled(shape, at_end):
    size = 4 * torch.Size(shape).numel()
    pages = -(-size // PAGE) * PAGE
    memory = mmap.mmap(-1, pages + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for wall in (start, start + PAGE + pages):
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(wall), PAGE, 0) == 0
    kept.append(memory)
    offset = PAGE + (pages - size if at_end else 0)
    return torch.frombuffer(memory, dtype=torch.float32, count=size // 4, offset=offset).view(shape)

for at_end in (False, True):
    for shape, size, options in ORDINARY + SHORT:
        for operation in ("max_pool", "avg_pool"):
            x = walled(shape, at_end)
            problem = read_pool(operation, x, size, **options)
            y = walled((*shape[:2], *problem.outputs), at_end)
            BEFORE
            for method in (pooling, small_pooling):
                if method.METHOD.refused(problem) is None:
                    method.METHOD.ready(problem, None, None)(x, y)
print("done")
"""
SHORT: list[tuple[Any, Any, dict[str, Any]]] = [
    ((1, 1, 3, 5), 2, {"stride": 1}),
    ((1, 1, 3, 21), (2, 3), {"stride": (1, 2)}),
    ((1, 3, 7), 3, {"stride": 3}),
    ((1, 3, 1000), 2, {"stride": 2}),
    ((1, 3, 999), 3, {"stride": 1, "padding": 1}),
]


def run_walled(before: str) -> subprocess.CompletedProcess[str]:
    """Run every way to compute between inaccessible pages, after an optional statement."""
    path = os.pathsep.join([str(Path(__file__).parents[3]), *(part for part in sys.path if part)])
    return subprocess.run(
        [sys.executable, "-c", WALLED.replace("BEFORE", before)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pages are protected otherwise there")
def test_no_memory_beyond_the_arrays_is_touched() -> None:
    done = run_walled("pass")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    # An input that starts one element later ends behind the wall.
    assert run_walled("x = x.flatten()[1:]").returncode != 0


NARROW = ["float16", "bfloat16", "int8", "int16", "uint8", "uint16", "uint32"]


@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("dtype", [*NARROW, "complex64"])
def test_other_types_come_by_a_wider_one(operation: str, dtype: str) -> None:
    if operation == "avg_pool" if "int" in dtype else dtype == "complex64" and operation[0] == "m":
        return
    kind = getattr(torch, dtype)
    x = torch.randn(2, 3, 9, 21, generator=torch.Generator().manual_seed(1)).to(kind)
    if "int" in dtype:
        ends = torch.iinfo(kind)
        x = torch.randint(ends.min, ends.max, x.shape, dtype=torch.int64).to(kind)
    problem = read_pool(operation, x, 3, stride=2, padding=1)
    assert refused("pooling", problem) is None
    y, _ = prepared("pooling", problem, None, None, Arena())(x, None)
    expected, _ = reference.run(problem, x, None, None)
    assert y.dtype == kind
    if dtype == "complex64":
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
    elif operation == "avg_pool":
        torch.testing.assert_close(y.float(), expected.float(), rtol=1e-2, atol=1e-6)
    else:
        assert torch.equal(y.to(torch.float64), expected.to(torch.float64))


def test_what_it_refuses() -> None:
    window = (Window(2),)
    for field, value in (
        ("dtype", "float16"),
        ("device", "cuda:0"),
        ("gradient", True),
        ("return_indices", True),
        ("operation", "conv"),
        ("space", (2**30,)),
        ("windows", (Window(2, dilation=2**26),)),
    ):
        options: dict[str, Any] = {
            "operation": "max_pool",
            "space": (2**27,),
            "windows": window,
            "dtype": "float32",
            field: value,
        }
        operation = options.pop("operation")
        problem = Conv(**options) if operation == "conv" else MaxPool(**options)
        assert pooling.METHOD.refused(problem) is not None, field
    whole_numbers = AvgPool(space=(4,), windows=window, dtype="int32")
    assert pooling.METHOD.refused(whole_numbers) == "an average of integers may be a fraction"
    for dtype in ("uint64", "complex64"):
        assert refused("pooling", MaxPool(space=(4,), windows=window, dtype=dtype)) is not None


def test_nothing_to_do_is_done() -> None:
    x = torch.zeros(0, 2, 5, 6)
    problem = read_pool("max_pool", x, 2)
    pooling.METHOD.ready(problem, None, None)(x, torch.empty(0, 2, 2, 3))
    assert pooling.METHOD.seconds(problem) > 0


numbers = st.integers(1, 6)


@settings(max_examples=200, deadline=None)
@given(numbers, numbers, numbers, st.integers(0, 9), st.integers(0, 9), st.booleans(), numbers)
def test_tables_say_what_the_window_says(
    size: int, stride: int, dilation: int, before: int, after: int, ceil: bool, n: int
) -> None:
    window = Window(size, stride, dilation, before, after, ceil)
    try:
        outputs = range(window.outputs(n))
    except ValueError:
        assume(False)
    for padded in (False, True):
        taps = [window.taps(o, n, padded) for o in outputs]
        found = spans(window, n, padded)
        assert found[:, 1].tolist() == [len(t) for t in taps]
        assert [int(f) for f, t in zip(found[:, 0], taps, strict=True) if t] == [
            t.start for t in taps if t
        ]
        problem = AvgPool(
            space=(n, n), windows=(window,) * 2, dtype="float64", count_include_pad=padded
        )
        counts = torch.tensor([len(t) for t in taps]).double()
        expected = torch.outer(counts, counts).clamp(min=1)
        assert torch.equal(divisors(problem, torch.zeros((), dtype=torch.float64)), expected)
    reads = [window.reads(o, n) for o in outputs]
    expected_places = [[r.start if r else 0, len(r)] for r in reads]
    assert places(window, n).tolist() == expected_places


@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257])
def test_halvings_take_every_tap(size: int, sums: bool) -> None:
    """Sums take every tap once; a maximum may take one twice."""
    length = 2 * size
    lines = [{i: 1} for i in range(length)]
    aside: list[dict[int, int]] = []

    def both(a: dict[int, int], b: dict[int, int]) -> dict[int, int]:
        return {i: a.get(i, 0) + b.get(i, 0) for i in {*a, *b}}

    for what, shift, _ in pooling_layout.halvings(size, sums):
        if what == "lay":
            aside = lines[shift:]
        elif what == "add":
            aside = [both(a, b) for a, b in zip(aside, lines[shift:], strict=False)]
        elif what == "halve":
            lines = [both(a, b) for a, b in zip(lines, lines[shift:], strict=False)]
        else:
            lines = [both(a, b) for a, b in zip(lines, aside, strict=False)]
    assert set(lines[0]) == set(range(size))
    assert not sums or set(lines[0].values()) == {1}


@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
def test_a_wrong_step_is_seen(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that one step of halving with a wrong offset fails the comparison."""
    right = pooling_layout.steps_of

    def wrong(*arguments: Any) -> Any:
        table = right(*arguments)
        table[-1, 1] += 1
        return table

    monkeypatch.setattr(pooling, "steps_of", wrong)
    order = torch.randperm(1600, generator=torch.Generator().manual_seed(1))
    x = order.double().reshape(1, 2, 20, 40)  # all different, so that no wrong one is equal
    problem = read_pool(operation, x, 13, stride=1, padding=6)
    with pytest.raises(AssertionError):
        check_exactly(problem, x)
