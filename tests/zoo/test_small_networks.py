"""The small networks of the zoo: their sizes, names, heads, and every look at them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import convlens
from convlens.lab.showing import lab_on
from convlens.learn.counting import counts
from convlens.learn.data.shapes.shapes import Shapes
from convlens.learn.opening import open_network, opened_module
from convlens.learn.reading_inputs import read_inputs
from convlens.lens import explain, record
from convlens.zoo import NETWORKS, model
from convlens.zoo.building import built_on_meta
from convlens.zoo.categories import BACKGROUND, CLOTHES, FIGURES, MOTIONS, POINTS
from convlens.zoo.fashion import FashionMNIST
from convlens.zoo.shipped import DATA
from convlens.zoo.weights import load_weights
from convlens.zoo.weights.saving import halved, save_tensors

CLASSIFIERS = ("fashion_mnist", "shapes_resnet", "shapes_mobilenet", "shapes_clips")
FINDERS = ("shapes_boxes", "shapes_masks", "shapes_keypoints")
ALL = (*CLASSIFIERS, "shapes_unet", *FINDERS)


def given(name: str, count: int = 2, side: int | None = None) -> Tensor:
    """Some input of a network: (count, c, h, w), or (count, c, t, h, w)."""
    inputs = NETWORKS[name].inputs
    assert inputs is not None
    side = side or (inputs.resize if isinstance(inputs.resize, int) else 96)
    space = (side, side) if inputs.frames is None else (inputs.frames, side, side)
    return torch.rand((count, inputs.channels, *space), generator=torch.Generator().manual_seed(0))


def test_together_they_take_less_than_eight_megabytes() -> None:
    sizes = {
        name: sum(2 * tensor.numel() for tensor in built_on_meta(name).state_dict().values())
        for name in ALL
    }
    assert max(sizes.values()) < 2_000_000
    assert sum(sizes.values()) < 8_000_000


def test_widths_are_fields() -> None:
    with torch.device("meta"):
        wide = FashionMNIST(widths=(32, 64, 128))
    assert sum(parameter.numel() for parameter in wide.parameters()) == 241_898


def test_multiply_adds_are_those_of_the_layers() -> None:
    (found,) = counts("shapes_clips")
    assert found.shape == (1, 3, 8, 48, 48)
    # Windows of 3 x 3 x 3 on maps of 8 frames, and a linear layer.
    windows = 3 * 24 * 24**2 + 24 * 48 * 12**2 + 48 * 64 * 6**2
    assert found.multiply_adds == 27 * 8 * windows + 64 * 6
    (found,) = counts("shapes_resnet")
    first, others = 3 * 24 * 48**2, (24 * 48 + 2 * 48**2) * 24**2 + (48 * 96 + 2 * 96**2) * 12**2
    assert found.multiply_adds == 9 * (first + others) + 96 * 8
    assert [each.name for each in counts("shapes_*")] == [
        *("shapes_clips", "shapes_mobilenet", "shapes_resnet", "shapes_unet")
    ]


# Shapes and names


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_give_a_score_a_class(name: str) -> None:
    for classes in (None, 3):
        network = model(name, weights=None, classes=classes)
        assert network(given(name)).shape == (2, classes or NETWORKS[name].classes)
        assert network(given(name, 1, 40)).shape == (1, classes or NETWORKS[name].classes)


@pytest.mark.parametrize("size", [(96, 96), (48, 80), (33, 50), (96, 17)])
def test_the_unet_gives_a_score_a_class_and_pixel(size: tuple[int, int]) -> None:
    for classes in (None, 3):
        network = model("shapes_unet", weights=None, classes=classes)
        out = network(torch.rand(2, 3, *size))["out"]
        assert out.shape == (2, classes or 9, *size)


@pytest.mark.parametrize("name", ALL)
def test_heads_are_all_that_depends_on_the_number_of_classes(name: str) -> None:
    entry = NETWORKS[name]
    with torch.device("meta"):
        usual, other = (entry.build(name, classes).state_dict() for classes in (entry.classes, 3))
    different = {key for key in usual if usual[key].shape != other[key].shape}
    assert different
    assert different == {key for key in usual if key.startswith(entry.heads)}


@pytest.mark.parametrize("name", ALL)
def test_networks_are_opened_with_their_names(name: str) -> None:
    opened = open_network(name, weights="none")
    x, _ = read_inputs(opened)
    with torch.no_grad():
        opened.network(x)
    wanted = {
        **{"fashion_mnist": CLOTHES, "shapes_clips": MOTIONS},
        **{"shapes_resnet": FIGURES, "shapes_mobilenet": FIGURES},
    }.get(name, (BACKGROUND, *FIGURES))
    assert opened.categories == wanted
    assert len(wanted) == NETWORKS[name].classes
    assert opened.keypoints == (POINTS if name == "shapes_keypoints" else None)
    assert opened.frames == ((8, 8) if name == "shapes_clips" else None)
    assert not hasattr(model(name, weights=None, classes=3), "categories")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("shapes_resnet", "classes"), ("shapes_mobilenet", "classes")),
        *(("shapes_clips", "clips"), ("shapes_unet", "maps")),
        *(("shapes_boxes", "boxes"), ("shapes_masks", "masks"), ("shapes_keypoints", "points")),
    ],
)
def test_categories_are_those_of_the_data(name: str, kind: Any) -> None:
    samples, entry = Shapes(kind, 0, 1), NETWORKS[name]
    before = (BACKGROUND,) if name in FINDERS else ()
    assert (*before, *samples.classes) == entry.categories
    assert entry.keypoint_names == samples.points


@pytest.mark.parametrize(
    ("file", "kind", "number"),
    [("figure.png", "classes", 7), ("figures.png", "boxes", 199)],
)
def test_examples_are_samples_of_the_data(file: str, kind: Any, number: int) -> None:
    sample = Shapes(kind, 1, 200).read(number)
    with Image.open(DATA / file) as picture:
        difference = np.asarray(picture, int) - sample.picture.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1  # on another kind of CPU


def test_the_example_of_clips_moves() -> None:
    opened = open_network("shapes_clips", weights="none")
    x, _ = read_inputs(opened)
    sample = Shapes("clips", 1, 200).read(1)
    wanted = (sample.frames.float().transpose(0, 1)[None] - 127.5) / 60
    assert (x - wanted).abs().max() <= 1.01 / 60


# Looks


@pytest.mark.parametrize("name", [*CLASSIFIERS, "shapes_unet"])
def test_every_step_is_explained_and_adds_up(name: str) -> None:
    network = trained_looking(model(name, weights=None))
    seen = record(network, given(name, 1))
    assert seen.error is None
    rng = np.random.default_rng(0)
    for step in seen:
        for slot, id in enumerate(step.outputs):
            index = tuple(int(rng.integers(n)) for n in seen.values[id].shape)
            explanation = explain(seen, step, index, slot=slot)  # raises if it does not add up
            assert explanation.kind != "universal", step.op
    operations = {step.op for step in seen}
    assert ("amax" in operations) == (name in CLASSIFIERS and name != "shapes_mobilenet")


def trained_looking(network: nn.Module, seed: int = 0) -> nn.Module:
    """A network whose norms are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            numbers = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(0.5 + numbers.abs() if key.endswith(("var", "weight")) else 0.3 * numbers)
    return network.eval()


def sure(name: str) -> nn.Module:
    """A detector that finds something everywhere."""
    torch.manual_seed(0)
    network: Any = model(name, weights=None)
    first, *others = network.roi_heads.heads
    first = dataclasses.replace(first, score_thresh=0.0, detections_per_img=5)
    network.roi_heads.heads = (first, *others)
    return network  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", FINDERS)
def test_detectors_are_recorded_traced_predicted_and_drawn(name: str) -> None:
    network = sure(name)
    sample = Shapes("boxes", 0, 1).read(0)
    seen = record(network, (sample.picture[None] / 255))
    assert seen.error is None
    last = seen.steps[-1]
    index = tuple(0 for _ in seen.values[last.outputs[0]].shape)
    assert explain(seen, last, index).kind != "universal"
    walk = str(convlens.trace(seen, 0))
    assert "anchor" in walk
    picture = sample.picture.permute(1, 2, 0).numpy()
    (found,) = convlens.predict(network, picture, threshold=0.0)
    assert found.error is None
    assert found.boxes is not None
    assert len(found.boxes) == 5
    parts = {"shapes_boxes": set(), "shapes_masks": {"masks"}, "shapes_keypoints": {"keypoints"}}
    assert found.parts.keys() == parts[name]
    if name == "shapes_keypoints":
        assert found.parts["keypoints"].places.shape == (5, 4, 3)  # type: ignore[union-attr]
    assert found.category(int(found.labels[0])) in FIGURES


@pytest.mark.parametrize("name", ALL)
def test_the_page_shows_each(name: str) -> None:
    network = sure(name) if name in FINDERS else model(name, weights=None)
    lab = lab_on(network)
    assert lab.recording.error is None
    number = lab.recording.made(lab.recording.name_of(lab.recording.steps[0].outputs[0]))[0]
    shape = lab.recording.values[number].shape
    assert lab.number(1, number, (0,) * len(shape))
    if name == "shapes_unet":
        assert lab.segments(1)
    if name in FINDERS:
        assert lab.walk(1, 0)


# Weights


def test_weights_in_half_the_room_are_loaded_as_float32(tmp_path: Path) -> None:
    network = trained_looking(model("shapes_clips", weights=None))
    state = network.state_dict()
    rounded = halved(state)
    save_tensors(rounded, tmp_path / "half.safetensors")
    save_tensors(state, tmp_path / "full.safetensors")
    sizes = [(tmp_path / f"{part}.safetensors").stat().st_size for part in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    loaded = model("shapes_clips", tmp_path / "half.safetensors")
    for key, tensor in loaded.state_dict().items():
        assert tensor.dtype == state[key].dtype
        assert torch.equal(tensor, rounded[key].to(tensor.dtype))  # widened exactly
        if tensor.is_floating_point():
            assert (tensor - state[key]).abs().max() <= state[key].abs().max() * 2**-11
    assert loaded.random_parts == ()
    other = model("shapes_resnet", weights=None)
    with pytest.raises(ValueError, match="must fit the network ShapesResNet"):
        load_weights(other, tmp_path / "half.safetensors")


def test_weights_that_float16_cannot_hold_are_refused() -> None:
    endless = torch.tensor([float("inf"), 1.0])
    assert halved({"a": endless})["a"].tolist() == endless.tolist()
    with pytest.raises(ValueError, match=r"at most 65504 .* and a has more; store them as float32"):
        halved({"a": torch.tensor([1e5]), "b": torch.ones(1)})


@pytest.mark.parametrize("name", ["shapes_resnet", "shapes_masks"])
def test_shipped_weights_lose_their_head_for_other_classes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shipped.safetensors"
    torch.manual_seed(5)
    save_tensors(halved(model(name, weights=None).state_dict()), path)
    entry = dataclasses.replace(NETWORKS[name], shipped=path)
    monkeypatch.setitem(NETWORKS, name, entry)
    assert model(name).random_parts == ()
    with pytest.warns(UserWarning, match=r"`classes` \(=3\) are not those of the shipped weights"):
        network: Any = model(name, classes=3)
    whole = model(name).state_dict()
    kept = {key for key, t in network.state_dict().items() if torch.equal(t, whole[key])}
    assert {key for key in whole if key not in kept} == {
        key for key in whole if key.startswith(entry.heads)
    }
    own = path.with_name("own.safetensors")
    own.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="it is for"):
        model(name, own, classes=3)


def test_without_shipped_weights_the_error_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"there are none for it; .*weights=None"):
        model("mobilenet_v3_small_075")


# Training


def batch(kind: Any, start: int, count: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    samples = Shapes(kind, 0, 10_000, hard=0.0)
    read = [samples.read(i) for i in range(start, start + count)]
    targets = []
    for sample in read:
        target = {"boxes": sample.boxes, "labels": sample.labels}
        if sample.masks is not None:
            target["masks"] = sample.masks
        if sample.points is not None:
            target["keypoints"] = sample.points
        targets.append(target)
    return [sample.picture / 255 for sample in read], targets


@pytest.mark.parametrize(
    ("name", "kind", "losses"),
    [
        ("shapes_boxes", "boxes", 4),
        ("shapes_masks", "masks", 5),
        ("shapes_keypoints", "points", 5),
    ],
)
def test_detectors_have_finite_losses_and_gradients_everywhere(
    name: str, kind: str, losses: int
) -> None:
    torch.manual_seed(0)
    network = model(name, weights=None).train()
    found = network(*batch(kind, 0, 8))
    assert len(found) == losses
    assert all(0 < float(loss.detach()) < 12 for loss in found.values())
    sum(found.values()).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.slow
def test_a_detector_learns_eight_pictures_by_heart() -> None:
    """The heads' losses rise at first, as proposals begin to match boxes, and then fall too."""
    torch.manual_seed(0)
    network = model("shapes_boxes", weights=None).train()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    proposing, whole = [], []
    for step in range(60):
        losses = network(*batch("boxes", 4 * (step % 2), 4))
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        proposing.append(float(losses["loss_objectness"].detach()))
        whole.append(float(loss.detach()))
    assert np.isfinite(whole).all()
    assert np.mean(proposing[-10:]) < 0.2 * proposing[0]
    assert np.mean(whole[-10:]) < 0.6 * np.mean(whole[10:20])
    assert np.mean(whole[-10:]) < 0.3 * whole[0]


def test_another_number_of_points_is_drawn_again_and_said() -> None:
    with pytest.warns(UserWarning, match=r"`points` \(=2\) are not those of the shipped weights"):
        network: Any = model("shapes_keypoints", points=2)
    assert network.points == 2
    assert not hasattr(network, "keypoint_names")
    assert opened_module(network).keypoints is None
    usual: Any = model("shapes_keypoints", points=4)
    assert usual.points == len(usual.keypoint_names) == 4
    assert network.random_parts == ("roi_heads.keypoint_predictor.kps_score_lowres",)


@pytest.mark.parametrize(
    ("name", "points", "message"),
    [
        ("shapes_boxes", 4, r"`points` \(=4\) must be left out for 'shapes_boxes'"),
        ("shapes_keypoints", 0, r"`points` \(=0\) must be at least 1"),
    ],
)
def test_points_that_cannot_be_found_are_refused(name: str, points: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(name, None, points=points)
