"""Outputs have names only if there is one for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from convlens.learn.predicting.starting import predict
from tests.cases.answering import PICTURE, Says, rows


@pytest.mark.parametrize("names", [("cat",), ("cat", "dog", "owl")])
@pytest.mark.parametrize("answer", [rows(0.5, 2.0), lambda x: x[:, :2]])
def test_names_that_are_not_as_many_as_the_outputs_name_none(
    names: tuple[str, ...], answer: Callable[[Tensor], Any]
) -> None:
    """A missing name, often that of the background, would shift all others."""
    network = Says(answer)
    network.categories = names  # type: ignore[assignment]
    (found,) = predict(network, PICTURE)
    assert found.category(0) == "0"
    assert f"{len(names)} name" in found.warnings[-1]
    assert "for 2 outputs: numbers are shown instead" in found.warnings[-1]
    network.categories = ("cat", "dog")  # type: ignore[assignment]
    (found,) = predict(network, PICTURE)
    assert (found.category(1), found.warnings) == ("dog", ())


def test_a_category_of_a_detector_without_a_name_is_said() -> None:
    one = {"boxes": torch.tensor([[1.0, 1, 5, 5]]), "scores": torch.ones(1)}
    network = Says(lambda x: [one | {"labels": torch.tensor([7])}])
    network.categories = ("cat", "dog")  # type: ignore[assignment]
    (found,) = predict(network, PICTURE)
    assert found.category(7) == "7"
    assert found.warnings == (
        "the network has 2 names, and none for category 7: its number is shown instead",
    )
