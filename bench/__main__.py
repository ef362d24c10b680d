"""Run measurements, by default all that take seconds, and print one table or JSON."""

import ast
import importlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.compute.options import options

HERE = Path(__file__).parent

MODULES = {
    "starting": "project",
    "recording": "lens",
    "sheets": "lab",
    "page": "lab",
    "networks": "compute",
    "gradients": "compute",
    "predict": "learn",
    "training": "learn",
    "measuring": "learn",
    "fashion": "learn",
    "kills": "learn",
    "boxes": "zoo",
    "outliers": "compute",
}
"""The measurements by name, each with the folder that its file is in."""

BY_NAME = ("fashion", "kills")
"""Those that take minutes, and must be named."""

HELP = ("-h", "--help")


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["compute"]:  # it takes minutes and has its own table, so it must be named
        options().parse_args(words[1:])  # help must not load what it races
        from bench.compute.command import main as compute

        raise SystemExit(compute(words[1:]))
    asked = [word for word in words if not word.startswith("-")]
    if "compute" in asked:
        raise SystemExit("`NAME` (=compute) has a table of its own; run ./run bench compute alone")
    if unknown := [name for name in asked if name not in MODULES]:
        raise SystemExit(f"`NAME` (={unknown[0]}) must be one of compute, {', '.join(MODULES)}")
    given = [word for word in words if word.startswith("-")]
    if unknown := [option for option in given if option not in ("--json", *HELP)]:
        raise SystemExit(f"`OPTION` (={unknown[0]}) must be --json or --help; leave it out")
    if any(option in HELP for option in given):
        print(usage(asked or ("compute", *MODULES)))
        return
    figures = []
    for name in asked or [name for name in MODULES if name not in BY_NAME]:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{MODULES[name]}.{name}").measure()
    if "--json" in given:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
        return
    print(f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}")
    print(importlib.import_module("bench.figures").as_text(figures))


def usage(names: Sequence[str]) -> str:
    """Return how to call this, and what each measurement measures, without importing any."""
    usual = f"all but compute, {' and '.join(BY_NAME)} when no NAME is given"
    lines = [f"./run bench [NAME...] [--json]    {usual}", ""]
    for name in names:
        whole = HERE / "compute" / "__init__.py"
        file = whole if name == "compute" else HERE / MODULES[name] / f"{name}.py"
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:<9}  {docstring.splitlines()[0]}")
    if "compute" in names:
        lines += ["", "./run bench compute --help lists its own options."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
