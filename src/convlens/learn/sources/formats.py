"""The formats of files: which are read, how a file shows its format, what messages call it.

To read another format, move its line to the table of those that are read, and give it the name by
which Pillow or FFmpeg knows it. Everything else reads these tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CLIPS",
    "FORMATS",
    "NIFTI",
    "NPY",
    "PICTURES",
    "SOUNDS",
    "START",
    "UNREAD",
    "UNREAD_SOUNDS",
    "Format",
    "choice",
    "described",
    "format_of",
    "suffixes",
]

START = 512
"""The bytes at the beginning of a file that show its format."""


@dataclass(frozen=True)
class Format:
    """A format of files.

    `words`: what messages call such a file. `start`: a regular expression that the first bytes of
    the file match, None if they show nothing. `suffixes`: of the names of such files. `name`: what
    lists of readable formats call it, and `decoder`: what Pillow or FFmpeg calls it; "" if it is
    not read. `moves`: whether Pillow finds several frames in it that are not pages.
    """

    words: str
    start: bytes | None
    suffixes: tuple[str, ...] = ()
    name: str = ""
    decoder: str = ""
    moves: bool = False

    def begins(self, start: bytes) -> bool:
        """Return whether a file that begins so is of this format.

        >>> PNG.begins(b"GIF89a"), GIF.begins(b"GIF89a")
        (False, True)
        """
        return self.start is not None and re.match(self.start, start, re.DOTALL) is not None


# Pictures that are read. A TIFF may be a raw file, and RIFF holds sounds and clips, too.
PNG = Format("a PNG picture", rb"\x89PNG", (".png", ".apng"), "PNG", "PNG", moves=True)
JPEG = Format(
    "a JPEG picture",
    rb"\xff\xd8\xff",
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "JPEG",
    "JPEG",
)
WEBP = Format("a WebP picture", rb"RIFF(?!....(WAVE|AVI ))", (".webp",), "WebP", "WEBP", moves=True)
GIF = Format("a GIF picture", rb"GIF8", (".gif",), "GIF", "GIF", moves=True)
BMP = Format("a BMP picture", rb"BM", (".bmp", ".dib"), "BMP", "BMP")
TIFF = Format(
    "a TIFF picture",
    rb"II\*\x00(?!....CR)|MM\x00\*|II\+\x00|MM\x00\+",
    (".tif", ".tiff"),
    "TIFF",
    "TIFF",
)

PICTURES = (PNG, JPEG, WEBP, GIF, BMP, TIFF)
"""The formats of pictures that are read; Pillow may try no other, as many are little tested."""

# The letters after "ftyp" name the member of the family of MP4 (ISO 14496-12, 4.3).
MP4 = Format(
    "an MP4 clip",
    rb"....ftyp(?!hei[cxms]|hev[cx]|mif1|msf1|avi[fs]|crx |M4[AB] |qt  )",
    (".mp4",),
    "MP4",
    "mp4",
)

CLIPS = (
    MP4,
    Format("a QuickTime clip", rb"....(ftypqt  |moov|mdat|wide)", (".mov",), "MOV", "mov"),
    Format("an AVI clip", rb"RIFF....AVI ", (".avi",), "AVI", "avi"),
    Format("a Matroska or WebM clip", rb"\x1aE\xdf\xa3", (".mkv",), "MKV", "matroska"),
    Format("a Matroska or WebM clip", None, (".webm",), "WebM", "webm"),
)
"""The formats of clips that are read; FFmpeg may try no other. Those of Pillow are pictures."""

SOUNDS = (Format("a WAV sound", rb"(RIFF|RIFX|RF64)....WAVE", (".wav", ".wave"), "WAV"),)
"""The formats of sounds that are read."""

# Its head has 348 bytes, and the two letters say that the numbers are in the same file.
NIFTI = Format(
    "a NIfTI volume",
    rb"(\x5c\x01\x00\x00|\x00\x00\x01\x5c).{340}n\+1\x00",
    (".nii", ".nii.gz"),
    "NIfTI",
)

NPY = Format("a NumPy array", rb"\x93NUMPY", (".npy",), ".npy")

UNREAD = (
    Format("an AVIF picture", rb"....ftypavi[fs]", (".avif",), decoder="AVIF", moves=True),
    Format("a HEIC picture", rb"....ftyp(hei[cxms]|hev[cx])", (".heic", ".heif", ".hif")),
    Format("a HEIF picture", rb"....ftyp(mif1|msf1)"),
    Format("a JPEG 2000 picture", rb"\x00{3}\x0cjP  |\xffO\xffQ", (".jp2", ".j2k", ".jpf", ".jpx")),
    Format("a JPEG XL picture", rb"\x00{3}\x0cJXL |\xff\x0a", (".jxl",)),
    Format("a JPEG XR picture", rb"II\xbc", (".jxr",)),
    Format("a Photoshop file", rb"8BPS", (".psd", ".psb")),
    Format("a GIMP file", rb"gimp xcf", (".xcf",)),
    Format("a camera's raw file (CR2)", rb"II\*\x00....CR", (".cr2",)),
    Format("a camera's raw file (CR3)", rb"....ftypcrx ", (".cr3",)),
    Format("a camera's raw file (RAF)", rb"FUJIFILMCCD-RAW", (".raf",)),
    Format("a camera's raw file (ORF)", rb"IIRO|IIRS", (".orf",)),
    Format("a camera's raw file (RW2)", rb"IIU\x00", (".rw2",)),
    Format("a camera's raw file (X3F)", rb"FOVb"),
    Format("a camera's raw file", None, (".dng", ".nef", ".arw", ".pef")),
    Format("a Windows icon", rb"\x00\x00\x01\x00", (".ico",)),
    Format("a Windows cursor", rb"\x00\x00\x02\x00"),
    Format("a macOS icon", rb"icns"),
    Format("an OpenEXR picture", rb"\x76\x2f\x31\x01", (".exr",)),
    Format("a Radiance HDR picture", rb"#\?(RADIANCE|RGBE)"),
    Format("a DDS texture", rb"DDS ", (".dds",)),
    Format("a QOI picture", rb"qoif", (".qoi",)),
    Format("a TGA picture", None, (".tga",)),
    Format("a FITS file", rb"SIMPLE  =", (".fits",)),
    Format("a WMF drawing", rb"\xd7\xcd\xc6\x9a"),
    Format("a PCX picture", rb"\x0a\x05\x01", (".pcx",)),
    Format("a PNM picture", rb"P[1-7fF]\s", (".ppm", ".pgm", ".pbm", ".pnm", ".pam")),
    Format("a DjVu document", rb"AT&TFORM"),
    Format("a BPG picture", rb"BPG\xfb"),
    Format("a DICOM file", rb".{128}DICM", (".dcm",)),
    Format("an SVG drawing", rb"(?i)(\xef\xbb\xbf)?\s*(<svg|<\?xml.*<svg)", (".svg",)),
    Format("an array of OS/2 bitmaps", rb"BA"),
    Format("an MPEG clip", rb"\x00\x00\x01[\xba\xb3]", (".mpg", ".mpeg", ".m2v", ".vob")),
    Format("an MPEG transport stream", rb"G.{187}G", (".mts", ".m2ts")),
    Format("a Windows Media file", rb"0&\xb2u\x8ef\xcf\x11", (".wmv", ".asf")),
    Format("a Flash clip", rb"FLV\x01", (".flv", ".f4v")),
    Format("a clip", None, (".m4v", ".3gp", ".3g2", ".ogv", ".mjpeg", ".mjpg")),
)
"""Pictures and clips that are not read: each in a folder gets a sentence that says so."""

UNREAD_SOUNDS = (
    Format("an MP3 sound", rb"ID3|\xff[\xfb\xf3\xf2]", (".mp3",)),
    Format("an MPEG-4 sound", rb"....ftypM4[AB] ", (".m4a", ".aac")),
    Format("a FLAC sound", rb"fLaC", (".flac",)),
    Format("an Ogg file", rb"OggS", (".ogg", ".oga", ".opus")),
    Format("an AIFF sound", rb"FORM", (".aif", ".aiff")),
    Format("an AMR sound", rb"#!AMR"),
    Format("an AU sound", rb"\.snd", (".au",)),
    Format("a Windows Media sound", None, (".wma",)),
)
"""Sounds that are not read."""

OTHERS = (
    NPY,
    NIFTI,
    Format("a PDF document", rb"%PDF-"),
    Format("a PostScript document", rb"%!PS"),
    Format("an HDF5 file", rb"\x89HDF"),
    Format("a zip file", rb"PK\x03\x04"),
    Format("a gzip file", rb"\x1f\x8b"),
    Format("a bzip2 file", rb"BZh"),
    Format("an xz file", rb"\xfd7zXZ"),
    Format("a 7z file", rb"7z\xbc\xaf"),
    Format("a RAR file", rb"Rar!"),
    Format("a program", rb"\x7fELF|MZ"),
    Format("a Git LFS pointer, not the file it stands for", rb"version https://git-lfs"),
    Format("a web page", rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype )?html"),
    Format("an XML file", rb"(?i)(\xef\xbb\xbf)?\s*<\?xml"),
)
"""Other formats that messages name."""

FORMATS = (*PICTURES, *CLIPS, *SOUNDS, *UNREAD, *UNREAD_SOUNDS, *OTHERS)
"""All formats; a file is of the first one that it begins like."""


def format_of(start: bytes) -> Format | None:
    """Return the format of a file by its first `START` bytes; None for an unknown one.

    >>> format_of(b"%PDF-1.7").words
    'a PDF document'
    """
    return next((format for format in FORMATS if format.begins(start)), None)


def described(start: bytes) -> str | None:
    """Return what messages call a file that begins so; None for an unknown format.

    >>> described(b""), described(b"GIF89a")
    ('an empty file', 'a GIF picture')
    """
    if not start:
        return "an empty file"
    if not start.strip(b"\0"):
        return "a file of zeros"
    format = format_of(start)
    return None if format is None else format.words


def suffixes(formats: Iterable[Format]) -> tuple[str, ...]:
    """Return the suffixes of the names of files in any of these formats.

    >>> suffixes(SOUNDS)
    ('.wav', '.wave')
    """
    return tuple(suffix for format in formats for suffix in format.suffixes)


def choice(formats: Iterable[Format]) -> str:
    """Return the names of formats as a sentence lists a choice of them.

    >>> choice(CLIPS)
    'MP4, MOV, AVI, MKV or WebM'
    """
    *names, last = (format.name for format in formats)
    return f"{', '.join(names)} or {last}" if names else last
