"""Every family is fine-tuned from a file of weights, with a new head for the data's categories."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.learn.data.shapes.shapes import shapes_data
from convlens.learn.data.splits import Data
from convlens.learn.opening import open_network
from convlens.learn.recipe import Recipe
from convlens.learn.training.run import Training
from convlens.learn.training.starting import train
from convlens.zoo import NETWORKS
from convlens.zoo.building import built_on_meta
from convlens.zoo.mobilenet import MOBILENETS
from convlens.zoo.resnet import RESNETS
from convlens.zoo.segmentation import SEGMENTERS
from convlens.zoo.vgg import VGG, VGGS
from convlens.zoo.video import VIDEOS
from convlens.zoo.weights import load_weights
from convlens.zoo.weights.saving import save_tensors
from tests.cases.labelled import class_folders
from tests.cases.training_runs import end_of
from tests.cases.zoo_weights import drawn
from tests.running.broad import broad

QUICK = Recipe(epochs=1, batch=4, rate=1e-3, optimizer="sgd", augment=0.0, threads=1, save=0.0)

CLASSIFIERS = ("vgg11", *RESNETS, *MOBILENETS, "mobilenet_v2")
USUAL = ("resnet18", "mobilenet_v3_small", "mobilenet_v2")

DETECTORS = tuple(name for name in NETWORKS if "rcnn" in name)
KINDS: dict[str, Any] = {
    "detection": "boxes",
    "instance segmentation": "masks",
    "keypoints": "points",
}


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Remove the files at once: pytest keeps those of three runs, and a VGG's have 4 GB."""
    yield
    shutil.rmtree(tmp_path)


def released_file(name: str, folder: Path) -> Path:
    """A file of weights for as many classes as the released ones have."""
    path = folder / "mine.safetensors"
    save_tensors(drawn(built_on_meta(name)), path)
    return path


def photos(folder: Path) -> Path:
    return class_folders(folder / "photos", {"cat": 4, "cow": 4, "dog": 4})


def begun(name: str, data: Any, file: Path, out: Path | None, **fields: Any) -> Training:
    """A training from the file, whose head has another number of classes; a warning says so."""
    with pytest.warns(UserWarning, match=r"^`weights` \(mine.safetensors\) are for other than"):
        return train(name, data, QUICK, out, weights=file, **fields)


def check_resumes(name: str, data: Any, folder: Path, **fields: Any) -> None:
    """Begin from a file, stop after a step, and end as the run that was never stopped."""
    file = released_file(name, folder)
    stopped = begun(name, data, file, folder / "run", **fields)
    heads = NETWORKS[name].heads
    first = next(iter(stopped.network.state_dict()))
    assert not first.startswith(heads)
    running = stopped.steps()
    next(running)
    running.close()
    list(begun(name, data, file, folder / "run", **fields))
    list(begun(name, data, file, folder / "whole", save=300.0, **fields))
    assert end_of(folder / "run") == end_of(folder / "whole")


@pytest.mark.parametrize("name", broad(CLASSIFIERS, lambda name: name in USUAL))
def test_a_classifier_is_fine_tuned_stopped_and_resumed(name: str, tmp_path: Path) -> None:
    check_resumes(name, photos(tmp_path), tmp_path, size=32)


def slim(name: str, classes: int) -> nn.Module:
    """A VGG whose linear layers are narrow: a whole one takes half a gigabyte, and 2 minutes."""
    network = VGG(VGGS[name], classes)
    for at, (c, k) in {0: (25088, 16), 3: (16, 16), 6: (16, classes)}.items():
        network.classifier[at] = nn.Linear(c, k)
    return network


@pytest.mark.parametrize("name", broad(VGGS, lambda name: name == "vgg11_bn"))
def test_a_vgg_with_narrow_layers_is_fine_tuned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, name, dataclasses.replace(NETWORKS[name], build=slim))
    check_resumes(name, photos(tmp_path), tmp_path, size=32)


@pytest.mark.parametrize("name", broad(SEGMENTERS, lambda name: name.startswith("lraspp")))
def test_a_segmenter_is_fine_tuned_stopped_and_resumed(name: str, tmp_path: Path) -> None:
    check_resumes(name, shapes_data("maps", 8, 2, size=48), tmp_path, size=32)


@pytest.mark.parametrize("name", broad(VIDEOS, lambda name: name == "mc3_18"))
def test_a_network_of_clips_is_fine_tuned_stopped_and_resumed(name: str, tmp_path: Path) -> None:
    check_resumes(name, shapes_data("clips", 6, 6), tmp_path, size=16)


@dataclasses.dataclass(frozen=True)
class People:
    """Figures with 17 points, the arrow's four by turns."""

    whole: Any
    points: tuple[str, ...] = tuple(map(str, range(17)))
    classes: tuple[str, ...] = ("person", "other")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def __len__(self) -> int:
        return len(self.whole)

    def read(self, index: int) -> Any:
        sample = self.whole.read(index)
        turns = torch.arange(17) % sample.points.shape[1]
        labels = sample.labels.clamp(max=2)
        return dataclasses.replace(sample, points=sample.points[:, turns], labels=labels)


def figures(task: str) -> Data:
    found = shapes_data(KINDS[task], 4, 2, size=64)
    if task != "keypoints":
        return found
    return Data(People(found.train), People(found.held_out))


def scale_little(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a detector scale pictures to 96 pixels and look at few places."""
    build = NETWORKS[name].build

    def small(name: str, classes: int) -> nn.Module:
        network: Any = build(name, classes)
        network.transform.min_size = (96,)
        settings = network.rpn.settings
        network.rpn.settings = dataclasses.replace(settings, post_nms_top_n=(16, 16))
        return network  # type: ignore[no-any-return]

    monkeypatch.setitem(NETWORKS, name, dataclasses.replace(NETWORKS[name], build=small))


@pytest.mark.parametrize("name", broad(DETECTORS, lambda name: "mobilenet_v3_large_320" in name))
def test_a_detector_is_fine_tuned_and_its_loss_falls(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale_little(name, monkeypatch)
    data = figures(NETWORKS[name].task)
    check_resumes(name, data, tmp_path, batch=2)
    file = tmp_path / "mine.safetensors"
    reports = list(begun(name, data, file, None, epochs=5, clip=1.0))
    assert reports[-1].loss < 0.95 * reports[0].loss


# The head


def test_a_keypoint_detector_learns_as_many_points_as_the_data_has(tmp_path: Path) -> None:
    data = figures("keypoints")
    list(train("shapes_keypoints", data, QUICK, tmp_path, batch=2, weights="DEFAULT"))
    opened = open_network(str(tmp_path))
    assert opened.keypoints == data.train.points
    assert opened.network.points == 17
    with torch.no_grad():
        (found,) = opened.network([torch.rand(3, 64, 64)])
    assert found["keypoints"].shape[1:] == (17, 3)


def test_only_the_head_is_new(tmp_path: Path) -> None:
    file = released_file("mobilenet_v3_small", tmp_path)
    training = begun("mobilenet_v3_small", photos(tmp_path), file, tmp_path / "run")
    found = training.network.state_dict()
    assert found["classifier.3.weight"].shape == (3, 1024)
    expected: dict[str, Tensor] = drawn(built_on_meta("mobilenet_v3_small"))
    for name, value in found.items():
        if not name.startswith("classifier.3."):
            assert torch.equal(value, expected[name]), name


def test_a_head_for_the_same_categories_stays(tmp_path: Path) -> None:
    first = train("mobilenet_v3_small", photos(tmp_path), QUICK, size=32)
    save_tensors(first.network.state_dict(), tmp_path / "mine.safetensors")
    again = train(
        "mobilenet_v3_small", photos(tmp_path), QUICK, weights=tmp_path / "mine.safetensors", seed=9
    )
    for name, value in first.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name


def test_a_file_that_differs_in_more_than_its_head_is_refused(tmp_path: Path) -> None:
    path = released_file("mobilenet_v3_small", tmp_path)
    with pytest.raises(ValueError, match=r"`weights` \(mine.safetensors\) must fit the network"):
        train("mobilenet_v3_large", photos(tmp_path), QUICK, weights=path)


def test_a_network_of_your_own_takes_a_file_of_its_own_only(tmp_path: Path) -> None:
    save_tensors(nn.Linear(4, 3).state_dict(), tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match="must fit the network"):
        load_weights(nn.Linear(4, 2), tmp_path / "mine.safetensors")
