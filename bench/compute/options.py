"""The options of compute's benchmark, read before anything that computes is loaded."""

from __future__ import annotations

import argparse

ROUNDS = 15
"""The least rounds of each contender; a case takes a fifteenth of a second for each."""

CHOICES = ("first", "second", "both")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "./run bench compute", description="Race compute against every peer installed."
    )
    add = parser.add_argument
    add("--list", choices=CHOICES, default="first", help="the list of cases, 56 each")
    add("--only", metavar="SUBSTRING", default="", help="only cases with this in their name")
    add(
        "--rounds",
        type=int,
        default=ROUNDS,
        help="rounds of each case at least (15 by default, which take a second)",
    )
    add("--peers", metavar="NAME,...", help="only these peers")
    add("--replan", action="store_true", help="first forget what plans measured in earlier runs")
    add(
        "--memory",
        action="store_true",
        help="instead, measure peak memory, each case in a process of its own",
    )
    add(
        "--cold",
        action="store_true",
        help="instead, measure first calls, each case in a process of its own",
    )
    add(
        "--json",
        metavar="FILE",
        help="write the results to a file; with -, print them instead of tables",
    )
    add("--page", metavar="FILE", nargs="+", help="instead, write docs/compute.md from such files")
    return parser
