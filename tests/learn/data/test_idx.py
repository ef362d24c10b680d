"""MNIST's files, plain and compressed, whole and damaged."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.finding import find_data
from convlens.learn.data.idx import FASHION, find_idx, read_idx
from tests.cases.labelled import idx
from tests.data.real import real

RANDOM = np.random.default_rng(0)


def mnist(root: Path, end: str = "", train: int = 5, test: int = 3) -> Path:
    for part, count in (("train", train), ("t10k", test)):
        pictures = RANDOM.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        idx(root / f"{part}-images-idx3-ubyte{end}", pictures)
        idx(root / f"{part}-labels-idx1-ubyte{end}", np.arange(count, dtype=np.uint8))
    return root


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("below", ["", "raw"])
def test_both_parts(tmp_path: Path, end: str, below: str) -> None:
    mnist(tmp_path / below, end)
    parts = find_idx(tmp_path)
    train, test = parts["train"](None), parts["test"](("a", "b", "c", "d", "e"))
    assert tuple(train.inputs.shape) == (5, 1, 28, 28)
    assert train.inputs.dtype == torch.uint8
    assert train.labels().tolist() == [0, 1, 2, 3, 4]
    assert train.classes == ("0", "1", "2", "3", "4")
    assert test.classes == ("a", "b", "c", "d", "e")
    stored = (tmp_path / below / f"train-images-idx3-ubyte{end}").read_bytes()
    raw = gzip.decompress(stored) if end else stored
    assert train.inputs.numpy().tobytes() == raw[16:]
    assert not find_idx(tmp_path / "nothing")


def test_fashion_has_names(tmp_path: Path) -> None:
    assert find_idx(mnist(tmp_path / "FashionMNIST" / "raw"))["train"](None).classes == FASHION
    assert len(FASHION) == 10


def test_names_with_a_dot(tmp_path: Path) -> None:
    idx(tmp_path / "train-images.idx3-ubyte", np.zeros((2, 4, 4), np.uint8))
    idx(tmp_path / "train-labels.idx1-ubyte", np.zeros(2, np.uint8))
    assert len(find_idx(tmp_path)["train"](None)) == 2


def head(*shape: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "begins with nothing"),
        (b"hello, world, hello", "begins with 68 65 6c 6c"),
        (head(2, 3, 3)[:9], "be an idx file"),
        (head(2, 3, 3, kind=13) + bytes(72), "begins with 00 00 0d 03"),
        (head(2, 9) + bytes(18), "in 3 dimensions"),
        (head(2, 3, 3) + bytes(17), r"the 18 bytes that its header says, and has 17"),
        (head(2, 3, 3) + bytes(19), r"the 18 bytes that its header says, and has more"),
        (head(0, 3, 3), "its header says 0"),
        (head(2**31, 2**31, 2**31), "its header says 9,903,520,314,283,042,199,192,993,792"),
        (struct.pack("<4I", 0x0803, 2, 3, 3) + bytes(18), "begins with 03 08 00 00"),
    ],
)
def test_files_that_are_not_whole(tmp_path: Path, end: str, content: bytes, says: str) -> None:
    mnist(tmp_path, end)
    path = tmp_path / f"train-images-idx3-ubyte{end}"
    path.write_bytes(gzip.compress(content) if end else content)
    with pytest.raises(ValueError, match=rf"`data` \({path.name}\) must .*{says}"):
        read_idx(path)


def test_a_torn_compressed_file(tmp_path: Path) -> None:
    mnist(tmp_path, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="must be a whole file, and is damaged"):
        read_idx(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="must be a whole file, and is damaged"):
        read_idx(path)


def test_a_small_file_cannot_take_much_memory(tmp_path: Path) -> None:
    mnist(tmp_path, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(head(50_000, 28, 28)))
    with pytest.raises(ValueError, match="its header says 39,200,000"):
        read_idx(path)


def test_labels_that_do_not_belong(tmp_path: Path) -> None:
    mnist(tmp_path)
    idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match="a label for each of the 5 pictures, and has 4"):
        read_idx(tmp_path / "train-images-idx3-ubyte")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match=r"there is no train-labels-idx1-ubyte; copy it there"):
        read_idx(tmp_path / "train-images-idx3-ubyte")


def test_labels_beyond_the_classes(tmp_path: Path) -> None:
    mnist(tmp_path)
    with pytest.raises(ValueError, match=r"`targets` \(up to 4\) must be below"):
        read_idx(tmp_path / "train-images-idx3-ubyte", ("a", "b"))


@pytest.mark.real
def test_the_real_fashion_mnist(tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
            path = tmp_path / "fashion-mnist" / name
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(real(name))
    data = find_data(tmp_path / "fashion-mnist")
    train, test = data.train, data.held_out
    assert isinstance(train, ArraySamples)
    assert isinstance(test, ArraySamples)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(train.labels()).tolist() == [6000] * 10
    assert np.bincount(test.labels()).tolist() == [1000] * 10
    assert test.labels()[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert float(train.inputs.numpy().mean()) == pytest.approx(72.940, abs=5e-4)
    assert float(test.inputs.numpy().mean()) == pytest.approx(73.147, abs=5e-4)
