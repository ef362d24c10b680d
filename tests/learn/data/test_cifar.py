"""CIFAR's binary files, and those for Python, which are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convlens.learn.data.cifar import find_cifar
from convlens.learn.data.finding import find_data

RANDOM = np.random.default_rng(0)


def records(path: Path, *labels: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pictures = RANDOM.integers(0, 256, (len(labels[0]), 3, 32, 32)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [np.array(column, np.uint8)[:, None] for column in labels]
    np.concatenate([*columns, pictures.reshape(len(pictures), -1)], 1).tofile(path)
    return pictures


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])
def test_cifar_10(tmp_path: Path, below: str) -> None:
    one = records(tmp_path / below / "data_batch_1.bin", [0, 1])
    two = records(tmp_path / below / "data_batch_2.bin", [2, 1])
    records(tmp_path / below / "test_batch.bin", [1])
    (tmp_path / below / "batches.meta.txt").write_text("airplane\ncar\nbird\n\n")
    data = find_data(tmp_path)
    assert data.train.classes == data.held_out.classes == ("airplane", "car", "bird")
    labels = data.train.labels()
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 1]
    for index, expected in enumerate([*one, *two]):
        assert np.array_equal(data.train.read(index).picture.numpy(), expected)


def test_cifar_100_has_fine_labels(tmp_path: Path) -> None:
    pictures = records(tmp_path / "cifar-100-binary" / "train.bin", [19, 3], [11, 2])
    records(tmp_path / "cifar-100-binary" / "test.bin", [1], [2])
    train = find_cifar(tmp_path)["train"](None)
    assert train.labels().tolist() == [11, 2]
    assert train.classes[11] == "11"
    assert np.array_equal(train.read(1).picture.numpy(), pictures[1])


@pytest.mark.parametrize(
    ("files", "instead"),
    [
        ("data_batch_1 batches.meta test_batch", "cifar-10-binary.tar.gz"),
        ("cifar-10-batches-py/data_batch_1 cifar-10-batches-py/batches.meta", "cifar-10-binary"),
        ("train test meta", "cifar-100-binary.tar.gz"),
    ],
)
def test_pickles_are_refused(tmp_path: Path, files: str, instead: str) -> None:
    for name in files.split():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ValueError, match=rf"files can run code; take {instead}"):
        find_data(tmp_path)


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_torn_files_are_refused(tmp_path: Path, size: int) -> None:
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / name).write_bytes(bytes(size))
    with pytest.raises(ValueError, match=r"\(data_batch_1\.bin\) must have records of 3,073 bytes"):
        find_data(tmp_path)
