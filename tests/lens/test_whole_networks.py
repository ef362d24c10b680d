"""Whole detectors and other networks of the zoo are recorded and explained, step by step."""

import importlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.lens import Recording, costs_of, explain, explain_value, record
from convlens.zoo import model
from convlens.zoo.detection import DETECTORS, Detector, detector
from convlens.zoo.detection.heads import BoxHead
from convlens.zoo.mobilenet import MOBILENETS
from convlens.zoo.resnet import RESNETS
from convlens.zoo.segmentation import SEGMENTERS
from convlens.zoo.vgg import VGGS
from convlens.zoo.video import VIDEOS
from convlens.zoo.weights.released import RELEASED
from tests.oracles.torchvision_networks import torchvision
from tests.running.holding import LastOnly


def explained(seen: Recording, each: int) -> Counter[str]:
    """Count the steps by how the worst of some elements of each output came out."""
    rng = np.random.default_rng(0)
    order = ("own", "slope", "refused", "over the bound")
    found: Counter[str] = Counter()
    for step in seen:
        worst = -1
        for slot, id in enumerate(step.outputs):
            shape = seen.values[id].shape
            for _ in range(each if 0 not in shape else 0):
                try:
                    index = tuple(int(rng.integers(n)) for n in shape)
                    explanation = explain(seen, step, index, slot=slot)
                    verdict = "slope" if explanation.kind == "universal" else "own"
                except NotImplementedError:
                    verdict = "refused"
                except ArithmeticError:
                    verdict = "over the bound"
                worst = max(worst, order.index(verdict))
        if worst >= 0:
            found[order[worst]] += 1
    return found


def small(name: str, score_thresh: float = 0.0) -> Detector:
    """Return a detector on small pictures that finds ten things where there is nothing."""
    torch.manual_seed(0)
    network = detector(name).eval()
    network.transform.min_size, network.transform.max_size = (96,), 128
    network.rpn.settings = replace(network.rpn.settings, post_nms_top_n=(30, 30), score_thresh=0.0)
    first, *others = network.roi_heads.heads
    assert isinstance(first, BoxHead)
    first = replace(first, score_thresh=score_thresh, detections_per_img=10)
    network.roi_heads.heads = (first, *others)
    return network


def same(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    pairs = [zip(a.items(), b.items(), strict=True) for a, b in zip(one, other, strict=True)]
    return all(k == j and torch.equal(x, y) for pair in pairs for (k, x), (j, y) in pair)


PICTURES = [torch.rand(3, 80, 100, generator=torch.Generator().manual_seed(0))]


@LastOnly
def recorded(name: str) -> Recording:
    return record(small(name), PICTURES)


SMALL = [
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
]


ONE_WORKER_EACH = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in SMALL]


@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_a_recorded_detector_finds_the_same_bits(name: str) -> None:
    seen = recorded(name)
    assert seen.error is None
    assert len(seen.outputs[0]["boxes"]) == 10
    with torch.no_grad():
        assert same(seen.outputs, small(name)(PICTURES))
    assert {"nms", "roi_align"} <= {step.op for step in seen}


@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_every_step_of_a_detector_is_explained(name: str) -> None:
    found = explained(recorded(name), 2)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found


@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_a_detector_that_finds_nothing_is_recorded(name: str) -> None:
    recorded.cache_clear()
    network = small(name, score_thresh=1.0)
    seen = record(network, PICTURES)
    assert seen.error is None
    assert len(seen.outputs[0]["boxes"]) == 0
    with torch.no_grad():
        assert same(seen.outputs, network(PICTURES))
    found = explained(seen, 1)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found
    assert costs_of(seen).operations > 0


@pytest.mark.parametrize(
    ("name", "part", "index"),
    [
        pytest.param(name, part, index, marks=pytest.mark.xdist_group(name))
        for name, part, index in (
            (SMALL[0], "boxes", (3, 1)),
            (SMALL[0], "scores", (2,)),
            (SMALL[0], "labels", (4,)),
            (SMALL[1], "masks", (9, 0, -1, -1)),
            (SMALL[2], "keypoints", (9, 5, 0)),
            (SMALL[2], "keypoints_scores", (9, 3)),
        )
    ],
)
def test_a_detection_is_walked_back(name: str, part: str, index: tuple[int, ...]) -> None:
    seen = recorded(name)
    id = dict(zip(seen.outputs[0], seen.output_ids, strict=True))[part]
    if part == "masks":  # a pixel on the mask of the last
        index = tuple((seen.values[id].tensor * (torch.arange(10) == 9)[:, None, None, None]
                       > 0).nonzero()[0].tolist())  # fmt: skip
    explanation, ops, notes = explain_value(seen, id, index), set(), ""
    while explanation.rule != "given":
        assert explanation.step is not None
        ops.add(explanation.step.op)
        notes += explanation.note
        sizes = np.abs(explanation.terms.product)
        explanation = explanation.open(int(sizes.argmax()))
    assert "chosen" in notes
    if part in ("masks", "keypoints_scores"):
        assert {"roi_align", "conv2d", "interpolate"} <= ops
    assert explain_value(seen, id, index).pixels().count > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_is_explained(name: str) -> None:
    found = explained(recorded(name), 5)
    recorded.cache_clear()
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in RELEASED if n in DETECTORS and not n.endswith("v2")])
def test_every_detector_of_torchvision_is_explained(name: str) -> None:
    torchvision()
    models = importlib.import_module("torchvision.models.detection")
    torch.manual_seed(0)
    sizes = {"min_size": 96, "max_size": 128}
    few = {"rpn_post_nms_top_n_test": 50, "box_score_thresh": 0.0, "box_detections_per_img": 10}
    build = getattr(models, name)
    network = build(weights=None, weights_backbone=None, **sizes, **few).eval()
    seen = record(network, PICTURES)
    with torch.no_grad():
        assert same(seen.outputs, network(PICTURES))
    found = explained(seen, 3)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found


OTHERS = ["mobilenet_v2", *RESNETS, *MOBILENETS, *VGGS, *SEGMENTERS, *VIDEOS]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_network_is_explained(name: str) -> None:
    torch.manual_seed(0)
    network = model(name, weights=None)
    x = torch.rand(1, 3, 4, 32, 32) if name in VIDEOS else torch.rand(1, 3, 64, 64)
    found = explained(record(network, x), 3)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.995 * found.total(), found
