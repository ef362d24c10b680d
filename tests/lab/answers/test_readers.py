"""What a number feeds, as the page has it: the terms of `explain` that have the number in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.lab.answers.readers import readers_of
from convlens.lens import Recording, explain_value, feeds_value, record
from convlens.lens.terms import unravel
from convlens.zoo import model


@pytest.fixture(scope="module")
def recording() -> Recording:
    torch.manual_seed(0)
    return record(model("digits"), torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize("name", ["input", "conv1", "relu1", "pool1", "pool2", "linear"])
def test_every_reader_has_the_number_among_its_terms(recording: Recording, name: str) -> None:
    id = next(v.id for v in recording.values if recording.name_of(v.id) == name)
    shape = recording.values[id].shape
    for position in (0, 7 if len(shape) > 2 else 3):
        feeds = feeds_value(recording, id, unravel(position, shape))
        found = readers_of(feeds)
        assert (np.diff(np.abs(found["product"])) <= 0).all()
        assert (found["count"], len(found["source"])) == (feeds.count, min(feeds.count, 200))
        rows = zip(found["source"], found["position"], found["product"], strict=True)
        for source, place, product in list(rows)[:20]:
            terms = explain_value(
                recording, source, unravel(place, recording.values[source].shape)
            ).terms
            mine = (terms.source == id) & (terms.position == position)
            assert product in terms.product[mine]


def test_those_that_are_not_listed_are_in_the_sum(recording: Recording) -> None:
    weight = next(v for v in recording.values if recording.name_of(v.id) == "conv2.bias")
    found = readers_of(feeds_value(recording, weight.id, (3,)))
    assert (found["count"], set(found["role"])) == (16, {"bias"})
    pool = next(v for v in recording.values if recording.name_of(v.id) == "pool1")
    feeds = feeds_value(recording, pool.id, (0, 0, 1, 1))
    found = readers_of(feeds)
    assert (found["count"], len(found["product"])) == (9 * 48, 200)
    every = sum(float(reading.product.sum()) for reading in feeds.readings)
    assert found["products"] == every != sum(found["product"])


def test_the_answer_feeds_nothing(recording: Recording) -> None:
    assert recording.output is not None
    found = readers_of(feeds_value(recording, recording.output.id, (0, 0)))
    assert (found["source"], found["count"], found["products"]) == ([], 0, 0.0)
