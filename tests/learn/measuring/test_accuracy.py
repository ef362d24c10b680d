"""Accuracy, confusion and log loss are scikit-learn's; the calibration error is its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics
from torch import Tensor

from convlens.learn.measuring.accuracy import ClassAccuracy, chances

CLASSES = tuple("abcdefg")


def answers(seed: int, n: int = 500, classes: int = len(CLASSES)) -> tuple[Tensor, Tensor]:
    """Scores that are often right, with some equal ones, and a class without samples."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes - 1, n)
    scores = random.normal(0, 1.5, (n, classes)).round(1)
    scores[np.arange(n), truth] += 1.5
    return torch.tensor(scores, dtype=torch.float32), torch.tensor(truth)


def keys(n: int) -> tuple[str, ...]:
    return tuple(map(str, range(n)))


def measured(scores: Tensor, truth: Tensor, classes: tuple[str, ...] = CLASSES) -> ClassAccuracy:
    measure = ClassAccuracy(classes)
    measure.add(scores, truth, keys(len(truth)))
    return measure


def slow_calibration_error(p: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Equation 3 of Guo et al., interval by interval."""
    confidence, right = p.max(1), p.argmax(1) == truth
    error = 0.0
    for m in range(1, 16):
        inside = [i for i in range(len(p)) if (m - 1) / 15 < confidence[i] <= m / 15]
        if inside:
            gap = sum(right[i] for i in inside) - sum(confidence[i] for i in inside)
            error += abs(gap) / len(p)
    return error


@pytest.mark.parametrize("seed", range(3))
def test_values_are_scikit_learn_s(seed: int) -> None:
    scores, truth = answers(seed)
    p, y = scores.double().softmax(1).numpy(), truth.numpy()
    values = measured(scores, truth).values()
    every = np.arange(len(CLASSES))
    expected = {
        "accuracy": metrics.accuracy_score(y, p.argmax(1)),
        "top-5 accuracy": metrics.top_k_accuracy_score(
            y, scores + noise(scores), k=5, labels=every
        ),
        "accuracy by class": metrics.recall_score(
            y, p.argmax(1), average="macro", labels=every[:-1]
        ),
        "calibration error": slow_calibration_error(p, y),
        "log loss": metrics.log_loss(y, p, labels=every),
    }
    assert values == pytest.approx(expected, abs=1e-9)
    assert next(iter(values)) == "accuracy"
    for wrong in (truth.roll(1), (truth + 1) % 7):
        others = measured(scores, wrong).values()
        assert all(abs(others[name] - expected[name]) > 1e-3 for name in expected)


def noise(scores: Tensor) -> Tensor:
    """So little, and less for later classes, that it only decides between equal scores."""
    return -1e-4 * torch.arange(scores.shape[1])


def test_the_confusion_matrix_is_scikit_learn_s() -> None:
    scores, truth = answers(5)
    measure = measured(scores, truth)
    expected = metrics.confusion_matrix(truth, scores.numpy().argmax(1), labels=np.arange(7))
    assert (measure.state()["confusion"] == expected).all()
    assert (measure.state()["confusion"] != expected.T).any()
    assert measure.by_class()["a"] == expected[0, 0] / expected[0].sum()
    assert np.isnan(measure.by_class()["g"])
    assert measure.notes() == ("No sample of g: left out of accuracy by class.",)
    assert measured(torch.eye(2) * 5, torch.tensor([0, 1]), ("a", "b")).notes() == ()


def test_probabilities_are_left_as_they_are() -> None:
    scores, truth = answers(1)
    p = scores.double().softmax(1)
    assert measured(p, truth).values() == pytest.approx(measured(scores, truth).values(), abs=1e-6)
    assert (chances(p) == p).all()
    half = p.to(torch.bfloat16)
    assert (chances(half) == half.double()).all()


def test_two_classes_have_no_top_5() -> None:
    values = measured(torch.tensor([[5.0, 1.0]]), torch.tensor([0]), ("a", "b")).values()
    assert list(values) == ["accuracy", "accuracy by class", "calibration error", "log loss"]


@pytest.mark.parametrize("seed", range(3))
def test_parts_put_together_are_the_whole(seed: int) -> None:
    scores, truth = answers(seed)
    random = np.random.default_rng(seed)
    whole, merged = measured(scores, truth), ClassAccuracy(CLASSES)
    order = torch.tensor(random.permutation(len(truth)))
    cuts = sorted(random.integers(0, len(truth), 5).tolist())
    for part in torch.tensor_split(order, cuts):
        merged.merge(measured(scores[part], truth[part]).state())
    assert merged.values() == whole.values()
    for name, counts in whole.state().items():
        assert (merged.state()[name] == counts).all()
    merged.merge(measured(scores[:1], truth[:1]).state())
    assert merged.values() != whole.values()


def test_nothing_measured_is_not_a_number() -> None:
    assert all(np.isnan(value) for value in ClassAccuracy(CLASSES).values().values())


def test_judgements_say_what_and_how_sure() -> None:
    scores = torch.tensor([[0.0, 2.5, 0.0], [9.0, 0.0, -torch.inf]])
    dog, cat = ClassAccuracy(("cat", "dog", "fox")).add(scores, torch.tensor([0, 0]), ("x", "y"))
    assert (dog.key, dog.right, dog.said, dog.truth) == ("x", False, "dog 86 %", "cat")
    assert dog.badness == pytest.approx(-np.log(1 / (2 + np.exp(2.5))))
    assert (cat.right, cat.said) == (True, "cat 100 %")
    assert cat.badness < dog.badness


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (
            torch.ones(2, 3),
            torch.tensor([0, 0]),
            r"`outputs` \(=\(2, 3\)\) must be scores \(n, 2\)",
        ),
        (torch.ones(2, 2), torch.tensor([0, 2]), r"`targets` \(=0 to 2\)"),
        (torch.ones(2, 2), torch.tensor([0, -1]), r"`targets` \(=-1 to 0\)"),
        (torch.ones(2, 2), torch.tensor([0]), "as many as the 1 targets"),
        (
            torch.tensor([[1.0, 2.0], [torch.nan, 1.0]]),
            torch.tensor([0, 0]),
            "those of 'q' are not",
        ),
        (
            torch.tensor([[1.0, torch.inf], [0.0, 1.0]]),
            torch.tensor([0, 0]),
            "those of 'p' are not",
        ),
        (torch.full((2, 2), -torch.inf), torch.tensor([0, 0]), "2 of 2 samples"),
    ],
)
def test_wrong_answers_are_refused(scores: Tensor, truth: Tensor, message: str) -> None:
    measure = ClassAccuracy(("a", "b"))
    with pytest.raises(ValueError, match=message):
        measure.add(scores, truth, ("p", "q"))
    assert not measure.state()["confusion"].any()


def test_other_classes_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        ClassAccuracy(("a",))
    with pytest.raises(ValueError, match=r"`state` \(='confusion': int64 \(3, 3\)\)"):
        ClassAccuracy(("a", "b")).merge(ClassAccuracy(("a", "b", "c")).state())
    with pytest.raises(ValueError, match="'bin_confidence' is missing in `state`"):
        ClassAccuracy(("a", "b")).merge({"confusion": np.zeros((2, 2), np.int64)})
