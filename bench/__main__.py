"""Run the measurements named (all but the engine's by default) and print one table, or JSON."""

import importlib
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the networks measured with

NAMES = ("starting", "recording", "sheets", "page", "networks", "gradients", "predict", "boxes")


def main() -> None:
    if sys.argv[1:2] == ["engine"]:  # a table of its own, minutes long: only when named
        from bench.engine.command import main as engine

        raise SystemExit(engine(sys.argv[2:]))
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    if unknown := [name for name in asked if name not in NAMES]:
        raise SystemExit(f"`NAME` (={unknown[0]}) must be one of engine, {', '.join(NAMES)}")
    figures = []
    for name in asked or NAMES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{name}").measure()
    if "--json" in sys.argv:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
        return
    rows = [("what", "median", "spread", "target", "met", ""), *(f.row() for f in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    print(f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}")
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


if __name__ == "__main__":
    main()
