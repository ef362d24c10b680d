"""Files in the released formats, under released names: right, damaged, foreign, hostile."""

from __future__ import annotations

import collections
import copyreg
import dataclasses
import os
import pickle
import struct
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from convlens.zoo import model
from convlens.zoo.building import built_on_meta
from convlens.zoo.mobilenet import mobilenet
from convlens.zoo.networks import weights
from convlens.zoo.resnet import resnet
from convlens.zoo.shipped import DIGITS
from convlens.zoo.weights import load_weights, read_weights, sha256_of
from convlens.zoo.weights.saving import save_tensors
from tests.cases.weight_files import TABLE, Calls, released, saved
from tests.cases.zoo_weights import release


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before-torch-1.6"])
def test_a_released_file_is_read_and_fills_the_network(tmp_path: Path, archive: bool) -> None:
    torch.manual_seed(1)
    trained = mobilenet("mobilenet_v3_small").state_dict()
    path = released(tmp_path, "mobilenet_v3_small", trained, archive=archive)
    network = mobilenet("mobilenet_v3_small")
    assert not equal(network.state_dict(), trained)
    load_weights(network, path)
    assert equal(network.state_dict(), trained)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # the example of FIPS 180-4
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea")


class PickledIn2017(pickle.Pickler):
    """Writes tensors and parameters as torch 0.1 did; `vgg16-397923af.pth` is such a file."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, nn.Parameter):
            state: tuple[object, ...] = (value.data, None, collections.OrderedDict(), True, False)
            return copyreg.__newobj__, (nn.Parameter,), state  # type: ignore[attr-defined]
        if isinstance(value, Tensor):
            storage = torch.storage.TypedStorage(
                wrap_storage=value.untyped_storage(), dtype=value.dtype, _internal=True
            )
            state = (storage, value.storage_offset(), tuple(value.shape), value.stride())
            return copyreg.__newobj__, (Tensor,), state  # type: ignore[attr-defined]
        return NotImplemented


def test_the_oldest_released_format_is_read(tmp_path: Path) -> None:
    trained = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    table: dict[str, Tensor] = {**trained.state_dict(), **dict(trained.named_parameters())}
    del table["1.num_batches_tracked"]  # torch counts batches since 0.4.1
    module = types.SimpleNamespace(Pickler=PickledIn2017, dump=pickle.dump, __name__="pickle")
    torch.save(
        collections.OrderedDict(table),
        tmp_path / "a.pth",
        pickle_module=module,
        _use_new_zipfile_serialization=False,
    )
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    load_weights(network, tmp_path / "a.pth")
    assert equal(network.state_dict(), trained.state_dict())


def test_half_precision_is_widened(tmp_path: Path) -> None:
    halves = {name: tensor.half() for name, tensor in nn.Linear(3, 2).state_dict().items()}
    network = nn.Linear(3, 2)
    load_weights(network, released(tmp_path, "wide", halves))
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, halves["weight"].float())


# Refused


def test_a_damaged_file_is_refused_by_its_sha256(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = released(tmp_path, "resnet18", nn.Linear(100, 100).state_dict(), archive=False)
    entry = dataclasses.replace(weights("resnet18"), url=f"https://127.0.0.1/{path.name}")
    release(monkeypatch, "resnet18", entry)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    network = nn.Linear(100, 100)
    before = network.weight.clone()
    with pytest.raises(ValueError, match=r"must have a sha256 that begins with .* as its name"):
        load_weights(network, path)
    assert torch.equal(network.weight, before)
    # Able to fail: one bit does not keep torch from reading it.
    path = path.rename(tmp_path / "any.pth")
    load_weights(network, path)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_a_truncated_file_is_refused(tmp_path: Path, archive: bool, named: bool) -> None:
    path = released(tmp_path, "resnet18", nn.Linear(99, 99).state_dict(), archive=archive)
    if not named:
        path = path.rename(tmp_path / "mine.pth")
    content = path.read_bytes()
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="`weights`") as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_released_name_is_refused_and_does_not_run(tmp_path: Path, archive: bool) -> None:
    place = tmp_path / "sprung"
    path = released(
        tmp_path, "resnet18", {"conv1.weight": Calls(os.mkdir, str(place))}, archive=archive
    )
    with pytest.raises(ValueError, match="would run code when opened"):
        load_weights(resnet("resnet18"), path)
    assert not place.exists()
    torch.load(path, weights_only=False)  # able to fail: opened without care, it does run
    assert place.exists()


@pytest.mark.parametrize(
    "odd", [torch.eye(2).to_sparse(), torch.empty(2, 2, device="meta")], ids=["sparse", "meta"]
)
def test_tensors_without_plain_numbers_are_refused(tmp_path: Path, odd: Tensor) -> None:
    torch.save({"weight": odd, "bias": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"must hold dense tensors .* weight is"):
        load_weights(nn.Linear(2, 2), tmp_path / "a.pth")


def test_weights_of_another_network_are_refused_with_names_and_shapes(tmp_path: Path) -> None:
    path = released(tmp_path, "resnet18", zeros("resnet18"))
    with pytest.raises(
        ValueError, match=r"must fit the network ResNet: it lacks layer1\.2"
    ) as deep:
        load_weights(resnet("resnet34"), path)
    assert "use the file made for this network" in str(deep.value)
    with pytest.raises(
        ValueError, match=r"\(64, 64, 3, 3\) where the network has \(64, 64, 1, 1\)"
    ):
        load_weights(resnet("resnet50"), path)
    deeper = released(tmp_path, "resnet34", zeros("resnet34"))
    with pytest.raises(ValueError, match=r"holds unknown layer1\.2\.bn1\.bias"):
        load_weights(resnet("resnet18"), deeper)


def zeros(name: str) -> dict[str, Tensor]:
    """All names and shapes of a network, filled with one repeated zero to be quick."""
    table = built_on_meta(name).state_dict()
    return {name: torch.zeros(()).expand(like.shape) for name, like in table.items()}


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_was_read_is_kept_when_the_file_is_written_over(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (safetensors.torch.save_file if name == "a.safetensors" else torch.save)(TABLE, path)
    read = read_weights(path)
    path.write_bytes(b"")  # reading a number of a mapped file would now end the process
    assert torch.equal(read["bias"], TABLE["bias"])


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


def safe(header: str, numbers: int) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(numbers)


ENTRY = '"dtype":"F32","shape":[2],"data_offsets"'


@pytest.mark.parametrize(
    ("header", "numbers", "said"),
    [
        (f'{{"a":{{{ENTRY}:[0,8]}},"a":{{{ENTRY}:[0,8]}}}}', 8, "holds 'a' twice"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"\\u0061":{{{ENTRY}:[0,8]}}}}', 8, "holds 'a' twice"),
        (f'{{"__metadata__":{{"m":"1","m":"2"}},"a":{{{ENTRY}:[0,8]}}}}', 8, "holds 'm' twice"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"a":{{{ENTRY}:[8,16]}}}}', 16, "is not a whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"b":{{{ENTRY}:[4,12]}}}}', 12, "is not a whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[0,8]}},"b":{{{ENTRY}:[12,20]}}}}', 20, "is not a whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[0,8]}}}}', 9, "is not a whole .safetensors"),
        (f'{{"a":{{{ENTRY}:[-8,0]}}}}', 8, "is not a whole .safetensors"),
    ],
    ids=["twice", "escaped", "text", "apart", "overlap", "hole", "more", "negative"],
)
def test_headers_that_lie_are_refused(tmp_path: Path, header: str, numbers: int, said: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(safe(header, numbers))
    with pytest.raises(ValueError, match=said):
        read_weights(tmp_path / "a.safetensors")


def test_names_are_told_on_one_line(tmp_path: Path) -> None:
    save_tensors({"a\nb\x1b[31m": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"unknown a\\nb\\x1b\[31m;"):
        load_weights(nn.Linear(1, 1), tmp_path / "a.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_come_back_as_they_were_saved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    trained = model("digits").state_dict()
    if suffix == ".safetensors":
        safetensors.torch.save_file(trained, path)
    else:
        torch.save(trained, path)
    loaded = model("digits", weights=path).state_dict()
    assert all(torch.equal(loaded[name], trained[name]) for name in trained)
    fresh = model("digits", weights=None).state_dict()
    assert not all(torch.equal(fresh[name], trained[name]) for name in trained)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.999])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(model("digits").state_dict(), path)
    else:
        path.write_bytes(DIGITS.read_bytes())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"`weights` \(=.*; (copy|save) ") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_no_reader_stands_in_for_another(tmp_path: Path) -> None:
    torch.save(model("digits").state_dict(), tmp_path / "a.safetensors")
    (tmp_path / "b.pt").write_bytes(DIGITS.read_bytes())
    for path in (tmp_path / "a.safetensors", tmp_path / "b.pt"):
        with pytest.raises(ValueError, match="`weights`"):
            read_weights(path)


def test_weights_of_another_network_are_refused_and_nothing_is_copied() -> None:
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(1, 8, 3))
    before = network.state_dict()["conv1.weight"].clone()
    with pytest.raises(ValueError, match=r"holds unknown conv2\.bias") as caught:
        load_weights(network, DIGITS)
    assert "conv1.weight (24, 1, 3, 3) where the network has (8, 1, 3, 3)" in str(caught.value)
    assert torch.equal(network.state_dict()["conv1.weight"], before)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("weights.bin", None, "must name an existing file"),
        ("absent.safetensors", None, "must name an existing file"),
        ("nested.pt", {"epoch": 3, "model": {}}, "not one with epoch, model of other types"),
        ("list.pt", [1, 2], "not a list"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: object, said: str) -> None:
    if content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(ValueError, match=said):
        read_weights(tmp_path / name)
