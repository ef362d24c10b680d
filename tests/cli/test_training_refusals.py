"""Bad input ends `convlens train` in one sentence, or is left out with a warning of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convlens.cli import main
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.locking import alone
from convlens.learn.recipe import Recipe
from convlens.learn.training.starting import train
from tests.cases.labelled import class_folders, picture, write_json
from tests.running.commands import refused

NETWORK = "shapes_resnet"
QUICK = ("--size", "32", "--epochs", "1", "--batch", "2")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sentence(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line of a refused training."""
    said = [line for line in refused(capsys, "train", *words).splitlines() if line]
    assert len(said) == 1, said
    assert said[0].startswith("convlens: ")
    return said[0]


def warned(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the warnings of a training that goes through."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *words])
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 0, lines
    return [line for line in lines if line.startswith("convlens: warning: ")]


def photos(cat: int = 4, dog: int = 4, name: str = "photos") -> str:
    class_folders(Path(name), {"cat": cat, "dog": dog})
    return name


# Folders


@pytest.mark.filterwarnings("always::UserWarning")
def test_an_empty_class_is_said_and_the_training_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class_folders(Path("photos"), {"cat": 4, "dog": 4, "none": 0})
    [said] = warned(capsys, NETWORK, "photos", *QUICK)
    assert "no picture is of class 'none'" in said


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"cat": 1}, "must have samples of at least 2 classes"),
        ({"cat": 8}, "must have samples of at least 2 classes"),
        ({"cat": 1, "dog": 1}, "must have at least 2 of a category"),
    ],
)
def test_too_little_is_refused(
    counts: dict[str, int], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class_folders(Path("photos"), counts)
    assert says in sentence(capsys, NETWORK, "photos", *QUICK, "--out", "run")
    assert not Path("run").exists()


def test_few_pictures_make_batches_of_two_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert warned(capsys, NETWORK, photos(3, 3), "--size", "32", "--epochs", "1") == []


def test_a_class_in_validation_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    class_folders(Path("photos/train"), {"cat": 4, "dog": 4})
    class_folders(Path("photos/val"), {"cat": 2, "dog": 2, "fox": 2})
    assert "'fox' is not one; add it there" in sentence(capsys, NETWORK, "photos", *QUICK)


# Boxes, masks and points


def figure(image: int, category: int = 7, **fields: Any) -> dict[str, Any]:
    box = {"bbox": [5, 5, 20, 20], "iscrowd": 0, "area": 400}
    return {"image_id": image, "category_id": category, **box, **fields}


def coco(*others: dict[str, Any], points: int = 0, **fields: Any) -> str:
    """A file of six pictures of 64 x 48, with a figure on each and some others."""
    figures = [figure(k, 7 if k % 2 else 90, **fields) for k in range(1, 7)]
    images = [{"id": k, "file_name": f"{k}.png", "width": 64, "height": 48} for k in range(1, 7)]
    for k in range(1, 7):
        picture(Path(f"coco/{k}.png"), k, (64, 48))
    named = {"keypoints": [f"p{k}" for k in range(points)]} if points else {}
    categories = [{"id": 90, "name": "cat", **named}, {"id": 7, "name": "dog", **named}]
    numbered = [{"id": k, **one} for k, one in enumerate([*figures, *others], 1)]
    content = {"images": images, "annotations": numbered, "categories": categories}
    write_json(Path("coco/labels.json"), content)
    return "coco"


BOXES = ("--epochs", "1", "--batch", "2")


@pytest.mark.filterwarnings("always::UserWarning")
def test_boxes_of_no_area_or_outside_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    data = coco(figure(1, bbox=[5, 5, 0, 0]), figure(2, bbox=[500, 500, 10, 10]))
    said = warned(capsys, "shapes_boxes", data, *BOXES)
    assert len(said) == 2
    assert "1 boxes have no area and are left out" in said[0]
    assert "1 boxes lie outside their picture and are left out" in said[1]


def test_labels_out_of_range_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    data = coco(figure(1, category=55))
    said = sentence(capsys, "shapes_boxes", data, *BOXES)
    assert "must be of a category that the file lists, and 55 is not" in said


def test_points_beyond_the_list_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    data = coco(points=4, keypoints=[6, 6, 2] * 5, num_keypoints=5)
    said = sentence(capsys, "shapes_keypoints", data, *BOXES)
    assert "must have the 4 keypoints of its category, and has 5" in said


def test_masks_of_another_size_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("maps/masks").mkdir(parents=True)
    for k in range(6):
        picture(Path(f"maps/images/{k}.png"), k, (64, 48))
        pixels = np.zeros((48, 64) if k else (40, 40), np.uint8)
        pixels[:10] = k % 3
        Image.fromarray(pixels).save(f"maps/masks/{k}.png")
    said = sentence(capsys, "shapes_unet", "maps", "--epochs", "1")
    assert "must have the size of its picture, 64 x 48, and has 40 x 40" in said


def test_a_size_that_a_detector_would_not_heed_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = sentence(capsys, "shapes_boxes", coco(), *BOXES, "--size", "64")
    assert "`size` (=64) must be left out for detection" in said


# What does not belong together


@pytest.mark.parametrize(
    ("network", "data", "says"),
    [
        (NETWORK, coco, "learns from Labelled samples, and the data has Boxed ones"),
        ("shapes_unet", photos, "learns from Mapped samples, and the data has Labelled ones"),
    ],
)
def test_a_network_for_another_task_is_refused(
    network: str, data: Any, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in sentence(capsys, network, data(), "--epochs", "1")


def test_data_that_changed_between_stop_and_resume_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (NETWORK, photos(), *QUICK, "--out", "run")
    assert warned(capsys, *words) == []
    picture(Path("photos/cat/new.png"), 99)
    assert "has changed since; put it back" in sentence(capsys, *words)


def test_two_runs_into_one_folder_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = (NETWORK, photos(), *QUICK, "--out", "run")
    assert warned(capsys, *words) == []
    with alone(Path("run")):
        said = sentence(capsys, *words)
    assert "another run is writing into it" in said


def test_many_classes_are_said_and_the_training_starts() -> None:
    """It takes a minute through files, so that here the samples are in memory."""
    labels = torch.arange(10_000)
    samples = ArraySamples(torch.zeros(10_000, 2), labels)
    few = ArraySamples(torch.zeros(2, 2), labels[:2], samples.classes)
    recipe = Recipe(epochs=1, batch=10, threads=1)
    with pytest.warns(UserWarning, match=r"has 10,000 categories: .* a table of 0.8 GB"):
        running = train(nn.Linear(2, 10_000), Data(samples, few), recipe).steps()
    assert next(running).step == 1
    running.close()


# The disk


def test_a_full_disk_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos()

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in sentence(capsys, NETWORK, data, *QUICK)


def test_a_folder_that_may_not_be_written_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos()

    def forbidden(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    said = sentence(capsys, NETWORK, data, *QUICK, "--out", "run")
    assert "`out` (='run') cannot be written (Permission denied); name another folder" in said


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_that_may_not_be_written_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = photos()
    Path("run").mkdir(mode=0o500)
    assert "Permission denied" in sentence(capsys, NETWORK, data, *QUICK, "--out", "run")


# Words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--epoch", "1"), "Unknown option: --epoch. Did you mean --epochs?"),
        (("--epochs", "many"), 'Invalid value for --epochs: unable to convert "many" into int.'),
    ],
)
def test_an_unknown_flag_is_one_sentence(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", NETWORK, "photos", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"convlens: {says}\n"


@pytest.mark.parametrize("device", ["cuda:31", "graphics"])
def test_a_device_that_is_not_there_is_refused(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = sentence(capsys, NETWORK, photos(), *QUICK, "--device", device)
    assert f"`device` (={device!r}) must be one that torch finds here" in said
