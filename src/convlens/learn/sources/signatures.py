"""Say what a file is by how it begins, where it is nothing that is read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from PIL import TiffImagePlugin

__all__ = ["START", "check_file", "kind_of", "unread_kind"]

START = 512
"""Bytes of a file's beginning that tell what it is."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"II\xbc", "a JPEG XR picture"),
    (b"II*\x00\x10\x00\x00\x00CR", "a camera's raw file (CR2)"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)"),
    (b"IIRO", "a camera's raw file (ORF)"),
    (b"IIRS", "a camera's raw file (ORF)"),
    (b"IIU\x00", "a camera's raw file (RW2)"),
    (b"FOVb", "a camera's raw file (X3F)"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x02\x00", "a Windows cursor"),
    (b"icns", "a macOS icon"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"#?RGBE", "a Radiance HDR picture"),
    (b"DDS ", "a DDS texture"),
    (b"qoif", "a QOI picture"),
    (b"SIMPLE  =", "a FITS file"),
    (b"\xd7\xcd\xc6\x9a", "a WMF drawing"),
    (b"\x0a\x05\x01", "a PCX picture"),
    (b"AT&TFORM", "a DjVu document"),
    (b"BPG\xfb", "a BPG picture"),
    (b"BA", "an array of OS/2 bitmaps"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM clip"),
    (b"\x00\x00\x01\xba", "an MPEG clip"),
    (b"\x00\x00\x01\xb3", "an MPEG clip"),
    (b"FLV\x01", "a Flash clip"),
    (b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file"),
    (b"ID3", "an MP3 sound"),
    (b"fLaC", "a FLAC sound"),
    (b"OggS", "an Ogg file"),
    (b"FORM", "an AIFF sound"),
    (b"#!AMR", "an AMR sound"),
    (b".snd", "an AU sound"),
    (b"PK\x03\x04", "a zip file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"7z\xbc\xaf", "a 7z file"),
    (b"Rar!", "a RAR file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)

# The four letters behind "ftyp" of the family of MP4 (ISO 14496-12, 4.3).
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "a HEIC picture"),
    **dict.fromkeys((b"mif1", b"msf1"), "a HEIF picture"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
    b"crx ": "a camera's raw file (CR3)",
    **dict.fromkeys((b"M4A ", b"M4B "), "an MPEG-4 sound"),
    b"qt  ": "a QuickTime clip",
}

_RIFFS = {b"WAVE": "a WAV sound", b"AVI ": "an AVI clip"}


def check_file(path: Path, said: str = "picture") -> None:
    """Raise ValueError where there is no file: nothing, a folder, or a pipe, which may never end.

    `said`: the argument that names it.
    """
    if path.is_file():
        return
    if not path.exists():
        raise ValueError(
            f"`{said}` (={str(path)!r}) must name an existing file; there is none, check the path"
        )
    what = "a folder; name a file in it" if path.is_dir() else "a pipe or device; save it to a file"
    raise ValueError(f"`{said}` (={str(path)!r}) must name a file, and is {what}")


def kind_of(start: bytes) -> str | None:
    """Return what a file is that begins so, where it is none of the kinds of picture that are read.

    >>> kind_of(b"%PDF-1.7"), kind_of(b"GIF89a")
    ('a PDF document', None)
    """
    if not start:
        return "an empty file"
    if not start.strip(b"\x00"):
        return "a file of zeros"
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], "an MP4 clip")
    if start[4:8] in (b"moov", b"mdat", b"wide"):
        return "a QuickTime clip"
    if start[:4] in (b"GIF8", b"\x89PNG"):
        return None
    if start[:4] == b"RIFF":
        return _RIFFS.get(start[8:12])
    if start[128:132] == b"DICM":
        return "a DICOM file"
    if len(start) > 188 and start[0] == start[188] == 0x47:
        return "an MPEG transport stream"
    if start[:1] == b"P" and start[1:2] in b"1234567fF" and start[2:3].isspace():
        return "a PNM picture"
    if start[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return "an MP3 sound"
    known = next((what for magic, what in _STARTS if start.startswith(magic)), None)
    return known or _text(start)


def _text(start: bytes) -> str | None:
    head = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head):
        return "an SVG drawing"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if head.startswith(b"<?xml"):
        return "an XML file"
    return None


def unread_kind(file: BinaryIO, said: str) -> str | None:
    """Return how a file of a format that is read is of a kind that is not; None for a damaged one.

    `said`: the message of Pillow, or of the library below it.
    """
    place = file.tell()
    file.seek(0)
    start = file.read(START)
    try:
        if start[12:16] == b"CgBI":
            return "this is a PNG of the kind that only Apple's devices read (CgBI)"
        if start[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
            return _tiff(file, start, said)
        if start[:3] == b"\xff\xd8\xff":
            return _jpeg(file)
        if start[:2] == b"BM" and said.startswith("Unsupported BMP"):
            return f"this BMP is not ({said})"
    finally:
        file.seek(place)
    return None


def _jpeg(file: BinaryIO) -> str | None:
    """By the marker that begins the frame (ITU-T T.81, B.1.1.3; of JPEG-LS, T.87, C.1.1)."""
    file.seek(2)
    while (marker := file.read(2)) and marker[0] == 0xFF:
        kind, length = marker[1], file.read(3)
        if len(length) < 3:
            return None
        if kind == 0xF7:
            return "this is a JPEG-LS picture"
        if kind in (0xDE, 0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF):
            return "this is a hierarchical JPEG"
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            if kind in (0xC3, 0xCB):
                return "this is a lossless JPEG"
            return None if length[2] == 8 else f"this is a JPEG of {length[2]} bits"
        file.seek(int.from_bytes(length[:2], "big") - 3, 1)
    return None


def _tiff(file: BinaryIO, start: bytes, said: str) -> str | None:
    tags = _tiff_tags(file, start)
    if tags is None:
        return None
    colours, compression = tags.get(262), tags.get(259, 1)
    if colours == 32803 or 50706 in tags:
        return "this is a camera's raw file"
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return f"this is a TIFF with compression {compression}"
    if "not configured" in said or "not available" in said or "not implemented" in said:
        return f"this is a TIFF with compression {compression} ({said})"
    # The last are of planes: Pillow knows too few names for them, or runs out of letters.
    if any(
        what in said
        for what in ("pixel mode", "data organization", "raw mode", "string index out of range")
    ):
        bits = tags.get(258, (1,))
        numbers = {2: "signed", 3: "floating-point"}.get(tags.get(339, (1,))[0], "whole")
        each = "/".join(str(depth) for depth in sorted(set(bits)))
        return (
            f"this is a TIFF of {numbers} numbers, {len(bits)} a pixel, {each} bits each, "
            f"photometric interpretation {colours}"
        )
    return None


def _tiff_tags(file: BinaryIO, start: bytes) -> TiffImagePlugin.ImageFileDirectory_v2 | None:
    """The first page's; None where they cannot be read."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(start[: 16 if start[2:3] == b"+" else 8])
        file.seek(tags.next)
        tags.load(file)
        dict(tags)  # their values are decoded when they are asked for
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):
        return None
    return tags
