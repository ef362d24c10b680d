"""Run a module of the page in node, on what Python gives it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from convlens.lab.answers.forms import spaces
from convlens.lab.answers.steps import call_rows, step_rows
from convlens.lens import Recording

PAGE = Path(__file__).parents[3] / "src/convlens/lab/web"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def in_node(module: str, script: str, given: object) -> Any:
    """Return what the function body `script` makes of `page` (a module) and `given`, as JSON."""
    whole = f"""
        import {{ readFileSync }} from "node:fs";
        const page = await import({json.dumps(str(PAGE / module))});
        const answer = ((page, given) => {{ {script} }})(page, JSON.parse(readFileSync(0)));
        console.log(JSON.stringify(answer));
    """
    command = ["node", "--input-type=module", "-e", whole]
    ran = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def rows(recording: Recording) -> dict[str, list[Any]]:
    """What the page's layout and fields read of a recording; `values` are a map's entries."""
    names = recording.names
    values = [
        {"name": names[v.id], "kind": v.kind, "step": v.step, "shape": v.shape}
        | {"spaces": spaces(recording, len(v.shape))}
        for v in recording.values
    ]
    return {
        "steps": [*step_rows(recording)],
        "calls": [*call_rows(recording)],
        "values": list(enumerate(values)),
    }
