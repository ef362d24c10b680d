"""Files are known by how they begin, and everything that names formats reads the same tables."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from convlens.cli import app
from convlens.learn.sources.clips import is_clip
from convlens.learn.sources.finding import below
from convlens.learn.sources.formats import (
    CLIPS,
    FORMATS,
    PICTURES,
    SOUNDS,
    UNREAD,
    Format,
    choice,
    format_of,
    suffixes,
)
from convlens.learn.sources.pictures.decoding import read_picture

ROOT = Path(__file__).parents[3]
PREDICTING = (ROOT / "docs" / "predicting.md").read_text()


def name(format: Format) -> str:
    return format.name or format.words


NAMED = [
    (b"%PDF-1.7\n", "a PDF document"),
    (b"8BPS\0\1", "a Photoshop file"),
    (b"\xef\xbb\xbf  <svg xmlns='http'>", "an SVG drawing"),
    (b'<?xml version="1.0"?>\n<svg>', "an SVG drawing"),
    (b"<!DOCTYPE html><html>", "a web page"),
    (b"\0\0\0\x20ftypheic\0\0", "a HEIC picture"),
    (b"\0\0\0\x20ftypmif1\0\0", "a HEIF picture"),
    (b"\0\0\0\x20ftypavif\0\0", "an AVIF picture"),
    (b"\0\0\0\x20ftypisom\0\0", "an MP4 clip"),
    (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 picture"),
    (b"RIFF\0\0\0\0WAVEfmt ", "a WAV sound"),
    (b"ID3\4\0", "an MP3 sound"),
    (b"\0\0\1\0\1\0", "a Windows icon"),
    (b"P6\n3 4\n255\n", "a PNM picture"),
    (b"SIMPLE  =   T", "a FITS file"),
    (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
    (b"", "an empty file"),
    (bytes(600), "a file of zeros"),
]


@pytest.mark.parametrize(
    ("content", "what"), [(c, what) for c, what in NAMED if format_of(c) not in PICTURES]
)
def test_a_file_of_another_kind_is_named(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=f"must be a {choice(PICTURES)} file") as got:
        read_picture(content)
    assert f"and this is {what}" in str(got.value)
    assert "damaged" not in str(got.value)


@pytest.mark.parametrize("format", PICTURES, ids=name)
def test_what_is_read_is_called_nothing_else(format: Format) -> None:
    file = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(file, format.decoder)
    assert format_of(file.getvalue()) is format
    assert abs(read_picture(file.getvalue()).pixels.astype(int) - [255, 0, 0]).max() < 4


def test_no_two_formats_begin_the_same_way() -> None:
    starts = [format.start for format in FORMATS if format.start is not None]
    assert len(set(starts)) == len(starts)


def test_a_suffix_belongs_to_one_format() -> None:
    every = suffixes(FORMATS)
    assert len(set(every)) == len(every)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in every)


def test_folders_are_searched_for_every_picture_and_clip(tmp_path: Path) -> None:
    for suffix in suffixes((*PICTURES, *CLIPS, *UNREAD)):
        (tmp_path / f"a{suffix.upper()}").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "tone.wav").write_bytes(b"")
    found = {Path(path).suffix.lower() for path in below(str(tmp_path))}
    assert found == set(suffixes((*PICTURES, *CLIPS, *UNREAD)))


def test_clips_are_known_by_suffix_and_by_bytes() -> None:
    assert all(is_clip(f"a{suffix}") for suffix in suffixes(CLIPS))
    assert is_clip(b"1234ftypisom")
    assert not is_clip(b"1234ftypheic")
    assert not is_clip(b"RIFF1234WAVE")


def test_help_and_documentation_name_the_formats_that_are_read() -> None:
    (help,) = (
        argument.parameter.help or ""
        for argument in app["record"].assemble_argument_collection()
        if "PICTURE" in argument.names
    )
    for format in (*PICTURES, *SOUNDS):
        assert format.name in help
    assert f"a picture: {choice(PICTURES)}," in PREDICTING
    assert f"a clip: {choice(CLIPS)} (" in PREDICTING
    moving = [format for format in PICTURES if format.moves]
    assert f"or an animated {choice(moving)}" in PREDICTING
