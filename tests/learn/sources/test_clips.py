"""Clips give their frames and times, at any rate; damaged and hostile ones give a sentence."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from convlens import predict
from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.sources.clips import Frame, camera_frames, clip_frames, is_clip
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.zoo.weights import DATA
from tests.cases.clips import SIZE, animation, film, filmed, number_of


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mov", "mpeg4"), ("a.avi", "mpeg4"), ("a.mkv", "libx264")],
)
def test_every_frame_with_its_time(tmp_path: Path, name: str, codec: str) -> None:
    path = film(tmp_path / name, 12, rate=25, codec=codec)
    frames = list(clip_frames(path))
    assert [frame.number for frame in frames] == list(range(12))
    assert [number_of(frame.picture.pixels) for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(12)], abs=2e-3)
    assert frames[0].picture.pixels.shape == (48, 64, 3)
    assert frames[0].picture.name == name


def test_webm(tmp_path: Path) -> None:
    path = film(tmp_path / "a.webm", 6, codec="libvpx-vp9")
    assert [number_of(frame.picture.pixels) for frame in clip_frames(path)] == list(range(6))


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animated_pictures(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}", 7, milliseconds=50)
    frames = list(clip_frames(path))
    assert [number_of(frame.picture.pixels) for frame in frames] == list(range(7))
    assert [frame.time for frame in frames] == pytest.approx([n / 20 for n in range(7)])
    assert is_clip(path)
    assert np.array_equal(read_picture(path).pixels, frames[0].picture.pixels)


def test_frames_without_a_time_stay_as_in_browsers(tmp_path: Path) -> None:
    frames = list(clip_frames(animation(tmp_path / "a.gif", 3, milliseconds=0)))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2])


def test_what_is_a_clip(tmp_path: Path) -> None:
    still = animation(tmp_path / "still.gif", 1)
    assert not is_clip(still)
    assert not is_clip(tmp_path / "absent.gif")
    assert is_clip("A.MP4")
    assert not is_clip(DATA / "cat.jpg")


# Rates: number k is frame floor(k * own / asked), as torchvision's VideoClips has it.


@pytest.mark.parametrize(("own", "asked"), [(30, 15), (25, 15), (10, 15), (15, 15), (24, 7)])
def test_another_rate(tmp_path: Path, own: int, asked: int) -> None:
    frames = list(clip_frames(film(tmp_path / "a.mp4", 26, rate=own), asked))
    shown = [number_of(frame.picture.pixels) for frame in frames]
    assert shown == [k * own // asked for k in range(len(shown))]
    assert len(shown) == -(-26 * asked // own)
    assert [frame.number for frame in frames] == list(range(len(shown)))
    assert frames[-1].time == pytest.approx((len(shown) - 1) / asked)


def test_a_clip_is_decoded_a_frame_at_a_time(tmp_path: Path) -> None:
    frames = clip_frames(animation(tmp_path / "a.gif", 20))
    assert next(frames).number == 0
    frames.close()


# Turned


def test_a_clip_filmed_upright_is_turned(tmp_path: Path) -> None:
    """The test writes a display matrix into the file: 90 degrees clockwise, as phones do."""
    path = film(tmp_path / "a.mp4", 2, left_only=True)
    content = path.read_bytes()
    one, zero, whole = (1 << 16).to_bytes(4, "big"), bytes(4), (1 << 30).to_bytes(4, "big")
    minus = (-(1 << 16) & 0xFFFFFFFF).to_bytes(4, "big")
    upright = one + zero * 3 + one + zero * 3 + whole
    turned = zero + one + zero + minus + zero * 4 + whole
    track = content.index(b"tkhd")
    at = content.index(upright, track)
    path.write_bytes(content[:at] + turned + content[at + len(turned) :])
    pixels = next(clip_frames(path)).picture.pixels
    assert pixels.shape == (64, 48, 3)
    # Turned clockwise, the left side is at the top.
    assert pixels[:24].mean() > 200
    assert pixels[40:].mean() < 50


# Refusals


def refused(path: Path) -> str:
    with pytest.raises(ValueError, match=r"^`(source|picture)` \(") as caught:
        list(clip_frames(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_truncated_damaged_and_empty_clips(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", 30).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no clip at all", whole[200:]):
        (tmp_path / "b.mp4").write_bytes(content)
        assert "must be a whole MP4, MOV, AVI, MKV or WebM clip" in refused(tmp_path / "b.mp4")
    assert "there is none; check the path" in refused(tmp_path / "absent.mp4")


def test_a_damaged_animation_gives_the_frames_before(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.gif", 8).read_bytes()
    (tmp_path / "b.gif").write_bytes(whole[: len(whole) // 2])
    seen: list[Frame] = []
    with pytest.raises(ValueError, match="truncated or damaged"):
        seen.extend(clip_frames(tmp_path / "b.gif"))
    assert 0 < len(seen) < 8


def test_a_playlist_in_disguise_opens_no_other_file(tmp_path: Path) -> None:
    film(tmp_path / "secret.mp4", 3)
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n",
    ):
        (tmp_path / "list.mp4").write_text(text)
        assert "must be a whole" in refused(tmp_path / "list.mp4")


def test_other_formats_are_not_even_tried(tmp_path: Path) -> None:
    """FFmpeg could decode an MPEG stream with one of its many rarely used readers."""
    path = tmp_path / "stream.mp4"
    film(path, 30, codec="mpeg2video", kind="mpegts")
    assert "must be a whole" in refused(path)


def test_frames_of_too_many_pixels_are_refused_by_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4", 3)
    monkeypatch.setattr("convlens.learn.sources.video.MOST_PIXELS", 64 * 48 - 1)
    assert "must have frames of at most 3,071 pixels, and has 64 x 48" in refused(path)


def test_without_pyav_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, moving = film(tmp_path / "a.mp4", 3), animation(tmp_path / "a.gif", 3)
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install 'convlens[video]'" in refused(path)
    assert len(list(clip_frames(moving))) == 3


def test_no_camera_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"`source` \(=77\) must be the number of a camera"):
        next(camera_frames(77))


# Opened


def test_a_network_that_reads_clips_is_opened_on_one(tmp_path: Path) -> None:
    opened = open_network("r3d_18", weights="none")
    x, shown = read_inputs(opened, film(tmp_path / "a.mp4", 28))
    assert x.shape == (1, 3, 14, 112, 112)
    assert shown is not None
    assert shown.shape == (112, 112, 3)
    assert (x[0, 0, 1:].mean((1, 2)) > x[0, 0, :-1].mean((1, 2))).all()
    still, _ = read_inputs(opened)
    assert still.shape == (1, 3, 16, 112, 112)
    assert torch.equal(still[:, :, 1:], still[:, :, :-1])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv", "clip.gif"])
def test_the_bytes_of_a_clip_are_as_good_as_its_file(tmp_path: Path, name: str) -> None:
    make = animation if name == "clip.gif" else film
    path = make(tmp_path / name, 5)
    content = path.read_bytes()
    assert is_clip(content)
    frames = [(f.picture.pixels.tobytes(), f.number, f.time) for f in clip_frames(path)]
    assert len(frames) == 5
    assert [(f.picture.pixels.tobytes(), f.number, f.time) for f in clip_frames(content)] == frames
    with pytest.raises(ValueError, match=r"\(the bytes given\) must be a whole"):
        list(clip_frames(content[: len(content) // 3]))


def test_bytes_that_are_no_clip() -> None:
    picture = (DATA / "cat.jpg").read_bytes()
    assert not is_clip(picture)
    assert not is_clip(b"")


def test_the_bytes_of_a_clip_are_opened_by_a_network_that_reads_clips(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mp4", 20, rate=15)
    opened = open_network("r3d_18", weights="none")
    by_path, _ = read_inputs(opened, path)
    by_bytes, _ = read_inputs(opened, path.read_bytes())
    assert torch.equal(by_path, by_bytes)
    assert not torch.equal(by_path[:, :, 0], by_path[:, :, 1])


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
    (prediction,) = predict(opened, path)
    assert "must have at least 2 frames to be seen moving, and has 1" in str(prediction.error)
    x, _ = read_inputs(opened, path)  # it stands still when it is seen
    assert tuple(x.shape) == (1, 3, 16, 112, 112)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_of_one_frame_is_a_still(tmp_path: Path, kind: str) -> None:
    (prediction,) = predict("digits", animation(tmp_path / f"a.{kind}", 1))
    assert prediction.frame is None


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
