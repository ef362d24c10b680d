"""Open a source as a binary file, whether it is the path of one or its bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from convlens.files import expanded, printed

__all__ = ["check_file", "name_of", "opened"]


def opened(source: bytes | str | Path, argument: str = "picture") -> BinaryIO:
    """Return the binary file of a path or of bytes; `argument` is what messages call it.

    Raises ValueError as `check_file` does.

    >>> opened(b"GIF89a").read(3)
    b'GIF'
    """
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = expanded(source)
    check_file(path, argument)
    return path.open("rb")


def check_file(path: Path, argument: str = "picture") -> None:
    """Raise ValueError unless `path` is a file: not a folder, nor a pipe, which may never end."""
    if path.is_file():
        return
    if not path.exists():
        raise ValueError(
            f"`{argument}` (={str(path)!r}) must name an existing file, and there is none; check "
            "the path"
        )
    what = "a folder; name a file in it" if path.is_dir() else "a pipe or device; save it to a file"
    raise ValueError(f"`{argument}` (={str(path)!r}) must name a file, and is {what}")


def name_of(source: bytes | str | Path) -> str:
    """Return what messages call a source.

    >>> name_of("photos/cat.jpg"), name_of(b"GIF89a")
    ('cat.jpg', 'the bytes given')
    """
    return "the bytes given" if isinstance(source, bytes) else printed(Path(source).name)
