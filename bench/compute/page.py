"""Make a page of the documentation from the files of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.compute import tables
from bench.compute.options import ROUNDS
from bench.compute.race import Result
from bench.compute.standing import standing, summaries
from bench.figures import Figure

TITLES = {
    "first": "The first list",
    "second": "The second list, which nothing is tuned on",
}
HOW = """\
`./run bench compute --list both --json run.json`, then the same with `--memory` and `--cold`, and
then `./run bench compute --page run.json memory.json cold.json figures.json` made this page. All
is float32.

Each contender has a turn in each round, in at least {rounds} rounds (`--rounds`) and
{seconds:.2g} s for each case. A turn begins with calls that wake threads and load caches; it is
the median of the calls after them. A figure is the median of a contender's turns. Every peer has
its own layout, weights packed beforehand, and as many threads as we have. Its result is checked
against float64 before it is timed.

`plan` is a plan called with a tensor. Like ONNX Runtime it keeps memory for results, and uses it
again once the last result is dropped. OpenVINO writes into the same result each time; the others
allocate memory each time. Ratios are above 1 if we are faster.

*Roofline* is a time divided by ours: that of the definition's multiply-adds at the peak below, or
that of moving input, weight and result once, whichever is longer. The multiply-adds of a
separable filter count axis by axis, and those on padding count, too. An algorithm with fewer
multiply-adds than the definition may pass 100 %.
"""


FIGURES = """\
`./run bench networks gradients --json > figures.json` in the same minutes: networks as they are,
in channels last, and by `convlens.accelerate`, in turn; and the backward passes of layers, to
input and weight, against torch in its faster layout.
"""


def merged(runs: Iterable[Mapping[str, Any] | list[dict[str, Any]]]) -> dict[str, Any]:
    """Return runs as one; raise ValueError if they are from different machines.

    A list holds figures, as `./run bench NAME --json` prints them.
    """
    whole: dict[str, Any] = {"races": {}, "memory": {}, "cold": {}, "figures": []}
    for run in runs:
        if isinstance(run, list):
            whole["figures"] += run
            continue
        here, there = (of.get("machine", run["machine"]) for of in (run, whole))
        for fact in ("processor", "threads"):
            if here[fact] != there[fact]:
                raise ValueError(
                    f"`--page` needs runs of one machine, not of {fact} {there[fact]} and "
                    f"{here[fact]}; measure them all on one"
                )
        if "machine" not in whole or run.get("races"):
            whole |= {"machine": run["machine"], "limits": run.get("limits")}
        if run.get("races"):
            whole["rounds"] = min(run["rounds"], whole.get("rounds", run["rounds"]))
        for part in ("races", "memory", "cold"):
            whole[part] |= run.get(part, {})
    if "machine" not in whole:
        raise ValueError("`--page` needs at least one file written by `--json`")
    return whole


def page(run: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    rounds = run.get("rounds", ROUNDS)
    parts = [
        "# Compute, measured",
        _machine(run),
        HOW.format(rounds=rounds, seconds=rounds / ROUNDS),
    ]
    for name, results in run["races"].items():
        rows = [standing(Result.of(result)) for result in results]
        parts += [f"## {TITLES[name]}", tables.as_markdown(tables.summary_table(summaries(rows)))]
        parts.append(tables.as_markdown(tables.cases_table(rows)))
        if lines := tables.dropped_lines(rows):
            parts.append("Without a time: " + "; ".join(lines) + ".")
    for name, rows in run["memory"].items():
        text = (
            "Peak memory of a call, including what its plan holds, in addition to input, result "
            "and weight; and of planning a shape that was measured before."
        )
        table = tables.as_markdown(tables.memory_table(rows))
        parts += [f"## Memory: {TITLES[name].lower()}", text, table]
    for name, rows in run["cold"].items():
        text = "The first call in a new process with an empty cache, without the time of importing."
        table = tables.as_markdown(tables.cold_table(rows))
        parts += [f"## Cold: {TITLES[name].lower()}", text, table]
    if run["figures"]:
        figures = [Figure(**figure) for figure in run["figures"]]
        head = ("what", "median", "spread", "wanted", "met", "")
        table = tables.as_markdown((head, [figure.row() for figure in figures]))
        parts += ["## Whole networks, and backward passes", FIGURES, table]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _machine(run: Mapping[str, Any]) -> str:
    here, limits = run["machine"], run.get("limits")
    versions = ", ".join(f"{name} {found}" for name, found in here["versions"].items())
    lines = [
        f"Measured on {here['date']}: {here['processor']} ({here['kernels']}), {here['cores']} "
        f"cores of which {here['threads']} threads are used, {here['memory'] / 2**30:.0f} GB, "
        f"{here['system']}, Python {here['python']}; {versions}.",
        f"Others kept {100 * here['busy']:.0f} % of the processors busy when it began.",
    ]
    if limits:
        rates = {int(size): rate / 1e9 for size, rate in limits["bandwidth"].items()}
        moved = ", ".join(
            f"{rates[size]:.0f} GB/s at {size / 2**20:g} MB" for size in sorted(rates)[1::3]
        )
        lines.append(
            f"The machine's own limits in the same run: {limits['flops'] / 1e9:.0f} GF/s of "
            f"multiply-adds, and copying {moved} (read and written together)."
        )
    return " ".join(lines)
