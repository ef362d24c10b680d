"""Measure a case in a process of its own, which prints one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.compute.cases import Case

HOMES = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")
ROOT = Path(__file__).parents[2]


def ask(module: str, case: Case, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what `python -m bench.compute.MODULE CASE` says; raise RuntimeError if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.compute.{module}", case.name],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"{module} of {case.name}: {said[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"name": case.name, **answer}


def say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer))


def ask_all(module: str, cases: Iterable[Case], *, cold: bool = False) -> Iterator[dict[str, Any]]:
    """Measure every case, one process after the other; print failures, and leave them out.

    `cold`: each process has its own home and cache, empty at first.
    """
    for case in cases:
        print(f"{module}: {case.name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield ask(module, case, dict.fromkeys(HOMES, folder) if cold else {})
            except RuntimeError as problem:
                print(problem, file=sys.stderr)
