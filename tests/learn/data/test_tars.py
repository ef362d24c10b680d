"""WebDataset's tar files, read at their places."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from convlens.learn.data.finding import find_data
from convlens.learn.data.tars import TarSamples, find_tars


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (shade,) * 3).save(file, "PNG")
    return file.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def whole(path: Path) -> TarSamples:
    samples = find_tars(path)["whole"](None)
    assert isinstance(samples, TarSamples)
    return samples


@pytest.mark.parametrize(
    ("ending", "labels", "classes"),
    [
        ("cls", ["0", " 2\n"], ("0", "1", "2")),
        ("json", ['{"label": 0}', '{"x": 1, "label": 2}'], ("0", "1", "2")),
        ("json", ['{"class": "dog"}', '"cat"'], ("cat", "dog")),
        ("txt", ["dog", "cat\n"], ("cat", "dog")),
    ],
)
def test_labels(tmp_path: Path, ending: str, labels: list[str], classes: tuple[str, ...]) -> None:
    members = {f"0/a.{ending}": labels[0].encode(), "0/a.png": png(7), "0/a.txt.gz": b"x"}
    members |= {"0/b.PNG": png(8), f"0/b.{ending}": labels[1].encode()}
    samples = whole(tar(tmp_path / "000.tar", members))
    assert samples.classes == classes
    assert samples.labels().tolist() == ([1, 0] if "cat" in classes else [0, 2])
    assert [samples.read(n).key for n in range(2)] == ["0/a", "0/b"]
    assert [int(samples.read(n).picture[0, 3, 4]) for n in range(2)] == [7, 8]
    assert samples.read(0).picture.shape == (3, 4, 5)


def test_several_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9):
        tar(tmp_path / f"{number}.tar", {"a.png": png(number), "a.cls": b"1"})
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    samples = pickle.loads(pickle.dumps(whole(tmp_path)))
    assert [int(samples.read(n).picture[0, 0, 0]) for n in range(2)] == [9, 10]
    assert samples.classes == ("cat", "dog")
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(ValueError, match="labels from 0 to 0, and has some from 1 to 1"):
        whole(tmp_path)


@pytest.mark.parametrize("names", ["train-000.tar val-000.tar", "train/0.tar validation/0.tar"])
def test_parts(tmp_path: Path, names: str) -> None:
    members = {"a.png": png(1), "a.cls": b"0", "b.png": png(2), "b.cls": b"1"}
    for name in names.split():
        tar(tmp_path / name, members)
    data = find_data(tmp_path)
    assert [len(data.train), len(data.held_out)] == [2, 2]
    tar(tmp_path / "other.tar", members)
    with pytest.raises(ValueError, match=r"other\.tar has none; rename it"):
        find_data(tmp_path)


def test_links_and_other_members_are_left_out(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"a.png": png(3), "a.cls": b"0", "b.mp4": b"x", ".c.png": b"y"})
    with tarfile.open(path, "a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("d.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert list(whole(path).keys) == ["a"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "hold pictures with labels, and has none"),
        ({"a.png": b"x"}, r"\.cls, \.json or \.txt, and a has none; add it"),
        ({"a.png": b"x", "a.cls": b"one"}, r"a label in a\.cls, and has not \(invalid literal"),
        ({"a.png": b"x", "a.cls": b"9" * 5000}, "a label in a"),
        ({"a.png": b"x", "a.json": b"{}"}, "neither a number nor a name"),
        ({"a.png": b"x", "a.json": b"[" * 60000}, "a label in a"),
        ({"a.png": b"x", "a.txt": b"\xff"}, "a label in a"),
        ({"a.png": b"x", "a.cls": b"-1"}, "and has some from -1"),
        ({"a.png": b"x", "a.cls": b"1", "b.png": b"x", "b.txt": b"1"}, "labels of one kind"),
    ],
)
def test_wrong_members_are_named(tmp_path: Path, members: dict[str, bytes], says: str) -> None:
    with pytest.raises(ValueError, match=rf"^`data` \(000\.tar\) must .*{says}") as refused:
        whole(tar(tmp_path / "000.tar", members))
    assert "\n" not in str(refused.value)


def test_compressed_and_torn_files(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"a.png": png(1) * 30, "a.cls": b"1"})
    content = path.read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=r"\(a\.tar\.gz\) must be a whole tar file .*gzip -d"):
        find_data(tmp_path / "a.tar.gz")
    path.write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"\(a\.tar\) must be a whole tar file"):
        find_data(path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    samples = whole(tar(tmp_path / "a.tar", {"x/a.png": b"\x89PNG torn", "x/a.cls": b"1"}))
    with pytest.raises(ValueError, match=r"`picture` \(x/a\) must be"):
        samples.read(0)
