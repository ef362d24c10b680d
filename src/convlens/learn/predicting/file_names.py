"""Give every drawing a file of its own: add digits to names that clash or are too long."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path, PurePosixPath

__all__ = ["Names"]

_LONGEST = 255
"""The bytes that a file's name may have if the file system does not say."""


class Names:
    """The files below a folder that are taken, each by one source.

    On many systems, names that differ only in upper and lower case are one file, and so are names
    that differ in how accents are encoded. `reserved`: names that no source may take.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     names = Names(Path(folder))
    ...     first = names.take("cat.bmp.png", "cat.bmp", ".png")
    ...     second = names.take("cat.bmp.png", "cat.bmp.png", ".png")
    >>> first, second
    ('cat.bmp.png', 'cat.bmp-cf98aee9.png')
    """

    def __init__(self, folder: Path, reserved: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._owner: dict[str, str] = {_key(name): "" for name in reserved}
        self._folders: set[str] = set()
        self._longest = _longest_name(folder)

    def take(self, wanted: str, source: str, ending: str) -> str:
        """Return the path below the folder, with "/", to which a file of a source is written.

        It is `wanted` if that is free and the file system accepts it. Otherwise digits come before
        `ending`, the same ones for the same source.
        """
        name = wanted
        digits = hashlib.sha256(os.fsencode(f"{source}\n{wanted}")).hexdigest()
        length = 8
        while not self._is_free(name, source):
            name = self._short(wanted, digits[:length], ending)
            length *= 2
        self.keep(name, source)
        return name

    def keep(self, name: str, source: str) -> None:
        """Note that a source has taken a file."""
        self._owner[_key(name)] = source
        self._folders.update(_key(above) for above in _above(name))

    def _is_free(self, name: str, source: str) -> bool:
        parts = PurePosixPath(name).parts
        if "\0" in name or any(len(os.fsencode(part)) > self._longest for part in parts):
            return False
        if len(os.fsencode(self._folder / name)) > 4_000:  # Linux accepts 4,096
            return False
        if self._owner.get(_key(name), source) != source or _key(name) in self._folders:
            return False
        above = _above(name)
        if any(_key(folder) in self._owner for folder in above):
            return False
        # An earlier run, restarted since, may have left something else there.
        return not (self._folder / name).is_dir() and not any(
            (self._folder / folder).is_file() for folder in above
        )

    def _short(self, wanted: str, digits: str, ending: str) -> str:
        """Return a shorter name in the same folder if possible, else at the top."""
        place = PurePosixPath(wanted)
        stem = place.name.removesuffix(ending).replace("\0", "")
        room = self._longest - len(os.fsencode(f"-{digits}{ending}"))
        while len(os.fsencode(stem)) > room:
            stem = stem[:-1]
        name = f"{stem}-{digits}{ending}"
        inside = (place.parent / name).as_posix()
        return inside if self._is_free(inside, "") else name


def _above(name: str) -> list[str]:
    """Return the folders of a file, from its own up to the one below the top."""
    return [parent.as_posix() for parent in PurePosixPath(name).parents if parent.name]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return _LONGEST
