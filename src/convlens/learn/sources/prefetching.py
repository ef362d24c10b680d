"""Read and prepare items ahead in threads, in order, a limited number at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

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
    row: deque[tuple[int, Future[B] | None]] = deque()
    changed, stopped = threading.Condition(), threading.Event()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="convlens-prepare")

    def has_room(weight: int) -> bool:
        if stopped.is_set() or not row:
            return True
        return len(row) < ahead and weight + sum(one for one, _ in row) <= most

    def put(weight: int, begin: Callable[[], Future[B] | None]) -> None:
        with changed:
            changed.wait_for(lambda: has_room(weight))
            if not stopped.is_set():
                row.append((weight, begin()))
                changed.notify_all()

    def find() -> None:
        try:
            for item in items:
                put(weigh(item), partial(pool.submit, prepare, item))
                if stopped.is_set():
                    break
        except BaseException as error:
            failed: Future[B] = Future()
            failed.set_exception(error)
            put(0, lambda: failed)
        finally:
            if isinstance(items, Generator):
                items.close()
        put(0, lambda: None)

    finder = threading.Thread(target=find, name="convlens-find", daemon=True)
    finder.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: row)
                future = row[0][1]
            if future is None:
                return
            done = future.result()
            with changed:
                row.popleft()
                changed.notify_all()
            yield done
    finally:
        with changed:
            stopped.set()
            changed.notify_all()
        finder.join(timeout=10)  # a camera may hang
        pool.shutdown(cancel_futures=True)
