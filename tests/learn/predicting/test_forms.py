"""The form of an output is recognised, and one odd answer is the error of its picture alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.learn.predicting.forms import predictions_of
from convlens.learn.predicting.outputs import UnknownFormError
from convlens.learn.predicting.predictions import Limits, View
from convlens.learn.predicting.starting import predict
from convlens.learn.sources.pictures.picture import Picture
from tests.cases.answering import Says


def test_one_answer_of_an_unknown_form_is_that_pictures_error() -> None:
    odd = Says(lambda x: {"features": x} if x.shape[-1] == 9 else torch.ones(len(x), 3))
    wide, narrow = (Picture(np.zeros((4, w, 3), np.uint8)) for w in (9, 5))
    for batch in (1, 8):
        found = list(predict(odd, [wide, narrow, wide, narrow], batch=batch))
        assert [one.error is None for one in found] == [False, True, False, True]
        assert "answered with a dictionary of features" in str(found[0].error)
    with pytest.raises(UnknownFormError):
        list(predict(odd, [wide, wide]))


def test_an_answer_that_cannot_be_read_is_that_pictures_error() -> None:
    good = {"boxes": torch.zeros(1, 4), "labels": torch.ones(1), "scores": torch.ones(1)}
    torn = {**good, "scores": torch.ones(3)}
    network = Says(lambda x: [torn if one.shape[-1] == 9 else good for one in x])
    pictures = [Picture(np.zeros((4, w, 3), np.uint8)) for w in (5, 9, 5)]
    found = list(predict(network, pictures))
    assert [one.error is None for one in found] == [True, False, True]
    assert "reading the network's answer raised IndexError" in str(found[1].error)


def test_views_are_of_no_matter_to_rows() -> None:
    with pytest.raises(TypeError, match="answered with a tensor"):
        predictions_of(torch.zeros(3, dtype=torch.complex64), [View((1, 1), (1, 1))], Limits())
