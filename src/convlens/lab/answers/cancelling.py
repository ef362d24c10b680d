"""Stop a network that takes too long, from another thread, while Python runs in it."""

from __future__ import annotations

import contextlib
import ctypes
import threading
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

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Let `cancel` stop what runs inside; it then raises CancelledError."""
        with self._lock:
            self._thread = threading.get_ident()
        try:
            yield
        except Cancelled:
            raise CancelledError from None
        finally:
            with self._lock:
                _raise_in(threading.get_ident(), None)  # one that came too late is called off
                self._thread = None

    def cancel(self) -> bool:
        """Stop the run that is under way; return whether there was one."""
        with self._lock:
            if self._thread is None:
                return False
            _raise_in(self._thread, Cancelled)
            return True


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next step of Python; None calls it off."""
    given = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
