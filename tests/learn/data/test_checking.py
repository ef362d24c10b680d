"""What a check of data finds, and what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens.learn.data.checking import DataReport, check_data, picked
from convlens.learn.data.finding import find_data
from tests.cases.labelled import class_folders, idx, picture, write_json


def faults(report: DataReport) -> dict[str, tuple[int, list[str]]]:
    return {what: (count, examples) for what, count, examples in report.faults}


def test_data_without_faults(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 3, "dog": 2})
    for n, name in enumerate(("cat", "dog")):
        picture(tmp_path / "val" / name / "x.png", 100 + n, (8, 2 + n))
    seen: list[tuple[int, int]] = []
    report = check_data(tmp_path, progress=lambda done, whole: seen.append((done, whole)))
    assert seen == [(n, 7) for n in range(1, 8)]
    assert str(report).splitlines() == [
        f"{tmp_path}: a folder for each class (folders)",
        "samples: train 5, val 2",
        "",
        "samples  train  val",
        "cat          3    1",
        "dog          2    1",
        "",
        "width x height: least 6 x 2, median 6 x 4, most 8 x 4",
        "",
        "nothing is wrong",
    ]
    said = json.loads(json.dumps(report.to_dict()))
    assert said["counts"] == {"train": [3, 2], "val": [1, 1]}
    assert said["samples"] == {"train": 5, "val": 2}
    assert said["sizes"] == {"least": [6, 2], "median": [6, 4], "most": [8, 4]}
    assert said["faults"] == []
    assert said["fingerprints"]["train"] == find_data(tmp_path).train.fingerprint


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2})
    for n in range(7):
        (tmp_path / "b" / f"torn{n}.png").write_bytes(b"\x89PNG" + bytes([n]))
    (tmp_path / "b" / "x.heic").write_bytes(b"1234ftypheic")
    count, examples = faults(check_data(tmp_path))["samples cannot be read"]
    assert count == 8
    assert len(examples) == 5
    assert "torn0.png: `picture` (b/torn0.png) must be" in examples[0]


def test_equal_pictures(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 4, "b": 4})
    class_folders(tmp_path / "val", {"a": 0, "b": 0})
    val, train = tmp_path / "val", tmp_path / "train"
    shutil.copy(train / "a" / "0.png", val / "a" / "copied.png")
    Image.open(train / "b" / "1.png").save(val / "b" / "other.bmp")
    shutil.copy(train / "a" / "2.png", train / "b" / "labelled twice.png")
    shutil.copy(train / "a" / "3.png", train / "a" / "there twice.png")
    assert faults(check_data(tmp_path)) == {
        "groups of equal files are in several parts": (1, ["train a/0.png = val a/copied.png"]),
        "groups of equal pixels are in several parts": (1, ["train b/1.png = val b/other.bmp"]),
        "groups of equal files have different labels": (
            1,
            ["train a/2.png = train b/labelled twice.png"],
        ),
        "groups of equal files are in one part": (1, ["train a/3.png = train a/there twice.png"]),
    }


def test_pictures_without_labels_and_uneven_classes(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 21, "b": 2, "c": 3, "d": 0})
    picture(tmp_path / "lost.png", 99)
    found = faults(check_data(tmp_path))
    assert found["pictures have no label"] == (1, ["lost.png"])
    assert found["classes have less than a 10th of 'a' (21)"] == (2, ["b (2)", "d (0)"])


def coco(tmp_path: Path, **changes: Any) -> Path:
    images = [
        {"id": n, "file_name": f"{n}.png", "width": 40, "height": 30, **changes} for n in range(3)
    ]
    boxes = [[1, 2, 20, 10], [5, 5, 0, 3], [50, 1, 2, 2], [30, 2, 20, 2]]
    figures: list[dict[str, Any]] = [
        {"id": n, "image_id": n % 3, "category_id": 1 + n % 2, "bbox": box}
        for n, box in enumerate(boxes)
    ]
    for figure in figures:
        left, top = figure["bbox"][:2]
        figure["segmentation"] = [[left, top, left + 9, top, left + 9, top + 9]]
        figure["keypoints"] = [left + 2, top + 2, 2]
    categories = [{"id": n, "name": "ab"[n - 1], "keypoints": ["nose"]} for n in (1, 2)]
    content = {"images": images, "annotations": figures, "categories": categories}
    for n in range(2):
        picture(tmp_path / f"{n}.png", 40 * n, (40, 30))
    return write_json(tmp_path / "labels.json", content)


def test_labels_without_pictures_and_boxes_of_no_area(tmp_path: Path) -> None:
    picture(tmp_path / "other.png", 9)
    report = check_data(coco(tmp_path))
    assert faults(report) == {
        "boxes have no area and are left out": (1, ["annotation 1 of 1.png (5, 5, 0, 3)"]),
        "boxes lie outside their picture and are left out": (
            1,
            ["annotation 2 of 2.png (50, 1, 2, 2)"],
        ),
        "boxes reach beyond their picture and are cut": (
            1,
            ["annotation 3 of 0.png (30, 2, 20, 2)"],
        ),
        "labels name files that are not there": (1, [str(tmp_path / "2.png")]),
        "pictures have no label": (1, ["other.png"]),
    }
    assert report.unit == "figures"
    assert report.counts["whole"].tolist() == [1, 1]
    assert "boxes have no area and are left out:\n  annotation 1 of 1.png" in str(report)


def test_samples_for_a_sheet_come_from_all_over(tmp_path: Path) -> None:
    class_folders(tmp_path, dict.fromkeys("abcd", 5))
    (tmp_path / "a" / "0.png").write_bytes(b"torn")
    samples = find_data(tmp_path, share=0.25).train
    assert [one.key[0] for one in picked(samples, 4)] in (["b", "c", "d"], ["a", "b", "c", "d"])
    assert len(picked(samples, 100)) >= 14


def test_arrays_are_checked_too(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 5, 4)).astype(np.uint8)
    pictures[5] = pictures[0]
    idx(tmp_path / "train-images-idx3-ubyte", pictures)
    idx(tmp_path / "train-labels-idx1-ubyte", np.array([0, 1, 0, 1, 0, 1], np.uint8))
    report = check_data(tmp_path)
    assert report.sizes["median"] == (4, 5)
    assert faults(report) == {
        "groups of equal pixels have different labels": (1, ["train 0 = train 5"])
    }


def test_data_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 1})
    class_folders(tmp_path / "val", {"b": 1})
    with pytest.raises(ValueError, match="'b' is not one"):
        check_data(tmp_path)


def test_classes_of_maps_without_a_pixel(tmp_path: Path) -> None:
    for n in range(2):
        picture(tmp_path / "images" / f"{n}.png", n)
        picture(tmp_path / "masks" / f"{n}.png", n)
    (tmp_path / "classes.txt").write_text("ground\nroad\ncar\n")
    report = check_data(tmp_path)
    assert report.counts["whole"].tolist() == [24, 24, 0]
    assert faults(report) == {"classes have no pixel": (1, ["car"])}
