"""The machine's speed is measured once and kept; what must not depend on it does not."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convlens.compute import plan
from convlens.compute.deciding import decide
from convlens.compute.kernels import machine as machines
from convlens.compute.kernels import speed as speeds
from convlens.compute.kernels.machine import LEVEL1, LEVEL2, machine, nominal
from convlens.compute.kernels.speed import NOMINAL, Estimate, Speed, measure_speed, speed
from convlens.compute.methods import METHODS, depthwise, refused, seconds_of
from convlens.compute.methods.pooling import small
from convlens.compute.methods.rows import method as rows
from convlens.compute.methods.rows.layout import block_of
from convlens.compute.methods.shape import Shape
from convlens.compute.planning import plan_pool
from convlens.compute.problems import Conv
from convlens.windows import Window

SLOW = Speed(clock=0.5e9, bandwidth=3e9, load=4.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(speeds, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(speeds, "_known", {})
    return tmp_path


def test_the_speed_is_measured_once_and_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert speed() == NOMINAL
    assert list(folder.iterdir()) == []
    found = measure_speed()
    assert speed() == found != NOMINAL
    assert len(list(folder.rglob("speed-*.json"))) == 1
    speeds._known.clear()
    monkeypatch.setattr(speeds, "_measured", lambda: pytest.fail("it was measured again"))
    assert measure_speed() == speed() == found


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[" * 10**5,
        '{"speed": {"clock": "x"}}',
        '{"speed": {"clock": 1e9, "bandwidth": NaN, "load": 1}}',
        '{"speed": {"clock": 1, "bandwidth": 1, "load": 1}}',
    ],
)
def test_a_damaged_file_is_measured_again(folder: Path, content: str) -> None:
    measure_speed()
    (path,) = folder.rglob("speed-*.json")
    path.write_text(content)
    speeds._known.clear()
    assert speed() == NOMINAL
    assert measure_speed().clock > 1e8
    assert path.read_text() != content


def test_a_measurement_far_from_nominal_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "_least", lambda action: 100.0)
    assert measure_speed() == NOMINAL


def test_without_a_cache_it_is_measured_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "cache_folder", lambda: None)
    monkeypatch.setattr(speeds, "_known", {})
    assert measure_speed() is measure_speed() is speed()


def test_seconds_follow_the_speed() -> None:
    twice = Speed(2 * NOMINAL.clock, NOMINAL.bandwidth, NOMINAL.load)
    busy, moving = Estimate(cycles=6e9, bytes=3.3e10), Estimate(cycles=1e9, bytes=6.6e10)
    assert (busy.at(NOMINAL), busy.at(twice), moving.at(twice)) == (2.0, 1.0, 2.0)
    assert busy + moving == Estimate(cycles=7e9, bytes=9.9e10)


def test_every_estimate_of_a_kernel_follows_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Conv(
        channels=32, space=(56, 56), channels_out=32, windows=(Window(3),) * 2, dtype="float32"
    )
    monkeypatch.setattr("convlens.compute.kernels.speed._known", {})
    able = [n for n in METHODS if refused(n, layer) is None and METHODS[n].compiles]
    before = {name: seconds_of(name, layer) for name in able}
    assert len(able) >= 4
    for count in range(1, 65):
        speeds._known[count] = SLOW
    assert all(seconds_of(name, layer) > 3 * before[name] for name in able)
    with nominal():
        assert {name: seconds_of(name, layer) for name in able}.keys() == before.keys()
        assert speed() == NOMINAL
        assert (machine().level1, machine().level2) == (LEVEL1, LEVEL2)
    assert speed() == SLOW


def test_direct_chooses_the_same_on_any_machine_of_these_instructions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems = [
        Conv(channels=c, space=(n, n), channels_out=k, windows=(Window(s),) * 2, dtype="float32")
        for c, k, n, s in ((3, 64, 60, 7), (512, 512, 7, 3), (64, 64, 28, 3), (1, 1, 99, 5))
    ]

    def chosen() -> list[str]:
        weights = [np.ones((p.channels_out, p.channels, *p.size), np.float32) for p in problems]
        pairs = zip(problems, weights, strict=True)
        return [decide(p, "direct", w, measure=False).decision.method for p, w in pairs]

    here = chosen()
    real = machines._machine()
    for level2 in (2**16, 2**23):
        other = replace(real, level1=2**13, level2=level2)
        monkeypatch.setattr(machines, "_machine", lambda other=other: other)
        monkeypatch.setattr(speeds, "_known", dict.fromkeys(range(1, 65), SLOW))
        assert machine() == other
        assert chosen() == here


@pytest.mark.parametrize("taps", [5, 51, 600])
def test_a_signal_is_folded_the_same_at_any_speed(taps: int) -> None:
    shape = Shape(1, 1, (1, 1, 5000), (1, 1, 5001 - taps), (Window(1), Window(1), Window(taps)))
    blocks = [block_of(shape, "float32", load) for load in (0.5, 1.0, 1.7, 2.5, 8.0)]
    assert len({(block.fold, block.spread) for block in blocks}) == 1


@pytest.mark.parametrize("load", [0.5, 3.0, 12.0])
def test_blocks_that_a_measurement_chose_change_no_bit(
    load: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    cases: list[tuple[Any, int, Any]] = [
        ((1, 2, 31, 45), 5, {"padding": 2}),
        ((1, 1, 31, 45), 3, {"stride": 2}),
    ]

    def computed() -> list[bytes]:
        found = []
        for (n, c, h, w), size, options in cases:
            x = random.standard_normal((n, c, h, w)).astype(np.float32)
            weight = random.standard_normal((c, 1, size, size)).astype(np.float32)
            for method in ("rows", "depthwise"):
                y = plan(x, weight, groups=c, method=method, **options)(x)
                found.append(y.tobytes())
        x = random.standard_normal((1, 1, 5000)).astype(np.float32)
        weight = random.standard_normal((1, 1, 77)).astype(np.float32)
        found.append(plan(x, weight, method="rows")(x).tobytes())
        x = random.standard_normal((1, 2, 31, 45)).astype(np.float32)
        pooled = plan_pool("avg_pool", x, 3, stride=2, method="small_pooling")
        return [*found, pooled(x).tobytes()]

    monkeypatch.setattr(speeds, "_known", dict.fromkeys(range(1, 65), NOMINAL))
    common = computed()
    random = np.random.default_rng(0)
    rooms: list[ModuleType] = [rows, depthwise, small]
    for room in rooms:
        monkeypatch.setattr(room, "speed", lambda: replace(NOMINAL, load=load))
    assert computed() == common


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_measures_can_measure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def slowly() -> Speed:
        begun.set()
        time.sleep(0.3)
        return SLOW

    monkeypatch.setattr(speeds, "_measured", slowly)
    other = threading.Thread(target=measure_speed)
    other.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # or a locked lock would wait for ever
        os._exit(0 if measure_speed() == SLOW else 1)
    other.join()
    assert os.waitpid(child, 0)[1] == 0
