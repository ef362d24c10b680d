"""Which format data is in, which parts it has, and what is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from convlens.learn.data import finding
from convlens.learn.data.checking import check_data
from convlens.learn.data.finding import find_data, found_parts
from convlens.learn.data.formats import DATA_FORMATS, KINDS
from tests.cases.labelled import class_folders, idx


def test_a_share_of_each_class_is_held_out_by_seed(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 10, "b": 5})
    data = find_data(tmp_path)
    assert (len(data.train), len(data.held_out)) == (12, 3)
    labels = data.held_out.labels()
    assert labels is not None
    assert labels.tolist() == [0, 0, 1]
    keys = [data.held_out.read(n).key for n in range(3)]
    again = find_data(str(tmp_path), seed=0).held_out
    assert [again.read(n).key for n in range(3)] == keys
    assert data.held_out.fingerprint != find_data(tmp_path, seed=1).held_out.fingerprint
    assert len(find_data(tmp_path, share=0.5).held_out) in (7, 8)


@pytest.mark.parametrize(("names", "held"), [("val test", 2), ("test", 3), ("validation", 2)])
def test_the_part_held_out(tmp_path: Path, names: str, held: int) -> None:
    class_folders(tmp_path / "train", {"a": 3, "b": 3})
    for name in names.split():
        class_folders(tmp_path / name, {"a": 1, "b": 2 if name == "test" else 1})
    data = find_data(tmp_path)
    assert (len(data.train), len(data.held_out)) == (6, held)


def test_a_part_to_train_on_alone_is_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 5, "b": 5})
    assert len(find_data(tmp_path).held_out) == 2


def test_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="shows none of: ") as refused:
        find_data(tmp_path)
    assert "\n" not in str(refused.value)
    for format in DATA_FORMATS:
        assert f"({format.name})" in str(refused.value)
        assert not format.find(tmp_path), format.name
        assert not format.find(tmp_path / "a.txt"), format.name


def test_an_empty_class_is_warned_of(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2, "c": 0})
    with pytest.warns(UserWarning, match="no picture is of class 'c'"):
        assert len(find_data(tmp_path).train.classes) == 3


def test_one_class_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 3})
    with pytest.raises(ValueError, match=r"at least 2 classes, and has only 'a'; add another"):
        find_data(tmp_path)
    class_folders(tmp_path, {"b": 0})
    with pytest.raises(ValueError, match=r"at least 2 classes, and has only 'a'; add another"):
        find_data(tmp_path)


def test_one_picture_is_refused(tmp_path: Path) -> None:
    idx(tmp_path / "train-images-idx3-ubyte", np.zeros((1, 2, 2), np.uint8))
    idx(tmp_path / "train-labels-idx1-ubyte", np.ones(1, np.uint8))
    with pytest.raises(ValueError, match="at least 2 classes"):
        find_data(tmp_path)


def test_many_classes_are_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_CLASSES", 2)
    class_folders(tmp_path, dict.fromkeys("abc", 2))
    with pytest.warns(UserWarning, match="has 3 classes, 6 samples; are these classes"):
        find_data(tmp_path)


def test_files_that_vanished_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2})
    monkeypatch.setattr("os.path.exists", lambda path: not Path(path).match("*/b/*"))
    with pytest.raises(ValueError, match=r"2 of 4 labels name files that are not there.*b/0\.png"):
        find_data(tmp_path)


def test_names_of_formats_and_kinds(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2})
    assert found_parts(tmp_path, format="folders")[0].name == "folders"
    assert found_parts(tmp_path, "classification")[0].name == "folders"
    with pytest.raises(ValueError, match="did you mean 'folders'"):
        find_data(tmp_path, format="folder")
    with pytest.raises(ValueError, match=r"use one of \w+, \w+"):
        find_data(tmp_path, format="zzz")
    with pytest.raises(ValueError, match="did you mean 'classification'"):
        find_data(tmp_path, kind="classify")
    with pytest.raises(ValueError, match=r"`share` \(=1\)"):
        find_data(tmp_path, share=1)


def test_the_table() -> None:
    names = [format.name for format in DATA_FORMATS]
    assert len(set(names)) == len(names)
    assert {format.sample for format in DATA_FORMATS} == set(KINDS.values())


def test_a_part_to_train_on_must_be_there(tmp_path: Path) -> None:
    for part in ("val", "test"):
        class_folders(tmp_path / part, {"a": 2, "b": 2})
    with pytest.raises(ValueError, match="a part to train on, and has only val"):
        find_data(tmp_path)
    assert len(find_data(tmp_path / "val").train) == 2


def test_the_folder_below_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path / "pictures" / "all", {"a": 2, "b": 2})
    with pytest.raises(ValueError, match=r"only 'all'; add another, or name the folder of the"):
        find_data(tmp_path / "pictures", format="folders", kind="classification")
    idx(tmp_path / "mnist" / "train-images-idx3-ubyte", np.zeros((1, 2, 2), np.uint8))
    (tmp_path / "pictures").rename(tmp_path / ".hidden")
    with pytest.raises(ValueError, match=r"shows none of: .*; did you mean '.*mnist' \(idx\)\?"):
        find_data(tmp_path)


def test_pipes_are_never_opened(tmp_path: Path) -> None:
    names = ["a.json", "train.csv", "a.tar", "train-images-idx3-ubyte", "a.xml", "classes.txt"]
    names += ["data_batch_1.bin", "Annotations/a.xml", "images/a.png", "masks/a.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match="is a pipe or device"):
        check_data(tmp_path)
    report = check_data(class_folders(tmp_path / "data", {"a": 1, "b": 1}))
    os.mkfifo(tmp_path / "data" / "a" / "pipe.png")
    report = check_data(tmp_path / "data")
    assert [(what, count) for what, count, _ in report.faults] == [("samples cannot be read", 1)]
