"""Find a font that has every character of a text: Pillow's own, or one of this machine's."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from functools import cache
from pathlib import Path

from PIL import ImageFont, features

from convlens.files import printed

__all__ = ["Font", "font_of", "has_font", "shown"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SUFFIXES = (".ttf", ".otf", ".ttc")

# The folders of fonts, for systems without fontconfig.
_FOLDERS = {
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": ("C:/Windows/Fonts", "~/AppData/Local/Microsoft/Windows/Fonts"),
}

# Words in the names of special fonts; plain ones are preferred.
_SPECIAL = (
    *("bold", "italic", "oblique", "light", "thin", "black", "mono", "serif", "condensed", "math"),
)

_SAMPLE = 24  # pixels; at this size a missing character is recognised


def font_of(size: int, text: str = "") -> Font:
    """Return a font, `size` pixels high, that has the characters of a text if one does.

    >>> font_of(12, "cat").getlength("cat") > 10
    True
    """
    path = _path_for(frozenset(text))
    return _loaded(path or "", size)


def has_font(text: str) -> bool:
    """Return whether a font of this machine has every character of a text, and can join them.

    >>> has_font("cat"), has_font(chr(0x10FFFD))
    (True, False)
    """
    return _path_for(frozenset(text)) is not None


def shown(name: str, number: int) -> str:
    """Return a category's name as it is drawn, or its number if no font has the name.

    >>> shown("cat", 3)
    'cat'
    """
    name = printed(name)
    return name if has_font(name) else str(number)


@cache
def _path_for(characters: frozenset[str]) -> str | None:
    """Return the file of a font with all of these, "" for Pillow's own; None without one."""
    wanted = frozenset(c for c in characters if not c.isspace())
    if not _is_laid_out(wanted):
        return None
    if _has("", wanted):
        return ""
    return next((path for path in _files(wanted) if _has(path, wanted)), None)


def _is_laid_out(characters: frozenset[str]) -> bool:
    """Return whether these can be ordered and joined; some scripts need a library for that."""
    if features.check("raqm") and features.check("fribidi"):
        return True
    turned = any(unicodedata.bidirectional(c) in ("R", "AL", "RLE", "RLO") for c in characters)
    return not turned and not any(unicodedata.category(c) in ("Mn", "Mc") for c in characters)


def _has(path: str, characters: frozenset[str]) -> bool:
    try:
        font = _loaded(path, _SAMPLE)
        # This code is not a character, so that it is drawn as missing characters are.
        missing = _drawn(font, "\uffff")
        return all(
            unicodedata.category(c) == "Cf" or _drawn(font, c) != missing for c in characters
        )
    except (OSError, ValueError):
        return False  # a font of bitmaps in one size, or one that Pillow cannot read


def _drawn(font: Font, text: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(text)
    return mask.size, bytes(mask)


@cache
def _loaded(path: str, size: int) -> Font:
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


def _files(characters: frozenset[str]) -> list[str]:
    """Return font files that may have these, plain ones first."""
    codes = " ".join(f"{ord(c):x}" for c in sorted(characters))
    try:
        asked = ("fc-list", f":charset={codes}", "--format=%{file}\\n")
        output = subprocess.run(asked, capture_output=True, timeout=20, check=True).stdout
        found = os.fsdecode(output).splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        found = _installed()
    files = [path for path in dict.fromkeys(found) if path.lower().endswith(_SUFFIXES)]
    return sorted(files, key=lambda path: (_specialty(path), path))


@cache
def _installed() -> list[str]:
    folders = _FOLDERS.get(sys.platform, _FOLDERS["linux"])
    return [
        os.path.join(above, name)
        for folder in folders
        for above, _, names in os.walk(os.path.expanduser(folder))
        for name in names
    ]


def _specialty(path: str) -> int:
    name = Path(path).stem.lower().replace("sansserif", "")
    return sum(word in name for word in _SPECIAL)
