"""A clip is told whole from cut short by its own account, never wrongly; it lies as it says."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from convlens import predict
from convlens.learn.opening import open_network, read_inputs
from convlens.learn.sources.clips import Frame, clip_frames
from convlens.learn.sources.truncation import missing_end, strange_part
from tests.cases.clips import animation, number_of

SIZE = (48, 64, 3)


def filmed(
    path: Path,
    codec: str,
    frames: int = 20,
    *,
    sound: float = 0,
    sparse: bool = False,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    close: bool = True,
) -> Path:
    """Noise of 10 frames a second; `sound`: so many seconds of it beside; `sparse`: gaps grow."""
    container = av.open(str(path), "w", options=muxing or {})
    video: Any = container.add_stream(codec, rate=10, options=options or {})
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    audio: Any = container.add_stream("mp2", rate=48_000) if sound else None
    if audio is not None:
        audio.layout = "mono"
    for number in range(frames):
        pixels = np.random.default_rng(number).integers(0, 255, SIZE, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels)
        frame.pts = number + number * number // 3 if sparse else number
        frame.time_base = Fraction(1, 10)
        container.mux(video.encode(frame))
    if not close:
        return path  # what is on the disk now is what a crash leaves
    container.mux(video.encode(None))
    if audio is not None:
        for place in range(0, int(sound * 48_000), 1152):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, place, Fraction(1, 48_000)
            container.mux(audio.encode(heard))
        container.mux(audio.encode(None))
    container.close()
    return path


B_FRAMES = {"bf": "3", "g": "12"}
WHOLE: list[tuple[str, str, dict[str, Any]]] = [
    *((name, "mpeg4", {}) for name in ("a.avi", "a.mkv", "a.mp4", "a.mov")),
    *((name, "libx264", {"options": B_FRAMES}) for name in ("a.avi", "a.mkv", "a.mp4")),
    *((name, "mpeg4", {"sparse": True}) for name in ("a.avi", "a.mkv", "a.mp4")),
    *((name, "mpeg4", {"sound": 5.0}) for name in ("a.avi", "a.mkv", "a.mp4")),
    *((name, "mpeg4", {"sound": 0.3}) for name in ("a.avi", "a.mkv")),
    *((name, "mpeg4", {"frames": 1}) for name in ("a.avi", "a.mkv", "a.mp4")),
    ("a.mp4", "libx264", {"muxing": {"movflags": "faststart"}}),
    ("a.mp4", "libx264", {"muxing": {"movflags": "frag_keyframe+empty_moov"}}),
    ("a.mkv", "mpeg4", {"muxing": {"cluster_time_limit": "300"}}),
    ("a.webm", "libvpx", {}),
]


@pytest.mark.parametrize(("name", "codec", "made"), WHOLE)
def test_a_whole_clip_is_whole_and_a_cut_one_is_not(
    tmp_path: Path, name: str, codec: str, made: dict[str, Any]
) -> None:
    path = filmed(tmp_path / name, codec, **made)
    whole = list(clip_frames(path))
    assert len(whole) == made.get("frames", 20)
    content = path.read_bytes()
    for kept in (0.5, 0.8, 0.999):
        seen, said = until_the_damage(content[: int(kept * len(content))])
        assert "truncated or damaged" in said
        for before, after in zip(seen, whole, strict=False):
            assert np.array_equal(before.picture.pixels, after.picture.pixels)


def until_the_damage(content: bytes) -> tuple[list[Frame], str]:
    seen: list[Frame] = []
    with pytest.raises(ValueError, match="must be a whole") as caught:
        seen.extend(clip_frames(content))
    assert "\n" not in str(caught.value)
    return seen, str(caught.value)


def test_the_first_half_of_a_clip_gives_its_frames_and_then_a_sentence(tmp_path: Path) -> None:
    for name in ("a.avi", "a.mkv"):
        content = filmed(tmp_path / name, "mpeg4").read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        told = list(predict("digits", tmp_path / name))
        assert 3 < len(told) < 20
        assert [p.error is None for p in told] == [True] * (len(told) - 1) + [False]
        assert "bytes are missing" in str(told[-1].error)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mkv", "mpeg4")])
def test_a_recording_that_was_never_closed_is_whole(tmp_path: Path, name: str, codec: str) -> None:
    path = filmed(tmp_path / name, codec, 60, muxing={"flush_packets": "1"}, close=False)
    assert len(list(clip_frames(path.read_bytes()))) > 40
    live = filmed(tmp_path / "live.mkv", codec, muxing={"live": "1"})
    assert len(list(clip_frames(live))) == 20


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_a_tail_that_never_arrived_is_missed(tmp_path: Path, name: str) -> None:
    """A download whose file was made as long as it would be: the rest is zeros."""
    content = filmed(tmp_path / name, "mpeg4", 60).read_bytes()
    _, said = until_the_damage(content[: len(content) // 2].ljust(len(content), b"\0"))
    assert "its header says 6.0 s, and it ends after" in said


FRAGMENTED = {"muxing": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "5"}}


@pytest.mark.parametrize("hole", [(0.4, 0.6), (0.93, 1.0)])
@pytest.mark.parametrize("filler", ["zeros", "noise"])
@pytest.mark.parametrize(
    ("name", "made"),
    [("a.avi", {}), ("a.mkv", {}), ("a.mkv", {"muxing": {"live": "1"}}), ("a.mp4", FRAGMENTED)],
    ids=["avi", "mkv", "live", "fragments"],
)
def test_a_part_that_never_arrived_is_missed(
    tmp_path: Path, name: str, made: Any, filler: str, hole: tuple[float, float]
) -> None:
    """As of a download in pieces: FFmpeg goes on behind it, and the times say nothing of it."""
    content = bytearray(filmed(tmp_path / name, "mpeg4", 60, **made).read_bytes())
    assert len(list(clip_frames(bytes(content)))) == 60
    assert strange_part(bytes(content)) is None
    begin, end = (int(part * len(content)) for part in hole)
    noise = np.random.default_rng(1).integers(1, 32, end - begin, dtype=np.uint8).tobytes()
    content[begin:end] = bytes(end - begin) if filler == "zeros" else noise
    seen, said = until_the_damage(bytes(content))
    assert len(seen) < 60
    assert "truncated or damaged" in said


@pytest.mark.parametrize("pad", [True, False])
def test_packets_of_an_avi_may_lack_the_byte_behind_an_odd_length(pad: bool) -> None:
    packets = [b"00dc" + struct.pack("<I", 3) + b"abc" + b"\0" * pad for _ in range(4)]
    listed = b"movi" + b"".join([*packets, b"01wb" + struct.pack("<I", 2) + b"ab"])
    body = b"AVI LIST" + struct.pack("<I", len(listed)) + listed
    content = b"RIFF" + struct.pack("<I", len(body)) + body
    assert strange_part(content) is None
    broken = content.replace(b"abc", b"ab\0").replace(b"00dc", b"\0\0\0\0", 3)
    assert strange_part(broken) == "what stands at byte 24 is not a part of it"


def test_a_gif_with_a_hole_in_it_is_not_whole(tmp_path: Path) -> None:
    stills = [Image.effect_noise((64, 48), 90) for _ in range(10)]
    stills[0].save(tmp_path / "a.gif", save_all=True, append_images=stills[1:])
    content = (tmp_path / "a.gif").read_bytes()
    begin, end = int(0.4 * len(content)), int(0.6 * len(content))
    seen, said = until_the_damage(content[:begin] + bytes(end - begin) + content[end:])
    assert len(seen) < 10
    assert "is not a part of it" in said


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_cut_anywhere_is_never_taken_for_whole(tmp_path: Path, kind: str) -> None:
    content = animation(tmp_path / f"a.{kind}", 6).read_bytes()
    assert len(list(clip_frames(content))) == 6
    assert missing_end(content) is None
    for kept in range(len(content) - 1, 40, -7):
        cut = tmp_path / f"cut.{kind}"
        cut.write_bytes(content[:kept])
        seen = 0
        try:
            for _ in clip_frames(cut):
                seen += 1
        except ValueError:
            continue
        pytest.fail(f"{kept} of {len(content)} bytes were taken for a whole one of {seen} frames")


def test_a_gif_may_hold_more_behind_its_end(tmp_path: Path) -> None:
    content = animation(tmp_path / "a.gif", 4).read_bytes()
    assert len(list(clip_frames(content + b"\0" * 40))) == 4


# What is no clip


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
    """Without its last box FFmpeg knows of no stream; what is missing is the end."""
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


# How a clip lies

MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)]
MATRICES += [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_clip_turned_or_mirrored_is_seen_as_it_is_meant(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    """All eight ways, written by hand: (x, y) is shown at (a x + c y, b x + d y)."""
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


# One frame does not move


@pytest.mark.parametrize("rate", [0.5, 1, 5, 15, 60])
def test_one_frame_is_not_repeated_at_any_rate(tmp_path: Path, rate: float) -> None:
    path = filmed(tmp_path / "a.mkv", "mpeg4", 1)
    assert len(list(clip_frames(path, rate))) == 1
    assert len(list(clip_frames(path, 150))) == 1


def test_one_frame_at_five_a_second_does_not_move(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros(SIZE, np.uint8))
        frame.pts, frame.time_base = 0, Fraction(1, 5)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    opened = open_network("r3d_18", weights="none")
    (told,) = predict(opened, path)
    assert "must have at least 2 frames to be seen moving, and has 1" in str(told.error)
    x, _ = read_inputs(opened, path)  # looked at, it stands still
    assert tuple(x.shape) == (1, 3, 16, 112, 112)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_of_one_frame_is_a_still(tmp_path: Path, kind: str) -> None:
    (told,) = predict("digits", animation(tmp_path / f"a.{kind}", 1))
    assert told.frame is None


def test_an_animated_png_is_a_clip(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", 5, milliseconds=80)
    frames = list(clip_frames(path))
    assert [number_of(frame.picture.pixels) for frame in frames] == list(range(5))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.08, 0.16, 0.24, 0.32])
    assert [p.frame for p in predict("digits", path)] == list(range(5))


def test_what_an_animated_png_shows_where_it_cannot_move_is_no_frame(tmp_path: Path) -> None:
    stills = [Image.new("L", (8, 8), grey) for grey in (9, 100, 200)]
    file = io.BytesIO()
    stills[0].save(
        file, "PNG", save_all=True, append_images=stills[1:], default_image=True, duration=50
    )
    assert [int(f.picture.pixels.max()) for f in clip_frames(file.getvalue())] == [100, 200]
