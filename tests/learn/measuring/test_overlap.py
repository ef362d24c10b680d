"""The mean intersection over union is that of its definition, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.learn.measuring.overlap import MapOverlap

CLASSES = ("ground", "cat", "dog", "fox", "owl")


def maps(seed: int, n: int = 12) -> tuple[Tensor, Tensor]:
    """Scores (n, 5, h, w) that are often right, and maps with unlabelled pixels; no owls at all."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, (n, 6, 5)).repeat(3, 1).repeat(3, 2)
    scores = random.normal(0, 1, (n, 5, 18, 15))
    scores[:, 4] -= 99
    scores += 2 * (np.arange(5)[:, None, None] == truth[:, None])
    truth[random.random(truth.shape) < 0.1] = 255
    return torch.tensor(scores, dtype=torch.float32), torch.tensor(truth.astype(np.uint8))


def keys(n: int) -> tuple[str, ...]:
    return tuple(map(str, range(n)))


def slow_iou(scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Sets of pixels, class by class."""
    answers, pixels = scores.argmax(1).flatten().tolist(), truth.flatten().tolist()
    labelled = [i for i, true in enumerate(pixels) if true != 255]
    found = {}
    for k, name in enumerate(CLASSES):
        said = {i for i in labelled if answers[i] == k}
        true = {i for i in labelled if pixels[i] == k}
        found[name] = len(said & true) / len(said | true) if said | true else np.nan
    return found


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_definition_s(seed: int) -> None:
    scores, truth = maps(seed)
    measure = MapOverlap(CLASSES)
    measure.add({"out": scores, "aux": scores * 0}, truth, keys(12))
    expected = slow_iou(scores, truth)
    assert measure.by_class() == pytest.approx(expected, nan_ok=True)
    values = measure.values()
    assert values["mIoU"] == pytest.approx(np.nanmean(list(expected.values())))
    labelled = truth != 255
    right = scores.argmax(1)[labelled] == truth[labelled]
    assert values["pixel accuracy"] == pytest.approx(float(right.double().mean()))
    assert "owl" in measure.notes()[1]
    other = slow_iou(scores, truth.roll(1, 0))
    assert abs(values["mIoU"] - np.nanmean(list(other.values()))) > 0.1


def test_it_is_not_a_mean_of_pictures() -> None:
    scores, truth = maps(0)
    measure = MapOverlap(CLASSES)
    judged = measure.add(scores, truth, keys(12))
    assert abs(np.mean([1 - j.badness for j in judged]) - measure.values()["mIoU"]) > 1e-3
    alone = slow_iou(scores[3:4], truth[3:4])
    assert judged[3].badness == pytest.approx(1 - np.nanmean(list(alone.values())))


@pytest.mark.parametrize("seed", range(3))
def test_parts_put_together_are_the_whole(seed: int) -> None:
    scores, truth = maps(seed)
    random = np.random.default_rng(seed)
    whole, merged = MapOverlap(CLASSES), MapOverlap(CLASSES)
    whole.add(scores, truth, keys(12))
    order = torch.tensor(random.permutation(12))
    for part in torch.tensor_split(order, sorted(random.integers(0, 12, 3).tolist())):
        measure = MapOverlap(CLASSES)
        measure.add(scores[part], truth[part], keys(len(part)))
        merged.merge(measure.state())
    assert merged.values() == whole.values()
    merged.merge(measure.state())
    assert (merged.state()["confusion"] != whole.state()["confusion"]).any()


def test_judgements_name_the_largest_parts() -> None:
    truth = torch.zeros(3, 2, 4, dtype=torch.uint8)
    truth[0, :, 3] = 1
    truth[2] = 255
    answer = torch.zeros(3, 2, 4, dtype=torch.int64)
    answer[0, 0] = 1
    scores = torch.nn.functional.one_hot(answer, 5).permute(0, 3, 1, 2).float()
    half, right, empty = MapOverlap(CLASSES).add(scores, truth, ("a", "b", "c"))
    assert (half.said, half.truth) == (
        "mean IoU 0.31: ground 50 %, cat 50 %", "ground 75 %, cat 25 %",
    )  # fmt: skip
    assert (half.right, right.right, right.badness) == (False, True, 0)
    assert (empty.right, empty.badness, empty.truth) == (True, 0, "no labelled pixel")


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (torch.ones(1, 4, 2, 2), torch.zeros(1, 2, 2), r"`outputs` \(=\(1, 4, 2, 2\)\) must be"),
        (torch.ones(1, 5, 2, 2), torch.zeros(1, 4, 4), "resize it to its input"),
        (torch.ones(1, 5, 2, 2), torch.full((1, 2, 2), 5), r"`targets` \(=5\) must be below 5"),
        (torch.full((1, 5, 2, 2), torch.nan), torch.zeros(1, 2, 2), "must be finite"),
        ({"aux": torch.ones(1, 5, 2, 2)}, torch.zeros(1, 2, 2), r"`outputs` \(=NoneType\)"),
    ],
)
def test_wrong_answers_are_refused(scores: Tensor, truth: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MapOverlap(CLASSES).add(scores, truth.to(torch.uint8), ("p",))


def test_a_map_holds_a_byte_a_pixel() -> None:
    with pytest.raises(ValueError, match="at most 255"):
        MapOverlap(tuple(map(str, range(256))))
