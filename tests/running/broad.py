"""Broad tests: some of their cases in the ordinary suite, all of them among the slow ones."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def broad(cases: Iterable[Any], ordinary: Callable[..., bool]) -> list[Any]:
    """Return the cases for `pytest.mark.parametrize`, marked as slow unless they are ordinary.

    Most of a case's time goes into compiling kernels, which each new shape and type need. The
    values of a case that is a tuple are given to `ordinary` one by one.
    """
    made, kept = [], 0
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        usual = ordinary(*values)
        kept += usual
        made.append(pytest.param(*values, marks=() if usual else pytest.mark.slow))
    assert kept, "a broad test needs an ordinary case"
    return made
