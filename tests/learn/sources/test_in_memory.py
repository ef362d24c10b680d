"""Objects of Python are seen like their files, or refused with how to convert them."""

from __future__ import annotations

import copy
import io
import pickle
import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convlens import predict
from convlens.draw import drawn
from convlens.learn.opening import open_network
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.sources.in_memory import pictures_of_array
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.reading import read_sources
from convlens.zoo.weights import DATA

Pixels = NDArray[np.uint8]

random = np.random.default_rng(0)

DIGITS = open_network("digits")


def photograph() -> Image.Image:
    with Image.open(DATA / "cat.jpg") as picture:
        return picture.convert("RGB").resize((30, 20))


def clear_on_the_left(mode: str) -> Image.Image:
    image = photograph().convert(mode)
    alpha = np.full((20, 30), 255, np.uint8)
    alpha[:, :10], alpha[:, 10:15] = 0, 100
    image.putalpha(Image.fromarray(alpha))
    return image


def keyed(mode: str) -> Image.Image:
    """Make one of its colours transparent."""
    image = photograph().convert(mode)
    image.info["transparency"] = image.getpixel((3, 3))
    return image


def sixteen(mode: str) -> Image.Image:
    values = random.integers(0, 65536, (20, 30)).astype(">u2" if mode == "I;16B" else "<u2")
    return Image.frombytes(mode, (30, 20), values.tobytes())


# Each mode with the kinds of file that keep it.
MODES: list[tuple[Image.Image, str]] = [
    *((photograph().convert("1"), kind) for kind in ("PNG", "TIFF", "BMP")),
    *((photograph().convert("L"), kind) for kind in ("PNG", "TIFF", "BMP", "JPEG", "GIF")),
    *((photograph().quantize(7), kind) for kind in ("PNG", "TIFF", "BMP", "GIF")),
    *((photograph(), kind) for kind in ("PNG", "TIFF", "BMP", "JPEG", "WEBP")),
    *((clear_on_the_left("L"), kind) for kind in ("PNG", "TIFF")),
    *((clear_on_the_left("RGB"), kind) for kind in ("PNG", "TIFF", "WEBP")),
    *((keyed("P"), kind) for kind in ("PNG", "GIF")),
    *((keyed("L"), kind) for kind in ("PNG",)),
    *((keyed("RGB"), kind) for kind in ("PNG",)),
    *((photograph().convert("CMYK"), kind) for kind in ("TIFF", "JPEG")),
    (photograph().convert("YCbCr"), "TIFF"),
    *((sixteen("I;16"), kind) for kind in ("PNG", "TIFF")),
    (sixteen("I;16B"), "TIFF"),
]


@pytest.mark.parametrize(("image", "kind"), MODES, ids=lambda one: getattr(one, "mode", one))
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_every_mode_and_orientation_is_the_same_in_every_way(
    tmp_path: Path, image: Image.Image, kind: str, orientation: int
) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    exif = Image.Exif()
    exif[274] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    image.save(path, kind, **({} if kind in ("BMP", "GIF") else {"exif": exif}), **lossless)
    seen = read_picture(path).pixels
    with Image.open(path) as lazy:
        assert np.array_equal(given(lazy), seen)
    with Image.open(path) as loaded:
        loaded.load()
        # Pillow itself breaks the rows of a rotated TIFF that it opens by its path.
        if kind != "TIFF" or orientation < 5:
            assert np.array_equal(given(loaded), seen)
    assert np.array_equal(given(Image.open(io.BytesIO(path.read_bytes()))), seen)
    assert np.array_equal(given(seen), seen)
    assert np.array_equal(given(torch.from_numpy(seen.copy())), seen)
    # Able to fail: Pillow's own oracle, in a case where it is right.
    if image.mode in ("L", "RGB", "CMYK") and "transparency" not in image.info:
        with Image.open(io.BytesIO(path.read_bytes())) as opened:
            turned = ImageOps.exif_transpose(opened).convert("RGB")
        assert np.array_equal(np.asarray(turned), seen)


def given(source: object) -> Pixels:
    (one,) = read_sources(source)
    return one.read(None).pixels


def test_scores_are_the_same_by_path_image_and_array(tmp_path: Path) -> None:
    """A phone's photograph, turned; a scan of 16 bits; ink on clear paper."""
    with Image.open(DATA / "digit-3.png") as digit:
        grey = digit.convert("L")
    exif = Image.Exif()
    exif[274] = 6
    grey.rotate(90).save(tmp_path / "phone.jpg", exif=exif)
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "scan.png")
    clear = Image.new("LA", grey.size, (0, 0))
    clear.putalpha(grey)
    clear.save(tmp_path / "clear.png")
    for path in sorted(tmp_path.iterdir()):
        with Image.open(path) as image:
            (by_image,) = predict("digits", image, top=10)
            x, shown = read_inputs(open_network("digits"), image)
        (by_path,) = predict("digits", path, top=10)
        (by_array,) = predict("digits", read_picture(path).pixels, top=10)
        assert by_image.to_dict() == by_path.to_dict()
        assert by_array.to_dict()["predictions"] == by_path.to_dict()["predictions"]
        assert by_path.labels[0] == 3
        expected, pixels = read_inputs(open_network("digits"), path)
        assert torch.equal(x, expected)
        assert shown is not None
        assert pixels is not None
        assert np.array_equal(shown, pixels)


@pytest.mark.parametrize("mode", ["HSV", "La", "RGBa", "RGBX"])
def test_modes_that_no_file_has(mode: str) -> None:
    image = photograph()
    whole = (
        image.convert("RGBA") if mode == "RGBa" else image.convert("LA" if mode == "La" else "RGB")
    )
    seen = given(whole.convert(mode)).astype(int)
    assert np.abs(seen - np.asarray(whole.convert("RGB")).astype(int)).max() <= 6


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_modes_without_an_agreed_white_are_refused(mode: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^`source` \(a PIL image\) .*mode {mode}\).*; scale its"
    ):
        read_sources(Image.new(mode, (4, 4)))


def test_an_image_is_left_as_it_was(tmp_path: Path) -> None:
    images = [Image.new("L", (4, 4), grey) for grey in (10, 20, 30)]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    with Image.open(tmp_path / "a.tif") as image:
        image.seek(1)
        assert given(image).max() == 20
        assert image.tell() == 1
    grey = Image.new("I;16", (4, 4), 700)
    given(grey)
    assert (grey.mode, grey.getpixel((0, 0))) == ("I;16", 700)


def test_an_animation_is_a_clip_and_a_frame_of_it_a_picture(tmp_path: Path) -> None:
    frames = [Image.new("L", (6, 4), 60 * n) for n in range(4)]
    for kind in ("gif", "webp", "png"):
        frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:], duration=80)
        with Image.open(tmp_path / f"a.{kind}") as image:
            by_image = [p.to_dict() for p in predict("digits", image)]
            by_path = [p.to_dict() for p in predict("digits", tmp_path / f"a.{kind}")]
            assert by_image == by_path
            assert [row["frame"] for row in by_path] == [0, 1, 2, 3]
            assert [row["time"] for row in by_path] == pytest.approx([0, 0.08, 0.16, 0.24])
            image.seek(2)
            (alone,) = predict("digits", image)
            assert alone.frame is None
            assert abs(int(given(image)[0, 0, 0]) - 120) <= 1


# Arrays


def floats(*shape: int) -> NDArray[np.float64]:
    return random.random(shape)


def integers(*shape: int, most: int = 255) -> NDArray[np.int64]:
    return random.integers(0, most, shape)


ARRAYS: list[tuple[NDArray[Any], str]] = [
    (floats(5, 6, 3), "source * 255"),
    (floats(5, 6, 3).astype(np.float16), "source * 255"),
    (floats(5, 6, 3) * 255, "np.rint(source)"),
    (floats(5, 6, 3) * 2 - 1, "(source + 1) * 127.5"),
    (floats(5, 6, 4), "source[..., :3] * 255"),
    (floats(3, 5, 6), "source.transpose(1, 2, 0) * 255"),
    (floats(5, 6), "source * 255"),
    (floats(2, 5, 6, 3), "source * 255"),
    (floats(2, 3, 5, 6), "source.transpose(0, 2, 3, 1) * 255"),
    (integers(5, 6, 4).astype(np.uint8), "source[..., :3]"),
    (integers(5, 6, 2).astype(np.uint8), "source[..., :1]"),
    (integers(3, 5, 6).astype(np.uint8), "source.transpose(1, 2, 0)"),
    (integers(4, 5, 6).astype(np.uint8), "source[:3].transpose(1, 2, 0)"),
    (integers(2, 4, 5, 6).astype(np.uint8), "source[:, :3].transpose(0, 2, 3, 1)"),
    (integers(1, 5, 6).astype(np.uint8), "source[0]"),
    (integers(5, 6, 3), "source.astype(np.uint8)"),
    (integers(5, 6, 3, most=2), "(source * 255).astype(np.uint8)"),
    (integers(5, 6, 3, most=65536).astype(np.uint16), ">> 8"),
    (integers(5, 6, 3, most=4096).astype(np.uint16), ">> 4"),
    (floats(5, 6, 3) > 0.5, "source * np.uint8(255)"),
    # Scaling that sharpens edges goes a little beyond black and white.
    (floats(5, 6, 3) * 1.1 - 0.05, "source.clip(0, 1) * 255"),
    (floats(5, 6, 3) * 1.01, "source.clip(0, 1) * 255"),
    (floats(3, 5, 6) * 1.01 - 0.01, "source.transpose(1, 2, 0).clip(0, 1) * 255"),
    (floats(5, 6, 3) * 2.1 - 1.05, "(source.clip(-1, 1) + 1) * 127.5"),
    (floats(5, 6, 3) * 265 - 5, "source.clip(0, 255)"),
    (floats(20, 18, 19), "source[..., None] * 255"),
    (integers(20, 18, 19).astype(np.uint8), "source[..., None]"),
]


@pytest.mark.parametrize(("source", "cure"), ARRAYS)
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_arrays_that_are_not_pixels_are_refused_with_a_conversion(
    source: Any, cure: str, kind: str
) -> None:
    if kind == "tensor":
        source = torch.from_numpy(source)
    with pytest.raises(ValueError, match=rf"^`source` \(an? {kind} ") as caught:
        list(predict("digits", source))
    said = str(caught.value)
    assert "\n" not in said
    if kind == "array":
        assert cure in said
    written = said.partition("; give ")[2].partition(", if")[0]
    # The advice is executed as it is, and gives the intended pixels.
    pixels = given_frames(eval(written, {"source": source, "np": np}))
    assert 0 < pixels.max() <= 255
    spread = float(pixels.max()) - float(pixels.min())
    assert spread > 200


def given_frames(source: object) -> Pixels:
    return np.stack([picture.pixels for picture in pictures_of_array(source)])


def test_a_grey_array_is_taken_as_a_grey_file_is(tmp_path: Path) -> None:
    grey = integers(20, 30).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    seen = read_picture(tmp_path / "grey.png").pixels
    for source in (grey, grey[:, :, None], torch.from_numpy(grey)):
        assert np.array_equal(given(source), seen)
    assert given_frames(np.stack([grey, grey])[..., None]).shape == (2, 20, 30, 3)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (np.full((4, 4, 3), np.nan), "not finite"),
        (np.full((4, 4, 3), np.inf), "not finite"),
        (np.zeros((4, 4, 3), complex), "whole numbers of 8 bits"),
        (np.zeros(5), "one of these shapes"),
        (np.zeros((5, 6, 7), np.uint8), "one of these shapes"),
        (np.zeros((0, 4, 3)), "must not be empty"),
        (
            np.full((4, 4, 3), 2.5) - 3 * np.eye(4)[..., None],
            "undo what scaled its numbers to -0.5",
        ),
        (np.full((4, 4, 3), 70_000), "undo what scaled its numbers to 70000"),
        (floats(4, 4, 3) * 3, "undo what scaled its numbers to 0.*to [12]"),
        (torch.zeros(4, 4, 3, dtype=torch.bfloat16), r"convert it with .float\(\) first"),
        (torch.zeros(4, 4, 3).to_sparse(), r"convert it with .to_dense\(\) first"),
        (np.zeros((4, 4, 3), ml_dtypes.bfloat16), r"convert it with .astype\(np.float32\) first"),
    ],
)
def test_arrays_that_nothing_makes_pixels_of(source: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_sources(source)


def test_drawing_and_preparing_take_the_same_pictures() -> None:
    image = photograph()
    pixels = np.asarray(image)
    (seen,) = predict("digits", image)
    plain, prepared = drawn(Picture(pixels), seen), Preparation()(Picture(pixels))
    for source in (image, pixels, torch.from_numpy(pixels.copy())):
        assert np.array_equal(np.asarray(drawn(source, seen)), np.asarray(plain))
        assert torch.equal(Preparation()(source), prepared)
    takes: tuple[Any, ...] = (lambda x: drawn(x, seen), Preparation())
    for take in takes:
        with pytest.raises(ValueError, match=r"`picture` .* give np.rint\(picture \* 255\)"):
            take(pixels / 255)
        with pytest.raises(TypeError, match=r"`picture` \(of type str\) must be a Picture"):
            take("a.png")


def test_items_of_a_list_are_named_by_their_place() -> None:
    with pytest.raises(ValueError, match=re.escape("give np.rint(source[1] * 255)")):
        read_sources([np.zeros((4, 4, 3), np.uint8), floats(4, 4, 3)])


def test_a_picture_is_given_as_it_is() -> None:
    picture = Picture(np.zeros((4, 6, 3), np.uint8), "night.png")
    assert next(iter(read_sources(picture))).read(None) is picture


def stored(form: str, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    photograph().save(file, form, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "WEBP", "MPO"])
def test_an_image_that_was_pickled_is_the_frame_it_stood_at(form: str) -> None:
    """It has no file any more, and asking Pillow for its frame raises AttributeError."""
    with Image.open(stored(form, save_all=True, append_images=[Image.new("RGB", (30, 20))])) as one:
        seen = read_inputs(DIGITS, one)[1]
        for copied in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
            assert [each.error for each in predict(DIGITS, copied)] == [None]
            np.testing.assert_array_equal(read_inputs(DIGITS, copied)[1], seen)


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "JPEG"])
def test_an_image_that_was_closed_says_so_and_is_not_called_damaged(form: str) -> None:
    several = {} if form == "JPEG" else {"save_all": True, "append_images": [photograph()]}
    with Image.open(stored(form)) as kept:
        copied = kept.copy()
        kept.load()
    assert [each.error for each in predict(DIGITS, copied)] == [None]
    if form != "GIF":  # which does not say how many frames it has
        assert [each.error for each in predict(DIGITS, kept)] == [None]
    kept.close()
    file = stored(form)
    untouched = Image.open(file)
    file.close()
    more = Image.open(stored(form, **several))
    more.load()
    more.close()
    for image in (kept, untouched, more):
        with pytest.raises(ValueError, match=r"`source` \(a PIL image\) must be open .* copy\(\)"):
            predict(DIGITS, image)
