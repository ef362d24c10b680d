"""Videos are seen as they are meant, and what is not one is named."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from convlens.learn.sources.clips import clip_frames
from tests.cases.clips import filmed

MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)]
MATRICES += [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


def test_sound_alone_and_a_picture_on_its_sleeve(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        with av.open(str(tmp_path / name), "w") as container:
            audio: Any = container.add_stream("aac", rate=48_000)
            audio.layout = "mono"
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            heard.sample_rate, heard.pts = 48_000, 0
            container.mux(audio.encode(heard))
            container.mux(audio.encode(None))
        for source in (tmp_path / name, (tmp_path / name).read_bytes()):
            with pytest.raises(
                ValueError, match="must be a clip with pictures, and holds only sou"
            ):
                list(clip_frames(source))


def test_a_cut_film_is_never_said_to_hold_no_pictures(tmp_path: Path) -> None:
    """Without the last box, FFmpeg finds no stream; the message says that the end is missing."""
    whole = filmed(tmp_path / "whole.mp4", "mpeg4").read_bytes()
    box = whole.index(b"moov")
    for cut in range(box - 64, len(whole) - 200, 16):
        with pytest.raises(ValueError, match=r"truncated or damaged"):
            list(clip_frames(whole[:cut]))


def test_a_clip_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`source` .* must name an existing file"):
        list(clip_frames(tmp_path / "gone.mp4"))


def test_no_frames_and_no_decoder_are_said(tmp_path: Path) -> None:
    content = filmed(tmp_path / "a.avi", "mpeg4", 3).read_bytes()
    header = content[: content.index(b"movi") + 4]
    with pytest.raises(ValueError, match="must be a clip with frames, and none can be decoded"):
        list(clip_frames(header[:4] + b"\xff" * 4 + header[8:]))  # never closed
    with pytest.raises(ValueError, match="bytes are missing"):
        list(clip_frames(header))
    unknown = content.replace(b"FMP4", b"ZZZZ").replace(b"fmp4", b"ZZZZ")
    with pytest.raises(ValueError, match="FFmpeg does not know the codec"):
        list(clip_frames(unknown))


def test_what_only_looks_like_a_clip_is_named(tmp_path: Path) -> None:
    for content, what in (
        (b"%PDF-1.7", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "truncated or damaged"),
        (b"", "an empty file"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(40), "a WAV sound"),
        ((b"\x47" + bytes(187)) * 4, "an MPEG transport stream"),
    ):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(ValueError, match="must be a whole MP4, MOV, AVI, MKV or WebM") as got:
            list(clip_frames(tmp_path / "a.mp4"))
        assert what in str(got.value)


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_clip_turned_or_mirrored_is_seen_as_it_is_meant(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    """All eight orientations: (x, y) is shown at (a x + c y, b x + d y)."""
    a, b, c, d = matrix
    stored = np.zeros((48, 64), np.uint8)
    stored[:24, :32], stored[24:, :32], stored[:24, 32:] = 250, 170, 90
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.repeat(stored[:, :, None], 3, axis=2))
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    one = 1 << 16
    upright = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    meant = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + meant + content[at + 36 :])
    (seen,) = clip_frames(path)
    rows, columns = np.mgrid[:48, :64]
    across, down = a * columns + c * rows, b * columns + d * rows
    expected = np.zeros((64, 48) if b else (48, 64), np.uint8)
    expected[down - down.min(), across - across.min()] = stored
    assert seen.picture.pixels.shape[:2] == expected.shape
    assert np.abs(seen.picture.pixels[:, :, 1].astype(int) - expected).mean() < 5
