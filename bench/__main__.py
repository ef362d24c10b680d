"""Run the measurements named (all but the engine's by default) and print one table, or JSON."""

import ast
import importlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.engine.options import options

HERE = Path(__file__).parent

sys.path.insert(0, str(HERE.parent / "tests"))  # the networks measured with

NAMES = (
    "starting",
    "recording",
    "sheets",
    "page",
    "networks",
    "gradients",
    "predict",
    "boxes",
    "outliers",
)
HELP = ("-h", "--help")


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["engine"]:  # a table of its own, minutes long: only when named
        options().parse_args(words[1:])  # tells its help before it loads what it races
        from bench.engine.command import main as engine

        raise SystemExit(engine(words[1:]))
    asked = [word for word in words if not word.startswith("-")]
    if "engine" in asked:
        raise SystemExit("`NAME` (=engine) has a table of its own; run ./run bench engine alone")
    if unknown := [name for name in asked if name not in NAMES]:
        raise SystemExit(f"`NAME` (={unknown[0]}) must be one of engine, {', '.join(NAMES)}")
    given = [word for word in words if word.startswith("-")]
    if unknown := [option for option in given if option not in ("--json", *HELP)]:
        raise SystemExit(f"`OPTION` (={unknown[0]}) must be --json or --help; leave it out")
    if any(option in HELP for option in given):
        print(usage(asked or ("engine", *NAMES)))
        return
    figures = []
    for name in asked or NAMES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{name}").measure()
    if "--json" in given:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
        return
    rows = [("what", "median", "spread", "target", "met", ""), *(f.row() for f in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    print(f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}")
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def usage(names: Sequence[str]) -> str:
    """How to call this, and what each of these measures; nothing is imported for it."""
    lines = ["./run bench [NAME...] [--json]    all but engine when no NAME is given", ""]
    for name in names:
        file = HERE / name / "__init__.py" if name == "engine" else HERE / f"{name}.py"
        told = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:<9}  {told.splitlines()[0]}")
    if "engine" in names:
        lines += ["", "./run bench engine --help lists the options of the engine's benchmark."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
