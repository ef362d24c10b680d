"""Put what an exception says into a sentence."""

from __future__ import annotations

__all__ = ["first_line", "reason"]


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its type if it says nothing.

    >>> first_line(ValueError("too large\\n(of 3)")), first_line(EOFError())
    ('too large', 'EOFError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def reason(error: BaseException) -> str:
    """Return what the system says of an error, without number and path; else its first line.

    >>> reason(PermissionError(13, "Permission denied", "a.png")), reason(OSError("it is torn"))
    ('Permission denied', 'it is torn')
    """
    said = getattr(error, "strerror", None)
    return said.splitlines()[0] if isinstance(said, str) and said else first_line(error)
