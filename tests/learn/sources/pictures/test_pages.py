"""Every page of a file gets its own answer."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens import draw, predict, read_picture
from convlens.lab.answers.answering import Lab
from convlens.learn.opening import open_network
from convlens.learn.predicting.folder import predict_into
from convlens.learn.reading_inputs import remark
from convlens.learn.sources.pictures.pages import pages_of
from convlens.learn.sources.reading import read_sources
from convlens.zoo.weights import DATA
from tests.cases.tiffs import tiff


def digits(*numbers: int) -> list[Image.Image]:
    pages = []
    for number in numbers:
        with Image.open(DATA / f"digit-{number}.png") as image:
            pages.append(image.convert("L"))
    return pages


def scan(path: Path, *numbers: int, **options: Any) -> Path:
    first, *others = digits(*numbers)
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"big_tiff": True}])
def test_every_page_of_a_tiff_is_answered(tmp_path: Path, options: dict[str, Any]) -> None:
    path = scan(tmp_path / "scan.tif", 3, 7, 1, **options)
    predictions = list(predict("digits", path))
    assert [(p.name, p.page, p.labels[0]) for p in predictions] == [
        *(("scan.tif", 0, 3), ("scan.tif", 1, 7), ("scan.tif", 2, 1)),
    ]
    assert [p.to_dict()["page"] for p in predictions] == [0, 1, 2]
    assert str(predictions[1]).startswith("scan.tif, page 1 (128 x 128)")
    with Image.open(path) as image:
        assert [p.to_dict() for p in predict("digits", image)] == [p.to_dict() for p in predictions]
        image.seek(1)
        (alone,) = predict("digits", image)
        assert (alone.page, alone.labels[0]) == (None, 7)
        assert image.tell() == 1


def test_every_picture_of_an_mpo_is_answered(tmp_path: Path) -> None:
    path = scan(tmp_path / "both.mpo", 3, 7, format="MPO")
    assert [(p.page, p.labels[0]) for p in predict("digits", path)] == [(0, 3), (1, 7)]
    assert pages_of(path.read_bytes()) == (0, 1)


def test_what_is_a_page(tmp_path: Path) -> None:
    """A single page has no number; smaller copies, masks and gain maps are not pages."""
    (one,) = predict("digits", scan(tmp_path / "one.tif", 3))
    assert one.page is None
    assert "page" not in one.to_dict()
    pixels = np.zeros((4, 4), np.uint8)
    assert pages_of(joined(tiff(pixels, 8), tiff(pixels, 8, tag_254=1))) == (0,)
    assert pages_of(joined(tiff(pixels, 8), tiff(pixels, 8, tag_254=4))) == (0,)
    assert pages_of(joined(tiff(pixels, 8), tiff(pixels, 8, tag_254=2))) == (0, 1)
    assert pages_of(joined(tiff(pixels, 8, tag_254=1), tiff(pixels, 8))) == (1,)
    content = scan(tmp_path / "both.mpo", 3, 7, format="MPO").read_bytes()
    second = content.index(b"\xff\xd8\xff", 4)
    gain = b"\xff\xe1" + struct.pack(">H", 2 + 24) + b"http://hdrgainmap:xxxxxx"
    assert pages_of(content[: second + 2] + gain + content[second + 2 :]) == (0,)


def joined(first: bytes, second: bytes) -> bytes:
    """Join two TIFF files of one page into one of two, with the offsets of the second moved."""
    start = len(first)
    (directory,) = struct.unpack_from("<I", second, 4)
    (entries,) = struct.unpack_from("<H", second, directory)
    moved = bytearray(second)
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", second, at)[0] == 273:
            struct.pack_into("<I", moved, at + 8, 8 + start)
    whole = bytearray(first + moved)
    (ahead,) = struct.unpack_from("<I", first, 4)
    (count,) = struct.unpack_from("<H", first, ahead)
    struct.pack_into("<I", whole, ahead + 2 + 12 * count, start + directory)
    return bytes(whole)


def test_pages_that_circle_end() -> None:
    content = bytearray(tiff(np.zeros((4, 4), np.uint8), 8))
    (directory,) = struct.unpack_from("<I", content, 4)
    content[-4:] = struct.pack("<I", directory)
    assert pages_of(bytes(content)) == (0,)


@pytest.mark.parametrize("kept", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_file_cut_short_gives_the_pages_before_and_a_sentence(
    tmp_path: Path, kept: float
) -> None:
    content = scan(tmp_path / "scan.tif", 3, 7, 1, 4).read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: int(kept * len(content))])
    predictions = list(predict("digits", tmp_path / "cut.tif"))
    good = [int(p.labels[0]) for p in predictions if p.error is None]
    assert good == [3, 7, 1, 4][: len(good)]
    assert len(good) < 4
    assert "truncated or damaged" in str(predictions[-1].error)


def test_a_file_that_ends_where_a_page_would_begin_is_cut_short(tmp_path: Path) -> None:
    """The remaining pages are whole; only the last one shows that another is missing."""
    content = scan(tmp_path / "scan.tif", 3, 7, 1).read_bytes()
    place, directories = 4, []
    for _ in range(3):
        (offset,) = struct.unpack_from("<I", content, place)
        (entries,) = struct.unpack_from("<H", content, offset)
        directories.append(offset)
        place = offset + 2 + 12 * entries
    (tmp_path / "cut.tif").write_bytes(content[: directories[2]])
    predictions = list(predict("digits", tmp_path / "cut.tif"))
    assert [int(p.labels[0]) for p in predictions[:2]] == [3, 7]
    assert [p.page for p in predictions] == [0, 1, 2]
    assert "truncated or damaged" in str(predictions[2].error)


def test_a_damaged_page_does_not_end_the_file(tmp_path: Path) -> None:
    content = bytearray(scan(tmp_path / "a.tif", 3, 7, 1, compression="tiff_lzw").read_bytes())
    with Image.open(io.BytesIO(content)) as image:
        image.seek(1)
        (place,), _ = image.tag_v2[273], image  # type: ignore[attr-defined]
    content[place : place + 40] = b"\x5a" * 40
    (tmp_path / "a.tif").write_bytes(content)
    predictions = list(predict("digits", tmp_path / "a.tif"))
    assert [(p.page, p.error is None) for p in predictions] == [(0, True), (1, False), (2, True)]
    assert "page" in predictions[1].to_dict()


def test_into_a_folder_and_on_after_it_was_stopped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    scan(tmp_path / "in" / "scan.tif", 3, 7, 1)
    scan(tmp_path / "in" / "a.png", 4)
    out = tmp_path / "out"
    job = predict_into("digits", tmp_path / "in", out, pen=draw)
    list(job)
    assert (job.predicted, job.failed, job.total) == (2, 0, 2)
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    rows = [json.loads(line) for line in lines]
    assert [(row["image"], row.get("page"), row.get("last")) for row in rows] == [
        *(("a.png", None, None), ("scan.tif", 0, None), ("scan.tif", 1, None)),
        ("scan.tif", 2, True),
    ]
    drawn = [f"scan.tif.page-{page}.png" for page in range(3)]
    assert all((out / name).is_file() for name in drawn)
    assert len({(out / name).read_bytes() for name in drawn}) == 3
    # Killed after the second page: all pages are done again, and no line is there twice.
    (out / "predictions.jsonl").write_text("".join(lines[:3]))
    again = predict_into("digits", tmp_path / "in", out, pen=draw)
    assert [p.page for p in again] == [0, 1, 2]
    assert (out / "predictions.jsonl").read_text().splitlines(keepends=True) == lines
    assert list(predict_into("digits", tmp_path / "in", out, pen=draw)) == []


def test_a_page_that_fails_counts_the_file_once(tmp_path: Path) -> None:
    content = scan(tmp_path / "scan.tif", 3, 7, 1, 4).read_bytes()
    (tmp_path / "scan.tif").write_bytes(content[: len(content) // 2])
    job = predict_into("digits", tmp_path / "scan.tif", tmp_path / "out")
    list(job)
    assert (job.predicted, job.failed) == (0, 1)


def test_the_first_page_is_looked_at_and_that_is_said(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.tif", 3, 7, 1)
    opened = open_network("digits")
    assert remark(opened, path) == "the first of 3 pages"
    assert remark(opened, path.read_bytes()) == "the first of 3 pages"
    with Image.open(path) as image:
        assert remark(opened, image) == "the first of 3 pages"
    assert remark(opened, scan(tmp_path / "a.gif", 3, 7, duration=90)) == "the first of its frames"
    assert remark(opened, scan(tmp_path / "one.tif", 3)) is None
    lab = Lab(opened)
    lab.look(path)
    assert lab.network()["picture_name"] == "scan.tif, the first of 3 pages"
    lab.look(path.read_bytes(), "scan.tif")
    assert lab.network()["picture_name"] == "scan.tif, the first of 3 pages"


def test_pages_are_turned_each_by_its_own_exif(tmp_path: Path) -> None:
    pages = [page.resize((40, 30)) for page in digits(3, 7)]
    path = tmp_path / "scan.tif"
    turned = Image.Exif()
    turned[274] = 6
    pages[1].encoderinfo = {"exif": turned}
    pages[0].save(path, save_all=True, append_images=pages[1:])
    (source,) = read_sources(path)
    seen = [source.read(page).pixels for page in source.pages()]
    assert np.array_equal(seen[0], read_picture(path).pixels)
    for number, page in enumerate(seen):
        with Image.open(path) as image:
            image.seek(number)
            lies = image.getexif().get(274, 1)
        expected = np.asarray(pages[number].convert("RGB"))
        assert np.array_equal(page, np.rot90(expected, -1) if lies == 6 else expected)
