"""Detectors equal torchvision's: what they find, their losses, what is trained, every setting.

The keys, shapes and eps of their layers equal the facts in `tests/zoo/test_networks.py`.
"""

from __future__ import annotations

import copy
import functools
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import convlens
from convlens.zoo.detection import DETECTORS, Detector, detector
from convlens.zoo.detection.heads import BoxHead
from convlens.zoo.detection.regions import MultiScaleRoIAlign
from convlens.zoo.layers import FrozenNorm2d
from convlens.zoo.weights.released import RELEASED
from tests.cases.compared_detectors import (
    FOUND,
    PROPOSALS,
    SHORTEST,
    SMALL,
    images,
    ours,
    targets,
    training,
    weights,
)
from tests.oracles.torchvision_networks import torchvision

Answers = list[dict[str, Tensor]]


def released(name: str) -> Any:
    """torchvision's, built as for its released weights, which are replaced by ours."""
    torchvision()
    from torchvision.models import detection
    from torchvision.models._api import WeightsEnum

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: weights(name))
        for drawing in ("kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_"):
            patch.setattr(nn.init, drawing, lambda tensor, *_, **__: tensor)  # replaced anyway
        return getattr(detection, name)(weights="COCO_V1")


def theirs(name: str) -> Any:
    network = released(name)
    network.transform.min_size = (SHORTEST,)
    network.rpn._pre_nms_top_n = {"training": 2 * PROPOSALS, "testing": 2 * PROPOSALS}
    network.rpn._post_nms_top_n = {"training": PROPOSALS, "testing": PROPOSALS}
    network.roi_heads.detections_per_img = FOUND
    return network


def answers(network: Any, kind: torch.dtype, training: bool) -> Answers:
    """What a network finds in the two pictures, or its losses, computed in another type."""
    network = copy.deepcopy(network).to(kind).train(training)
    torch.manual_seed(4)
    with torch.no_grad():
        if not training:
            found: Answers = network(images(kind))
            return found
        classes = network.roi_heads.box_predictor.cls_score.out_features
        return [network(images(kind), targets(classes, kind))]


# torchvision computes these in single precision whatever the network's.
SINGLE = ("keypoints", "keypoints_scores", "loss_objectness")


def check_equal(network: Any, oracle: Any, training: bool) -> Answers:
    """Raise if ours is farther from the oracle's than 20 times its own rounding.

    The rounding is what its float32 answers lie from its float64 answers; in float64 it is smaller
    by 2 ** 29. Returns its answers.
    """
    single, exact = (answers(oracle, kind, training) for kind in (torch.float32, torch.float64))
    check_double(answers(network, torch.float64, training), exact)
    given = answers(network, torch.float32, training)
    for truth, rounded, found in zip(exact, single, given, strict=True):
        for key in truth:
            assert found[key].dtype == rounded[key].dtype
            noise = max(distance(rounded[key], truth[key]), 2**-24 * float(truth[key].abs().max()))
            assert distance(found[key], truth[key]) <= 20 * noise, key
    return exact


def check_double(found: Answers, truth: Answers) -> None:
    for given, wanted in zip(found, truth, strict=True):
        assert list(given) == list(wanted)
        for key in wanted:
            precision = 2**-22 if key in SINGLE else 2**-44
            far = precision * max(float(wanted[key].abs().max()), 1e-3)
            assert distance(given[key], wanted[key]) <= far, key


def distance(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a.double() - b.double()).abs().max())


RELEASED_DETECTORS = sorted(DETECTORS.keys() & RELEASED.keys())

# The others have most parts of these, and their heads are compared in `test_heads`.
MADE_OF_OTHERS = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
)


@pytest.mark.xdist_group("gigabytes")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in MADE_OF_OTHERS else ())
        for name in RELEASED_DETECTORS
    ],
)
def test_what_is_found_and_the_losses_equal_the_oracles(name: str) -> None:
    network, oracle = ours(name), theirs(name)
    found = check_equal(network, oracle, training=False)
    assert all(1 < len(each["boxes"]) <= FOUND for each in found)
    (losses,) = check_equal(network, oracle, training=True)
    assert all(0.001 < loss < 1000 for loss in losses.values())
    # The same parts are trained as in torchvision.
    trained = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {key for key, part in oracle.named_parameters() if part.requires_grad}
    assert 0 < len(trained) < len(list(network.parameters()))


@pytest.fixture(scope="module")
def frozen() -> Detector:
    """A network that is seen to equal its oracle."""
    network = ours("fasterrcnn_resnet50_fpn")
    check_double(answers(network, torch.float64, training=False), frozen_truth())
    return network


@pytest.mark.xdist_group("gigabytes")
@pytest.mark.parametrize("spoil", ["eps", "box_pool", "anchors", "weights"])
def test_the_comparison_can_fail(spoil: str, frozen: Detector) -> None:
    network = copy.deepcopy(frozen)
    if spoil == "eps":
        for module in network.modules():
            if isinstance(module, FrozenNorm2d):
                assert module.eps == 0
                module.eps = 1e-5
    elif spoil == "box_pool":
        network.roi_heads["box_roi_pool"] = MultiScaleRoIAlign(7, 1)
    elif spoil == "anchors":
        sizes = ((33,), (64,), (128,), (256,), (512,))
        network.rpn.settings = replace(network.rpn.settings, sizes=sizes)
    else:
        head = network.roi_heads.heads[0]
        assert isinstance(head, BoxHead)
        network.roi_heads.heads = (replace(head, weights=(10.0, 10.0, 5.0, 5.00001)),)
    with pytest.raises(AssertionError):
        check_double(answers(network, torch.float64, training=False), frozen_truth())


@functools.cache
def frozen_truth() -> Answers:
    return answers(theirs("fasterrcnn_resnet50_fpn"), torch.float64, training=False)


@pytest.mark.parametrize("name", RELEASED_DETECTORS)
def test_every_setting_is_torchvisions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "weights", lambda name: {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
    with torch.device("meta"):
        oracle = released(name)
        network = detector(name)
    settings, rpn = network.rpn.settings, oracle.rpn
    assert settings.pre_nms_top_n == tuple(rpn._pre_nms_top_n.values())
    assert settings.post_nms_top_n == tuple(rpn._post_nms_top_n.values())
    assert (settings.nms_thresh, settings.score_thresh) == (rpn.nms_thresh, rpn.score_thresh)
    assert settings.sizes == rpn.anchor_generator.sizes
    transform = oracle.transform
    assert network.transform.min_size == tuple(transform.min_size)
    assert network.transform.max_size == transform.max_size
    box, heads = network.roi_heads.heads[0], oracle.roi_heads
    assert isinstance(box, BoxHead)
    for key in ("score_thresh", "nms_thresh", "detections_per_img"):
        assert getattr(box, key) == getattr(heads, key)
    assert box.weights == heads.box_coder.weights
    for sampling, part in ((settings.sampling, rpn), (network.roi_heads.sampling, heads)):
        assert sampling.fg_iou_thresh == part.proposal_matcher.high_threshold
        assert sampling.bg_iou_thresh == part.proposal_matcher.low_threshold
        assert sampling.best_too == part.proposal_matcher.allow_low_quality_matches
        assert sampling.batch_size_per_image == part.fg_bg_sampler.batch_size_per_image
        assert sampling.positive_fraction == part.fg_bg_sampler.positive_fraction


# Without the oracle


def test_a_batch_is_a_list_of_its_pictures(network: Detector) -> None:
    batch = torch.stack([images()[0], images()[0].flip(2)])
    with torch.no_grad():
        for of_batch, of_list in zip(network(batch), network(list(batch)), strict=True):
            assert len(of_batch["boxes"]) > 1
            assert all(torch.equal(of_batch[key], of_list[key]) for key in of_batch)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (700, 2), (64, 64)])
def test_pictures_of_any_size_are_looked_at(network: Detector, size: tuple[int, int]) -> None:
    h, w = size
    with torch.no_grad():
        found = network([torch.rand(3, h, w)])[0]
    assert len(found["boxes"]) == len(found["labels"]) == len(found["scores"])
    assert (found["boxes"] >= 0).all()
    assert (found["boxes"] <= torch.tensor([w, h, w, h]) * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"])
def test_nothing_found_is_empty_and_of_the_right_shape(name: str) -> None:
    network = ours(name).eval()
    first, *others = network.roi_heads.heads
    assert isinstance(first, BoxHead)
    network.roi_heads.heads = (replace(first, score_thresh=1.0), *others)
    with torch.no_grad():
        nothing = network([torch.rand(3, 1, 1), torch.rand(3, 40, 50)])
    shapes = [{key: tuple(part.shape) for key, part in each.items()} for each in nothing]
    rest: list[dict[str, tuple[int, ...]]] = [
        {"masks": (0, 1, 1, 1)},
        {"masks": (0, 1, 40, 50)},
    ]
    if name.startswith("keypoint"):
        rest = [{"keypoints": (0, 17, 3), "keypoints_scores": (0, 17)}] * 2
    always = {"boxes": (0, 4), "labels": (0,), "scores": (0,)}
    assert shapes == [{**always, **each} for each in rest]


def test_gradients_reach_what_is_trained_and_nothing_else(network: Detector) -> None:
    network = training(network)
    losses = network(images(), targets(91))
    sum(losses.values()).backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key


def test_a_picture_that_shows_nothing_teaches_too(network: Detector) -> None:
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    oracle = theirs(SMALL).train()
    for given in ([nothing, targets(91)[1]], [nothing, nothing]):
        found = []
        for each in (training(network), oracle):
            torch.manual_seed(5)
            with torch.no_grad():
                found.append(each(images(), given))
        for key, loss in found[1].items():
            torch.testing.assert_close(found[0][key], loss, rtol=1e-4, atol=1e-6)


def test_the_number_of_classes_can_be_chosen() -> None:
    with torch.device("meta"):
        state = detector("maskrcnn_resnet50_fpn", classes=5).state_dict()
    assert state["roi_heads.box_predictor.cls_score.weight"].shape == (5, 1024)
    assert state["roi_heads.box_predictor.bbox_pred.weight"].shape == (20, 1024)
    assert state["roi_heads.mask_predictor.mask_fcn_logits.weight"].shape == (5, 256, 1, 1)
    with pytest.raises(ValueError, match=r"`classes` \(=1\) must be at least 2"):
        detector(SMALL, classes=1)


def test_a_recording_shows_regions_and_suppression_as_one_step_each(network: Detector) -> None:
    recording = convlens.record(network, images()[0][None])
    assert recording.error is None
    ops = [step.op for step in recording.steps]
    # One for the proposals, one for what is found; one pooling for each of the two levels.
    assert ops.count("nms") == 2
    assert ops.count("roi_align") == 2
    assert "embedding_bag" not in ops
    with torch.no_grad():
        found = network(images()[:1])[0]
    assert torch.equal(recording.outputs[0]["boxes"], found["boxes"])


def test_boxes_keep_their_precision_where_layers_are_computed_in_half(network: Detector) -> None:
    network = training(network)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        losses = network(images(), targets(91))
        found = network.eval()(images())[0]
    assert all(0.001 < loss < 1000 for loss in losses.values())
    assert found["boxes"].dtype == torch.float32
    assert not torch.equal(found["boxes"], found["boxes"].bfloat16().float())


# Refused


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ([], ValueError, r"`images` \(=\[\]\) must hold at least one picture"),
        ([torch.zeros(3, 4)], ValueError, r"`images` \(=\(3, 4\)\) must be pictures \(3, h, w\)"),
        ([torch.zeros(1, 4, 4)], ValueError, r"`images` \(=\(1, 4, 4\)\) must be pictures"),
        ([torch.zeros(3, 0, 4)], ValueError, r"`images` \(=\(3, 0, 4\)\) must be pictures"),
        (torch.zeros(3, 4, 4), ValueError, r"`images` \(=\(4, 4\)\) must be pictures"),
        ([torch.zeros(3, 4, 4).byte()], TypeError, r"`images` \(=torch.uint8\) must be tensors"),
        (["cat.jpg"], TypeError, r"`images` \(=str\) must be tensors of floating point"),
    ],
)
def test_other_pictures_are_refused(
    network: Detector, given: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        network(given)
    assert "\n" not in str(caught.value)
