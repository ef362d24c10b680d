"""Files of torch.save are read right, or refused if they hold code or claim too much."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import resource
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from convlens.zoo.weights import read_weights, torch_files
from tests.cases.weight_files import TABLE, Calls, bytes_of, saved


def packed(content: bytes, method: int, path: Path) -> Path:
    """The same archive with its records compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w", method) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    return path


# Read


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_was_packed_again_is_read_rightly(tmp_path: Path, method: int) -> None:
    table = {"weight": torch.zeros(64, 64), "bias": torch.arange(64.0)}
    path = packed(bytes_of(table), method, tmp_path / "a.pth")
    read = read_weights(path)
    assert all(torch.equal(read[name], tensor) for name, tensor in table.items())


def test_sums_left_out_are_not_missed(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        saved(TABLE, tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(read_weights(tmp_path / "a.pth")["bias"], TABLE["bias"])


# Refused


def test_whole_modules_and_other_objects_say_which_way_to_save(tmp_path: Path) -> None:
    path = saved(nn.Linear(3, 2), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"whole torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_weights(path)
    args = argparse.Namespace(rate=0.1)
    with pytest.raises(ValueError, match=r"holds argparse\.Namespace besides tensors"):
        read_weights(saved({"model": TABLE, "args": args}, tmp_path / "b.pth"))


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(2**40),
        torch.zeros(1, 1).expand(2**20, 2**20).t(),
        torch.zeros(2**10).as_strided((2**10, 2**20), (1, 0)),
        torch.zeros(1, dtype=torch.uint8).expand(2**31),
        nn.Parameter(torch.zeros(1).expand(2**30)),
    ],
    ids=["line", "square", "strided", "bytes", "parameter"],
)
def test_a_small_file_that_stands_for_much_is_refused(
    tmp_path: Path, tensor: torch.Tensor, archive: bool
) -> None:
    torch.save({"a": tensor}, tmp_path / "a.pt", _use_new_zipfile_serialization=archive)
    assert (tmp_path / "a.pt").stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"bytes, and its tensors claim [\d,]{10,}; save"):
        read_weights(tmp_path / "a.pt")


def test_many_names_of_one_tensor_are_bounded_and_a_few_are_not(tmp_path: Path) -> None:
    one = torch.zeros(2**16)
    assert len(read_weights(saved({str(i): one for i in range(12)}, tmp_path / "a.pt"))) == 12
    much = {str(i): torch.zeros(1).expand(2**22) for i in range(17)}
    with pytest.raises(ValueError, match="claim 285,212,672"):
        read_weights(saved(much, tmp_path / "b.pt"))


@pytest.mark.parametrize("function", [bytearray, torch.FloatStorage, torch.Tensor])
def test_nothing_is_reserved_for_what_a_pickle_asks_for(
    tmp_path: Path, function: Callable[..., object]
) -> None:
    path = saved({"a": Calls(function, 2**41)}, tmp_path / "a.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="its tensors claim"):
        read_weights(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """The archive with what `change` makes of each record."""
    with zipfile.ZipFile(path) as old:
        records = [(record, old.read(record)) for record in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in records:
            new.writestr(name, change(name, content))


def test_records_shorter_than_claimed_twice_there_or_in_a_bomb_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(TABLE, tmp_path / "a.pt")
    rewritten(path, lambda name, content: content[:4] if name.endswith("data/1") else content)
    with pytest.raises(ValueError, match=r"of the record data/1 it needs 8 bytes and has 4"):
        read_weights(path)
    path = saved(TABLE, tmp_path / "b.pt")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("b/data/0", b"\0" * 24)
    with pytest.raises(ValueError, match="holds the record 'b/data/0' twice"):
        read_weights(path)
    packed(bytes_of({"a": torch.zeros(2**20)}), zipfile.ZIP_DEFLATED, tmp_path / "c.pt")
    monkeypatch.setattr(torch_files, "LEAST", 2**20)
    with pytest.raises(ValueError, match="bytes and unpacks to 4,19"):
        read_weights(tmp_path / "c.pt")


def test_a_name_twice_in_a_pickle_is_refused(tmp_path: Path) -> None:
    path = saved(TABLE, tmp_path / "a.pt")
    rewritten(path, lambda name, c: _named_bias(c) if name.endswith("data.pkl") else c)
    with pytest.raises(ValueError, match="holds 'bias' twice"):
        read_weights(path)


def _named_bias(content: bytes) -> bytes:
    old, new = (b"X" + struct.pack("<I", len(name)) + name for name in (b"weight", b"bias"))
    assert old in content
    return content.replace(old, new)


def test_an_archive_whose_first_record_leads_nowhere_is_refused(tmp_path: Path) -> None:
    path = saved(TABLE, tmp_path / "a.pt")
    with zipfile.ZipFile(path) as old:
        records = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:  # as when a folder is packed with what is around it
        for name, content in [("__MACOSX/x", b""), *records]:
            new.writestr(name, content)
    with pytest.raises(ValueError, match=r"has no __MACOSX/data\.pkl"):
        read_weights(path)


def test_another_protocol_of_pickle_is_not_called_code(tmp_path: Path) -> None:
    torch.save(TABLE, tmp_path / "a.pt", pickle_protocol=4)
    with pytest.raises(ValueError, match="pickled by protocol 4, of which torch reads only 2"):
        read_weights(tmp_path / "a.pt")


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, place = tmp_path / "weights.pt", tmp_path / "sprung"
    torch.save({"conv1.weight": Calls(os.mkdir, str(place))}, path)
    with pytest.raises(ValueError, match="would run code when opened"):
        read_weights(path)
    assert not place.exists()
    # Able to fail: opened without care, it does run.
    torch.load(path, weights_only=False)
    assert place.exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Calls(os.mkdir, str(tmp_path / "sprung"))))
    with pytest.raises(ValueError, match=r"`weights` \(="):
        read_weights(path)
    assert not (tmp_path / "sprung").exists()
