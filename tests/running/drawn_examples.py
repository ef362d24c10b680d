"""Tests of drawn examples: the same few in the ordinary suite, many new ones among the slow."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


def examples(
    *strategies: Any, few: int, many: int, **named: Any
) -> Callable[[Callable[..., None]], Any]:
    """Return `hypothesis.given` of the strategies as two tests, with few examples and with many.

    Most of an example's time goes into compiling kernels. The few are the same every time, so
    that theirs lie in the cache; the many, a slow test, are drawn anew.
    """

    def decorate(test: Callable[..., None]) -> Any:
        few_ones = settings(max_examples=few, derandomize=True, **PATIENT)
        many_ones = settings(max_examples=many, **PATIENT)
        slow = pytest.param(many_ones, marks=pytest.mark.slow, id="many")
        given_them: Any = given(*strategies, **named)

        def run(settled: Any) -> None:
            settled(given_them(test))()

        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(run, name, getattr(test, name))
        return pytest.mark.parametrize("settled", [pytest.param(few_ones, id="few"), slow])(run)

    return decorate
