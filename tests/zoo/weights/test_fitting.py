"""Weights of a file fit a network: wrapped, nested, tied, renamed, rounded, for other classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from convlens.zoo import model
from convlens.zoo.converting import convert
from convlens.zoo.layers import FrozenNorm2d
from convlens.zoo.resnet import resnet
from convlens.zoo.weights import fitted, load_weights, read_weights, sha256_of
from convlens.zoo.weights.downloading import weights_folder
from convlens.zoo.weights.released import RELEASED
from tests.cases.weight_files import released, saved
from tests.cases.zoo_weights import release
from tests.oracles.torchvision_networks import torchvision


def small(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# Names


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.", "net.0.", "ema."],
)
def test_what_a_wrapper_puts_before_all_names_is_taken_off_and_said(
    tmp_path: Path, prefix: str
) -> None:
    trained = small(1).state_dict()
    path = saved({prefix + name: t for name, t in trained.items()}, tmp_path / "a.pth")
    network = small()
    with pytest.warns(UserWarning, match=rf"`weights` \(a.pth\).*'{prefix}'.*taken off"):
        load_weights(network, path)
    assert equal(network.state_dict(), trained)


def test_torchs_own_wrappers(tmp_path: Path) -> None:
    trained = small(1)
    wrapped: list[Any] = [
        nn.DataParallel(trained),
        torch.compile(trained, backend="eager"),
        torch.optim.swa_utils.AveragedModel(trained),
    ]
    for wrapper in wrapped:
        path = saved(wrapper.state_dict(), tmp_path / "a.pth")
        network = small()
        with pytest.warns(UserWarning, match="was taken off"):
            load_weights(network, path)
        assert equal(network.state_dict(), trained.state_dict())
    # The other way round: the network is wrapped and the file is not.
    network = small()
    with pytest.warns(UserWarning, match=r"'module\.', which the network has before all, was put"):
        load_weights(nn.DataParallel(network), saved(trained.state_dict(), tmp_path / "a.pth"))
    assert equal(network.state_dict(), trained.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_a_prefix_that_some_names_have_is_named(tmp_path: Path, prefix: str) -> None:
    trained = small(1).state_dict()
    mixed = {(prefix if i else "") + name: t for i, (name, t) in enumerate(trained.items())}
    with pytest.raises(ValueError, match=rf"'{prefix}', as .* is in 8 of its 9 names"):
        load_weights(small(), saved(mixed, tmp_path / "a.pth"))


def test_a_prefix_that_was_taken_off_is_not_to_blame(tmp_path: Path) -> None:
    table = {f"_orig_mod.{name}": t for name, t in small(1).state_dict().items()}
    path = saved({**table, "_orig_mod.more.weight": torch.ones(2)}, tmp_path / "a.pth")
    with (
        pytest.warns(UserWarning, match="was taken off"),
        pytest.raises(ValueError, match=r"holds unknown more.weight; use the file made for this"),
    ):
        load_weights(small(), path)


def test_a_wrapper_within_the_network_is_named(tmp_path: Path) -> None:
    plain = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    path = saved(plain.state_dict(), tmp_path / "a.pth")
    wrapped: Any = torch.compile(plain[1], backend="eager")
    with pytest.raises(ValueError, match=r"'_orig_mod\.', as torch\.compile .* none of the file's"):
        load_weights(nn.Sequential(plain[0], wrapped), path)


def test_names_that_fit_are_left_alone() -> None:
    network = nn.ModuleDict({"module": nn.Linear(2, 2), "model": nn.Linear(2, 2)})
    assert fitted(network, network.state_dict(), "a").keys() == network.state_dict().keys()
    inner = nn.ModuleDict({"module": nn.ModuleDict({"module": nn.Linear(2, 2)})})
    assert fitted(inner, inner.state_dict(), "a").keys() == inner.state_dict().keys()


@pytest.mark.parametrize(
    "nest",
    [
        lambda t: {"state_dict": t, "epoch": 3},
        lambda t: {"model": t, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "epoch": 3},
        lambda t: {"model_state_dict": t, "optimizer_state_dict": {"state": {"a": {"b": t}}}},
        lambda t: {"epoch": 3, "checkpoint": {"model": t}},
        lambda t: {"net_g": t, "step": 7},
    ],
)
def test_weights_beside_other_things_are_found(tmp_path: Path, nest: Callable[[Any], Any]) -> None:
    trained = small(1).state_dict()
    network = small()
    load_weights(network, saved(nest(trained), tmp_path / "a.ckpt"))
    assert equal(network.state_dict(), trained)


def test_one_of_several_tables_is_taken_and_said_or_none(tmp_path: Path) -> None:
    one, other = small(1).state_dict(), small(2).state_dict()
    path = saved({"model_ema": other, "model": one}, tmp_path / "a.pth")
    network = small()
    with pytest.warns(UserWarning, match="took 'model', and it holds model_ema too"):
        load_weights(network, path)
    assert equal(network.state_dict(), one)
    with pytest.raises(ValueError, match="not one with generator, critic of other types"):
        read_weights(saved({"generator": one, "critic": other}, tmp_path / "b.pth"))
    for odd in ({"a": torch.ones(1), "epoch": 3}, {0: torch.ones(1)}):
        with pytest.raises(ValueError, match="must hold a flat table"):
            read_weights(saved(odd, tmp_path / "c.pth"))


# Tied tensors


class Tied(nn.Module):
    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        if tied:
            self.b.weight = self.a.weight


@pytest.mark.parametrize("tied", [True, False])
def test_tied_tensors_saved_once_fill_both_names(tmp_path: Path, tied: bool) -> None:
    trained = Tied()
    safetensors.torch.save_model(trained, str(tmp_path / "a.safetensors"))
    assert len(read_weights(tmp_path / "a.safetensors")) == 3
    network = Tied(tied)
    load_weights(network, tmp_path / "a.safetensors")
    assert torch.equal(network.a.weight, trained.a.weight)
    assert torch.equal(network.b.weight, trained.a.weight)


def test_two_contents_of_one_tensor_are_refused(tmp_path: Path) -> None:
    path = saved(Tied(tied=False).state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.weight and b\.weight are one tensor .* different"):
        load_weights(Tied(), path)
    # Able to fail: untied, they load.
    load_weights(Tied(tied=False), path)


# What numbers become


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.ones(2, dtype=torch.int8), "bias as int8 where the network has float32"),
        (torch.ones(2, dtype=torch.bool), "bias as bool where the network has float32"),
        (torch.ones(2, dtype=torch.complex64), "bias as complex64 where"),
        (torch.full((2,), 1e300, dtype=torch.float64), "bias as float64 where"),
    ],
)
def test_numbers_of_another_kind_are_refused(tensor: Tensor, said: str) -> None:
    network = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=said):
        fitted(network, {**network.state_dict(), "bias": tensor}, "a.pth")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_floats_are_rounded(tmp_path: Path, dtype: torch.dtype) -> None:
    table = {name: tensor.to(dtype) for name, tensor in nn.Linear(3, 2).state_dict().items()}
    network = nn.Linear(3, 2)
    load_weights(network, saved(table, tmp_path / "a.pth"))
    assert torch.equal(network.bias, table["bias"].float())


def test_counts_may_be_of_any_type_that_keeps_them(tmp_path: Path) -> None:
    table = small(1).state_dict()
    for count, fits in ((torch.tensor(3.0), True), (torch.tensor(3.5), False)):
        path = saved({**table, "1.num_batches_tracked": count}, tmp_path / "a.pth")
        if fits:
            load_weights(small(), path)
        else:
            with pytest.raises(ValueError, match="num_batches_tracked as float32 where"):
                load_weights(small(), path)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers_are_said(tmp_path: Path, broken: float) -> None:
    table = small(1).state_dict()
    table["3.bias"][0] = broken
    with pytest.warns(UserWarning, match=r"holds NaN.* in 3\.bias"):
        load_weights(small(), saved(table, tmp_path / "a.pth"))


def test_lazy_layers_take_the_shapes_of_the_file(tmp_path: Path) -> None:
    lazy = nn.Sequential(nn.LazyLinear(3))
    load_weights(lazy, saved(nn.Sequential(nn.Linear(8, 3)).state_dict(), tmp_path / "a.pth"))
    assert lazy[0].weight.shape == (3, 8)


# Heads


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    weights_folder().mkdir(parents=True)
    return weights_folder()


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "lraspp_mobilenet_v3_large"])
def test_a_file_of_ones_own_never_loses_its_head(tmp_path: Path, name: str) -> None:
    path = saved(model(name, weights=None, classes=3).state_dict(), tmp_path / "mine.pth")
    for classes in (2, 1000, None):
        with pytest.raises(ValueError, match=r"it is for 3 classes: build it with classes=3, or"):
            model(name, weights=path, classes=classes)
    network = model(name, weights=path, classes=3)
    assert network.random_parts == ()


def test_released_weights_may_lose_their_head_and_it_is_said(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "mobilenet_v3_small"
    path = saved(model(name, weights=None).state_dict(), hub / "saved")
    known = next(iter(RELEASED[name].values()))
    file = f"{name}-{sha256_of(path)[:8]}.pth"
    path = path.rename(hub / file)
    entry = dataclasses.replace(known, url=f"https://127.0.0.1/{file}")
    release(monkeypatch, name, entry)
    converted = convert(name, out=tmp_path / "c.safetensors")
    for weights in ("DEFAULT", path, str(path), converted):
        with pytest.warns(UserWarning, match=r"`classes` \(=4\).* classifier\.3 drawn at random"):
            network = model(name, weights=weights, classes=4)
        assert network.random_parts == ("classifier.3",)
        assert "classifier.3 drawn at random" in repr(network)
    # A renamed file is known by its sha256; a file that was saved again is not.
    path = path.rename(tmp_path / "mine.pth")
    with pytest.warns(UserWarning, match="drawn at random"):
        assert model(name, weights=path, classes=4).random_parts == ("classifier.3",)
    saved({key: tensor.clone() for key, tensor in read_weights(path).items()}, path)
    with pytest.raises(ValueError, match="build it with classes=1000"):
        model(name, weights=path, classes=4)


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
    # A head that fits is loaded, although it may be fresh.
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
    """The name that a tensor had in the files of 2019, written out without our patterns."""
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
