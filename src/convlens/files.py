"""Name files as a shell does, and write them so that they are whole at every moment."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import math
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "cache_folder",
    "cached_numbers",
    "expanded",
    "give_name",
    "printed",
    "sweep",
    "whole",
    "write_cached",
    "write_whole",
]


@contextlib.contextmanager
def whole(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a new, empty file next to `path`, and give it the name `path` when the block ends.

    At every moment, and after every interruption, `path` is the old file or the whole new one. The
    new file keeps the mode of the old one; without an old one it gets the usual mode. If `path` is
    a link, the file it leads to is replaced; other hard links to the old file keep the old content.
    `durable`: wait until the disk holds the file and its name, so that both survive a power cut. An
    exception in the block removes the new file. Its name ends in the suffix of `path`, as some
    writers choose the format by it.

    Raises ValueError if `path` exists and is not a regular file, OSError if the disk refuses.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(f"{folder}/a.txt") as beside:
    ...         _ = beside.write_text("all of it")
    ...     Path(folder, "a.txt").read_text(), len(os.listdir(folder))
    ('all of it', 1)
    """
    place = Path(os.path.realpath(expanded(path)))
    old = _status(place, path)
    # File systems limit the length of a name: this one is short even if that of `path` is not.
    beside = place.with_name(f".partial-{os.getpid()}-{uuid.uuid4().hex[:8]}{place.suffix[:16]}")
    try:
        # At no moment may more people read it than the finished file.
        mode = 0o666 if old is None else 0o600
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield beside
        if old is not None:
            _dress(beside, place, old)
        give_name(beside, place, durable=durable)
    except OSError as error:
        if error.filename == str(beside):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes | str, *, durable: bool = True) -> None:
    """Write `content`, text as UTF-8, to a file that is whole at every moment; see `whole`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/a.txt", "all of it")
    ...     Path(folder, "a.txt").read_text()
    'all of it'
    """
    with whole(path, durable=durable) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def give_name(beside: Path, path: Path, *, durable: bool = True) -> None:
    """Rename the finished file `beside` to `path`, in the same folder, in one step; see `whole`."""
    if durable:
        _sync(beside)
    os.replace(beside, path)
    if durable and os.name != "nt":  # Windows opens no folder
        _sync_folder(path.parent)


def sweep(folder: str | Path) -> None:
    """Remove the files below `folder` that `whole` had not finished when its process died.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, ".partial-4194305-0123abcd.png").write_bytes(b"half")
    ...     sweep(folder)
    ...     os.listdir(folder)
    []
    """
    for left in Path(folder).rglob(".partial-*"):
        made = re.fullmatch(r"\.partial-(\d+)-.*", left.name, re.DOTALL)
        if made and _is_left(left, int(made[1])):
            with contextlib.suppress(OSError):  # another process may sweep at the same time
                left.unlink()


def _is_left(path: Path, pid: int) -> bool:
    """Return whether the process that wrote a file is dead, even if another has its number now.

    Containers number their processes from 1 at each start.
    """
    import psutil  # loaded late: `convlens --help` imports this file, and must not wait for it

    try:
        return bool(path.stat().st_mtime < psutil.Process(pid).create_time() - 1)
    except psutil.NoSuchProcess:
        return True
    except (OSError, psutil.Error):
        return False


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder of convlens in the user's cache, or None where it cannot be written.

    It holds compiled kernels and measurements; deleting it costs only the time to make them again.
    """
    if sys.platform == "win32":
        above = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        above = os.path.expanduser("~/Library/Caches")
    else:
        above = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(above) / "convlens"
    if not folder.is_absolute():
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def write_cached(path: Path, content: bytes | str) -> None:
    """Write a file of the cache as `write_whole` does; if the disk refuses, leave it out.

    The first one in a folder removes what dead processes left there.
    """
    # ValueError: a folder or a device has that name.
    with contextlib.suppress(OSError, ValueError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content, durable=False)
        _sweep_once(path.parent)


def cached_numbers(path: Path | None, part: str) -> dict[str, float]:
    """Return the positive finite numbers by name in a part of a JSON file of the cache.

    There are none if the file is missing or damaged, or if `path` is None.
    """
    try:
        kept = json.loads(path.read_text())[part] if path else {}
        found = {str(name): float(value) for name, value in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: value for name, value in found.items() if 0 < value < math.inf}


@functools.cache
def _sweep_once(folder: Path) -> None:
    """Sweep a folder of the cache, once a process."""
    sweep(folder)


def expanded(path: str | Path) -> Path:
    """Return `path` with a leading ~ replaced by the home folder, as shells do.

    Shells often leave it: bash in `--out=~/seen`, and all of them inside quotes. The string `./~`
    means the folder of that name here; a Path has already lost the `./`.

    Raises ValueError if there is no such home folder, so that no folder called ~ is ever made.

    >>> expanded("~/seen") == Path.home() / "seen", expanded("a/~") == Path("a/~")
    (True, True)
    """
    text = os.fspath(path)
    found = os.path.expanduser(text)
    if text.startswith("~") and found == text:
        _check_not_a_home(text)
    path = Path(found)
    is_here = str(path).startswith("~") and not text.startswith("~")
    return path.absolute() if is_here else path  # this function may see the result again


def _check_not_a_home(text: str) -> None:
    """Raise ValueError if a path that begins with ~ means an unknown home, not a file here."""
    if (text == "~" or os.sep in text) and not os.path.lexists(text):
        name = text.split(os.sep)[0]
        raise ValueError(
            f"`path` (={text!r}) must begin with the home folder of a known user, and {name} is "
            f"unknown; write the whole path, or ./{text} for a folder of that name"
        )


def printed(text: str) -> str:
    r"""Return text with every character that cannot be printed escaped, such as a name's line ends.

    >>> printed("two\nlines.png")
    'two\\nlines.png'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _status(place: Path, path: str | Path) -> os.stat_result | None:
    """Return the status of the file that will be replaced, None if there is none."""
    try:
        old = os.stat(place)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(old.st_mode):
        what = "a folder" if stat.S_ISDIR(old.st_mode) else "a device, pipe or socket"
        raise ValueError(
            f"`path` (={str(path)!r}) must be a file, or new, and is {what}; name another"
        )
    return old


def _dress(beside: Path, place: Path, old: os.stat_result) -> None:
    """Give the new file the old one's mode, access lists and, where we may, owner."""
    times = os.stat(beside)
    if hasattr(os, "chown") and (times.st_uid, times.st_gid) != (old.st_uid, old.st_gid):
        with contextlib.suppress(PermissionError):
            os.chown(beside, old.st_uid, old.st_gid)
    shutil.copystat(place, beside)
    os.utime(beside, ns=(times.st_atime_ns, times.st_mtime_ns))


def _sync(path: Path) -> None:
    # Windows flushes only what is open for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    try:
        _sync(folder)
    except OSError as error:
        # Some file systems cannot, and a folder may be writable but not readable.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM):
            raise
