"""Stop a network that takes too long, from another thread, while Python runs in it."""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterator


class Cancelled(BaseException):
    """What stops the run; not an Exception, so that a network's own `except` lets it through."""


class CancelledError(RuntimeError):
    """The sentence for who waited."""

    def __init__(self) -> None:
        super().__init__("the run was cancelled; choose another picture or network")


class Cancelling:
    """At most one run at a time that can be cancelled.

    A run stops at its next step of Python: a single call of torch is finished first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._asked = False

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Let `cancel` stop what runs inside; it then raises CancelledError."""
        with self._lock:
            self._thread, self._asked = threading.get_ident(), False
        try:
            try:
                yield
            finally:
                self._end()
        except Cancelled:
            raise CancelledError from None
        finally:
            self._thread = None

    def _end(self) -> None:
        """Allow no more cancelling; raise Cancelled if the run was cancelled."""
        with self._lock:
            self._thread = None
        if not self._asked:
            return
        # Python is left to raise it: called off, it would leave a mark at which profilers hang.
        for _ in range(3):
            time.sleep(0.001)
        raise Cancelled  # the network kept it from coming this far

    def cancel(self) -> bool:
        """Stop the run that is under way; return whether there was one."""
        with self._lock:
            if self._thread is None:
                return False
            if not self._asked:
                self._asked = True
                _raise_in(self._thread, Cancelled)
            return True


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise an exception in a thread at its next step of Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))
