"""Calls without a plan: the first is answered at once, later ones by plan, and all are right."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.compute import background, conv, deciding, dispatching, methods
from convlens.compute.deciding import Prepared, decide
from convlens.compute.kernels import launching, speed
from convlens.compute.kernels.speed import NOMINAL
from convlens.compute.memory.arena import MOST_SHARED
from convlens.compute.methods import METHODS
from convlens.compute.problems import Conv, Problem
from convlens.windows import Window

PATIENCE = 200
"""In seconds: a plan that takes longer to be made does not come."""

INEXACT = [name for name in METHODS if not METHODS[name].exact]


@dataclass
class Ways:
    """A record of how calls were answered: by which plans and methods, and when one was made."""

    forced: str = "auto"
    answered: list[str] = field(default_factory=list)
    made: threading.Event = field(default_factory=threading.Event)

    def planned(self) -> Prepared:
        """Wait for the plan of the only problem that was called."""
        assert self.made.wait(PATIENCE), "no plan was made"
        (entry,) = dispatching._entries.values()
        return entry.plans[0]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    """Start without decisions; `forced` is the method that background plans use."""
    idle = threading.Event()
    background.ask(idle.set)
    assert idle.wait(PATIENCE), "what other tests asked for is not done"
    seen = Ways()
    keep, compute = dispatching._keep, Prepared.compute

    def decided(problem: Problem, method: str = "auto", *more: Any, **options: Any) -> Prepared:
        return decide(problem, seen.forced if method == "auto" else method, *more, **options)

    def kept(entry: Any, plan: Prepared) -> Prepared:
        keep(entry, plan)
        seen.made.set()
        return plan

    def computed(self: Prepared, x: Tensor, y: Tensor | None = None) -> Any:
        seen.answered.append(self.decision.method)
        return compute(self, x, y)

    monkeypatch.setattr(dispatching, "_entries", {})
    monkeypatch.setattr(dispatching, "_waiting", {})
    monkeypatch.setattr(dispatching, "decide", decided)
    monkeypatch.setattr(dispatching, "_keep", kept)
    monkeypatch.setattr(Prepared, "compute", computed)
    return seen


def layer(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, weight and bias of a layer that is worth a plan."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (1, 32, 56, 56), (32, 32, 3, 3), (32,)
    x, weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
    return x, weight, bias


def check(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    """Raise unless y is the padded convolution of a layer, with NaN in the same places."""
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=1e-3, equal_nan=True)


def problem_of(n: int, taps: int, dtype: str = "float32") -> Problem:
    return Conv(space=(n,), windows=(Window(taps),), dtype=dtype)


def test_the_first_call_of_a_shape_needs_no_compiling(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled(kernel: Any) -> int:
        raise AssertionError(f"{kernel.name} was compiled")

    wanted: list[Any] = []
    monkeypatch.setattr(launching, "address", compiled)
    monkeypatch.setattr(background, "ask", wanted.append)
    x, weight, bias = layer()
    check(conv(x, weight, bias, padding=1), x, weight, bias)
    (entry,) = dispatching._entries.values()
    assert entry.quick is not None
    assert not METHODS[entry.quick].compiles
    assert [job.args[1] for job in wanted] == [entry]
    for signal, taps in ((torch.randn(1, 1, 50_000), 31), (torch.randn(1, 1, 50_000), 2001)):
        kernel = torch.randn(1, 1, taps)
        found = conv(signal, kernel)[0, 0].double().numpy()
        # By NumPy, because torch's own sums in float64 take a gigabyte.
        expected = np.correlate(signal[0, 0].double().numpy(), kernel[0, 0].double().numpy())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert ways.answered == []


def test_later_calls_go_the_planned_way(ways: Ways) -> None:
    x, weight, bias = layer()
    check(conv(x, weight, bias, padding=1), x, weight, bias)
    assert ways.answered == []
    method = ways.planned().decision.method
    for seed in range(3):
        x = layer(seed)[0]
        check(conv(x, weight, bias, padding=1), x, weight, bias)
    assert ways.answered == [method] * 3


def test_little_is_not_worth_a_plan_before_it_comes_often(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "ENOUGH", 1e9)
    ways.forced = "torch"
    x, weight = torch.randn(1, 1, 64), torch.randn(1, 1, 3)
    for _ in range(dispatching.OFTEN - 1):
        conv(x, weight)
    (entry,) = dispatching._entries.values()
    assert not entry.asked
    conv(x, weight)
    assert ways.planned().decision.method == "torch"
    assert ways.answered == []
    conv(x, weight)
    assert ways.answered == ["torch"]


def test_what_takes_longer_than_estimated_is_worth_a_plan(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "seconds_of", lambda name, problem: 0.0)
    monkeypatch.setattr(dispatching, "OFTEN", 10**9)
    monkeypatch.setattr(dispatching, "ENOUGH", 1e-9)
    ways.forced = "torch"
    x, weight = torch.randn(1, 1, 64), torch.randn(1, 1, 3)
    conv(x, weight)
    (entry,) = dispatching._entries.values()
    assert not entry.asked
    conv(x, weight)
    assert entry.asked
    assert ways.planned().decision.method == "torch"


def test_other_weights_are_right_at_once_and_the_last_ones_kept(ways: Ways) -> None:
    ways.forced = "fft_library"
    x, weight, bias = layer()
    conv(x, weight, bias, padding=1)
    ways.planned()
    exact = next(iter(dispatching._entries.values())).exact
    assert exact is not None
    assert METHODS[exact].exact
    for seed in (1, 1, 0):
        _, other, added = layer(seed)
        check(conv(x, other, bias, padding=1), x, other, bias)
        check(conv(x, weight, added, padding=1), x, weight, added)
    assert ways.answered == [exact] * 4 + ["fft_library"] * 2
    for seed in (2, 3):
        other = layer(seed)[1]
        check(conv(x, other, bias, padding=1), x, other, bias)
    assert len(next(iter(dispatching._entries.values())).plans) == dispatching.WEIGHTS


def test_weights_are_let_go_where_they_are_too_many_bytes(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight, bias = layer()
    monkeypatch.setattr(dispatching, "MOST_HELD", 3 * weight.nbytes)
    for method in (
        "rows",
        "shift",
        "reference",
        "torch",
    ):  # one problem each, called in this order
        for seed in range(2):
            other = layer(seed)[1]
            check(conv(x, other, bias, padding=1, method=method), x, other, bias)
    kept = [len(entry.plans) for entry in dispatching._entries.values()]
    assert kept == [0, 0, 0, 2]
    # The last is kept whatever its size, and what was dropped is planned again.
    monkeypatch.setattr(dispatching, "MOST_HELD", 1)
    check(conv(x, weight, bias, padding=1, method="rows"), x, weight, bias)
    assert [len(entry.plans) for entry in dispatching._entries.values()] == [0, 0, 0, 1]


def test_packed_weights_count_with_all_that_is_packed(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight, bias = layer()
    monkeypatch.setattr(dispatching, "MOST_HELD", 9 * weight.nbytes)
    for seed in range(2):
        conv(x, layer(seed)[1], bias, padding=1, method="winograd4")
        (entry,) = dispatching._entries.values()
        (plan,) = entry.plans  # two plans would keep ten times these bytes, given and packed
    # 36 products stand for 9 weights; the weights as given are kept, too.
    assert 5 * weight.nbytes <= entry.held == plan.held < 5.2 * weight.nbytes
    spoilt = x.clone()
    spoilt[0, 3, 20, 20] = torch.nan
    conv(spoilt, layer(1)[1], bias, padding=1, method="winograd4")
    assert entry.plans == [plan]
    assert entry.held == plan.held > 6.9 * weight.nbytes  # also packed for a method that sums


def test_results_of_all_shapes_lie_in_one_memory(ways: Ways) -> None:
    weight = torch.ones(1, 1, 3)
    for more in range(12):
        x = torch.ones(1, 1, 80_000 + 1000 * more)
        assert torch.equal(conv(x, weight, method="taps"), 3 * x[..., 2:])
    plans = [plan for entry in dispatching._entries.values() for plan in entry.plans]
    assert len(plans) == 12
    kept = {id(buffer): buffer.nbytes for plan in plans for buffer in plan._arena._buffers}
    assert 0 < len(kept) <= MOST_SHARED
    assert sum(kept.values()) <= dispatching.MOST_BYTES


def test_few_weights_wait_for_their_plans_and_others_are_asked_for_later(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Callable[[], object]] = []
    monkeypatch.setattr(background, "ask", lambda job, key=None: jobs.append(job))
    monkeypatch.setattr(dispatching, "LONG", 0.0)  # every call wants a plan
    x, weight, bias = layer()
    monkeypatch.setattr(dispatching, "MOST_BYTES", 2 * (weight.nbytes + bias.nbytes))
    for n in range(4):
        conv(x[..., n:], weight, bias, padding=1)
    assert len(jobs) == 2
    conv(x[..., 3:], weight, bias, padding=1)
    assert len(jobs) == 2
    jobs[0]()
    conv(x[..., 3:], weight, bias, padding=1)
    assert len(jobs) == 3
    for job in jobs[1:]:
        job()
    assert dispatching._waiting == {}


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_weights_changed_in_place_are_noticed(ways: Ways, part: str) -> None:
    ways.forced = "fft_library"
    x, weight, bias = layer()
    conv(x, weight, bias, padding=1)
    ways.planned()
    check(conv(x, weight, bias, padding=1), x, weight, bias)
    changed = weight if part == "weight" else bias
    changed.view(-1)[-1] += 1
    check(conv(x, weight, bias, padding=1), x, weight, bias)
    changed.data.view(-1)[0] += 1  # torch does not count this change
    check(conv(x, weight, bias, padding=1), x, weight, bias)


@pytest.mark.parametrize("method", ["fft", "fft_library", "winograd2", "winograd4"])
def test_what_is_not_finite_stays_in_its_windows(ways: Ways, method: str) -> None:
    ways.forced = method
    x, weight, bias = layer()
    conv(x, weight, bias, padding=1)
    assert ways.planned().decision.method == method
    for value in (torch.nan, torch.inf):
        spoilt = x.clone()
        spoilt[0, 3, 20, 20] = value
        y = conv(spoilt, weight, bias, padding=1)
        assert int((~y.isfinite()).sum()) == 32 * 9
        check(y, spoilt, weight, bias)
    check(conv(x, weight, bias, padding=1), x, weight, bias)
    # Transforms may settle it themselves; other methods leave it to a plain sum.
    assert set(ways.answered) > {method} or method.startswith("fft")


def test_the_quick_way_gives_over_where_numbers_are_not_finite(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "ask", lambda job: None)
    x, weight = torch.randn(1, 1, 200_000), torch.randn(1, 1, 3001)
    x[0, 0, 100_000] = torch.nan
    y = conv(x, weight)
    (entry,) = dispatching._entries.values()
    assert entry.quick == "fft_library"
    hit = torch.arange(y.shape[-1]).sub(97_000).abs() <= 3000
    assert torch.equal(y[0, 0].isnan(), (torch.arange(197_000) >= 97_000) & hit)


def test_two_threads_at_once(ways: Ways) -> None:
    """Each thread has its own weights, from the first call on, while the plan is being made."""
    ways.forced = "fft_library"
    ready = threading.Barrier(2)
    wrong: list[BaseException] = []

    def work(seed: int) -> None:
        x, weight, bias = layer(seed)
        ready.wait()
        try:
            kept = [conv(x + at, weight, bias, padding=1) for at in range(20)]
            for at, y in enumerate(kept):
                check(y, x + at, weight, bias)
            ways.planned()
            check(conv(x, weight, bias, padding=1), x, weight, bias)
        except BaseException as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in (1, 2)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert ways.answered


FORK = """
import os, signal, sys, threading, time
import torch
import torch.nn.functional as F
from convlens.compute import conv, dispatching

torch.set_num_threads(1)  # OpenMP's threads do not follow into a child
x = torch.randn(1, 32, 56, 56)
weight, other = torch.randn(32, 32, 3, 3), torch.randn(32, 32, 5, 5)
conv(x, weight)  # its plan is being made, and LLVM imported
child = os.fork()
if child == 0:
    signal.alarm(220)
    for kernel in (weight, other):
        for _ in range(2):
            torch.testing.assert_close(conv(x, kernel), F.conv2d(x, kernel), rtol=0, atol=1e-3)
    before = time.monotonic()
    entries = list(dispatching._entries.values())
    while not all(entry.plans for entry in entries) and time.monotonic() - before < 200:
        time.sleep(0.01)
    planned = len(entries) == 2 and all(entry.plans for entry in entries)
    torch.testing.assert_close(conv(x, other), F.conv2d(x, other), rtol=0, atol=1e-3)
    os._exit(0 if planned else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
torch.testing.assert_close(conv(x, weight), F.conv2d(x, weight), rtol=0, atol=1e-3)
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_answers_and_makes_plans_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("taps", [1, 3, 31, 301])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tiny_problem_is_a_plain_sum(taps: int, dtype: str) -> None:
    assert METHODS[dispatching._quick(problem_of(302, taps, dtype), exact=False)].exact


@pytest.mark.parametrize("clock", [1.5e9, 3.0e9, 6.0e9])
@pytest.mark.parametrize("bandwidth", [2e9, 3.3e10, 2e11])
def test_a_long_sum_is_transformed_unless_told_not_to(
    clock: float, bandwidth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(NOMINAL, clock=clock, bandwidth=bandwidth)
    monkeypatch.setitem(speed._known, launching.threads(), here)
    assert dispatching._quick(problem_of(10**6, 2047), exact=False) == "fft_library"
    assert METHODS[dispatching._quick(problem_of(10**6, 2047), exact=True)].exact


@pytest.mark.parametrize(
    ("plain", "transformed", "name"),
    [
        (0.9e-3, 1e-5, "torch"),  # too short to matter
        (9e-3, 6e-3, "torch"),  # not enough sooner
        (9e-3, 4e-3, "fft_library"),
        (9e-3, 20e-3, "torch"),
    ],
)
def test_what_is_no_plain_sum_must_be_worth_it(
    plain: float, transformed: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"torch": plain, "fft_library": transformed}
    monkeypatch.setattr(dispatching, "seconds_of", lambda name, problem: seconds.get(name, 1.0))
    assert dispatching._quick(problem_of(1000, 31), exact=False) == name


def refuse_inexact(name: str, *parts: Any) -> Callable[..., Any]:
    raise AssertionError(f"{name} was tried")


def test_a_tolerance_of_nothing_tries_plain_sums_only(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, _ = layer()
    problem = Conv(
        channels=32, space=(56, 56), channels_out=32, windows=(Window(3),) * 2, dtype="float32"
    )
    named = decide(problem, "fft_library", weight, tolerance=0.0)
    assert named.decision.method == "fft_library"
    prepared = methods.prepared
    monkeypatch.setattr(
        deciding,
        "prepared",
        lambda name, *parts: (prepared if METHODS[name].exact else refuse_inexact)(name, *parts),
    )
    plan = decide(problem, "auto", weight, tolerance=0.0)
    assert METHODS[plan.decision.method].exact
    assert {name for name in INEXACT if "one plain sum" in plan.decision.refused.get(name, "")}
    assert all(METHODS[name].exact for name in plan.decision.cost)
    torch.testing.assert_close(plan.compute(x)[0], F.conv2d(x, weight), rtol=0, atol=1e-3)


def test_exact_calls_are_plain_sums_from_the_first_to_the_planned(ways: Ways) -> None:
    x, weight = torch.randn(1, 1, 20_000), torch.randn(1, 1, 1001)
    problem = problem_of(20_000, 1001)
    expected = F.conv1d(x.double(), weight.double())
    for _ in range(2):
        y, _ = dispatching.execute(problem, x, weight, exact=True)
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=1e-3)
        assert METHODS[ways.planned().decision.method].exact
    (entry,) = dispatching._entries.values()
    assert entry.quick is not None
    assert METHODS[entry.quick].exact
    assert len(ways.answered) == 1
