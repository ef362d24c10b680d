"""Pictures go into networks as they are shown, and into the zoo's as torchvision's own do."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from convlens.learn.opening import open_network, opened_module
from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo import model, weights
from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD
from convlens.zoo.weights import DATA
from convlens.zoo.weights.released import RELEASED
from tests.oracles.torchvision_networks import torchvision

SIZES = [(375, 500), (500, 375), (300, 300), (97, 613), (1, 1), (2, 3), (232, 500), (224, 224)]
VIDEO: dict[str, Any] = {
    "size": (128, 171),
    "crop": (112, 112),
    "stretch": True,
    "antialias": False,
    "mean": (0.43216, 0.394666, 0.37645),
    "std": (0.22803, 0.22145, 0.216989),
}
NORMAL: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}


def presets() -> Any:
    torchvision()
    return importlib.import_module("torchvision.transforms._presets")


def a_picture(h: int, w: int) -> Picture:
    """The cat and noise in equal parts, so that both edges and flat places are there."""
    cat = Image.fromarray(read_picture(DATA / "cat.jpg").pixels).resize((w, h))
    noise = np.random.default_rng(h * w).integers(0, 256, (h, w, 3))
    return Picture(((np.asarray(cat).astype(int) + noise) // 2).astype(np.uint8))


def bytes_apart(ours: Tensor, theirs: Tensor, preparation: Preparation) -> float:
    """The largest difference of values 0 to 255, before they were normalised."""
    assert ours.shape == theirs.shape
    std = torch.tensor(preparation.std or (1.0, 1.0, 1.0)).reshape(-1, 1, 1)
    return float(((ours - theirs) * std * 255).abs().max())


@pytest.mark.parametrize("resize", [256, 232])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_classification(resize: int, size: tuple[int, int]) -> None:
    preparation, picture = Preparation(resize, crop=224, **NORMAL), a_picture(*size)
    theirs = presets().ImageClassification(crop_size=224, resize_size=resize)
    apart = bytes_apart(
        preparation(picture)[0], theirs(Image.fromarray(picture.pixels)), preparation
    )
    assert apart <= 1.001  # a step of a byte: torch and Pillow round their weights differently


def test_a_byte_off_in_place_or_size_is_noticed() -> None:
    picture = a_picture(375, 500)
    right = Preparation(256, crop=224, **NORMAL)
    theirs = presets().ImageClassification(crop_size=224, resize_size=256)
    expected = theirs(Image.fromarray(picture.pixels))
    for change in ({"size": 257}, {"antialias": False}, {"size": (256, 256), "stretch": True}):
        wrong = dataclasses.replace(right, **change)
        assert bytes_apart(wrong(picture)[0], expected, right) > 5


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_crop_larger_than_the_picture_is_black_around_it(size: tuple[int, int]) -> None:
    picture = a_picture(*size)
    theirs = presets().ImageClassification(crop_size=299, resize_size=100)
    preparation = Preparation(100, crop=299, **NORMAL)
    assert (
        bytes_apart(preparation(picture)[0], theirs(Image.fromarray(picture.pixels)), preparation)
        <= 1.001
    )


@pytest.mark.parametrize("size", [(375, 500), (97, 213), (520, 600)], ids=str)
def test_segmentation(size: tuple[int, int]) -> None:
    preparation, picture = Preparation(520, crop=False, **NORMAL), a_picture(*size)
    theirs = presets().SemanticSegmentation(resize_size=520)(Image.fromarray(picture.pixels))
    assert bytes_apart(preparation(picture)[0], theirs, preparation) <= 1.001


def test_detection_is_every_pixel_from_0_to_1() -> None:
    preparation, picture = Preparation(None, crop=False), a_picture(97, 213)
    theirs = presets().ObjectDetection()(Image.fromarray(picture.pixels))
    assert torch.equal(preparation(picture)[0], theirs)


@pytest.mark.parametrize("size", [(240, 320), (97, 213), (128, 171), (60, 40)], ids=str)
def test_clips(size: tuple[int, int]) -> None:
    preparation = Preparation(**VIDEO)
    frames = [a_picture(*size), Picture(a_picture(*size).pixels[::-1].copy())]
    theirs = presets().VideoClassification(crop_size=(112, 112), resize_size=(128, 171))
    pixels = torch.from_numpy(np.stack([frame.pixels for frame in frames])).permute(0, 3, 1, 2)
    ours = preparation.clip(frames)
    assert ours.shape == (1, 3, 2, 112, 112)
    torch.testing.assert_close(ours[0], theirs(pixels.contiguous()), rtol=0, atol=1e-6)


# Every released way


def test_all_released_ways_are_bilinear() -> None:
    ways = {entry.interpolation for entries in RELEASED.values() for entry in entries.values()}
    assert ways == {"bilinear"}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("resnet18", Preparation(256, crop=224, **NORMAL)),
        ("mobilenet_v3_large", Preparation(232, crop=224, **NORMAL)),
        ("lraspp_mobilenet_v3_large", Preparation(520, crop=False, **NORMAL)),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", Preparation(None, crop=False)),
        ("r3d_18", Preparation(**VIDEO)),
        ("mobilenet_v3_small_075", Preparation(256, crop=224, **NORMAL)),
    ],
)
def test_networks_of_the_zoo_are_opened_with_their_own(network: str, expected: Preparation) -> None:
    opened = open_network(network, weights="none")
    assert opened.preparation == expected
    assert (opened.frames == (16, 15)) == (network == "r3d_18")


def test_a_module_that_says_which_weights_it_has_is_prepared_for_as_those() -> None:
    network = model("resnet18", weights=None)
    network.released = weights("resnet18")  # type: ignore[assignment]
    assert opened_module(network).preparation == Preparation(256, crop=224, **NORMAL)
    clip = model("r3d_18", weights=None)
    clip.released = weights("r3d_18")  # type: ignore[assignment]
    assert (opened_module(clip).preparation, opened_module(clip).frames) == (
        Preparation(**VIDEO),
        (16, 15),
    )


# Fields


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 0}, r"`size` \(=0\)"),
        ({"size": (3, 0)}, r"`size` \(=\(3, 0\)\)"),
        ({"size": 1.5}, "`size`"),
        ({"size": 100_000}, "at most 64,000,000"),
        ({"channels": 2}, r"`channels` \(=2\)"),
        ({"mean": (0.5,)}, "`mean`.*each of the 3 channels"),
        ({"std": (1.0, 0.0, 1.0)}, "`std`.*positive"),
        ({"ink": True}, "`ink` needs one grey channel"),
        ({"crop": 0}, r"`crop` \(=0\)"),
        ({"crop": (3, 0)}, r"`crop` \(=\(3, 0\)\)"),
        ({"crop": 100_000}, "`crop`.*at most 64,000,000"),
        ({"size": 128, "stretch": True}, r"`stretch` needs a `size` \(=128\)"),
        ({"size": 8, "channels": 1, "ink": True, "crop": 4}, "`ink` needs"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Preparation(**fields)


def test_a_size_of_ones_own_takes_the_place_of_the_released_crop() -> None:
    opened = open_network("resnet18", weights="none", size=64)
    assert opened.preparation == Preparation(64, **NORMAL)
    clip = open_network("r3d_18", weights="none", size=64).preparation
    assert clip == dataclasses.replace(Preparation(**VIDEO), size=64, crop=True, stretch=False)


def test_a_size_and_a_crop_of_ones_own_are_the_published_way() -> None:
    """256 and 224, as a network's own `preparation` says them, and as ImageNet's are published."""
    network = torch.nn.Conv2d(3, 2, 3)
    asked = opened_module(network, size=256, crop=224, normalize="imagenet")
    assert asked.preparation == Preparation(256, crop=224, **NORMAL)
    picture = Picture(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8))
    published = model("resnet18", weights=None)
    published.released = weights("resnet18")  # type: ignore[assignment]
    theirs = opened_module(published).preparation
    assert theirs is not None
    assert asked.preparation is not None
    assert torch.equal(asked.preparation(picture), theirs(picture))
    # Alone, each keeps what the other was.
    assert opened_module(network, crop=100).preparation == Preparation(224, crop=100)
    assert opened_module(network, size=100).preparation == Preparation(100)
    assert opened_module(network, size=(40, 50), crop=(30, 20)).preparation == Preparation(
        (40, 50), crop=(30, 20)
    )
    with pytest.raises(ValueError, match=r"`crop`.*are for pictures"):
        opened_module(torch.nn.Conv1d(1, 2, 3), crop=224)
    with pytest.raises(ValueError, match=r"`crop` \(=0\)"):
        opened_module(network, crop=0)
    with pytest.raises(ValueError, match="`ink` needs"):
        open_network("digits", crop=4)


@pytest.mark.parametrize(
    ("preparation", "shape"),
    [
        (Preparation(), (3, 224, 224)),
        (Preparation(size=None), (3, 300, 451)),
        (Preparation(size=300, crop=False), (3, 300, 451)),
        (Preparation(size=150, crop=False), (3, 150, 225)),
        (Preparation(size=(50, 200)), (3, 50, 200)),
        (Preparation(size=(200, 50), channels=1), (1, 200, 50)),
        (Preparation(size=28, channels=1), (1, 28, 28)),
        (Preparation(size=8, channels=1, ink=True), (1, 8, 8)),
    ],
)
def test_the_tensor_and_what_is_shown_are_the_same_pixels(
    preparation: Preparation, shape: tuple[int, int, int]
) -> None:
    picture = read_picture(DATA / "cat.jpg")
    x, shown = preparation(picture), preparation.shown(picture)
    assert x.shape == (1, *shape)
    assert x.dtype == torch.float32
    assert shown.shape == (*shape[1:], 3)
    assert shown.dtype == np.uint8
    rows = torch.from_numpy(shown.copy()).permute(2, 0, 1)[: shape[0]]
    if preparation.ink:
        assert torch.equal((x[0] * 255).round(), rows.float())
    else:
        assert torch.equal(x[0], rows.float() / 255)
    assert np.array_equal(shown[:, :, 0], shown[:, :, 2]) == (shape[0] == 1)


def test_pixels_pass_unchanged_where_the_size_fits() -> None:
    picture = read_picture(DATA / "cat.jpg")
    assert np.array_equal(Preparation(size=300, crop=False).shown(picture), picture.pixels)
    middle = Preparation(size=300).shown(picture)
    assert np.array_equal(middle, picture.pixels[:, 76:376])


def test_scaling_is_pillows_within_one() -> None:
    picture = read_picture(DATA / "cat.jpg")
    ours = Preparation(size=100, crop=False).shown(picture).astype(int)
    image = Image.fromarray(picture.pixels)
    theirs = np.array(image.resize((150, 100), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    other = np.array(image.resize((150, 100), Image.Resampling.NEAREST)).astype(int)
    assert np.abs(ours - other).max() > 20


def test_normalizing() -> None:
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    picture = read_picture(DATA / "cat.jpg")
    plain, normal = Preparation()(picture), Preparation(mean=mean, std=std)(picture)
    for channel in range(3):
        expected = (plain[0, channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(normal[0, channel], expected)


def test_every_grey_stays_itself() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    x = Preparation(size=None, channels=1)(Picture(ramp))
    assert torch.equal(x[0, 0, 0], torch.arange(256) / 255)


def test_an_elongated_picture_is_refused_before_it_is_scaled() -> None:
    line = Picture(np.zeros((1, 300_000, 3), np.uint8), name="line.png")
    with pytest.raises(ValueError, match=r"`picture` \(line.png\).*cut its longer side"):
        Preparation()(line)
