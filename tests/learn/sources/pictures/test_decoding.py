"""Pictures of every kind are shown right or refused, and prepared as the network needs them."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convlens.learn.preparing import Preparation
from convlens.learn.sources.ink import ink_cells
from convlens.learn.sources.pictures.decoding import Picture, read_picture
from convlens.learn.training.data import digits_data
from convlens.zoo import model
from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD
from convlens.zoo.weights import DATA
from tests.cases.pngs import chunk, png

Pixels = NDArray[np.uint8]


def some_pixels(h: int = 20, w: int = 30) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def smooth_pixels() -> Pixels:
    with Image.open(DATA / "cat.jpg") as picture:
        return np.array(picture.resize((60, 40)))


# Reading


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {})]
)
def test_lossless_pictures_come_back_exactly(kind: str, options: dict[str, Any]) -> None:
    pixels = some_pixels()
    read = read_picture(saved(Image.fromarray(pixels), kind, **options)).pixels
    assert np.array_equal(read, pixels)
    assert not read.flags.writeable


def test_jpeg_and_gif_come_back_nearly() -> None:
    pixels = smooth_pixels()
    jpeg = read_picture(saved(Image.fromarray(pixels), "JPEG", quality=95)).pixels
    gif = read_picture(saved(Image.fromarray(pixels), "GIF")).pixels
    assert distance(jpeg, pixels) < 4
    assert distance(gif, pixels) < 12
    assert distance(jpeg[::-1], pixels) > 20


def distance(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_a_path_names_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.fromarray(some_pixels()).save(path)
    picture = read_picture(path)
    assert (picture.name, picture.height, picture.width) == ("small.png", 20, 30)
    assert read_picture(str(path), name="mine").name == "mine"


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_shows_its_upper_byte(kind: str) -> None:
    values = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    read = read_picture(saved(Image.fromarray(values), kind)).pixels
    assert read[:, :, 1].tolist() == [[0, 0, 1], [128, 255, 255]]
    assert np.array_equal(read[:, :, 0], read[:, :, 2])


def test_sixteen_bit_big_endian_tiff() -> None:
    values = np.array([[0x1234, 0xFF00]], ">u2")
    image = Image.frombytes("I;16B", (2, 1), values.tobytes())
    assert read_picture(saved(image, "TIFF")).pixels[0, :, 0].tolist() == [0x12, 0xFF]


def test_sixteen_bit_colour_shows_its_upper_byte() -> None:
    values = np.array([[[0x12FF, 0x3400, 0xFFFF], [0, 0x80FF, 0x00FF]]], np.uint16)
    row = values.astype(">u2").tobytes()
    read = read_picture(png(2, 1, 16, 2, [row])).pixels
    assert read.tolist() == [[[0x12, 0x34, 0xFF], [0, 0x80, 0]]]


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_and_black_and_white_show_three_equal_channels(mode: str) -> None:
    image = Image.fromarray(smooth_pixels()).convert(mode)
    read = read_picture(saved(image, "PNG")).pixels
    assert np.array_equal(read[:, :, 0], np.array(image.convert("L")))
    assert np.array_equal(read[:, :, 0], read[:, :, 1])


def test_a_palette_shows_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    expected = [[[200, 100, 50], [10, 20, 30]]]
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert read_picture(saved(image, kind)).pixels.tolist() == expected, kind


def test_transparency_lies_over_white() -> None:
    colour = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 102]]], np.uint8)
    read = read_picture(saved(Image.fromarray(colour), "PNG")).pixels
    assert read.tolist() == [[[200, 0, 0], [255, 255, 255], [153, 153, 153]]]
    grey = Image.fromarray(np.array([[[9, 255], [9, 0]]], np.uint8), "LA")
    assert read_picture(saved(grey, "PNG")).pixels[0, :, 0].tolist() == [9, 255]


@pytest.mark.parametrize(("kind", "transparency"), [("PNG", 1), ("PNG", b"\xff\x00"), ("GIF", 1)])
def test_a_transparent_palette_entry_is_white(kind: str, transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    read = read_picture(saved(image, kind, transparency=transparency)).pixels
    assert read.tolist() == [[[255, 255, 255], [10, 20, 30]]]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_shows_light_where_there_is_no_ink(kind: str) -> None:
    image = Image.new("CMYK", (16, 8), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (0, 0, 8, 8))
    read = read_picture(saved(image, kind)).pixels
    assert np.abs(read[2, 3].astype(int) - [255, 0, 0]).max() < 6
    assert np.abs(read[2, 12].astype(int) - [255, 255, 255]).max() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(kind: str, orientation: int) -> None:
    image = Image.fromarray(smooth_pixels())
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    content = saved(image, kind, exif=exif, **options)
    with Image.open(io.BytesIO(content)) as opened:
        expected = np.array(ImageOps.exif_transpose(opened).convert("RGB"))
    read = read_picture(content).pixels
    assert np.array_equal(read, expected)
    if orientation > 1:
        plain = np.array(image)
        # Able to fail: as it is stored, it lies otherwise.
        assert read.shape != plain.shape or distance(read, plain) > 10


def test_damaged_exif_leaves_the_picture_as_it_is() -> None:
    content = saved(Image.fromarray(some_pixels()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(read_picture(content).pixels, some_pixels())


def test_the_first_frame_of_several_is_shown() -> None:
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "lime")]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        read = read_picture(content).pixels
        assert (read == [255, 0, 0]).all(), kind


# Refusing


def refused(source: bytes | Path) -> str:
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"^`picture` \(") as caught:
            read_picture(source)
    assert leaked == []
    assert before == Image.MAX_IMAGE_PIXELS
    said = str(caught.value)
    assert "\n" not in said
    assert ";" in said
    return said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_a_truncated_picture_is_refused(kind: str, kept: float) -> None:
    content = saved(Image.fromarray(some_pixels(90, 120)), kind)
    read_picture(content)
    assert "truncated or damaged" in refused(content[: int(kept * len(content))])


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n", bytes(99)])
def test_no_picture_is_refused(content: bytes) -> None:
    refused(content)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "PCX", "TGA"])
def test_other_formats_are_refused_even_where_pillow_knows_them(kind: str) -> None:
    content = saved(Image.fromarray(some_pixels(32, 32)), kind)
    Image.open(io.BytesIO(content)).load()
    assert "must be a PNG, JPEG, WebP, GIF, BMP or TIFF" in refused(content)


@pytest.mark.parametrize("side", [100_000, 12_000, 9_000, 2**31 - 1])
def test_too_many_pixels_are_refused_by_the_header(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    assert "64,000,000 pixels" in refused(start)


def test_the_largest_allowed_header_is_not_refused_for_its_size() -> None:
    header = struct.pack(">IIBBBBB", 8_000, 8_000, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    assert "truncated" in refused(start)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_numbers_without_an_agreed_white_are_refused(mode: str) -> None:
    assert f"mode {mode}" in refused(saved(Image.new(mode, (4, 4)), "TIFF"))


def test_no_such_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "there is none" in refused(tmp_path / "absent.png")
    refused(tmp_path)


@settings(max_examples=150, deadline=None, database=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.2, 1),
)
def test_a_damaged_file_is_a_picture_or_a_valueerror(
    kind: str, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(saved(Image.fromarray(smooth_pixels()), kind))
    for place, value in changes:
        content[int(place * len(content))] = value
    try:
        ending = read_picture(bytes(content[: int(kept * len(content))])).name
    except ValueError as error:
        ending = str(error)
    assert ending == "the bytes given" or ending.startswith("`picture` (")


def test_pictures_are_checked() -> None:
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        Picture(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="must not be empty"):
        Picture(np.zeros((0, 4, 3), np.uint8))


# Preparing


@pytest.mark.parametrize(
    ("preparation", "shape"),
    [
        (Preparation(), (3, 224, 224)),
        (Preparation(size=None), (3, 300, 451)),
        (Preparation(size=300, crop=False), (3, 300, 451)),
        (Preparation(size=150, crop=False), (3, 150, 225)),
        (Preparation(size=(50, 200)), (3, 50, 200)),
        (Preparation(size=(200, 50), channels=1), (1, 200, 50)),
        (Preparation(size=28, channels=1), (1, 28, 28)),
        (Preparation(size=8, channels=1, ink=True), (1, 8, 8)),
    ],
)
def test_the_tensor_and_what_is_shown_are_the_same_pixels(
    preparation: Preparation, shape: tuple[int, int, int]
) -> None:
    picture = read_picture(DATA / "cat.jpg")
    x, shown = preparation(picture), preparation.shown(picture)
    assert x.shape == (1, *shape)
    assert x.dtype == torch.float32
    assert shown.shape == (*shape[1:], 3)
    assert shown.dtype == np.uint8
    rows = torch.from_numpy(shown.copy()).permute(2, 0, 1)[: shape[0]]
    if preparation.ink:
        assert torch.equal((x[0] * 255).round(), rows.float())
    else:
        assert torch.equal(x[0], rows.float() / 255)
    assert np.array_equal(shown[:, :, 0], shown[:, :, 2]) == (shape[0] == 1)


def test_pixels_pass_unchanged_where_the_size_fits() -> None:
    picture = read_picture(DATA / "cat.jpg")
    assert np.array_equal(Preparation(size=300, crop=False).shown(picture), picture.pixels)
    middle = Preparation(size=300).shown(picture)
    assert np.array_equal(middle, picture.pixels[:, 76:376])


def test_scaling_is_pillows_within_one() -> None:
    picture = read_picture(DATA / "cat.jpg")
    ours = Preparation(size=100, crop=False).shown(picture).astype(int)
    image = Image.fromarray(picture.pixels)
    theirs = np.array(image.resize((150, 100), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    other = np.array(image.resize((150, 100), Image.Resampling.NEAREST)).astype(int)
    assert np.abs(ours - other).max() > 20


def test_normalizing() -> None:
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    picture = read_picture(DATA / "cat.jpg")
    plain, normal = Preparation()(picture), Preparation(mean=mean, std=std)(picture)
    for channel in range(3):
        expected = (plain[0, channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(normal[0, channel], expected)


def test_every_grey_stays_itself() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    x = Preparation(size=None, channels=1)(Picture(ramp))
    assert torch.equal(x[0, 0, 0], torch.arange(256) / 255)


def test_an_elongated_picture_is_refused_before_it_is_scaled() -> None:
    line = Picture(np.zeros((1, 300_000, 3), np.uint8), name="line.png")
    with pytest.raises(ValueError, match=r"`picture` \(line.png\).*cut its longer side"):
        Preparation()(line)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 0}, r"`size` \(=0\)"),
        ({"size": (3, 0)}, r"`size` \(=\(3, 0\)\)"),
        ({"size": 1.5}, "`size`"),
        ({"size": 100_000}, "at most 64,000,000"),
        ({"channels": 2}, r"`channels` \(=2\)"),
        ({"mean": (0.5,)}, "`mean`.*each of the 3 channels"),
        ({"std": (1.0, 0.0, 1.0)}, "`std`.*positive"),
        ({"ink": True}, "`ink` needs one grey channel"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Preparation(**fields)


# Ink

INK = Preparation(size=8, channels=1, ink=True)


def test_the_shipped_digits_come_back_as_the_data_sets_numbers() -> None:
    held_out = digits_data().held_out
    network = model("digits")
    for digit in range(10):
        first = int((held_out.labels == digit).nonzero()[0, 0])
        x = INK(read_picture(DATA / f"digit-{digit}.png"))
        assert torch.equal(x[0], held_out.inputs[first])
        assert int(network(x).argmax()) == digit


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("paper", ["dark", "light"])
def test_every_digit_comes_back_exactly_from_either_paper(scale: int, paper: str) -> None:
    for number in digits_data().train.inputs[:, 0]:
        grey = np.rint(number.numpy() * 255).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
        picture = Picture(255 - pixels if paper == "light" else pixels)
        assert torch.equal(INK(picture)[0, 0], number)


def test_written_digits_are_found_wherever_they_are_on_the_paper() -> None:
    """A held-out digit, smoothly enlarged, dark on grey paper with a margin and noise, is read."""
    held_out, network = digits_data().held_out, model("digits")
    noise = np.random.default_rng(1)
    right = upside_down = 0
    for number, label in zip(held_out.inputs[:100, 0], held_out.labels[:100], strict=True):
        large = Image.fromarray(np.rint(number.numpy() * 255).astype(np.uint8)).resize((160, 160))
        paper = np.zeros((300, 420))
        paper[90:250, 40:200] = np.array(large)
        grey = (225 - 0.8 * paper + noise.normal(0, 3, paper.shape)).clip(0, 255).astype(np.uint8)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
        right += int(network(INK(Picture(pixels))).argmax()) == int(label)
        turned = Picture(np.ascontiguousarray(pixels[::-1]))
        upside_down += int(network(INK(turned)).argmax()) == int(label)
    assert right >= 95
    assert upside_down < 60


def test_empty_paper_has_no_ink() -> None:
    assert ink_cells(np.full((33, 47), 250, np.float32), 8, 8).max() == 0
    faint = np.full((33, 47), 250, np.float32)
    faint[10, 10] = 240
    assert ink_cells(faint, 8, 8).max() == 0


def test_large_and_long_papers_are_averaged_down() -> None:
    paper = np.full((3000, 2000), 240, np.float32)
    paper[600:2200, 900:1300] = 20
    cells = ink_cells(paper, 8, 8)
    assert cells[:, 3:5].min() == 16
    assert cells[:, :3].max() == cells[:, 5:].max() == 0
    line = np.full((1, 3000), 240, np.float32)
    line[0, 1000:2000] = 0
    assert ink_cells(line, 8, 8).max() == 16
