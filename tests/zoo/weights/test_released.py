"""The zoo's facts about released weights equal torchvision's, field by field."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest

from convlens.zoo import NETWORKS, Weights, weights
from convlens.zoo.shipped import DATA
from convlens.zoo.weights.released import RELEASED
from tests.oracles.torchvision_networks import torchvision

# torchvision's enums also have files of networks trained elsewhere, which the zoo leaves out.
PAIRS = [(network, name) for network, entries in RELEASED.items() for name in entries]

TASKS = {
    "ImageNet-1K": ("classification",),
    "COCO-val2017": ("detection", "instance segmentation", "keypoints"),
    "COCO-val2017-VOC-labels": ("semantic segmentation",),
    "Kinetics-400": ("video classification",),
}


def oracle(network: str) -> Any:
    torchvision()
    from torchvision.models import get_model_weights

    return get_model_weights(network)


def differences(ours: Weights, theirs: Any) -> list[str]:
    """The fields in which an entry differs from torchvision's."""
    meta, preset = dict(theirs.meta), theirs.transforms()
    ((data, metrics),) = meta["_metrics"].items()
    expected = {
        "name": theirs.name,
        "url": theirs.url,
        "data": data,
        "metrics": {name: value for name, value in metrics.items() if not math.isnan(value)},
        "parameters": meta["num_params"],
        "multiply_adds": meta["_ops"],
        "megabytes": meta["_file_size"],
        "recipe": meta["recipe"],
        "least": meta["min_size"],
        "categories": tuple(meta["categories"] or ()),
        "keypoint_names": tuple(meta.get("keypoint_names", ())),
        "resize": side(getattr(preset, "resize_size", None)),
        "crop": side(getattr(preset, "crop_size", None)),
        "mean": triple(getattr(preset, "mean", None)),
        "std": triple(getattr(preset, "std", None)),
        "interpolation": getattr(getattr(preset, "interpolation", None), "value", "bilinear"),
        # Only clips are scaled without it; torchvision has that in code, not in a field.
        "antialias": getattr(preset, "antialias", data != "Kinetics-400"),
    }
    return [name for name, value in expected.items() if getattr(ours, name) != value]


def side(size: list[int] | None) -> int | tuple[int, ...] | None:
    return size if size is None else size[0] if len(size) == 1 else tuple(size)


def triple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


@pytest.mark.parametrize(("network", "name"), PAIRS)
def test_every_field_is_torchvisions(network: str, name: str) -> None:
    theirs = oracle(network)
    ours = weights(network, name)
    assert differences(ours, theirs[name]) == []
    assert ours.network == network
    assert ours.task in TASKS[ours.data]
    assert (weights(network).name == name) == (theirs.DEFAULT.name == name)


def test_the_comparison_can_fail() -> None:
    theirs = oracle("resnet50")["IMAGENET1K_V2"]
    ours = weights("resnet50")
    wrong: dict[str, Any] = {
        "parameters": ours.parameters + 1,
        "metrics": {**ours.metrics, "acc@5": 95.435},
        "url": ours.url.replace("11ad3fa6", "11ad3fa7"),
        "resize": 256,
        "std": (0.229, 0.224, 0.226),
        "antialias": False,
        "least": (32, 32),
    }
    for field, value in wrong.items():
        assert differences(dataclasses.replace(ours, **{field: value}), theirs) == [field]
    other = dataclasses.replace(ours, vocabulary="coco")
    assert differences(other, theirs) == ["categories"]


def test_no_file_of_torchvisions_own_is_left_out() -> None:
    for network, entries in RELEASED.items():
        theirs = {entry.name for entry in oracle(network)}
        assert set(entries) == theirs, network


def test_clips_are_of_sixteen_frames_fifteen_a_second() -> None:
    for network in ("r3d_18", "mc3_18", "r2plus1d_18"):
        text = oracle(network).DEFAULT.meta["_docs"]
        ours = weights(network)
        assert f"clip_len={ours.frames}`" in text
        assert f"frame_rate={ours.frames_per_second}`" in text
    assert weights("resnet18").frames is None


def test_every_digest_is_eight_hexadecimal_digits_of_one_file() -> None:
    entries = list(everything())
    assert all(len(entry.digest) == 8 and int(entry.digest, 16) >= 0 for entry in entries)
    assert len({entry.digest for entry in entries}) == len(entries) == len(PAIRS)
    assert weights("vgg16", "IMAGENET1K_FEATURES").digest == "88682ab5"


def everything() -> Iterator[Weights]:
    for entries in RELEASED.values():
        yield from entries.values()


def test_licences_name_the_data_and_one_entry_has_a_note() -> None:
    for entry in everything():
        learned = {"ImageNet-1K": "ImageNet", "Kinetics-400": "Kinetics-400"}.get(
            entry.data, "COCO"
        )
        assert f"learned from {learned}, whose terms may bind" in entry.licence
        assert "BSD-3-Clause" in entry.licence
    assert [entry.file for entry in everything() if entry.note] == [
        "vgg16_features-amdegroot-88682ab5.pth"
    ]
    assert weights("vgg16", "IMAGENET1K_FEATURES").accuracy is None


def test_whose_the_names_are_is_stated() -> None:
    text = (DATA / "LICENSES.md").read_text(encoding="utf-8")
    for path in (DATA / "categories").iterdir():
        assert f"`{path.name}`" in text


@pytest.mark.parametrize(
    "network",
    sorted(name for name in NETWORKS.keys() - RELEASED.keys() if NETWORKS[name].shipped is None),
)
def test_a_network_without_released_weights_says_so(network: str) -> None:
    with pytest.raises(ValueError, match=r"there are none for it; .*weights=None"):
        weights(network)


@pytest.mark.parametrize(
    ("network", "name", "said"),
    [
        ("resnet5", "DEFAULT", "did you mean 'resnet50'"),
        ("unheard", "DEFAULT", "must be a network of the zoo; list_models"),
        ("digits", "DEFAULT", r"come with convlens, take model\('digits'\)"),
        ("resnet50", "imagenet1k_v1", "did you mean 'IMAGENET1K_V1'"),
        ("resnet50", "COCO", "use DEFAULT, IMAGENET1K_V2, IMAGENET1K_V1"),
    ],
)
def test_unknown_names_are_refused(network: str, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        weights(network, name)
