"""The digest of the tensors in a file shows any change of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from convlens.zoo.shipped import DIGITS
from convlens.zoo.weights import metadata, read_weights
from convlens.zoo.weights.digests import DIGEST
from convlens.zoo.weights.saving import save_tensors
from tests.cases.weight_files import TABLE, saved


@pytest.mark.parametrize("kind", ["ours", "archive"])
def test_every_flipped_bit_of_a_tensor_is_noticed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.safetensors" if kind == "ours" else "a.pth")
    save_tensors(TABLE, path) if kind == "ours" else saved(TABLE, path)
    whole = path.read_bytes()
    for tensor in TABLE.values():
        numbers = tensor.numpy().tobytes()
        start = whole.index(numbers)
        for bit in range(8 * len(numbers)):
            content = bytearray(whole)
            content[start + bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"it is damaged|is damaged \(Bad CRC-32"):
                read_weights(path)
    path.write_bytes(whole)
    read_weights(path)


def test_the_digest_holds_names_shapes_and_types_too(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(TABLE, path, {"epoch": "3"})
    whole = path.read_bytes()
    for old, new in ((b'"bias"', b'"bibs"'), (b"[2,3]", b"[3,2]"), (b"F32", b"I32")):
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(ValueError, match=r"other numbers than it was saved with"):
            read_weights(path)
    # The error shows a program that changes tensors and keeps the texts what to do.
    stale = {name: tensor + 1 for name, tensor in TABLE.items()}
    safetensors.torch.save_file(stale, path, metadata(path))
    with pytest.raises(ValueError, match=f"left {DIGEST} as it was; .* save it without that text"):
        read_weights(path)
    texts = {key: text for key, text in metadata(path).items() if key != DIGEST}
    safetensors.torch.save_file(stale, path, texts)
    assert torch.equal(read_weights(path)["bias"], stale["bias"])


def test_shipped_weights_have_a_digest() -> None:
    assert DIGEST in metadata(DIGITS)


def test_metadata_of_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    for name in ("a.safetensors", "absent.safetensors"):
        with pytest.raises(ValueError, match=r"must be a whole \.safetensors file"):
            metadata(tmp_path / name)
