"""NIfTI volumes: both byte orders, all kinds of numbers, scales, and damaged ones."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convlens.learn.opening import opened_module
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.sources.arrays import is_array, read_array
from convlens.learn.sources.volumes import read_volume
from tests.data.real import real

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024}


def nifti(
    sides: tuple[int, ...],
    kind: str = "i2",
    order: str = "<",
    scale: tuple[float, float] = (0, 0),
    **changes: Any,
) -> bytes:
    """A file whose numbers count up in its own order."""
    head = bytearray(348)
    struct.pack_into(f"{order}i", head, 0, changes.get("head", 348))
    padded = [*sides, 1, 1, 1, 1, 1, 1, 1][:7]
    struct.pack_into(f"{order}8h", head, 40, changes.get("dimensions", len(sides)), *padded)
    struct.pack_into(f"{order}h", head, 70, changes.get("code", CODES[kind]))
    struct.pack_into(f"{order}3f", head, 108, changes.get("offset", 352), *scale)
    head[344:348] = changes.get("magic", b"n+1\0")
    numbers = (np.arange(np.prod(sides)) % 120).astype(f"{order}{kind}")
    return bytes(head) + bytes(changes.get("gap", 4)) + numbers.tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", CODES)
def test_kinds_of_numbers_in_both_orders(order: str, kind: str) -> None:
    x = read_volume(nifti((4, 3, 2), kind, order))
    assert x.dtype == torch.float32
    assert torch.equal(x, torch.arange(24.0).reshape(1, 2, 3, 4))


def test_sides_become_width_height_depth_and_channels() -> None:
    assert read_volume(nifti((4, 3, 2, 5))).shape == (5, 2, 3, 4)
    assert read_volume(nifti((4, 3, 2, 1, 5))).shape == (5, 2, 3, 4)
    assert read_volume(nifti((4, 3))).shape == (1, 1, 3, 4)
    assert read_volume(nifti((4, 3, 2, 5)))[1, 0, 0, 0] == 24


def test_scales() -> None:
    plain = read_volume(nifti((2, 2, 2)))
    assert torch.equal(read_volume(nifti((2, 2, 2), scale=(0.5, -3))), plain * 0.5 - 3)
    assert torch.equal(read_volume(nifti((2, 2, 2), scale=(0, 7))), plain)
    assert torch.equal(read_volume(nifti((2, 2, 2), scale=(float("nan"), 7))), plain)


def test_numbers_may_begin_later() -> None:
    assert torch.equal(
        read_volume(nifti((2, 2, 2), offset=400, gap=52)), read_volume(nifti((2, 2, 2)))
    )


def test_networks_read_them(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(nifti((6, 5, 4)))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti((6, 5, 4))))
    opened = opened_module(nn.Conv3d(1, 2, 3))
    for source in (tmp_path / "a.nii", str(tmp_path / "a.nii.gz"), nifti((6, 5, 4))):
        assert is_array(source)
        x, shown = read_inputs(opened, source)
        assert (tuple(x.shape), shown) == ((1, 1, 4, 5, 6), None)
    with pytest.raises(ValueError, match=r"must have 5 dimensions \(n, 1, \*space\)"):
        read_array(nifti((6, 5, 4, 3)), (1, 3))
    with pytest.raises(ValueError, match=r"give a \.npy array or a NIfTI volume"):
        read_inputs(opened)
    with pytest.raises(ValueError, match="must name an existing file"):
        read_inputs(opened, tmp_path / "nowhere.nii")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "its head of 348 bytes is not whole"),
        (nifti((2, 2, 2))[:300], "its head of 348 bytes is not whole"),
        (nifti((2, 2, 2))[:-1], "which it cannot hold"),
        (nifti((2, 2, 2), head=540), "does not begin as one does"),
        (nifti((2, 2, 2), magic=b"ni1\0"), "its numbers are in another file"),
        (nifti((2, 2, 2), code=128), "its numbers are of kind 128"),
        (nifti((2, 2, 2), dimensions=0), "0 of them"),
        (nifti((2, 2, 2), dimensions=8), "8 of them"),
        (nifti((2, 2, 2), offset=8), "begin at byte 8"),
        (nifti((2, 2, 2), offset=float("nan")), "begin at byte nan"),
        (nifti((2, 2, 2), offset=1e30), r"begin at byte 1e\+30"),
        (nifti((1, 1, 1), dimensions=2)[:352], "which it cannot hold"),
        (nifti((2, 2, 2, 2, 2)), "it has 2 sides besides space"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_damaged_files(tmp_path: Path, content: bytes, says: str, name: str) -> None:
    packed = name.endswith(".gz")
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    if packed and "hold" in says:
        says = "bytes are missing"
    with pytest.raises(ValueError, match=rf"`picture` \({name}\) must be a whole NIfTI.*{says}"):
        read_volume(tmp_path / name)


def test_a_small_file_takes_no_memory(tmp_path: Path) -> None:
    head = bytearray(nifti((1, 1, 1)))
    struct.pack_into("<8h", head, 40, 4, 32767, 32767, 32767, 32767, 1, 1, 1)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(head)))
    with pytest.raises(ValueError, match="which it cannot hold"):
        read_volume(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti((20, 20, 20)))[:-30])
    with pytest.raises(ValueError, match="must be a whole NIfTI"):
        read_volume(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="must be a whole NIfTI"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "shape", "mean"),
    [
        ("anatomical.nii", (1, 25, 41, 33), 8401.066725794532),
        ("functional.nii", (20, 3, 21, 17), 3637.408513675239),
        ("example4d.nii.gz", (2, 24, 96, 128), 172.90811496310764),
    ],
)
def test_real_volumes_are_those_of_nibabel(name: str, shape: tuple[int, ...], mean: float) -> None:
    x = read_volume(real(name))
    assert tuple(x.shape) == shape
    assert float(x.double().mean()) == pytest.approx(mean, rel=1e-6)
