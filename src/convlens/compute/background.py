"""Run jobs that no call should wait for in one thread: make plans and compile kernels."""

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
"""The seconds before the thread starts work, so that the call that asked returns first: loading
LLVM holds Python's lock for 0.1 s."""

Job = Callable[[], object]

_lock = threading.Lock()

_importing = threading.Lock()
"""Held while LLVM is imported: a fork meanwhile would leave its import unfinished in the child."""

_gate, _working = threading.Lock(), threading.RLock()
"""The first is held by a thread about to fork, the second by the thread at work: locks that torch
or oneDNN hold during a computation would stay locked in the child."""


class _Behind:
    """The thread with its queue of jobs; it starts at the first job."""

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
            # After a failure the quick method stays in use; a plan of the user shows the error.
            with _working, contextlib.suppress(Exception):
                job()

    def stop(self) -> None:
        """Wait for the job at work: the compiler must not run while Python shuts down."""
        self.stopped = True
        self.queue.put(None)
        if self.thread is not None:
            self.thread.join()


_behind = _Behind()


def ask(job: Job, key: Hashable = None) -> None:
    """Queue a job, which may never run if the program ends first; its exceptions are ignored.

    Of several jobs with the same key, other than None, only the first is done.
    A forked process has none of the jobs of its parent and must ask for its own.
    """
    _behind.ask(job, key)


def pause() -> None:
    """Let a waiting thread fork; a job calls this where it holds no locks."""
    if threading.current_thread() is _behind.thread and _gate.locked():
        _working.release()
        with _gate:
            pass
        _working.acquire()


def stand_still() -> None:
    """Wait until the thread is between two pieces of work, and keep it there during a fork."""
    _gate.acquire()
    _working.acquire()


def go_on() -> None:
    """Let the thread continue after a fork."""
    _working.release()
    _gate.release()


def _before_fork() -> None:
    _importing.acquire()
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()
    _importing.release()


def _in_child() -> None:
    """Begin with an empty queue in a forked process, which has none of its parent's threads."""
    global _behind
    _after_fork()
    _behind = _Behind()


atexit.register(lambda: _behind.stop())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
