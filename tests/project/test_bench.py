"""The benchmark of compute: its lists, judge and statistics, and a small run from end to end."""

import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import __main__ as bench_main
from bench.compute import (
    children,
    cold,
    command,
    contenders,
    limits,
    memory,
    page,
    peers,
    race,
    tables,
    truth,
)
from bench.compute.cases import GROUPS, Case, conv, pool, transposed
from bench.compute.contenders import CALLS, ONE_CALL, PLAN, PLAN_OUT, Contender, options
from bench.compute.limits import Limits
from bench.compute.lists import LISTS
from bench.compute.options import CHOICES
from bench.compute.race import Outcome, Result
from bench.compute.standing import Standing, standing, summaries, summary
from bench.figures import Figure

LIMITS = Limits(1e11, {2**18: 1e11, 2**28: 1e10})
SMALL = [
    conv("a signal", (1, 1, 40), (1, 1, 5), padding=2),
    conv("two signals, one filter", (1, 2, 30), (2, 1, 3), 1, 1, 1, 2, one_filter=True),
    conv("an image", (1, 1, 12, 11), (1, 1, 3, 5), padding=(1, 2)),
    conv("an image, valid", (1, 1, 12, 11), (1, 1, 4, 3)),
    conv("a Gaussian", (1, 3, 9, 8), (3, 1, 5, 3), 1, (2, 1), 1, 3, separable=True),
    conv("a volume", (1, 1, 6, 7, 5), (1, 1, 3, 3, 3), padding=1),
    conv("a layer", (2, 3, 9, 8), (4, 3, 3, 3), 2, 1, 2),
    conv("depthwise", (1, 8, 9, 8), (8, 1, 3, 3), 1, 1, 1, 8),
    conv("grouped volume", (1, 8, 5, 6, 5), (4, 4, 3, 1, 3), padding=(1, 0, 1), groups=2),
    transposed("doubling", (1, 4, 5, 6), (4, 3, 4, 4), 2, 1),
    pool("max", "largest", (1, 4, 9, 8), 3, 2, 1),
    pool("avg", "mean", (2, 4, 10), 3, 1, 1),
]
BY_NAME = {case.name: case for case in SMALL}


def small(name: str = "an image") -> Case:
    return BY_NAME[name]


@pytest.mark.parametrize("cases", LISTS.values(), ids=LISTS)
def test_a_list_has_56_cases_in_the_same_proportions(cases: list[Case]) -> None:
    groups = {"filters": 19, "dense": 18, "grouped": 9, "transposed": 4, "pooling": 6}
    assert Counter(case.group for case in cases) == groups
    assert set(groups) == set(GROUPS)
    assert len({case.name for case in cases}) == 56
    assert all(min(case.y) > 0 for case in cases)


def test_no_case_is_in_both_lists() -> None:
    first, second = ({replace(case, name="") for case in cases} for cases in LISTS.values())
    assert len(first) == len(second) == 56
    assert not first & second
    assert not {c.name for c in LISTS["first"]} & {c.name for c in LISTS["second"]}


def test_the_least_work_of_a_case() -> None:
    layer = conv("", (2, 8, 10, 10), (16, 4, 3, 3), 2, 1, groups=2)
    assert layer.y == (2, 16, 5, 5)
    assert layer.flops == 2 * 2 * 16 * 25 * 36
    assert layer.traffic == 4 * (1600 + 800 + 576)
    assert transposed("", (1, 8, 5), (8, 4, 4), 2, 1).flops == 2 * 40 * 16
    assert transposed("", (1, 8, 5), (8, 4, 4), 2, 1).y == (1, 4, 10)
    assert conv("", (1, 1, 9, 9), (1, 1, 3, 5), 1, (1, 2), separable=True).flops == 2 * 81 * 8
    assert pool("max", "", (1, 2, 8), 2, 2).flops == 0
    assert LIMITS.seconds(replace(layer, x=(2, 8, 10, 10))) == pytest.approx(57600 / 1e11)
    assert LIMITS.seconds(pool("max", "", (1, 1, 2**27), 2, 2)) > 1.5 * 2**29 / 1e11


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
@pytest.mark.parametrize("long", [0, 64], ids=["by Fourier", "by torch"])
def test_the_truth_is_the_definition(
    case: Case, long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "LONG", long)
    given = truth.inputs(case)
    x = given.x.astype(np.float64)
    if given.weight is None:
        expected = CALLS[case.operation](x, case.size, **options(case))
    else:
        weight = given.weight.astype(np.float64)
        expected = CALLS[case.operation](x, weight, method="reference", **options(case))
    np.testing.assert_allclose(truth.truth(given), expected, rtol=1e-12, atol=1e-12)


def spoilt(y: truth.Floats) -> dict[str, truth.Floats]:
    """Results that are wrong in the ways that results are."""
    nothing, scaled, one = y.copy(), y * np.float32(1 + 1e-4), y.copy()
    nothing.flat[0] = np.nan
    one.flat[3] += np.float32(1e-2)
    return {
        "not a number": nothing,
        "a ten-thousandth too large": scaled,
        "one element": one,
        "shifted": np.roll(y, 1, axis=-1),
        "too short": y[..., 1:],
        "half precision": y.astype(np.float16).astype(np.float32),
    }


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_the_judge_passes_what_is_right_and_rejects_what_is_not(case: Case) -> None:
    expected = truth.truth(truth.inputs(case))
    y = expected.astype(np.float32)
    assert truth.fault(case, y, expected) is None
    for how, wrong in spoilt(y).items():
        assert truth.fault(case, wrong, expected), how


def test_a_maximum_must_be_exact() -> None:
    case = small("largest")
    expected = truth.truth(truth.inputs(case))
    y = expected.astype(np.float32)
    y.flat[5] = np.nextafter(y.flat[5], np.float32(9))
    assert truth.fault(case, y, expected) == f"1 of {y.size} maxima are wrong"


def test_the_judge_minds_the_typical_error_and_the_largest() -> None:
    case = conv("", (1, 1, 100_000), (1, 1, 1))
    expected = np.tile([1.0, -1.0], 50_000).reshape(case.y)
    noisy, one = expected * (1 + 2e-5), expected.copy()
    one.flat[9] += 2e-4
    assert truth.errors(noisy, expected) == pytest.approx((2e-5, 2e-5))
    assert truth.fault(case, noisy, expected) == "error 2.0e-05 of the result, 2.0e-05 at worst"
    assert truth.fault(case, one, expected) == "error 6.3e-07 of the result, 2.0e-04 at worst"
    assert truth.fault(case, expected * (1 + 5e-6), expected) is None


@pytest.mark.parametrize("peer", ["torch", "scipy", "numpy"])
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_what_every_installation_has_computes_the_case(case: Case, peer: str) -> None:
    given = truth.inputs(case)
    expected = truth.truth(given)
    for contender in peers.PEERS[peer][1](given):
        with contender.around():
            y = contender.read(contender.run())
        assert truth.fault(case, y, expected) is None, contender.name


def test_contenders_of_scipy_for_a_filter() -> None:
    names = {c.name for c in peers.PEERS["scipy"][1](truth.inputs(small("a signal")))}
    assert names == {
        f"scipy {way}"
        for way in ("fftconvolve", "oaconvolve", "direct", "ndimage", "ndimage by axis")
    }
    assert not [*peers.PEERS["scipy"][1](truth.inputs(small("a layer")))]


def raced(
    monkeypatch: pytest.MonkeyPatch, maker: Callable[[truth.Inputs], Iterator[Contender]]
) -> Result:
    def ours(given: truth.Inputs) -> Iterator[Contender]:
        for name in (PLAN, PLAN_OUT, ONE_CALL):
            yield Contender(name, answers(given).copy)

    monkeypatch.setattr(race, "convlens", ours)
    monkeypatch.setitem(peers.PEERS, "stranger", ((), maker))
    return race.race(small(), ["stranger"], LIMITS, rounds=3, seconds=0)


def answers(given: truth.Inputs) -> truth.Floats:
    return truth.truth(given).astype(np.float32)


def test_a_right_peer_is_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    def maker(given: truth.Inputs) -> Iterator[Contender]:
        yield Contender("right", answers(given).copy)

    result = raced(monkeypatch, maker)
    row = standing(result)
    assert row.best == "right"
    assert row.ratio is not None
    assert [o.turns for o in result.outcomes] == [3, 3, 3, 3]
    assert {o.name for o in result.outcomes} == {PLAN, PLAN_OUT, ONE_CALL, "right"}


def test_a_wrong_peer_is_named_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def maker(given: truth.Inputs) -> Iterator[Contender]:
        y = answers(given)
        y.flat[7] += 1e-2
        yield Contender("wrong", y.copy)

    result = raced(monkeypatch, maker)
    outcome = result.outcome("wrong")
    assert outcome is not None
    assert (outcome.status, outcome.turns, outcome.milliseconds) == ("wrong", 0, None)
    row = standing(result)
    assert row.ratio is None
    assert [line for line in row.dropped if line.startswith("wrong wrong: error")]


def test_a_peer_that_raises_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing() -> None:
        raise NotImplementedError("not this one\nand more")

    def maker(_: truth.Inputs) -> Iterator[Contender]:
        yield Contender("refusing", refusing)
        raise ValueError("nor any other")

    dropped = standing(raced(monkeypatch, maker)).dropped
    assert set(dropped) == {
        "refusing failed: NotImplementedError: not this one",
        "stranger failed: ValueError: nor any other",
    }


def test_who_cannot_win_is_measured_once_but_the_best_peer_is_raced() -> None:
    def left(**times: float) -> dict[str, str]:
        outcomes = {name: Outcome(name, "raced", ms) for name, ms in times.items()}
        outcomes["wrong"] = Outcome("wrong", "wrong")
        race._leave_out(outcomes)
        return {name: outcome.status for name, outcome in outcomes.items() if name in times}

    assert left(a=1.0, b=19.0, c=21.0) == {"a": "raced", "b": "raced", "c": "once"}
    ours = left(**{PLAN: 1.0, ONE_CALL: 90.0, "a": 50.0, "b": 99.0, "c": 101.0})
    assert ours == {PLAN: "raced", ONE_CALL: "raced", "a": "raced", "b": "raced", "c": "once"}
    assert left() == {}


def test_a_peer_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "version", lambda name: None if name in ("jax", "onnx") else "1")
    here, missing = peers.installed()
    assert here == ["torch", "scipy", "numpy", "opencv"]
    assert missing == {"jax": "jax", "onnxruntime": "onnx", "openvino": "onnx"}


def test_who_would_take_too_long_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "LARGE", 1)

    def maker(given: truth.Inputs) -> Iterator[Contender]:
        assert given.case.y[2:] != small().y[2:], "the whole was asked for"
        yield Contender("endless", answers(given).copy, patience=0)

    monkeypatch.setitem(peers.PEERS, "stranger", ((), maker))
    (outcome,) = race._too_slow(small(), "stranger")
    assert (outcome.name, outcome.status, outcome.word) == ("endless", "skipped", "about 0 s")


def test_everyone_has_a_turn_a_round() -> None:
    called: list[str] = []
    pair = [Contender(name, partial(called.append, name)) for name in "ab"]
    samples = race.run_rounds(pair, rounds=4, seconds=0)
    assert {name: len(times) for name, times in samples.items()} == {"a": 4, "b": 4}
    turns = [name for name, before in zip(called, ["", *called], strict=False) if name != before]
    assert len(turns) > 2, "all turns of one, then all of the other"


def made_up(
    name: str, ours: float, group: str = "dense", status: str = "raced", **times: float
) -> Result:
    outcomes = [Outcome(PLAN, status, ours), Outcome(PLAN_OUT, "raced", ours / 2)]
    outcomes += [Outcome(peer.replace("_", " "), "raced", ms) for peer, ms in times.items()]
    return Result(name, group, "rows", 0.1, 1.0, tuple(outcomes))


def test_standing_of_a_case() -> None:
    row = standing(made_up("a", 2.0, torch=8.0, scipy=3.0))
    assert (row.best, row.best_ms, row.plan_ms, row.out_ms) == ("scipy", 3.0, 2.0, 1.0)
    assert (row.ratio, row.out_ratio, row.torch_ratio) == (1.5, 3.0, 4.0)
    assert (row.roofline, row.once_ratio, row.method) == (0.5, None, "rows")
    wrong = standing(made_up("b", 2.0, status="wrong", torch=8.0))
    assert (wrong.ratio, wrong.plan_ms, wrong.dropped) == (None, None, (f"{PLAN} wrong: ",))


def rows() -> list[Standing]:
    return [
        standing(made_up("a", 1.0, torch=8.0, scipy=4.0)),
        standing(made_up("b", 1.0, torch=2.0, scipy=0.96)),
        standing(made_up("c", 1.0, group="pooling", scipy=0.92)),
        standing(made_up("d", 1.0, group="pooling", status="failed", torch=1.0)),
    ]


def test_summary_of_cases() -> None:
    every = summary("all", rows())
    assert every.mean == pytest.approx((4 * 0.96 * 0.92) ** (1 / 3))
    assert every.out_mean == pytest.approx(2 * (4 * 0.96 * 0.92 * 1) ** (1 / 4))
    assert (every.worst, every.worst_name, every.missing) == (0.92, "c", 1)
    assert (every.almost, every.nearly) == (0.5, 0.75)
    assert every.torch_mean == pytest.approx(4)
    assert every.torch_cases == 2
    names = [(row.name, row.cases) for row in summaries(rows())]
    assert names == [("dense layers", 2), ("pooling", 2), ("all", 4)]


def test_tables_are_straight() -> None:
    head, body = tables.cases_table(rows())
    assert all(len(row) == len(head) for row in body)
    lines = tables.as_text((head, body)).splitlines()
    assert lines[1].index("scipy") == lines[0].index("best peer")
    assert tables.as_markdown((("a", "b"), [("1", "2")])) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert tables.dropped_lines(rows()) == [f"d: {PLAN} failed: "]


def test_when_calls_became_fast() -> None:
    made = [(0.5, 0.5), *((1.0 + i, 0.2) for i in range(5)), *((6.0 + i, 0.1) for i in range(40))]
    assert cold.settled(made) == (6.0, 0.1)
    assert cold.settled([(0.25 * i, 0.1) for i in range(1, 20)]) == (0.25, 0.1)
    assert cold.settled([(2.0, 2.0), (2.1, 0.1), (2.2, 0.1), (2.3, 0.1)]) == (2.1, 0.1)


def test_calls_go_on_until_nothing_is_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold, "QUIET", 0.05)
    made = cold.calls(lambda: None)
    assert len(made) > 2
    assert made[-1][0] > 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="read off the kernel of Linux")
@pytest.mark.slow
def test_memory_at_the_peak_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    given = truth.inputs(small())
    y = torch.empty(given.case.y)

    def planned(planning: int, call: int) -> Callable[[Any], Callable[[Any], Any]]:
        def plan(_: Any) -> Callable[[Any], Any]:
            np.ones(planning << 20, np.uint8)
            return lambda _: (np.ones(call << 20, np.uint8), y)[1]

        return plan

    np.ones(2**28, np.uint8)  # an earlier peak, which is not counted
    for planning, call in ((0, 0), (64, 0), (0, 64), (32, 96)):
        monkeypatch.setattr(memory, "our_plan", planned(planning, call))
        found = memory.extra(given)
        assert found["planning"] / 2**20 == pytest.approx(planning, abs=8)
        assert found["extra"] / 2**20 == pytest.approx(call, abs=8)


@pytest.mark.skipif(sys.platform != "linux", reason="read off the kernel of Linux")
@pytest.mark.slow
def test_memory_that_a_plan_holds_counts_for_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    given = truth.inputs(small())
    y = torch.empty(given.case.y)

    def plan(_: Any) -> Callable[[Any], Any]:
        return partial(lambda held, _: y, np.ones(2**26, np.uint8))

    monkeypatch.setattr(memory, "our_plan", plan)
    assert memory.extra(given)["extra"] / 2**20 == pytest.approx(64, abs=8)


@pytest.mark.skipif(sys.platform != "linux", reason="read off the kernel of Linux")
def test_memory_of_a_case_in_a_process_of_its_own() -> None:
    case = next(case for case in LISTS["second"] if case.name == "max2d 96 k3 s2 55")
    answer = children.ask("memory", case, {})
    assert answer["arrays"] == 4 * (prod(case.x) + prod(case.y))
    assert answer["name"] == case.name


def test_a_process_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match="memory of no such case: StopIteration"):
        children.ask("memory", replace(small(), name="no such case"), {})


def test_a_small_run_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(LISTS, "first", [small("a layer"), small("largest"), small("mean")])
    for maker in ("plan", "plan_pool"):  # nothing to compile for them
        simple = partial(getattr(contenders, maker), method="torch")
        monkeypatch.setattr(contenders, maker, simple)
    monkeypatch.setattr(limits, "SIZES", (2**18,))
    monkeypatch.setattr(command, "PAGE", tmp_path / "compute.md")
    written = tmp_path / "run.json"
    monkeypatch.setattr(command, "cache_folder", lambda: tmp_path)
    forgotten = tmp_path / "measured"
    forgotten.mkdir()
    words = [
        "--replan",
        "--peers",
        "torch",
        "--rounds",
        "1",
        "--only",
        "la",
        "--json",
        str(written),
    ]
    assert command.main(words) == 0
    assert not forgotten.exists()
    printed = capsys.readouterr()
    assert "first 2/2 largest" in printed.err
    assert "mean" not in printed.out.partition("group")[0]
    run = json.loads(written.read_text())
    assert [result["name"] for result in run["races"]["first"]] == ["a layer", "largest"]
    assert run["limits"]["flops"] > 0
    assert run["machine"]["versions"]["torch"] == torch.__version__
    again = Result.of(run["races"]["first"][0])
    assert json.loads(json.dumps(again.to_dict())) == run["races"]["first"][0]
    assert again.outcome("torch") is not None
    assert again.method == "torch"
    beside = {"memory": {"first": [MEMORY]}, "cold": {"first": [COLD]}}
    other = tmp_path / "memory.json"
    other.write_text(json.dumps({"machine": run["machine"], **beside}))
    assert command.main(["--page", str(written), str(other)]) == 0
    text = (tmp_path / "compute.md").read_text()
    for part in ("| a layer |", "| largest |", run["machine"]["processor"], "GF/s", "| cold one |"):
        assert part in text
    assert "| held one | 1.0 | 0.5 | 0.8 | 75 % | 25 % | 2.0 |" in text


MEMORY = {
    "name": "held one",
    "arrays": 2**20,
    "weight": 2**19,
    "extra": 3 * 2**18,
    "planning": 2**21,
}
COLD = {"name": "cold one", "first": 0.012, "after": 2.5, "fast": 0.001}


def test_runs_of_two_machines_make_no_page() -> None:
    runs = [{"machine": {"processor": name, "threads": 2}} for name in ("A", "B")]
    with pytest.raises(ValueError, match="one machine, not of processor A and B"):
        page.merged(runs)


def test_figures_of_networks_are_on_the_page() -> None:
    here = {
        "processor": "A", "kernels": "k", "cores": 2, "threads": 2, "memory": 2**30, "busy": 0.0,
        "system": "s", "python": "3", "date": "today", "versions": {},
    }  # fmt: skip
    figure = Figure.of("a network, accelerated / channels last", [0.5, 0.7, 0.6], "x", 1)
    written = page.page(page.merged([{"machine": here}, [asdict(figure)]]))
    assert "## Whole networks" in written
    assert "| a network, accelerated / channels last | 0.6 x | 0.5 .. 0.7 | < 1 | yes |" in written


def test_what_was_raced_wrongly_is_an_exit_status() -> None:
    right, wrong = (made_up("a", 1.0, status=word) for word in ("raced", "wrong"))
    assert command._right({"races": {"first": [right.to_dict()]}})
    assert not command._right({"races": {"first": [right.to_dict(), wrong.to_dict()]}})


@pytest.mark.parametrize("words", [["--only", "no such"], ["--peers", "stranger"]])
def test_what_cannot_be_measured_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(words)


def test_every_measurement_can_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(bench_main.__file__).parent
    files = [
        path for path in folder.glob("*/*.py") if "\ndef measure() -> list" in path.read_text()
    ]
    assert {path.stem: path.parent.name for path in files} == bench_main.MODULES
    assert set(CHOICES) == {*LISTS, "both"}
    networks = importlib.import_module("bench.compute.networks")
    figure = Figure.of("a network", [1.0, 2.0, 3.0], "ms")
    monkeypatch.setattr(networks, "measure", lambda: [figure])
    monkeypatch.setattr(sys, "argv", ["bench", "networks"])
    bench_main.main()
    assert "a network" in capsys.readouterr().out


def test_compute_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "boxes", "compute"])
    with pytest.raises(SystemExit, match=r"`NAME` \(=compute\) has a table of its own"):
        bench_main.main()
