"""The command line of compute's benchmark, and what it prints."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.compute import limits, tables
from bench.compute.cases import Case
from bench.compute.children import ROOT, ask_all
from bench.compute.lists import LISTS
from bench.compute.machine import BUSY, described
from bench.compute.options import ROUNDS, options
from bench.compute.page import merged, page
from bench.compute.peers import installed
from bench.compute.race import Result, race
from bench.compute.standing import standing, summaries
from convlens.files import cache_folder, write_whole

PAGE = ROOT / "docs" / "compute.md"


def main(words: Sequence[str]) -> int:
    """Run the command line; return 1 if a result of convlens was wrong or missing."""
    parser = options()
    asked = parser.parse_args(words)
    if asked.page:
        try:
            run = merged(json.loads(Path(name).read_text()) for name in asked.page)
        except (OSError, ValueError) as problem:
            parser.error(str(problem))
        write_whole(PAGE, page(run))
        return 0
    names = LISTS if asked.list == "both" else [asked.list]
    chosen = {name: [case for case in LISTS[name] if asked.only in case.name] for name in names}
    chosen = {name: cases for name, cases in chosen.items() if cases}
    if not chosen:
        parser.error(f"`--only` (={asked.only!r}) is in the name of no case of the list")
    here, missing = installed()
    for name, package in missing.items():
        _say(f"{name} is not measured: {package} is not installed (the extra `bench` has it)")
    peers = asked.peers.split(",") if asked.peers else here
    if unknown := [name for name in peers if name not in here]:
        parser.error(f"`--peers` (={unknown[0]}) must be of those installed: {', '.join(here)}")
    if asked.replan and (cache := cache_folder()):
        shutil.rmtree(cache / "measured", ignore_errors=True)
    run = measured(chosen, peers, asked)
    _write(run, asked.json)
    if asked.json != "-":
        print(report(run))
    return 0 if _right(run) else 1


def measured(
    chosen: dict[str, list[Case]], peers: Sequence[str], asked: argparse.Namespace
) -> dict[str, Any]:
    """Measure what was asked for, and return it as it is written to the file."""
    run: dict[str, Any] = {"machine": described(), "races": {}, "memory": {}, "cold": {}}
    if run["machine"]["busy"] > BUSY:
        share = f"{100 * run['machine']['busy']:.0f} %"
        _say(f"others keep {share} of the processors busy: these figures will say little")
    for part in ("memory", "cold"):
        if getattr(asked, part):
            for name, cases in chosen.items():
                run[part][name] = []
                for answer in ask_all(part, cases, cold=part == "cold"):
                    run[part][name].append(answer)
                    _keep(run, asked.json)
    if asked.memory or asked.cold:
        return run
    found = limits.measure()
    run |= {"limits": found.to_dict(), "rounds": asked.rounds}
    for name, cases in chosen.items():
        run["races"][name] = []
        for case in cases:
            result = race(case, peers, found, asked.rounds, asked.rounds / ROUNDS)
            run["races"][name].append(result.to_dict())
            _keep(run, asked.json)
            row = standing(result)
            ratio = "no ratio" if row.ratio is None else f"{row.ratio:.2f}x {row.best}"
            _say(f"{name} {len(run['races'][name])}/{len(cases)} {case.name}: {ratio}")
    return run


def report(run: dict[str, Any]) -> str:
    """Return every table of a run as text."""
    here, parts = run["machine"], []
    parts.append(
        f"{here['processor']} ({here['kernels']}), {here['threads']} threads, {here['date']}, "
        + ", ".join(f"{name} {found}" for name, found in here["versions"].items())
    )
    if "limits" in run:
        rates = [f"{float(rate) / 1e9:.0f}" for rate in run["limits"]["bandwidth"].values()]
        parts.append(
            f"limits: {run['limits']['flops'] / 1e9:.0f} GF/s; copy {', '.join(rates)} GB/s at "
            + ", ".join(f"{int(n) / 2**20:g}" for n in run["limits"]["bandwidth"])
            + " MB"
        )
    for name, results in run["races"].items():
        rows = [standing(Result.of(result)) for result in results]
        parts += [f"{name} list", tables.as_text(tables.cases_table(rows))]
        parts += tables.dropped_lines(rows)
        parts.append(tables.as_text(tables.summary_table(summaries(rows))))
    for name, rows in run["memory"].items():
        parts += [f"memory, {name} list", tables.as_text(tables.memory_table(rows))]
    for name, rows in run["cold"].items():
        parts += [f"cold, {name} list", tables.as_text(tables.cold_table(rows))]
    return "\n".join(parts)


def _right(run: dict[str, Any]) -> bool:
    """Return whether our plan has a time, and so a right result, in every case that was raced."""
    rows = [standing(Result.of(result)) for results in run["races"].values() for result in results]
    return all(row.plan_ms is not None for row in rows)


def _keep(run: dict[str, Any], where: str | None) -> None:
    """Write what is done so far if the destination is a file, so that an interruption keeps it."""
    if where != "-":
        _write(run, where)


def _write(run: dict[str, Any], where: str | None) -> None:
    if where == "-":
        print(json.dumps(run, indent=1))
    elif where:
        write_whole(where, json.dumps(run, indent=1) + "\n")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
