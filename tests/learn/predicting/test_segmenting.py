"""Maps of scores become categories; places that are not finite are said."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from convlens.learn.predicting.outputs import UnknownFormError
from tests.cases.answering import NAN, said


def test_maps_that_are_probabilities_or_a_sigmoids() -> None:
    chances = torch.tensor([0.7, 0.2, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, 8, 10)
    found = said(lambda x: {"out": chances})
    np.testing.assert_allclose(found.scores, 0.7, rtol=1e-5)
    found = said(lambda x: {"out": chances.logit().sigmoid()})
    assert not found.probabilities
    with pytest.raises(UnknownFormError, match="a single one does not say which pixels it means"):
        said(lambda x: {"out": chances[:, :1]})


def test_places_of_a_map_that_are_not_finite_are_said() -> None:
    maps = torch.zeros(1, 3, 8, 10)
    maps[:, 1] = 5
    whole = said(lambda x: {"out": maps})
    assert (whole.warnings, whole.shares()) == ((), {1: 1.0})
    broken = maps.clone()
    broken[:, :, :4] = NAN
    found = said(lambda x: {"out": broken})
    assert "for 40 of 80 places of its map" in found.warnings[0]
    assert found.map is not None
    assert (found.map[:4] == 0).all()
    assert (found.map[5:] == 1).all()
    np.testing.assert_allclose(found.scores[found.labels == 1], whole.scores[whole.labels == 1])
    json.dumps(found.to_dict(), allow_nan=False)
    assert "no finite numbers" in str(said(lambda x: {"out": broken * NAN}).error)
