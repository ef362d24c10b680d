"""A name becomes sources in order, or is refused in a sentence; nothing is decoded."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.reading import Sources, read_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of many kinds in two folders; their content does not matter here."""
    root = tmp_path / "photos"
    for name in (
        *("b.jpg", "a.PNG", "c/d.webp", "c/a/z.tiff", "c/e.mp4", "notes.md", "weights.pth"),
        *(".hidden.jpg", "._b.jpg", ".cache/x.jpg", "d.gif"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names(found: Sources) -> list[str]:
    return [source.name for source in found]


# Folders


def test_a_folder_is_every_picture_and_clip_below_it_in_order(folder: Path) -> None:
    found = read_sources(folder)
    assert names(found) == ["a.PNG", "b.jpg", "c/a/z.tiff", "c/d.webp", "c/e.mp4", "d.gif"]
    assert (found.count(), found.root) == (6, folder)
    assert all(source.path == folder / source.name for source in found)
    assert names(found) == names(read_sources(str(folder)))


def test_links_that_circle_end(folder: Path) -> None:
    (folder / "c" / "back").symlink_to(folder, target_is_directory=True)
    (folder / "link.jpg").symlink_to(folder / "b.jpg")
    assert names(read_sources(folder)).count("b.jpg") == 1
    assert "link.jpg" in names(read_sources(folder))


def test_the_folder_of_results_is_left_out(folder: Path) -> None:
    assert "c/d.webp" not in names(read_sources(folder, skip=folder / "c"))
    with pytest.raises(ValueError, match="must hold a picture or clip, and does not"):
        read_sources(folder / "c", skip=folder / "c")


def test_a_folder_is_searched_again_each_time(folder: Path) -> None:
    found = read_sources(folder)
    (folder / "new.jpg").write_bytes(b"")
    assert "new.jpg" in names(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_a_folder_that_may_not_be_read_is_one_error(folder: Path) -> None:
    (folder / "c").chmod(0)
    errors = [source for source in read_sources(folder) if source.error]
    (folder / "c").chmod(0o700)
    assert [source.name for source in errors] == ["c"]


def test_a_folder_that_vanishes_or_cannot_be_opened_is_one_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refusing(path: str) -> object:
        if os.path.basename(path) == "c":
            raise PermissionError(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = list(read_sources(folder))
    assert [source.name for source in found] == ["a.PNG", "b.jpg", "c", "d.gif"]
    assert found[2].error == "`source` (c) must be a folder that can be read"


# Files, globs, lists


def test_one_file_and_several_have_a_root_in_common(folder: Path) -> None:
    assert names(read_sources(folder / "c" / "d.webp")) == ["d.webp"]
    several = read_sources([folder / "c" / "d.webp", folder / "b.jpg"])
    assert names(several) == ["c/d.webp", "b.jpg"]
    other = folder.parent / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes(b"")
    assert names(read_sources([folder, other]))[-1] == "other/b.jpg"
    assert len(set(names(read_sources([folder, other])))) == 7


def test_a_glob(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(read_sources(f"{folder}/**/*.[wt]*f*")) == ["z.tiff"]
    monkeypatch.chdir(folder)
    assert names(read_sources("*.jpg")) == ["b.jpg"]
    assert names(read_sources("c/*")) == ["d.webp", "e.mp4"]


def test_a_file_whose_name_looks_like_a_glob(folder: Path) -> None:
    (folder / "a[1].jpg").write_bytes(b"")
    assert names(read_sources(folder / "a[1].jpg")) == ["a[1].jpg"]


def test_a_list_is_relative_to_itself(folder: Path) -> None:
    listing = folder.parent / "some.txt"
    text = f"photos/b.jpg\n\n  photos/absent.jpg  \r\n{folder}/c/d.webp\n"
    listing.write_bytes(text.encode() + b"photos/na\xffme.jpg\n")
    found = list(read_sources(listing))
    assert [source.name for source in found][:3] == ["b.jpg", "absent.jpg", "c/d.webp"]
    assert os.fsencode(found[3].name) == b"na\xffme.jpg"


# Cameras and decoded pictures


def test_a_camera_has_no_end() -> None:
    for source in (0, "0"):
        found = read_sources(source)
        assert [one.camera for one in found] == [0]
        assert (names(found), found.count(), found.root) == (["camera-0"], None, None)


def test_a_file_called_by_a_number_is_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "0").write_bytes(b"")
    monkeypatch.chdir(folder)
    assert [source.camera for source in read_sources("0")] == [None]


def test_pictures_that_are_decoded() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    clip = np.zeros((5, 4, 6, 3), np.uint8)
    given: Sequence[object] = [
        *(pixels, clip, Picture(pixels.copy(), "night.png"), Image.new("L", (6, 4), 7)),
    ]
    found = list(read_sources(given))
    assert [source.name for source in found] == ["0-picture", "1-clip", "2-night.png", "3-picture"]
    assert [len(source.given) for source in found] == [1, 5, 1, 1]
    assert [source.is_clip for source in found] == [False, True, False, False]
    assert found[3].given[0].pixels.tolist() == np.full((4, 6, 3), 7).tolist()
    assert names(read_sources(Picture(pixels, "../../night.png"))) == ["night.png"]


def test_pixels_given_are_copied() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    found = next(iter(read_sources(pixels)))
    pixels[:] = 9
    assert found.given[0].pixels.max() == 0


# Refusals


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("absent.jpg", ValueError, "there is none; check the path"),
        ("absent*.jpg", ValueError, "must match a file, and does not"),
        ("https://example.org/cat.jpg", ValueError, "must be on this machine"),
        ("rtsp://camera/1", ValueError, "must be on this machine"),
        (-1, ValueError, "must be a camera's number"),
        ([0, 1], ValueError, "is a camera, which has no end"),
        ([], ValueError, "must name something"),
        (1.5, TypeError, "of type float"),
        (True, TypeError, "of type bool"),
        (b"GIF89a", TypeError, "read_picture makes of its bytes"),
        (io.BytesIO(), TypeError, "read_picture makes of its bytes"),
        ([1.5], TypeError, r"`source\[0\]` \(of type float\)"),
        (np.zeros((0, 4, 4, 3), np.uint8), ValueError, "must not be empty"),
    ],
)
def test_what_cannot_be_a_source_is_refused(
    source: object, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        read_sources(source)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_list_without_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no picture")
    (tmp_path / "list.txt").write_text("\n\n")
    for source in (tmp_path, tmp_path / "list.txt"):
        with pytest.raises(ValueError, match="must hold a picture or clip, and does not"):
            read_sources(source)


def test_an_address_in_a_list_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg\nhttp://example.org/b.jpg\n")
    with pytest.raises(ValueError, match=r"list.txt, line 2: 'http://example.org/b.jpg'"):
        read_sources(tmp_path / "list.txt")


# Other files of a folder


def test_files_of_a_folder_are_read_named_or_counted(folder: Path) -> None:
    for name in ("e.jfif", "f.mpo", "g.apng", "h.jpe", "i.dib", "c/x.heic", "c/y.AVIF", "c/z.jp2"):
        (folder / name).write_bytes(b"")
    for name in ("c/labels.csv", "more.csv", "README"):
        (folder / name).write_text("")
    (folder / "link").symlink_to(folder / "c", target_is_directory=True)
    found = read_sources(folder)
    assert {"e.jfif", "f.mpo", "g.apng", "h.jpe", "i.dib"} <= set(names(found))
    assert {"c/x.heic", "c/y.AVIF", "c/z.jp2"} <= set(names(found))
    assert found.left_out() == (
        "9 files left out: 3 hidden, 2 .csv, 1 .md, 1 .pth, 1 link to a folder, 1 without a suffix"
    )
    without = read_sources(folder, skip=folder / "c").left_out()
    assert without == str(found.left_out()).replace("9", "8").replace("2 .csv, ", "1 .csv, ")
    assert read_sources(folder / "b.jpg").left_out() is None


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(ValueError, match=r"does not \(1 file left out: 1 .md\); check the path"):
        read_sources(tmp_path)


# Lists and globs


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-8"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_of_any_encoding(folder: Path, mark: bytes, encoding: str, end: str) -> None:
    (folder / "ß.jpg").write_bytes(b"")
    text = end.join(["photos/b.jpg", "", "photos/ß.jpg", "  photos/d.gif  "]) + end
    listing = folder.parent / "list.txt"
    listing.write_bytes(mark + text.encode(encoding))
    assert names(read_sources(listing)) == ["b.jpg", "ß.jpg", "d.gif"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("photos/b.jpg\n".encode("utf-16-le"), "line 1: .* holds a zero byte; save it as UTF-8"),
        (codecs.BOM_UTF16_LE + b"a", "its mark says utf-16-le, which it is not"),
    ],
)
def test_a_list_that_is_no_text_is_refused(folder: Path, content: bytes, said: str) -> None:
    (folder.parent / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        read_sources(folder.parent / "list.txt")
    assert "\n" not in str(caught.value)


def test_a_list_names_folders_and_patterns(folder: Path) -> None:
    (folder / "empty").mkdir()
    listing = folder.parent / "list.txt"
    listing.write_text("photos/c\nphotos/*.jpg\nphotos/empty\nphotos/absent*.jpg\n")
    found = list(read_sources(listing))
    assert [source.name for source in found] == [
        *("c/a/z.tiff", "c/d.webp", "c/e.mp4", "b.jpg", "empty", "absent*.jpg"),
    ]
    assert found[4].error == (
        "`source` (empty) must be a folder that holds a picture or clip, and does not"
    )
    assert [source.error for source in found[:4]] == [None] * 4


def test_a_glob_and_a_list_are_settled_once(folder: Path) -> None:
    """Files written during the run do not belong to it, and no name leads out of the root."""
    (folder.parent / "list.txt").write_text("photos/b.jpg\n")
    found = read_sources([f"{folder}/**/*.jpg", str(folder.parent / "list.txt")])
    before = names(found)
    (folder.parent / "out").mkdir()
    (folder / "new.jpg").write_bytes(b"")
    (folder.parent / "list.txt").unlink()
    assert names(found) == before == ["b.jpg", "b.jpg"]
    assert found.count() == 2
