"""Which samples a step sees depends on its number alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convlens.learn.training.places import BatchPlace, Places


def seen(places: Places, start: int = 0) -> list[list[int]]:
    return [place.indices.tolist() for place in places.begun_at(start)]


def test_an_epoch_sees_every_sample_once_in_an_order_of_its_own() -> None:
    places = Places(seed=7, samples=12, batch=4, steps=9)
    epochs = [list(itertools.chain(*seen(places)[at : at + 3])) for at in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert seen(Places(8, 12, 4, 9)) != seen(places)


def test_a_resumed_run_sees_what_the_whole_one_would_have_seen() -> None:
    places = Places(seed=7, samples=13, batch=4, steps=20)
    whole = seen(places)
    for start in range(20):
        assert seen(places, start) == whole[start:]


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 2])
def test_ranks_and_parts_share_a_step_without_rest_or_double(ranks: int, parts: int) -> None:
    whole = seen(Places(3, 24, 12, 4))
    each = [Places(3, 24, 12, 4, parts, rank, ranks) for rank in range(ranks)]
    shared: list[list[BatchPlace]] = [list(places.begun_at(0)) for places in each]
    for step in range(4):
        mine = [p.indices.tolist() for run in shared for p in run if p.step == step]
        assert sorted(itertools.chain(*mine)) == sorted(whole[step])
        assert len({len(part) for part in mine}) == 1


def test_what_a_small_last_batch_would_have_is_left_out_in_turn() -> None:
    places = Places(seed=0, samples=10, batch=4, steps=40)
    counts = np.bincount(list(itertools.chain(*seen(places))), minlength=10)
    assert counts.sum() == 160
    assert counts.min() >= 10
