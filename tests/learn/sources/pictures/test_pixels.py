"""Numbers of any depth, either sense of white, and transparent colours are right or refused."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.learn.sources.in_memory import given_picture
from convlens.learn.sources.pictures.decoding import read_picture
from tests.cases.pngs import chunk, png
from tests.cases.tiffs import planes, tiff

# TIFF


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16, 24, 32])
def test_grey_tiffs_of_every_depth(bits: int, order: str, white_is_zero: bool) -> None:
    """Files that Pillow opens have the right brightness; the others are refused."""
    top = 2**bits - 1
    values = np.linspace(0, top, 35).round().astype(np.uint32).reshape(5, 7)
    stored = values.astype(f"u{bits // 8}") if bits in (8, 16, 32) else values
    content = tiff(stored, bits, white_is_zero=white_is_zero, order=order)
    expected = values / top * 255
    if white_is_zero:
        expected = 255 - expected
    opened = [(12, "<", False), (16, "<", False), (16, "<", True), (16, ">", False)]
    if bits > 8 and (bits, order, white_is_zero) not in opened:
        with pytest.raises(ValueError, match=f"{bits} bits each|32-bit or signed"):
            read_picture(content)
        return
    seen = read_picture(content).pixels[:, :, 0]
    assert np.abs(seen - expected).max() < 1


def test_a_grey_of_twelve_bits_and_one_whose_white_is_zero_by_value() -> None:
    values = np.array([[0, 16, 2048, 4095]], np.uint16)
    assert read_picture(tiff(values, 12)).pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    values = np.array([[0, 255, 256, 65535]], np.uint16)
    seen = read_picture(tiff(values, 16, white_is_zero=True)).pixels[0, :, 0]
    assert seen.tolist() == [255, 255, 254, 0]


@pytest.mark.parametrize(
    ("sample_format", "numbers", "bits"),
    [(2, "i1", 8), (2, "i2", 16), (2, "i4", 32), (3, "f2", 16), (3, "f4", 32), (3, "f8", 64)],
)
def test_signed_and_floating_numbers_have_no_agreed_white(
    sample_format: int, numbers: str, bits: int
) -> None:
    content = tiff(np.arange(12).reshape(3, 4).astype(numbers), bits, sample_format=sample_format)
    with pytest.raises(ValueError, match=r"signed numbers|floating-point") as caught:
        read_picture(content)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("compression", [9, 34661, 34712, 34887, 50001, 50002])
def test_a_tiff_of_a_compression_that_is_not_read_is_not_called_damaged(compression: int) -> None:
    content = tiff(np.zeros((3, 4), np.uint8), 8, compression=compression)
    with pytest.raises(ValueError, match=rf"this is a TIFF with compression {compression}"):
        read_picture(content)


@pytest.mark.parametrize("pack", [None, zlib.compress])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_colours_that_lie_in_planes(
    bits: int, order: str, pack: Callable[[bytes], bytes] | None
) -> None:
    """Pillow reads uncompressed planes of 16 bits as 8 bits, and leaves grey ones empty."""
    scale = 257 if bits == 16 else 1
    colours = np.array([[[10, 20, 30], [250, 100, 60]]])
    opaque = np.concatenate([colours, [[[255], [0]]]], 2)
    stored = (colours * scale).astype(f"u{bits // 8}")
    assert read_picture(planes(stored, 2, order=order, pack=pack)).pixels.tolist() == (
        colours.tolist()
    )
    clear = planes((opaque * scale).astype(stored.dtype), 2, order=order, extra=2, pack=pack)
    seen = read_picture(clear).pixels
    assert seen.tolist() == [[[10, 20, 30], [255, 255, 255]]]
    with Image.open(io.BytesIO(clear)) as image:
        assert given_picture(image).pixels.tolist() == seen.tolist()
    samples = (opaque * scale).astype(stored.dtype)
    for content, shown in (
        (planes(samples, 2, order=order, extra=0, pack=pack), colours[0].tolist()),
        (planes(samples, 5, order=order, pack=pack), [[0, 0, 0], [5, 155, 195]]),
        (planes(samples[:, :, 2:], 1, order=order, extra=2, pack=pack), [[30] * 3, [255] * 3]),
    ):
        try:
            assert read_picture(content).pixels[0].tolist() == shown
        except ValueError as error:
            assert "of a kind that can be read" in str(error)  # noqa: PT017


@pytest.mark.parametrize("extra", [1, 2])
def test_compressed_planes_of_grey_and_transparency_are_refused(extra: int) -> None:
    """Pillow leaves both planes empty, which gives a black picture."""
    samples = np.array([[[30, 255], [60, 255]]], np.uint8)
    content = planes(samples, 1, extra=extra, pack=zlib.compress)
    with pytest.raises(ValueError, match="transparency lie in planes of their own"):
        read_picture(content)


@pytest.mark.parametrize("each", [(2, 2), (1, 2), None])
def test_colours_stored_once_for_several_pixels_are_refused(each: tuple[int, int] | None) -> None:
    """If it is not compressed, Pillow reads a colour for each pixel, beyond the end of the data.

    A file that states no subsampling means (2, 2).
    """
    grey = Image.new("YCbCr", (4, 4), (90, 128, 128))
    file, one = io.BytesIO(), io.BytesIO()
    grey.save(file, "TIFF", tiffinfo={530: each or (7, 7)})
    content = file.getvalue() if each else file.getvalue().replace(b"\x12\2\3\0", b"\x11\2\3\0")
    with pytest.raises(ValueError, match="stored once for several pixels"):
        read_picture(content)
    grey.save(one, "TIFF", tiffinfo={530: (1, 1)})
    assert read_picture(one.getvalue()).pixels.tolist() == np.full((4, 4, 3), 90).tolist()


@pytest.mark.parametrize("bits", [12, 16])
def test_a_copy_of_a_deep_grey_tiff_does_not_say_what_is_white(bits: int) -> None:
    """A copy has lost the tags: 4095 of 12 bits would be dark, and a white of 0 black."""
    content = tiff(np.full((2, 3), 4095), bits, white_is_zero=bits == 16)
    with Image.open(io.BytesIO(content)) as image:
        copies = [image.copy(), image.crop((0, 0, 2, 2)), image.rotate(90), pickled(image)]
    for copied in copies:
        with pytest.raises(ValueError, match=r"whether its greys have 12 bits .* as an array"):
            given_picture(copied)
    sixteen = png(1, 1, 16, 0, [b"\x90\x01"])  # in a PNG they have only one meaning
    with Image.open(io.BytesIO(sixteen)) as image:
        assert given_picture(image.copy()).pixels.tolist() == [[[144] * 3]]


def pickled(image: Image.Image) -> Image.Image:
    copied: Image.Image = pickle.loads(pickle.dumps(image))
    return copied


def test_what_an_image_opened_by_its_name_is_is_said(tmp_path: Path) -> None:
    """Pillow closes a file that it cannot decode."""
    whole = io.BytesIO()
    Image.new("RGB", (8, 8)).save(whole, "JPEG")
    path = tmp_path / "odd.jpg"
    path.write_bytes(whole.getvalue().replace(b"\xff\xc0", b"\xff\xc3"))
    with Image.open(path) as image, pytest.raises(ValueError, match="this is a lossless JPEG"):
        given_picture(image)
    path.write_bytes(whole.getvalue().replace(b"\xff\xc0", b"\xff\xca"))
    with Image.open(path) as image, pytest.raises(ValueError, match="truncated or damaged"):
        given_picture(image)


def test_the_clear_colour_of_a_copy_is_known_by_its_upper_bytes() -> None:
    rows = [struct.pack(">6H", 0x0101, 0x0203, 0x0304, 0x0901, 0x0203, 0x0304)]
    key = (b"tRNS", struct.pack(">3H", 0x0901, 0x0203, 0x0304))
    with Image.open(io.BytesIO(png(2, 1, 16, 2, rows, key))) as image:
        copied = image.copy()
    assert given_picture(copied).pixels[0].tolist() == [[1, 2, 3], [255, 255, 255]]


@pytest.mark.parametrize(("bits", "packed"), [(1, 0b01000000), (2, 0b01100000), (4, 0x16)])
def test_a_clear_grey_of_few_bits_is_known_or_asked_for(bits: int, packed: int) -> None:
    """Grey 1 is transparent. Pillow scales all greys but that one, and a loaded image hides it."""
    content = png(2, 1, bits, 0, [bytes([packed])], (b"tRNS", b"\0\1"))
    expected = read_picture(content).pixels[0].tolist()
    assert [255] * 3 in expected
    with Image.open(io.BytesIO(content)) as image:
        for _ in range(2):  # read again, it is loaded
            assert given_picture(image).pixels[0].tolist() == expected
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        for loaded in (image, image.copy()):
            if bits == 1:  # if there is no doubt
                assert given_picture(loaded).pixels[0].tolist() == expected
                continue
            with pytest.raises(ValueError, match="open it again"):
                given_picture(loaded)
    eight = png(2, 1, 8, 0, [b"\x01\x06"], (b"tRNS", b"\0\1"))
    with Image.open(io.BytesIO(eight)) as image:
        image.load()
        assert given_picture(image).pixels[0].tolist() == [[255] * 3, [6] * 3]


def test_planes_that_were_loaded_otherwise_are_refused() -> None:
    content = planes(np.array([[[2570, 5140, 7710], [64250, 25700, 15420]]], ">u2"), 2, order=">")
    with Image.open(io.BytesIO(content)) as image:
        for _ in range(2):
            assert given_picture(image).pixels[0].tolist() == [[10, 20, 30], [250, 100, 60]]
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        with pytest.raises(ValueError, match="open it again"):
            given_picture(image)


def test_camera_raw_files_are_named() -> None:
    small = np.zeros((3, 4), np.uint8)
    for content in (
        tiff(small, 8, tag_50706=0x01040000, tag_254=1),  # DNG, whose first picture is a thumbnail
        tiff(small, 8, tag_330=8, tag_254=1),  # as NEF and ARW
        tiff(np.frombuffer(b"CR\2\0\0\0\0\0", np.uint8)[None], 8),  # CR2, as Pillow opens it
    ):
        with pytest.raises(ValueError, match="a camera's raw file"):
            read_picture(content)


def test_libtiff_says_nothing_in_the_terminal(tmp_path: Path) -> None:
    """Its errors become the reason in the message; a subprocess shows what reaches stderr."""
    file = io.BytesIO()
    Image.new("RGB", (60, 60)).save(file, "TIFF", compression="tiff_lzw")
    content = bytearray(file.getvalue())
    content[8:20] = b"\x5a" * 12
    (tmp_path / "a.tif").write_bytes(content)
    code = (
        "import sys\nfrom PIL import Image\nfrom convlens import read_picture\n"
        "try:\n    read_picture(sys.argv[1])\nexcept ValueError as error:\n    print(error)\n"
        "else:\n    print('read')\n"
        "print('after', file=sys.stderr, flush=True)\n"
        "try:\n    Image.open(sys.argv[1]).load()\nexcept OSError:\n    pass\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.tif")]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert "truncated or damaged (Using code not yet in table)" in ended.stdout
    before, _, after = ended.stderr.partition("after\n")
    assert before == ""
    assert "Using code not yet in table" in after  # other callers get it as before


# The transparent colour of a PNG


@pytest.mark.parametrize(
    ("depth", "row", "clear", "expected"),
    [
        (1, [0b11110000], 1, [255] * 4 + [0] * 4),
        (1, [0b00001111], 0, [255] * 4 + [255] * 4),
        (2, [0b00011011], 2, [0, 85, 255, 255]),
        (4, [0x3C], 3, [255, 204]),
        (8, [3, 60], 3, [255, 60]),
        (16, [0x02, 0xBC, 0x02, 0xBD], 0x02BC, [255, 2]),
        (16, [0x02, 0xBC, 0x02, 0xBD], 0x0002, [2, 2]),
    ],
)
def test_a_clear_grey_lies_over_white(
    depth: int, row: list[int], clear: int, expected: list[int]
) -> None:
    content = png(len(expected), 1, depth, 0, [bytes(row)], (b"tRNS", struct.pack(">H", clear)))
    assert read_picture(content).pixels[0, :, 0].tolist() == expected
    assert given_picture(Image.open(io.BytesIO(content))).pixels[0, :, 0].tolist() == expected


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_clear_colour_of_sixteen_bits_is_known_by_all_of_them(interlaced: bool) -> None:
    """Of two colours with the same upper bytes, only one is transparent."""
    row = struct.pack(">6H", 700, 701, 702, 700, 701, 703)
    clear = (b"tRNS", struct.pack(">3H", 700, 701, 702))
    if interlaced:  # Adam7: a pixel of the first pass, none, none, none, none, the other, none
        row = row[:6] + b"\0" + row[6:]
    content = png(2, 1, 16, 2, [row], clear, interlaced=interlaced)
    expected = [[255, 255, 255], [2, 2, 2]]
    assert read_picture(content).pixels[0].tolist() == expected
    assert given_picture(Image.open(io.BytesIO(content))).pixels[0].tolist() == expected


# Texts and profiles


TEXT = b"Comment\0\0" + zlib.compress(b"x" * 3_000_000)
UNSEEN = [
    (b"zTXt", TEXT),
    (b"tEXt", b"Comment\0" + b"x" * 70_000_000),
    (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
    (b"iCCP", b"profile\0\0" + zlib.compress(b"x" * 3_000_000)),
    (b"iCCP", b"profile\0\7broken"),
    (b"sRGB", b""),
    (b"eXIf", b"broken"),
]


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda one: one[0].decode())
@pytest.mark.parametrize("behind", [False, True])
def test_long_texts_and_broken_profiles_leave_the_pixels(
    unseen: tuple[bytes, bytes], behind: bool
) -> None:
    plain = png(2, 1, 8, 2, [bytes([1, 2, 3, 4, 5, 6])])
    place = len(plain) - 12 if behind else 33
    content = plain[:place] + chunk(*unseen) + plain[place:]
    assert read_picture(content).pixels[0].tolist() == [[1, 2, 3], [4, 5, 6]]
    if behind:
        image = Image.open(io.BytesIO(content))
        assert given_picture(image).pixels[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_how_a_picture_lies_is_kept_beside_long_texts() -> None:
    exif = Image.Exif()
    exif[274] = 6
    raw = exif.tobytes()
    profile = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
    xmp = b'<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>'
    for lying in (
        (b"eXIf", raw.removeprefix(b"Exif\0\0")),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    ):
        content = png(2, 1, 8, 2, [bytes([1, 2, 3, 4, 5, 6])], lying, (b"zTXt", TEXT))
        assert read_picture(content).pixels.tolist() == [[[1, 2, 3]], [[4, 5, 6]]]
