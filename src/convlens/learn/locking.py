"""Keep a folder that a run writes into from other runs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from convlens.learn.sentences import reason

__all__ = ["LOCK", "alone", "in_use", "is_ours", "make_folder", "not_written"]

LOCK = ".convlens.lock"
"""The file that a run locks while it writes into a folder, so that no other run does."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder; raise ValueError if one is writing into it."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"`out` (={str(folder)!r}) must not be in use, and another run is writing into it; "
            "wait until it ends, or name another folder"
        ) from None
    except (OSError, NotImplementedError) as error:
        # Some network file systems have no locks.
        if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
            raise not_written(folder, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()
        lock.release()


def in_use(folder: Path) -> bool:
    """Return whether a run is writing into the folder; False if that cannot be known."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()  # a killed run left the file
    return False


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raise OSError, in a sentence, if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(folder, error) from error


def not_written(folder: Path, error: Exception) -> OSError:
    """Return the error for a folder that cannot be written."""
    return OSError(
        f"`out` (={str(folder)!r}) cannot be written ({reason(error)}); name another folder"
    )


def is_ours(name: str) -> bool:
    """Return whether a run leaves such a file if it is killed at its beginning.

    >>> is_ours(LOCK), is_ours("photo.jpg")
    (True, False)
    """
    return name == LOCK or name.startswith(".partial-")
