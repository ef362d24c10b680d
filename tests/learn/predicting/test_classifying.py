"""Scores become probabilities only where they are parts of a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.learn.predicting.starting import predict
from convlens.learn.sources.pictures.picture import Picture
from tests.cases.answering import INF, NAN, Says, rows, said


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1, 1), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("score", [-2.0, 0.0, 0.8, 1.0, 37.5])
def test_a_single_score_stays_as_it_is(score: float, shape: tuple[int, ...]) -> None:
    found = said(lambda x: torch.full(shape, score))
    assert found.error is None
    assert (found.labels.tolist(), found.scores.tolist()) == ([0], [np.float32(score)])
    assert not found.probabilities
    assert str(found).splitlines()[1] == f"  score {score:.4g}  0"
    content = found.to_dict()
    assert content["probabilities"] is False
    assert content["predictions"][0]["score"] == pytest.approx(score)
    assert "%" not in str(found)


def test_a_single_score_a_picture_in_a_batch() -> None:
    answer = Says(lambda x: x.amax((1, 2, 3)) * 10)
    pictures = [Picture(np.full((4, 4, 3), n, np.uint8)) for n in (0, 51, 255)]
    found = list(predict(answer, pictures))
    np.testing.assert_allclose([float(one.scores[0]) for one in found], [0, 2, 10], rtol=1e-6)


@pytest.mark.parametrize("half", [torch.float32, torch.float16, torch.bfloat16])
def test_what_are_probabilities_already_is_left(half: torch.dtype) -> None:
    chances = torch.rand(300, generator=torch.Generator().manual_seed(0)).mul(9).softmax(0)
    found = said(lambda x: chances.to(half)[None], top=3)
    assert found.probabilities
    np.testing.assert_allclose(found.scores, chances.topk(3).values, rtol=1e-2)
    logs = said(lambda x: chances.log()[None], top=3)
    np.testing.assert_allclose(logs.scores, chances.topk(3).values, rtol=1e-5)


def test_equal_classes_keep_their_order() -> None:
    found = said(rows(*[3.0] * 40), top=4)
    assert found.labels.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(found.scores, 1 / 40)


def test_rows_with_axes_of_one_are_rows() -> None:
    flat, deep = said(rows(1.0, 3.0)), said(lambda x: torch.tensor([[[[1.0]], [[3.0]]]]))
    assert deep.map is None
    assert flat.to_dict() == deep.to_dict()
    squeezed = said(lambda x: torch.tensor([1.0, 3.0]))
    assert squeezed.to_dict() == flat.to_dict()


@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("others", [(), (1.0,), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)])
def test_scores_that_are_not_finite_are_no_answer(bad: float, others: tuple[float, ...]) -> None:
    found = said(rows(*others, bad), top=1)
    assert f"no finite numbers for 1 of {len(others) + 1} scores" in str(found.error)
    assert found.to_dict() == {"image": found.name, "error": found.error}


def test_scores_ruled_out_are_said() -> None:
    found = said(rows(1.0, -INF, 3.0))
    assert found.error is None
    assert found.scores[-1] == 0
    assert "minus infinity for 1 of 3 scores" in found.warnings[0]
    assert "no finite numbers" in str(said(rows(-INF, -INF)).error)
