"""Find the files that a folder, a list or a glob stands for, without reading them."""

from __future__ import annotations

import codecs
import glob
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from convlens.files import expanded
from convlens.learn.sources.formats import CLIPS, PICTURES, UNREAD, suffixes

__all__ = ["below", "left_out", "listed", "matched"]

_SOUGHT = suffixes((*PICTURES, *CLIPS, *UNREAD))
"""The suffixes that are sought in folders. Files that are not read get a sentence that says so."""

# The mark before a text gives its encoding. UTF-16's begins like UTF-32's, so it comes later.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def below(
    folder: str, skip: Path | None = None, passed: Counter[str] | None = None
) -> Iterator[str]:
    """Yield the pictures and clips below a folder, depth first, sorted by name.

    A folder that cannot be read is yielded itself. Links to folders are not followed, as they may
    lead back. `skip`: a folder to leave out. `passed` counts the files left out, by suffix.
    """
    passed = Counter() if passed is None else passed
    open_folders = [_sorted(folder)]
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
        elif isinstance(entry, str):
            yield entry
        elif kind := _left_out(entry):
            passed[kind] += 1
        elif not entry.is_dir(follow_symlinks=False):
            yield entry.path
        elif skip is None or Path(entry.path) != skip:
            open_folders.append(_sorted(entry.path))


def _left_out(entry: os.DirEntry[str]) -> str | None:
    """Return the kind of an entry that is left out; None for a folder, picture or clip."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_dir(follow_symlinks=False):
        return None
    if entry.is_dir():
        return "link to a folder"
    if entry.name.lower().endswith(_SOUGHT):
        return None
    return Path(entry.name).suffix.lower() or "without a suffix"


def _sorted(folder: str) -> Iterator[os.DirEntry[str] | str]:
    try:
        with os.scandir(folder) as entries:
            seen = list(entries)
    except OSError:
        return iter([folder])
    return iter(sorted(seen, key=lambda entry: entry.name))


def left_out(folders: Iterable[str], skip: Path | None = None) -> str | None:
    """Return how many files below folders are neither pictures nor clips, by suffix; None for 0.

    >>> from convlens.zoo.weights import DATA
    >>> left_out([str(DATA / "categories")])
    '6 files left out: 6 .txt'
    """
    passed: Counter[str] = Counter()
    for folder in folders:
        for _ in below(folder, skip, passed):
            pass
    if not passed:
        return None
    kinds = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    what = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
    total = passed.total()
    return f"{total:,} file{'s' * (total > 1)} left out: {what}"


def matched(pattern: str) -> list[str]:
    """Return the files that a glob matches, sorted."""
    return sorted(path for path in glob.iglob(pattern, recursive=True) if os.path.isfile(path))


def listed(path: str) -> list[str]:
    """Return the absolute paths of a list, which has one path on each line, relative to itself.

    The text is UTF-8, or as its byte order mark says; blank lines are skipped. A line may name a
    folder. If no file has its name, it may be a glob.

    Raises ValueError for an address, and for a list that is not text.
    """
    folder = os.path.dirname(path)
    found: list[str] = []
    for number, line in enumerate(io.StringIO(_text(path), newline=None), 1):
        entry = line.strip()
        _check_entry(entry, f"`source` ({path}, line {number}: {entry[:200]!r})")
        if entry:
            entry = str(expanded(entry)) if entry.startswith("~") else entry
            whole = os.path.abspath(os.path.join(folder, entry))
            matches = matched(whole) if glob.has_magic(entry) and not os.path.exists(whole) else []
            found += matches or [whole]
    return found


def _check_entry(entry: str, called: str) -> None:
    if "://" in entry:
        raise ValueError(f"{called} must name files of this machine; download it and name the file")
    if "\0" in entry:
        raise ValueError(
            f"{called} must be text, one path on each line, and holds a zero byte; save it as UTF-8"
        )


def _text(path: str) -> str:
    content = Path(path).read_bytes()
    marks = (pair for pair in _MARKS if content.startswith(pair[0]))
    mark, encoding = next(marks, (b"", "utf-8"))
    try:
        # Names of files are bytes; those that are not UTF-8 are passed on as they are.
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        return content[len(mark) :].decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`source` ({path}) must be text, one path on each line, and its mark says "
            f"{encoding}, which it is not; save it as UTF-8"
        ) from error
