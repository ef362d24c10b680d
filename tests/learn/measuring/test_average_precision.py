"""Average precision equals pycocotools', to six digits, on made and on hand-made detections."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.learn.data.samples import Boxed
from convlens.learn.measuring.average_precision import AveragePrecision
from convlens.learn.measuring.coco import Evaluation
from convlens.learn.measuring.figures import in_order
from convlens.learn.measuring.measure import Judgement
from convlens.zoo.detection.masks import paste_masks
from tests.learn.measuring.coco_oracle import oracle

CLASSES = ("cat", "dog", "fox", "owl")
POINTS = ("tip", "middle", "end")
H, W = 120, 160

Pictures = tuple[list[dict[str, Tensor]], list[Boxed], tuple[str, ...]]


def boxes_of(random: np.random.Generator, n: int) -> Tensor:
    sizes = random.uniform(6, 118, (n, 2))
    corners = random.uniform(0, 1, (n, 2)) * ([W, H] - sizes).clip(0)
    boxes = np.concatenate([corners, corners + sizes], 1)
    return torch.tensor(boxes.clip(0, [W, H, W, H]), dtype=torch.float32)


def discs(boxes: Tensor) -> Tensor:
    """Masks (m, H, W) of ellipses in boxes."""
    y, x = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(1)
    return ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1


def pictures(seed: int, n: int = 40, *, scores: int = 10) -> Pictures:
    """Pictures with up to 6 figures, and up to 40 detections near them, with many equal scores.

    The last class has no truth; some figures are crowds, some have no points.
    """
    random = np.random.default_rng(seed)
    outputs, targets = [], []
    for i in range(n):
        m, k = int(random.integers(0, 7)), int(random.integers(0, 41))
        boxes, labels = boxes_of(random, m), torch.tensor(random.integers(1, 4, m))
        found, said = boxes_of(random, k), torch.tensor(random.integers(1, 5, k))
        if m:
            which = random.integers(0, m, k)
            near = torch.tensor(random.random(k) < 0.8)
            moved = boxes[which] + torch.tensor(random.normal(0, 4, (k, 4)), dtype=torch.float32)
            moved[:, 2:] = torch.maximum(moved[:, 2:], moved[:, :2] + 1)
            found = torch.where(near[:, None], moved, found)
            said = torch.where(near & torch.tensor(random.random(k) < 0.8), labels[which], said)
        points = torch.tensor(random.uniform(0, 100, (m, 3, 3)), dtype=torch.float32)
        points[:, :, 2] = torch.tensor(random.integers(0, 3, (m, 3)))
        points[torch.tensor(random.random(m) < 0.2), :, 2] = 0
        guessed = torch.tensor(random.uniform(0, 100, (k, 3, 3)), dtype=torch.float32)
        if m:
            guessed = points[which] + torch.tensor(random.normal(0, 3, (k, 3, 3))).float()
        box_masks = torch.tensor(random.uniform(0.3, 1, (k, 1, 14, 14)), dtype=torch.float32)
        outputs.append({
            "boxes": found,
            "labels": said,
            "scores": torch.tensor(random.integers(1, scores, k) / scores, dtype=torch.float32),
            "box_masks": box_masks,
            "masks": paste_masks(box_masks, found, (H, W)),
            "keypoints": guessed,
        })  # fmt: skip
        area = torch.tensor(random.uniform(0.3, 1.0, m)) * (boxes[:, 2:] - boxes[:, :2]).prod(1)
        crowd = torch.tensor(random.random(m) < 0.15)
        picture = torch.zeros(3, H, W, dtype=torch.uint8)
        key = f"{i:03}"
        targets.append(
            Boxed(key, picture, boxes, labels, crowd, area.float(), discs(boxes), points)
        )
    return outputs, targets, tuple(target.key for target in targets)


def without(outputs: list[dict[str, Tensor]], name: str) -> list[dict[str, Tensor]]:
    return [{n: tensor for n, tensor in found.items() if n != name} for found in outputs]


def assert_same(values: dict[str, float], expected: dict[str, float], prefix: str = "") -> None:
    for name in [n.removeprefix(prefix) for n in values if n.startswith(prefix)]:
        if name in expected:
            theirs = math.nan if expected[name] == -1 else expected[name]
            assert values[prefix + name] == pytest.approx(theirs, abs=1e-6, nan_ok=True), name


def exactly(values: dict[str, float]) -> Any:
    return pytest.approx(values, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_boxes_masks_and_points_are_pycocotools(seed: int) -> None:
    outputs, targets, keys = pictures(seed)
    measure = AveragePrecision(CLASSES, POINTS, masks=True)
    measure.add(without(outputs, "masks"), targets, keys)
    values = measure.values()
    boxes = oracle("bbox", outputs, targets)
    assert 0.05 < boxes["AP"] < 0.95
    assert_same({n: v for n, v in values.items() if n.startswith("AP")}, boxes)
    assert_same(values, oracle("segm", outputs, targets), "mask ")
    assert_same(values, oracle("keypoints", outputs, targets, measure.sigmas), "point ")
    assert len(values) == 10
    assert 0.02 < values["mask AP50"] < 0.98
    assert 0.02 < values["point AP50"] < 0.98


def test_points_that_are_measured_change_nothing_of_masks_after_them() -> None:
    """The library keeps in its rows which figures points ignore."""
    outputs, targets, keys = pictures(1)
    measure = AveragePrecision(CLASSES, POINTS, masks=True)
    measure.add(without(outputs, "masks"), targets, keys)
    evaluation = Evaluation(in_order(measure.state()))
    first, boxes = evaluation.masks().values, evaluation.boxes().values
    evaluation.points(measure.sigmas)
    assert (evaluation.masks().values == first).all()
    evaluation.points(measure.sigmas)
    assert (evaluation.boxes().values == boxes).all()


def test_whole_masks_measure_as_those_over_boxes() -> None:
    outputs, targets, keys = pictures(9, 12)
    measures = [AveragePrecision(CLASSES, masks=True) for _ in range(2)]
    for measure, name in zip(measures, ("masks", "box_masks"), strict=True):
        measure.add(without(outputs, name), targets, keys)
    assert measures[0].values() == exactly(measures[1].values())


def changed(outputs: list[dict[str, Tensor]], name: str) -> list[dict[str, Tensor]]:
    return [{**found, name: found[name].flip(0)} for found in outputs]


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [
        ("bbox", "AP", "boxes"),
        ("bbox", "AP small", "scores"),
        ("segm", "mask AP", "masks"),
        ("keypoints", "point AP", "keypoints"),
    ],
)
def test_the_oracle_sees_other_answers(kind: str, name: str, field: str) -> None:
    outputs, targets, keys = pictures(0)
    measure = AveragePrecision(CLASSES, POINTS, masks=True)
    measure.add(without(outputs, "box_masks"), targets, keys)
    other = oracle(kind, changed(outputs, field), targets, measure.sigmas)
    assert (
        abs(measure.values()[name] - other[name.removeprefix("mask ").removeprefix("point ")])
        > 1e-4
    )


def figure(
    boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None, key: str = "a"
) -> Boxed:
    given = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    area = (given[:, 2:] - given[:, :2]).prod(1)
    flags = torch.tensor(crowd or [False] * len(labels), dtype=torch.bool)
    picture = torch.zeros(3, H, W, dtype=torch.uint8)
    return Boxed(key, picture, given, torch.tensor(labels, dtype=torch.int64), flags, area)


def answer(boxes: list[list[float]], labels: list[int], scores: list[float]) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "scores": torch.tensor(scores, dtype=torch.float32),
    }


BOX, HALF, FAR = [0.0, 0.0, 40.0, 40.0], [0.0, 0.0, 40.0, 20.0], [90.0, 60.0, 130.0, 110.0]
NEAR = [1.0, 0.0, 41.0, 40.0]

CASES: dict[str, tuple[list[dict[str, Tensor]], list[Boxed], float]] = {
    "all right": ([answer([BOX], [1], [0.9])], [figure([BOX], [1])], 1.0),
    "an IoU of exactly 0.5 is enough once": (
        [answer([HALF], [1], [0.9])], [figure([BOX], [1])], 0.1,
    ),
    "nothing found": ([answer([], [], [])], [figure([BOX], [1])], 0.0),
    "nothing there, nothing found": ([answer([], [], [])], [figure([], [])], math.nan),
    "a class without truth is left out": (
        [answer([BOX, FAR], [1, 2], [0.9, 0.8])], [figure([BOX], [1])], 1.0,
    ),
    "two in a crowd are ignored": (
        [answer([BOX, HALF, FAR], [1, 1, 1], [0.9, 0.8, 0.7])],
        [figure([BOX, FAR], [1, 1], [True, False])], 1.0,
    ),
    "only a crowd": ([answer([BOX], [1], [0.9])], [figure([BOX], [1], [True])], math.nan),
    "the second of two on one figure is wrong": (
        [answer([BOX, NEAR, FAR], [1, 1, 1], [0.9, 0.8, 0.7])], [figure([BOX, FAR], [1, 1])],
        (51 + 50 * 2 / 3) / 101,
    ),
    "of equal scores, the first picture's comes first": (
        [answer([BOX], [1], [0.5]), answer([FAR], [1], [0.5])],
        [figure([BOX], [1], key="a"), figure([BOX], [1], key="b")], 51 / 101,
    ),
    "an empty picture with an extra box": (
        [answer([BOX], [1], [0.9]), answer([BOX], [1], [0.95])],
        [figure([BOX], [1], key="a"), figure([], [], key="b")], 0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_cases_made_by_hand(case: str) -> None:
    outputs, targets, expected = CASES[case]
    measure = AveragePrecision(("cat", "dog"))
    measure.add(outputs, targets, tuple(target.key for target in targets))
    values = measure.values()
    assert values["AP"] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    if not all(target.crowd.all() for target in targets):
        assert_same(values, oracle("bbox", outputs, targets))


def test_equal_scores_depend_on_keys_not_on_batches() -> None:
    right, wrong = answer([BOX], [1], [0.5]), answer([FAR], [1], [0.5])
    values = []
    for outputs, keys in (([right, wrong], ("a", "b")), ([wrong, right], ("b", "a"))):
        measure = AveragePrecision(("cat",))
        for found, key in zip(outputs, keys, strict=True):
            measure.add([found], [figure([BOX], [1], key=key)], (key,))
        values.append(measure.values()["AP"])
    assert values == [pytest.approx(51 / 101)] * 2
    measure = AveragePrecision(("cat",))
    measure.add([right, wrong], [figure([BOX], [1])] * 2, ("b", "a"))
    assert measure.values()["AP"] == pytest.approx(0.25, abs=0.01)  # the wrong one comes first


def test_the_hundred_and_first_box_does_not_count() -> None:
    far = [answer([FAR] * n + [BOX], [1] * (n + 1), [0.9] * n + [0.1]) for n in (99, 100)]
    values = []
    for found in far:
        measure = AveragePrecision(("cat",))
        measure.add([found], [figure([BOX], [1])], ("a",))
        values.append(measure.values()["AP"])
        assert_same(measure.values(), oracle("bbox", [found], [figure([BOX], [1])]))
    assert values == [pytest.approx(0.01), 0.0]


def test_the_twenty_first_figure_does_not_count_for_points() -> None:
    points = torch.tensor([[[5.0, 5.0, 2.0]]])
    for n, expected in ((19, 0.05), (20, 0.0)):
        found = answer([FAR] * n + [BOX], [1] * (n + 1), [0.9] * n + [0.1])
        found["keypoints"] = torch.cat([points + 99] * n + [points])
        true = dataclasses.replace(figure([BOX], [1]), points=points)
        measure = AveragePrecision(("cat",), ("tip",))
        measure.add([found], [true], ("a",))
        assert measure.values()["point AP"] == pytest.approx(expected)
        assert_same(measure.values(), oracle("keypoints", [found], [true], (0.05,)), "point ")


@pytest.mark.parametrize("seed", range(3))
def test_parts_put_together_are_the_whole(seed: int) -> None:
    outputs, targets, keys = pictures(seed, 20, scores=4)
    whole = AveragePrecision(CLASSES, POINTS, masks=True)
    whole.add(outputs, targets, keys)
    random = np.random.default_rng(seed)
    parts = [AveragePrecision(CLASSES, POINTS, masks=True) for _ in range(4)]
    owner = random.integers(0, 3, len(keys))  # the last part has none
    for i in random.permutation(len(keys)).tolist():
        parts[owner[i]].add([outputs[i]], [targets[i]], (keys[i],))
    merged = AveragePrecision(CLASSES, POINTS, masks=True)
    for part in random.permutation(4).tolist():
        merged.merge(parts[part].state())
    assert merged.values() == exactly(whole.values())
    assert merged.by_class() == exactly(whole.by_class())
    one_less = AveragePrecision(CLASSES, POINTS, masks=True)
    for part in parts[:2]:
        one_less.merge(part.state())
    assert one_less.values() != exactly(whole.values())


def test_coco_s_points_have_coco_s_sigmas() -> None:
    from pycocotools.cocoeval import Params

    names = "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow"
    names += " right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee"
    names += " left_ankle right_ankle"
    measure = AveragePrecision(("person",), tuple(names.split()))
    assert measure.sigmas == pytest.approx(Params("keypoints").kpt_oks_sigmas)
    assert "left_hip 0.107" in measure.notes()[-1]
    assert AveragePrecision(("a",), ("nose", "tail")).sigmas == (0.05, 0.05)
    assert AveragePrecision(("a",), ("nose",), sigmas=[0.1]).sigmas == (0.1,)


def test_judgements_name_what_was_missed_and_extra() -> None:
    true = figure([BOX, FAR], [1, 2], key="p.png")
    cases = [
        (answer([BOX, FAR], [1, 2], [0.9, 0.8]), 0, "1 × cat, 1 × dog"),
        (answer([NEAR, BOX, FAR], [1, 1, 2], [0.9, 0.8, 0.7]), 1, "2 × cat, 1 × dog"),
        (answer([BOX, FAR], [2, 1], [0.9, 0.8]), 4, "1 × cat, 1 × dog"),
        (answer([BOX, FAR], [1, 2], [0.9, 0.5]), 1, "1 × cat"),
        (answer([], [], []), 2, "nothing"),
    ]
    for found, bad, said in cases:
        (judged,) = AveragePrecision(("cat", "dog")).add([found], [true], ("p.png",))
        assert judged == Judgement("p.png", bad == 0, bad, said, "1 × cat, 1 × dog")


def test_a_box_in_a_crowd_is_not_extra() -> None:
    for crowd, right in ((True, True), (False, False)):
        true = figure([BOX, FAR], [1, 1], [crowd, False])
        found = answer([HALF, NEAR, FAR], [1, 1, 1], [0.9, 0.8, 0.7])
        (judged,) = AveragePrecision(("cat",)).add([found], [true], ("a",))
        assert judged.right is right
        assert judged.truth == ("1 × cat" if crowd else "2 × cat")


Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {**found, "labels": found["labels"] + 9}, r"labels 10 to 10\) must be 1"),
        (lambda found: {**found, "labels": found["labels"] * 0}, "as 0 is the background"),
        (lambda found: {**found, "scores": found["scores"] * torch.nan}, "its scores"),
        (lambda found: {"boxes": found["boxes"]}, "must have labels and scores"),
    ],
)
def test_wrong_answers_are_refused(change: Change, message: str) -> None:
    measure = AveragePrecision(("cat", "dog"))
    with pytest.raises(ValueError, match=message):
        measure.add([change(answer([BOX], [1], [0.9]))], [figure([BOX], [1])], ("a",))


def test_what_is_not_given_cannot_be_measured() -> None:
    found, true = answer([BOX], [1], [0.9]), figure([BOX], [1])
    with pytest.raises(ValueError, match="must have masks; measure only"):
        AveragePrecision(("cat",), masks=True).add([found], [true], ("a",))
    with pytest.raises(ValueError, match="must have points; give the data points"):
        AveragePrecision(("cat",), ("tip",)).add(
            [{**found, "keypoints": torch.zeros(1, 1, 3)}], [true], ("a",)
        )
    pointed = dataclasses.replace(true, points=torch.zeros(1, 1, 3), masks=torch.ones(1, H, W) > 0)
    with pytest.raises(ValueError, match=r"`keypoints` of 'a' \(=\(1, 2, 3\)\)"):
        AveragePrecision(("cat",), ("tip",)).add(
            [{**found, "keypoints": torch.zeros(1, 2, 3)}], [pointed], ("a",)
        )
    with pytest.raises(ValueError, match=r"`masks` of 'a' \(=\(1, 1, 9, 9\)\)"):
        AveragePrecision(("cat",), masks=True).add(
            [{**found, "masks": torch.zeros(1, 1, 9, 9)}], [pointed], ("a",)
        )
    with pytest.raises(ValueError, match=r"`sigmas` \(=\(0.1, 0.2\)\)"):
        AveragePrecision(("cat",), ("tip",), sigmas=(0.1, 0.2))
    with pytest.raises(ValueError, match="merge states of the same"):
        AveragePrecision(("cat",)).merge(AveragePrecision(("cat",), masks=True).state())
    with pytest.raises(ValueError, match="`classes`"):
        AveragePrecision(())
