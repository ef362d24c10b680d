"""What compute's benchmark can be asked; read before anything that computes is loaded."""

from __future__ import annotations

import argparse

ROUNDS = 15
"""Of every contender, at least, and as many fifteenths of a second a case."""

CHOICES = ("first", "second", "both")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "./run bench compute", description="Race compute against every peer installed."
    )
    add = parser.add_argument
    add("--list", choices=CHOICES, default="first", help="which 56 cases")
    add("--only", metavar="SUBSTRING", default="", help="only cases with this in their name")
    add("--rounds", type=int, default=ROUNDS, help="at least (15), and a second a case for 15")
    add("--peers", metavar="NAME,...", help="only these peers")
    add("--replan", action="store_true", help="forget first what plans measured in earlier runs")
    add("--memory", action="store_true", help="instead, memory at the peak, a process a case")
    add("--cold", action="store_true", help="instead, first calls, a process a case")
    add("--json", metavar="FILE", help="write what was measured, to `-` instead of the tables")
    add("--page", metavar="FILE", nargs="+", help="instead, write compute.md from such files")
    return parser
