"""Files in the released formats, under released names: right, damaged, foreign, hostile."""

from __future__ import annotations

import collections
import copyreg
import dataclasses
import hashlib
import pickle
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.zoo.building import built_on_meta
from convlens.zoo.layers import FrozenNorm2d
from convlens.zoo.mobilenet import mobilenet
from convlens.zoo.networks import weights
from convlens.zoo.resnet import resnet
from convlens.zoo.weights import fitted, load_weights, read_weights, sha256_of
from tests.cases.zoo_weights import release
from tests.oracles.torchvision_networks import torchvision


def released(folder: Path, name: str, table: Mapping[str, object], *, archive: bool = True) -> Path:
    """A file as torchvision releases them: by torch.save, its sha256 begun in its name."""
    path = folder / "saved.pth"
    torch.save(dict(table), path, _use_new_zipfile_serialization=archive)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(folder / f"{name}-{digest}.pth")


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
    """Writes tensors and parameters as torch 0.1 did, of which `vgg16-397923af.pth` is."""

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


class Trap:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_released_name_is_refused_and_does_not_run(tmp_path: Path, archive: bool) -> None:
    place = tmp_path / "sprung"
    path = released(tmp_path, "resnet18", {"conv1.weight": Trap(place)}, archive=archive)
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
    """All names and shapes of a network; one zero is repeated in all places, to be quick."""
    table = built_on_meta(name).state_dict()
    return {name: torch.zeros(()).expand(like.shape) for name, like in table.items()}


# Another number of classes


def test_where_classes_alone_differ_the_cure_says_how_many(tmp_path: Path) -> None:
    path = released(tmp_path, "resnet18", resnet("resnet18", classes=7).state_dict())
    with pytest.raises(ValueError, match=r"fc\.weight \(7, 512\) .* build it with classes=7, or"):
        load_weights(resnet("resnet18"), path)


def heads(classes: int, inside: int = 8) -> nn.Module:
    """The last layers of a detector: a score and four sides of a box for each class."""
    return nn.ModuleDict({"score": nn.Linear(inside, classes), "box": nn.Linear(8, 4 * classes)})


def test_a_detectors_classes_are_counted_once() -> None:
    with pytest.raises(ValueError, match="build it with classes=91, or"):
        fitted(heads(3), heads(91).state_dict(), "a.pth")
    with pytest.raises(ValueError) as other:  # noqa: PT011
        fitted(heads(3), heads(91, inside=9).state_dict(), "a.pth")
    assert "classes=" not in str(other.value)


def test_fresh_names_keep_what_they_have(tmp_path: Path) -> None:
    path = released(tmp_path, "small", resnet("resnet18").state_dict())
    network = resnet("resnet18", classes=7)
    drawn = {name: t.clone() for name, t in network.fc.state_dict().items()}
    load_weights(network, path, fresh=("fc.",))
    assert equal(network.fc.state_dict(), drawn)
    stored = read_weights(path)
    rest = {name: t for name, t in network.state_dict().items() if not name.startswith("fc.")}
    assert all(torch.equal(t, stored[name]) for name, t in rest.items())
    # What fits is loaded, though it might be fresh.
    whole = resnet("resnet18")
    load_weights(whole, path, fresh=("fc.",))
    assert torch.equal(whole.fc.weight, stored["fc.weight"])


def test_fresh_names_may_be_missing_and_no_others() -> None:
    own = resnet("resnet18")
    table = own.state_dict()
    del table["fc.weight"]
    assert "fc.weight" not in fitted(own, table, "a.pth", fresh=("fc.",))
    with pytest.raises(ValueError, match=r"it lacks fc\.weight;"):
        fitted(own, table, "a.pth")
    del table["conv1.weight"]
    with pytest.raises(ValueError, match=r"it lacks conv1\.weight;"):
        fitted(own, table, "a.pth", fresh=("fc.",))


# Names that changed


def test_counts_of_batches_alone_may_be_there_or_not() -> None:
    counted, frozen = nn.BatchNorm2d(3), FrozenNorm2d(3)
    assert "num_batches_tracked" not in fitted(frozen, counted.state_dict(), "a.pth")
    assert fitted(counted, frozen.state_dict(), "a.pth").keys() == frozen.state_dict().keys()
    with pytest.raises(ValueError, match="holds unknown num_batches"):
        fitted(frozen, {**counted.state_dict(), "num_batches": torch.ones(1)}, "a.pth")


def test_detectors_released_before_torchvision_0_13_get_todays_names() -> None:
    torchvision()
    from torchvision.models.detection import maskrcnn_resnet50_fpn
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
    from torchvision.models.detection.rpn import RPNHead
    from torchvision.ops import FeaturePyramidNetwork

    with torch.device("meta"):
        network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    today = network.state_dict()
    old = {as_before(name): tensor for name, tensor in today.items()}
    assert len(set(old) - set(today)) == 2 * (4 + 4 + 1 + 4)
    assert fitted(network, old, "a.pth").keys() == today.keys()
    with pytest.raises(ValueError, match=r"holds unknown rpn\.head\.conv\.weight"):
        fitted(network, {**today, "rpn.head.conv.weight": torch.ones(1)}, "a.pth")
    # The oracle takes the same old names, in the order of the same new ones.
    parts: dict[str, nn.Module] = {
        "backbone.fpn.": FeaturePyramidNetwork([8, 16], 4),
        "rpn.head.": RPNHead(4, 3),
        "roi_heads.mask_head.": MaskRCNNHeads(4, (4, 4), 1),
    }
    for prefix, part in parts.items():
        table = {
            as_before(prefix + name).removeprefix(prefix): torch.full_like(tensor, i)
            for i, (name, tensor) in enumerate(part.state_dict().items())
        }
        part.load_state_dict(dict(table))
        whole = nn.Module()
        nest(whole, prefix, part)
        ours = fitted(whole, {prefix + name: tensor for name, tensor in table.items()}, "a.pth")
        assert equal(ours, whole.state_dict())


def as_before(name: str) -> str:
    """The name a tensor had in the files of 2019; written out, not by the patterns of ours."""
    parts = name.split(".")
    if parts[:2] == ["backbone", "fpn"]:
        return ".".join(parts[:4] + parts[5:])
    if parts[:3] == ["rpn", "head", "conv"]:
        return f"rpn.head.conv.{parts[-1]}"
    if parts[:2] == ["roi_heads", "mask_head"]:
        return f"roi_heads.mask_head.mask_fcn{int(parts[2]) + 1}.{parts[-1]}"
    return name


def nest(module: nn.Module, prefix: str, part: nn.Module) -> None:
    *outer, last = prefix.rstrip(".").split(".")
    for name in outer:
        inner = nn.Module()
        module.add_module(name, inner)
        module = inner
    module.add_module(last, part)
