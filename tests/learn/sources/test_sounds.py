"""A WAV is read as its signal, at its own rate, or refused in one sentence."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import wavfile
from torch import nn

from convlens.cli import main
from convlens.lab.answers.answering import Lab
from convlens.learn.opening import open_network, opened_module
from convlens.learn.reading_inputs import read_inputs, remark
from convlens.learn.sources.sounds import is_sound, read_sound

EARS = "from torch import nn\nnet = nn.Conv1d(1, 2, 5)\n"
TONE = np.sin(np.arange(400) / 5) * 0.9


def written(samples: NDArray[Any], rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


def of_24_bits(samples: NDArray[np.float64], channels: int = 1) -> bytes:
    """Write a WAV in the extensible form that 24 bits need."""
    file = io.BytesIO()
    whole = np.rint(samples * 2**23).astype("<i4").reshape(-1, 1).view("u1")[:, :3]
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(3)
        writer.setframerate(44_100)
        writer.writeframes(whole.tobytes())
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "within"),
    [
        (written(np.rint(TONE * 2**7 + 128).astype(np.uint8)), 2**-8),
        (written(np.rint(TONE * 2**15).astype(np.int16)), 2**-16),
        (of_24_bits(TONE), 2**-24),
        (written(np.rint(TONE * 2**31).astype(np.int32)), 0),
        (written(TONE.astype(np.float32)), 0),
        (written(TONE), 0),
    ],
    ids=["8", "16", "24", "32", "float32", "float64"],
)
def test_every_depth_is_minus_one_to_one(content: bytes, within: float) -> None:
    sound = read_sound(content, channels=1)
    assert sound.x.shape == (1, 1, 400)
    assert sound.x.dtype == torch.float32
    assert (
        float((sound.x[0, 0] - torch.from_numpy(TONE)).abs().max()) <= within + 2**-25
    )  # half a step, and the rounding of float32
    assert sound.rate in (16_000, 44_100)


def test_silence_of_eight_bits_is_zero() -> None:
    assert read_sound(written(np.full(9, 128, np.uint8))).x.abs().max() == 0


def test_several_channels_are_mixed_down_where_one_is_read_and_that_is_said() -> None:
    both = np.stack([TONE, -TONE + 0.5], axis=1)
    sound = read_sound(written(both), channels=1)
    torch.testing.assert_close(sound.x[0, 0], torch.full((400,), 0.25))
    assert sound.described() == "16,000 samples a second, 2 channels mixed down to one"
    kept = read_sound(written(both), channels=2)
    assert kept.x.shape == (1, 2, 400)
    assert kept.described() == "16,000 samples a second"
    with pytest.raises(ValueError, match="must have 3 channels for this network, and has 2"):
        read_sound(written(both), channels=3)


def test_a_sound_is_opened_by_path_bytes_command_and_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ears.py").write_text(EARS)
    (tmp_path / "Tone.WAV").write_bytes(written(TONE, 8_000))
    opened = open_network(f"{tmp_path}/ears.py:net")
    by_path, shown = read_inputs(opened, tmp_path / "Tone.WAV")
    by_bytes, _ = read_inputs(opened, (tmp_path / "Tone.WAV").read_bytes())
    np.save(tmp_path / "tone.npy", TONE[None].astype(np.float32))
    by_array, _ = read_inputs(opened, tmp_path / "tone.npy")
    assert shown is None
    assert torch.equal(by_path, by_bytes)
    assert torch.equal(by_path, by_array)
    assert remark(opened, tmp_path / "Tone.WAV") == "8,000 samples a second"
    try:
        main(["record", f"{tmp_path}/ears.py:net", str(tmp_path / "Tone.WAV")])
    except SystemExit as ended:  # some versions of cyclopts end a successful run like this
        assert not ended.code  # noqa: PT017
    assert "Tone.WAV: 8,000 samples a second" in capsys.readouterr().err
    lab = Lab(opened)
    lab.look((tmp_path / "Tone.WAV").read_bytes(), "Tone.WAV")
    assert lab.network()["picture_name"] == "Tone.WAV, 8,000 samples a second"


def test_other_sounds_are_named(tmp_path: Path) -> None:
    opened = opened_module(nn.Conv1d(1, 2, 5))
    for content, what in (
        (b"ID3\4" + bytes(40), "an MP3 sound"),
        (b"fLaC" + bytes(40), "a FLAC sound"),
        (b"OggS" + bytes(40), "an Ogg file"),
        (b"FORM\0\0\0\0AIFF", "an AIFF sound"),
        (b"", "an empty file"),
    ):
        (tmp_path / "a.mp3").write_bytes(content)
        with pytest.raises(ValueError, match=r"\(a.mp3\) must be a WAV sound or a .npy") as caught:
            read_inputs(opened, tmp_path / "a.mp3")
        assert what in str(caught.value)
    with pytest.raises(ValueError, match=r"give a .npy array or a \.wav"):
        read_inputs(opened, b"\xff\xd8\xff")


def test_a_sound_for_other_networks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(written(TONE))
    with pytest.raises(ValueError, match="and this is a WAV sound"):
        read_inputs(open_network("digits"), tmp_path / "a.wav")
    with pytest.raises(ValueError, match=r"reads \(n, 2, depth, h, w\)"):
        read_inputs(opened_module(nn.Conv3d(2, 2, 3)), tmp_path / "a.wav")


WAV = written(np.rint(TONE * 32767).astype(np.int16))
STREAMED = WAV[:4] + b"\xff" * 4 + WAV[8:40] + b"\xff" * 4 + WAV[44:]


def test_a_recording_that_was_never_closed_is_whole() -> None:
    """A streamed recording states no length, and may end within a sample."""
    assert torch.equal(read_sound(STREAMED).x, read_sound(WAV).x)
    assert read_sound(STREAMED[:-1]).x.shape == (1, 1, 399)


def test_titles_and_pictures_beside_the_samples_are_passed_over() -> None:
    beside = b"bext" + struct.pack("<I", 3) + b"abc\0"
    assert torch.equal(read_sound(WAV[:36] + beside + WAV[36:] + beside).x, read_sound(WAV).x)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (WAV[:-2], "must be a whole WAV file, and its last 2 bytes are missing"),
        (WAV[:20], "must be a WAV sound with samples, and holds none"),
        (WAV[:44], "its last 800 bytes are missing"),
        (written(np.zeros(0, np.int16)), "must have 1 to 64,000,000 samples, and has 0"),
        (WAV[:20] + b"\x02\0" + WAV[22:], "must be a WAV sound of whole numbers or floats"),
        (WAV[:20] + b"\x55\0" + WAV[22:], "must be a WAV sound of whole numbers or floats"),
        (b"RIFF\0\0\0\0WAVE", "holds none"),
        (written(np.array([0.5, np.nan], np.float32)), "must hold numbers, and has some that are"),
        (written(np.array([0.5, np.inf], np.float32)), "must hold numbers, and has some that are"),
        (written(np.zeros(8, np.int16), rate=0), "how many samples a second it has, and says 0"),
    ],
)
def test_what_is_no_whole_wav_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=r"^`picture` \(the bytes given\) must") as caught:
        read_sound(content)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_samples_are_refused_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("convlens.learn.sources.sounds.MOST_SAMPLES", 399)
    with pytest.raises(ValueError, match="must have 1 to 399 samples, and has 400"):
        read_sound(WAV)


def test_what_is_a_sound() -> None:
    assert is_sound(WAV)
    assert is_sound("a.FLAC")
    assert not is_sound("a.npy")
    assert not is_sound(b"GIF89a")
