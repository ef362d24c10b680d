"""What is too large to be held twice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class LastOnly(Generic[P, R]):
    """A function whose last result is held, and let go before another is made."""

    def __init__(self, make: Callable[P, R]) -> None:
        functools.update_wrapper(self, make)
        self.make = make
        self.held: dict[object, R] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (args, tuple(sorted(kwargs.items())))
        if key not in self.held:
            self.cache_clear()
            self.held[key] = self.make(*args, **kwargs)
        return self.held[key]

    def cache_clear(self) -> None:
        self.held.clear()
