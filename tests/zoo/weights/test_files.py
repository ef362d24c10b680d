"""Files that are no weights say what they are; those that lie about themselves are refused."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import pickle
import resource
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from convlens.learn.own_networks import unknown_network
from convlens.zoo import model
from convlens.zoo.shipped import DATA, DIGITS
from convlens.zoo.weights import load_weights, metadata, read_weights, torch_files
from convlens.zoo.weights.digests import DIGEST
from convlens.zoo.weights.pickles import outlined
from convlens.zoo.weights.saving import save_tensors

TABLE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def bytes_of(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def packed(content: bytes, method: int, path: Path) -> Path:
    """The same archive with its records compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w", method) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    return path


# Read


@pytest.mark.parametrize("name", ["a", "a.bin", "a.ckpt", "resnet18-20240101.pth", "a-deadbeef.pt"])
def test_the_bytes_decide_whatever_the_name(tmp_path: Path, name: str) -> None:
    read = read_weights(saved(TABLE, tmp_path / name))
    assert all(torch.equal(read[key], tensor) for key, tensor in TABLE.items())
    load_weights(nn.Linear(3, 2), tmp_path / name)


def test_a_file_without_a_suffix_is_a_path_for_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(model("digits").state_dict(), Path("mine"))
    assert model("digits", weights="mine").random_parts == ()
    with pytest.raises(ValueError, match="must be released weights of resnet18, or a file"):
        model("resnet18", weights="absent")
    with pytest.raises(TypeError, match=r"`weights` \(of type dict\) must be a name"):
        model("resnet18", weights=TABLE)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_was_read_is_kept_when_the_file_is_written_over(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (safetensors.torch.save_file if name == "a.safetensors" else torch.save)(TABLE, path)
    read = read_weights(path)
    path.write_bytes(b"")  # of a mapped file, reading a number would end the process
    assert torch.equal(read["bias"], TABLE["bias"])


def test_the_command_line_says_in_one_line_what_was_taken_off(tmp_path: Path) -> None:
    wrapped = {f"module.{name}": t for name, t in model("digits").state_dict().items()}
    path = saved(wrapped, tmp_path / "a.pth")
    words = [sys.executable, "-m", "convlens", "predict", "digits", str(DATA / "digit-3.png")]
    done = subprocess.run(
        [*words, "--weights", str(path)], capture_output=True, text=True, check=True
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("convlens: warning: `weights` (a.pth)")
    assert "100.0 %  3" in done.stdout


# Not weights


def script() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), buffer)
    return buffer.getvalue()


def numpy_archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("resnet18.pth", bytes_of(TABLE))
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n"
PAGE = b"\n<!DOCTYPE html><html><head><title> Sign in </title></head><body>...</body></html>"
INDEX = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}

NO_WEIGHTS: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "pointer": (POINTER, r"is a Git LFS pointer to 46,830,571 bytes.*; run git lfs pull"),
    "page": (PAGE, r"is a web page \('Sign in'\); download the file that the page leads to"),
    "page-bom": (b"\xef\xbb\xbf<html>", r"is a web page \(HTML or XML\)"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
    "annex": (b"/annex/objects/SHA256E-s12--ab.pth\n", "is a git-annex pointer"),
    "empty": (b"", "is empty"),
    "zeros": (bytes(5000), "begins with nothing but zeros"),
    "text": (b"Not Found", "is a text of 9 bytes that begins with 'Not Found'"),
    "json": (b'{"message": "rate limit"}', "is a JSON text that says 'rate limit'"),
    "index": (json.dumps(INDEX).encode(), "is the index of weights in several files, among them"),
    "gzip": (lambda: gzip.compress(bytes_of(TABLE)), "is compressed by gzip; unpack it"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file, as Keras"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x032.1" + bytes(range(256)), "is an ONNX model"),
    "picture": ((DATA / "digit-3.png").read_bytes(), "is a PNG picture"),
    "npz": (numpy_archive, r"is a NumPy archive \(.npz\)"),
    "script": (script, r"is a TorchScript program; save its weights: torch.save\(torch.jit.load"),
    "zip": (zipped, "is a zip archive of resnet18.pth; unpack it"),
    "pickle": (pickle.dumps({"a": np.ones(3)}), "is a pickle that torch.save did not write"),
    "noise": (bytes(range(128, 256)) * 9, "begins with none of the bytes"),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_what_is_no_file_of_weights_says_what_it_is(tmp_path: Path, kind: str) -> None:
    content, said = NO_WEIGHTS[kind]
    for name in ("a.pth", "a.safetensors", "a"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content())
        with pytest.raises(ValueError, match=said) as caught:
            read_weights(tmp_path / name)
        assert "`weights`" in str(caught.value)
        assert "--weights none" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_folders_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    saved(TABLE, tmp_path / "run" / "last.pth")
    with pytest.raises(ValueError, match=r"is a folder; name a file in it, such as last\.pth"):
        read_weights(tmp_path / "run")
    with pytest.raises(ValueError, match=r"must name an existing file.*--weights none"):
        read_weights(tmp_path / "absent.pth")


def test_a_name_that_promises_another_kind_is_refused(tmp_path: Path) -> None:
    saved(TABLE, tmp_path / "a.safetensors")
    safetensors.torch.save_file(TABLE, tmp_path / "b.pth")
    with pytest.raises(ValueError, match=r"is a file of torch.save; rename it to 'a.pth'"):
        read_weights(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"is a safetensors file; rename it to 'b.safetensors'"):
        read_weights(tmp_path / "b.pth")


def test_whole_modules_and_other_objects_say_which_way_to_save(tmp_path: Path) -> None:
    path = saved(nn.Linear(3, 2), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"whole torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_weights(path)
    args = argparse.Namespace(rate=0.1)
    with pytest.raises(ValueError, match=r"holds argparse\.Namespace beside tensors"):
        read_weights(saved({"model": TABLE, "args": args}, tmp_path / "b.pth"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yolo.onnx", "an ONNX model is not opened here"),
        ("resnet50.pth", "name the network they are for, and the file with --weights"),
        ("cat.jpg", "name the network first"),
        ("resnet51", "did you mean 'resnet5"),
    ],
)
def test_a_file_in_the_place_of_a_network_is_told_apart(name: str, said: str) -> None:
    assert said in unknown_network(name)
    with pytest.raises(ValueError, match=said):
        model(name)


# Damaged


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
    # Another program that keeps the texts and changes the tensors is told how to go on.
    stale = {name: tensor + 1 for name, tensor in TABLE.items()}
    safetensors.torch.save_file(stale, path, metadata(path))
    with pytest.raises(ValueError, match=f"left {DIGEST} as it was; .* save it without that text"):
        read_weights(path)
    told = {key: text for key, text in metadata(path).items() if key != DIGEST}
    safetensors.torch.save_file(stale, path, told)
    assert torch.equal(read_weights(path)["bias"], stale["bias"])


def test_shipped_weights_have_a_digest() -> None:
    assert DIGEST in metadata(DIGITS)


# Lies


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
    with pytest.raises(ValueError, match=r"bytes, and its tensors stand for [\d,]{10,}; save"):
        read_weights(tmp_path / "a.pt")


def test_many_names_of_one_tensor_are_bounded_and_a_few_are_not(tmp_path: Path) -> None:
    one = torch.zeros(2**16)
    assert len(read_weights(saved({str(i): one for i in range(12)}, tmp_path / "a.pt"))) == 12
    much = {str(i): torch.zeros(1).expand(2**22) for i in range(17)}
    with pytest.raises(ValueError, match="stand for 285,212,672"):
        read_weights(saved(much, tmp_path / "b.pt"))


class Calls:
    """Pickled as a call of a function with arguments."""

    def __init__(self, function: Any, *given: object) -> None:
        self.call = (function, given)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [bytearray, torch.FloatStorage, torch.Tensor])
def test_nothing_is_reserved_for_what_a_pickle_asks_for(
    tmp_path: Path, function: Callable[..., object]
) -> None:
    path = saved({"a": Calls(function, 2**41)}, tmp_path / "a.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="its tensors stand for"):
        read_weights(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_outlines_call_nothing(tmp_path: Path) -> None:
    trap = {"a": Calls(Path.mkdir, tmp_path / "sprung"), "b": OrderedDict(c=print)}
    outline = outlined(io.BytesIO(pickle.dumps(trap)))
    assert not (tmp_path / "sprung").exists()
    assert "builtins.print" in outline.globals


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


def safe(header: str, numbers: int) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(numbers)


ENTRY = '"dtype":"F32","shape":[2],"data_offsets"'


@pytest.mark.parametrize(
    ("header", "numbers", "said"),
    [
        (f'{{"a":{{{ENTRY}:[0,8]}},"a":{{{ENTRY}:[0,8]}}}}', 8, "holds 'a' twice"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"\\u0061":{{{ENTRY}:[0,8]}}}}', 8, "holds 'a' twice"),
        (f'{{"__metadata__":{{"m":"1","m":"2"}},"a":{{{ENTRY}:[0,8]}}}}', 8, "holds 'm' twice"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"a":{{{ENTRY}:[8,16]}}}}', 16, "no whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"b":{{{ENTRY}:[4,12]}}}}', 12, "no whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"b":{{{ENTRY}:[12,20]}}}}', 20, "no whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[0,8]}}}}', 9, "no whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[-8,0]}}}}', 8, "no whole .safetensors"),
    ],
    ids=["twice", "escaped", "text", "apart", "overlap", "hole", "more", "negative"],
)
def test_headers_that_lie_are_refused(tmp_path: Path, header: str, numbers: int, said: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(safe(header, numbers))
    with pytest.raises(ValueError, match=said):
        read_weights(tmp_path / "a.safetensors")


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


def test_names_are_told_on_one_line(tmp_path: Path) -> None:
    save_tensors({"a\nb\x1b[31m": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"unknown a\\nb\\x1b\[31m;"):
        load_weights(nn.Linear(1, 1), tmp_path / "a.safetensors")


# Written


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("__metadata__", torch.ones(1), "names that .safetensors can hold"),
        ("a\udc80", torch.ones(1), "names that .safetensors can hold"),
        (3, torch.ones(1), "names that .safetensors can hold"),
        ("a", 3, "must be dense tensors"),
        ("a", torch.eye(2).to_sparse(), "must be dense tensors"),
        ("a", torch.ones(1, device="meta"), "must be dense tensors"),
        ("a", torch.empty(1, dtype=torch.bits8), "torch.bits8 is none"),
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
