"""Work that no call should wait for, done by one thread: plans made and kernels compiled."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Hashable

from convlens.compute.kernels.machine import machine

__all__ = ["ask", "go_on", "pause", "stand_still"]

PAUSE = 0.03
"""In seconds: to load LLVM holds Python's lock for a tenth of one, and the call that asked is to
return before."""

Job = Callable[[], object]

_lock = threading.Lock()

_importing = threading.Lock()
"""Held while LLVM is imported: a fork in between would leave that undone for ever."""

_gate, _working = threading.Lock(), threading.RLock()
"""Held by who is about to fork, and by the thread at work: what it holds within torch or oneDNN
in the middle of a computation would be held in the child for ever."""


class _Behind:
    """The thread and what it has to do; it starts when first asked."""

    def __init__(self) -> None:
        self.stopped = False
        self.asked: set[Hashable] = set()
        self.queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None

    def ask(self, job: Job, key: Hashable) -> None:
        with _lock:
            if self.stopped or (key is not None and key in self.asked):
                return
            self.asked.add(key)
            self.queue.put(job)
            if self.thread is None:
                self.thread = threading.Thread(target=self.work, name="convlens plans", daemon=True)
                self.thread.start()

    def work(self) -> None:
        time.sleep(PAUSE)
        if self.stopped:
            return
        with _importing:
            machine()
        while (job := self.queue.get()) is not None and not self.stopped:
            # The quick way stays right; a plan the user makes says what is wrong.
            with _working, contextlib.suppress(Exception):
                job()

    def stop(self) -> None:
        """Let the kernel in hand be finished: the compiler must not run while Python goes down."""
        self.stopped = True
        self.queue.put(None)
        if self.thread is not None:
            self.thread.join()


_behind = _Behind()


def ask(job: Job, key: Hashable = None) -> None:
    """Let a job be done sometime, unless the program ends before; its exceptions are lost.

    Of jobs with the same key, unless it is None, only the first is done.
    A forked process has none of the jobs of its parent and must ask for its own.
    """
    _behind.ask(job, key)


def pause() -> None:
    """Let those fork who wait for it; jobs call this where they hold nothing."""
    if threading.current_thread() is _behind.thread and _gate.locked():
        _working.release()
        with _gate:
            pass
        _working.acquire()


def stand_still() -> None:
    """Wait until the thread is between two pieces of work, and keep it there, before a fork."""
    _gate.acquire()
    _working.acquire()


def go_on() -> None:
    """Let the thread go on, after a fork."""
    _working.release()
    _gate.release()


def _before_fork() -> None:
    _importing.acquire()
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()
    _importing.release()


def _in_child() -> None:
    """Start from nothing: a forked process has none of its parent's threads."""
    global _behind
    _after_fork()
    _behind = _Behind()


atexit.register(lambda: _behind.stop())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
