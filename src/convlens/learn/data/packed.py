"""Keep many texts in two arrays, which worker processes share where lists would be copied."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

__all__ = ["Texts", "digest_of", "natural"]


class Texts:
    """Texts in one array of bytes with the place where each ends.

    A forked process that reads a list of objects counts references to them, and so copies the
    list's memory (pytorch/pytorch#13246). It only reads these two arrays.

    >>> texts = Texts(["a.png", "über.png"])
    >>> len(texts), texts[1], list(texts)
    (2, 'über.png', ['a.png', 'über.png'])
    """

    def __init__(self, texts: Iterable[str]) -> None:
        content, ends = bytearray(), [0]
        for text in texts:
            content += text.encode("utf-8", "surrogateescape")
            ends.append(len(content))
        self._bytes = np.frombuffer(bytes(content), np.uint8)
        self._ends = np.array(ends, np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(
                f"`index` (={index}) must be from 0 to {len(self) - 1}; use such a one"
            )
        part = self._bytes[self._ends[index] : self._ends[index + 1]]
        return part.tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))


def digest_of(*parts: object) -> str:
    """Return a digest of texts, numbers, arrays and sequences of them, as hexadecimal digits.

    >>> digest_of("a", 1) == digest_of("a", 1), digest_of("a", 1) == digest_of("a1")
    (True, False)
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            content = f"{part.dtype} {part.shape} ".encode() + np.ascontiguousarray(part).tobytes()
        elif isinstance(part, Texts):
            content = part._ends.tobytes() + part._bytes.tobytes()
        elif isinstance(part, Sequence) and not isinstance(part, str):
            content = digest_of(*part).encode()
        else:
            content = str(part).encode("utf-8", "surrogateescape")
        digest.update(b"%d " % len(content) + content)
    return digest.hexdigest()


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return the key that sorts names as people do: "2" before "10", and "a" next to "A".

    >>> sorted(["10", "b", "2", "A"], key=natural)
    ['2', '10', 'A', 'b']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    key = [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]
    return key, name
