"""Write files that are whole at every moment, read paths as a shell would, and print them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["expanded", "give_name", "printed", "sweep", "whole", "write_whole"]


@contextlib.contextmanager
def whole(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a new, empty file beside `path` to write to, which takes the name `path` at the end.

    Whoever looks, and whatever interrupts, `path` is the old file or the whole new one. It keeps
    the old one's mode; a new file gets the usual one. Where `path` is a link, the file it leads to
    is replaced; other hard links to the old file keep the old content. `durable`: survive a loss of
    power, by waiting for the disk to hold the file and its name. When an exception ends the block,
    the file beside `path` is removed. It has the suffix of `path`, by which some writers go.

    Raises ValueError where `path` is there and no regular file, OSError when the disk refuses.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(f"{folder}/a.txt") as beside:
    ...         _ = beside.write_text("all of it")
    ...     Path(folder, "a.txt").read_text(), len(os.listdir(folder))
    ('all of it', 1)
    """
    place = Path(os.path.realpath(expanded(path)))
    old = _status(place, path)
    # Not longer than names may be, however long that of `path` is.
    beside = place.with_name(f".partial-{os.getpid()}-{uuid.uuid4().hex[:8]}{place.suffix[:16]}")
    try:
        # Never readable by more people than the finished file.
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
    """Remove from `folder` and those below it what `whole` was writing in processes that died.

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
    """Whether the process that wrote a file is gone, its number perhaps another's by now.

    Containers number their processes alike each time.
    """
    import psutil  # `convlens --help` imports this file, and need not wait for it

    try:
        return bool(path.stat().st_mtime < psutil.Process(pid).create_time() - 1)
    except psutil.NoSuchProcess:
        return True
    except (OSError, psutil.Error):
        return False


def expanded(path: str | Path) -> Path:
    """Return `path` with a leading ~ replaced by the home folder, as shells do; they often do not.

    (bash leaves it in `--out=~/seen`, and quotes keep it. A string `./~` is the folder of that name
    here; a Path has lost the `./` already.)

    Raises ValueError where there is no such home folder: no folder called ~ is ever made.

    >>> expanded("~/seen") == Path.home() / "seen", expanded("a/~") == Path("a/~")
    (True, True)
    """
    text = os.fspath(path)
    found = os.path.expanduser(text)
    is_home = text.startswith("~") and found == text
    if is_home and (text == "~" or os.sep in text) and not os.path.lexists(text):
        name = text.split(os.sep)[0]
        raise ValueError(
            f"`path` (={text!r}) must begin with a home folder that is known, and {name} is none; "
            f"write the whole path, or ./{text} for a folder of that name"
        )
    path = Path(found)
    is_here = str(path).startswith("~") and not text.startswith("~")
    return path.absolute() if is_here else path  # so that it may be given here again


def printed(text: str) -> str:
    r"""Return text with every character that is not for printing escaped, as line ends in a name.

    >>> printed("two\nlines.png")
    'two\\nlines.png'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _status(place: Path, path: str | Path) -> os.stat_result | None:
    """What is known of the file that is to be replaced; None where there is none."""
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
    """Give the new file the old one's mode and lists of access, and its owner where we may."""
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
        # Some file systems cannot, and a folder may be writable and not readable.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM):
            raise
