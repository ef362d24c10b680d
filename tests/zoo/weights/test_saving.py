"""Weights that cannot be saved leave what was there; a file keeps its mode."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import torch

from convlens.zoo.weights import read_weights
from convlens.zoo.weights.saving import save_tensors
from tests.cases.weight_files import TABLE


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("__metadata__", torch.ones(1), "names that .safetensors can hold"),
        ("a\udc80", torch.ones(1), "names that .safetensors can hold"),
        (3, torch.ones(1), "names that .safetensors can hold"),
        ("a", 3, "must be dense tensors"),
        ("a", torch.eye(2).to_sparse(), "must be dense tensors"),
        ("a", torch.ones(1, device="meta"), "must be dense tensors"),
        ("a", torch.empty(1, dtype=torch.bits8), "torch.bits8 is not one"),
    ],
)
def test_what_cannot_be_saved_leaves_what_was_there(
    tmp_path: Path, name: Any, tensor: Any, said: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(TABLE, path)
    with pytest.raises(ValueError, match=said):
        save_tensors({name: tensor}, path)
    assert read_weights(path).keys() == TABLE.keys()
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


def test_a_name_that_is_too_long_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"`out` .* could not be written \(File name too long\)"):
        save_tensors(TABLE, tmp_path / f"{'x' * 250}.safetensors")


def test_saving_again_keeps_a_private_file_private(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(TABLE, path)
    path.chmod(0o600)
    save_tensors({"a": torch.zeros(1)}, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(read_weights(path)) == ["a"]
