"""Keep what Pillow and libtiff say about a file off the terminal, and collect it."""

from __future__ import annotations

import ctypes
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from PIL import _imaging

__all__ = ["silence"]

# void handler(const char *module, const char *format, va_list)
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

_said: list[str] = []


# Python keeps one list of warning filters for all threads, and libtiff one pair of handlers.
_quiet = threading.Lock()


@contextmanager
def silence() -> Iterator[list[str]]:
    """Yield the list of libtiff's errors as they come; neither it nor Pillow prints a warning.

    Other threads wait until the block ends. If libtiff is linked into Pillow, it cannot be reached
    and prints as before.

    >>> with silence() as said:
    ...     warnings.warn("a large picture")
    >>> said
    []
    """
    library = _library()
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _said.clear()
        with _handled(library):
            yield _said


@contextmanager
def _handled(library: ctypes.CDLL | None) -> Iterator[None]:
    if library is None:
        yield
        return
    before = library.TIFFSetErrorHandler(_keep), library.TIFFSetWarningHandler(_drop)
    try:
        yield
    finally:
        library.TIFFSetErrorHandler(before[0])
        library.TIFFSetWarningHandler(before[1])


@cache
def _library() -> ctypes.CDLL | None:
    """Return Pillow's libtiff; symbols are also sought in libraries that its module links to."""
    try:
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            getattr(library, name).restype = ctypes.c_void_p
            getattr(library, name).argtypes = [ctypes.c_void_p]
        ctypes.CDLL(None).vsnprintf  # noqa: B018
    except (OSError, AttributeError, TypeError):
        return None
    return library


def _kept(module: bytes | None, form: bytes, values: int) -> None:
    text = ctypes.create_string_buffer(300)
    vsnprintf = ctypes.CDLL(None).vsnprintf
    vsnprintf(text, ctypes.c_size_t(len(text)), ctypes.c_char_p(form), ctypes.c_void_p(values))
    _said.append(text.value.decode("utf-8", "replace"))


def _dropped(module: bytes | None, form: bytes, values: int) -> None:
    pass


_keep, _drop = _Handler(_kept), _Handler(_dropped)
