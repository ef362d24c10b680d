"""Whole clips count as whole, and truncated ones as truncated, by the lengths they state."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens import predict
from convlens.learn.sources.clips import Frame, clip_frames
from convlens.learn.sources.truncation import missing_end, strange_part
from tests.cases.clips import animation, filmed

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
        predictions = list(predict("digits", tmp_path / name))
        assert 3 < len(predictions) < 20
        assert [p.error is None for p in predictions] == [True] * (len(predictions) - 1) + [False]
        assert "bytes are missing" in str(predictions[-1].error)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mkv", "mpeg4")])
def test_a_recording_that_was_never_closed_is_whole(tmp_path: Path, name: str, codec: str) -> None:
    path = filmed(tmp_path / name, codec, 60, muxing={"flush_packets": "1"}, close=False)
    assert len(list(clip_frames(path.read_bytes()))) > 40
    live = filmed(tmp_path / "live.mkv", codec, muxing={"live": "1"})
    assert len(list(clip_frames(live))) == 20


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_a_tail_that_never_arrived_is_missed(tmp_path: Path, name: str) -> None:
    """A download into a file of the final length: the rest is zeros."""
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
    """A download in pieces: FFmpeg continues after the hole, and the times do not show it."""
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
