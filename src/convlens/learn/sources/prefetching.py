"""Read and prepare items ahead in threads, in order, a limited number at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

__all__ = ["prefetched"]

A = TypeVar("A")
B = TypeVar("B")


def prefetched(
    items: Iterable[A],
    prepare: Callable[[A], B],
    *,
    ahead: int,
    workers: int,
    weigh: Callable[[A], int] = lambda item: 0,
    most: int = 1,
) -> Generator[B, None, None]:
    """Yield `prepare` of each item in order; at most `ahead` of them begin before they are needed.

    One thread finds the items, and `workers` others prepare them. An exception in a thread is
    raised here, in the item's turn. The items begun weigh at most `most` together, unless there is
    only one. Closing the generator ends the threads.

    >>> list(prefetched(range(4), lambda n: n * n, ahead=2, workers=2))
    [0, 1, 4, 9]
    """
    row = _Row[B](ahead, most)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="convlens-prepare")

    def find() -> None:
        try:
            for item in items:
                row.put(weigh(item), partial(pool.submit, prepare, item))
                if row.is_stopped():
                    break
        except BaseException as error:
            row.put(0, partial(_failed, error))
        finally:
            if isinstance(items, Generator):
                items.close()
        row.put(0, lambda: None)

    finder = threading.Thread(target=find, name="convlens-find", daemon=True)
    finder.start()
    try:
        while (future := row.first()) is not None:
            done = future.result()
            row.drop()
            yield done
    finally:
        row.stop()
        finder.join(timeout=10)  # a camera may hang
        pool.shutdown(cancel_futures=True)


class _Row(Generic[B]):
    """The items that have begun, in order, with their weights; None ends them.

    There are at most `ahead`. They weigh at most `most` together, unless there is only one.
    """

    def __init__(self, ahead: int, most: int) -> None:
        self._ahead, self._most = ahead, most
        self._begun: deque[tuple[int, Future[B] | None]] = deque()
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, weight: int, begin: Callable[[], Future[B] | None]) -> None:
        """Wait until there is room, and begin an item, unless the row is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(weight))
            if not self._stopped:
                self._begun.append((weight, begin()))
                self._changed.notify_all()

    def _has_room(self, weight: int) -> bool:
        if not self._begun:
            return True
        total = weight + sum(one for one, _ in self._begun)
        return len(self._begun) < self._ahead and total <= self._most

    def first(self) -> Future[B] | None:
        """Wait for an item, and return the first; it stays in the row until `drop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._begun)
            return self._begun[0][1]

    def drop(self) -> None:
        """Remove the first item, which makes room for another."""
        with self._changed:
            self._begun.popleft()
            self._changed.notify_all()

    def stop(self) -> None:
        """Begin no further item."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def is_stopped(self) -> bool:
        """Return whether no further item begins."""
        return self._stopped


def _failed(error: BaseException) -> Future[B]:
    future: Future[B] = Future()
    future.set_exception(error)
    return future
