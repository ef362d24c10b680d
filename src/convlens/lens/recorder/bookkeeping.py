"""Keep the recorder's own work out of the recording, and its errors out of the network."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch


class Fault(BaseException):
    """An error of the recorder itself, not an `Exception`, so that a network cannot handle it."""


class Bookkeeping:
    """A context for the recorder's own calls of torch, which may be entered again inside.

    `depth` is more than 0 inside it, and inside a step: nothing is recorded then, and neither a
    mode nor a subclass is shown the calls of torch. An error raised inside becomes a `Fault`, and
    is kept in `fault`.

    >>> own = Bookkeeping()
    >>> with own:
    ...     own.depth
    1
    """

    def __init__(self) -> None:
        self.depth = 0
        self.fault: Exception | None = None
        self._entered = 0
        self._unseen: Any = torch._C.DisableTorchFunction()

    def __enter__(self) -> None:
        self.depth += 1
        self._entered += 1
        if self._entered == 1:
            self._unseen.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._entered == 1:
            self._unseen.__exit__(kind, error, trace)
        self._entered -= 1
        self.depth -= 1
        if isinstance(error, Exception):
            self.fault = error
            raise Fault from error
