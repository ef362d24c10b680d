"""Class folders: which pictures, which classes, in which order."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.learn.data.folders import find_folders, read_folders
from tests.cases.labelled import class_folders, picture


def test_classes_are_sorted_naturally_and_keep_their_case(tmp_path: Path) -> None:
    samples = read_folders(class_folders(tmp_path, {"10": 1, "2": 2, "b": 1, "A": 1}))
    assert samples.classes == ("2", "10", "A", "b")
    assert samples.labels().tolist() == [0, 0, 1, 2, 3]
    keys = ["2/0.png", "2/1.png", "10/0.png", "A/0.png", "b/0.png"]
    assert [samples.read(n).key for n in range(5)] == keys
    assert samples.warnings == ()


def test_pictures_are_decoded(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "x.png", 7, (5, 3))
    one = read_folders(tmp_path).read(0)
    assert one.label == 0
    assert one.picture.dtype == torch.uint8
    assert torch.equal(one.picture, torch.full((3, 3, 5), 7, dtype=torch.uint8))


def test_hidden_names_and_other_files_are_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 1, "b": 1, ".ipynb_checkpoints": 2, "__MACOSX": 1, "__": 1})
    picture(tmp_path / "a" / ".hidden.png")
    picture(tmp_path / "a" / ".thumbs" / "x.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "a" / "clip.mp4").write_bytes(b"x")
    samples = read_folders(tmp_path)
    assert samples.classes == ("__", "a", "b")
    assert len(samples) == 3


def test_pictures_may_lie_deeper(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "2020" / "x.PNG")
    picture(tmp_path / "b" / "y.png")
    assert list(read_folders(tmp_path).names) == ["a/2020/x.PNG", "b/y.png"]


def test_links_to_folders_are_classes_but_lead_nowhere_else(tmp_path: Path) -> None:
    class_folders(tmp_path / "elsewhere", {"a": 1})
    root = class_folders(tmp_path / "data", {"b": 1})
    os.symlink(tmp_path / "elsewhere" / "a", root / "a")
    os.symlink(root, root / "b" / "again")
    assert list(read_folders(root).names) == ["a/0.png", "b/0.png"]


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    samples = read_folders(class_folders(tmp_path, {"a": 1, "b": 0, "c": 1}))
    assert samples.classes == ("a", "b", "c")
    assert samples.warnings == (f"`data` ({tmp_path.name}): no picture is of class 'b'",)


def test_no_pictures_at_all(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 0, "b": 0})
    with pytest.raises(ValueError, match=r"must have a picture in at least one class folder"):
        read_folders(tmp_path)
    assert not find_folders(tmp_path)


def test_a_part_held_out_has_the_classes_of_the_other(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 1, "b": 1, "c": 1})
    class_folders(tmp_path / "Valid", {"c": 2, "b": 0})
    parts = find_folders(tmp_path)
    assert sorted(parts) == ["train", "val"]
    held_out = parts["val"](parts["train"](None).classes)
    assert held_out.classes == ("a", "b", "c")
    assert held_out.labels().tolist() == [2, 2]
    assert held_out.warnings == ()
    class_folders(tmp_path / "Valid", {"d": 1})
    with pytest.raises(ValueError, match=r"\(Valid\).*'d' is not one"):
        parts["val"](("a", "b", "c"))


def test_two_folders_for_one_part(tmp_path: Path) -> None:
    class_folders(tmp_path / "val", {"a": 1})
    class_folders(tmp_path / "valid", {"a": 1})
    with pytest.raises(ValueError, match=r"both 'val' and 'valid' are val; rename one"):
        find_folders(tmp_path)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    parts = find_folders(class_folders(tmp_path, {"car": 1, "train": 1}))
    assert list(parts) == ["whole"]
    assert parts["whole"](None).classes == ("car", "train")


def test_a_fingerprint_sees_names_labels_and_sizes(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 1})
    seen = [read_folders(tmp_path).fingerprint]
    assert seen == [pickle.loads(pickle.dumps(read_folders(tmp_path))).fingerprint]
    os.rename(tmp_path / "a" / "1.png", tmp_path / "b" / "1.png")
    seen.append(read_folders(tmp_path).fingerprint)
    os.rename(tmp_path / "b" / "1.png", tmp_path / "b" / "2.png")
    seen.append(read_folders(tmp_path).fingerprint)
    with (tmp_path / "b" / "2.png").open("ab") as file:
        file.write(b"1")
    seen.append(read_folders(tmp_path).fingerprint)
    assert len(set(seen)) == 4


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    with pytest.raises(ValueError, match=r"`picture` \(a/x\.jpg\) must be a whole picture"):
        read_folders(tmp_path).read(0)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    name = os.fsdecode(b"\xff.png")
    try:
        picture(tmp_path / "a" / "x.png").rename(tmp_path / "a" / name)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    samples = read_folders(tmp_path)
    assert samples.read(0).key == f"a/{name}"
    assert np.array_equal(samples.labels(), [0])
