"""A file that holds no weights is refused with what it is."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convlens.learn.own_networks import unknown_network
from convlens.zoo import model
from convlens.zoo.shipped import DATA
from convlens.zoo.weights import load_weights, read_weights
from tests.cases.weight_files import TABLE, bytes_of, saved


@pytest.mark.parametrize("name", ["a", "a.bin", "a.ckpt", "resnet18-20240101.pth", "a-deadbeef.pt"])
def test_the_bytes_decide_whatever_the_name(tmp_path: Path, name: str) -> None:
    read = read_weights(saved(TABLE, tmp_path / name))
    assert all(torch.equal(read[key], tensor) for key, tensor in TABLE.items())
    load_weights(nn.Linear(3, 2), tmp_path / name)


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
