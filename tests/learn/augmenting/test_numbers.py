"""Numbers depend on the place alone, and look random along every part of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from convlens.learn.augmenting.numbers import draws, mix, permutation, stream

MASK = 2**64 - 1


def hashed(z: int) -> int:
    """splitmix64's finalizer in Python's integers, from the paper's figure 17."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def by_hand(seed: int, epoch: int, index: int, number: int) -> float:
    step = 0x9E3779B97F4A7C15
    key = hashed((seed * step + 1) & MASK) + epoch & MASK
    key = hashed(hashed(key) + index * step & MASK)
    return (hashed(key + (number + 1) * step & MASK) >> 11) / 2**53


@given(st.integers(0, MASK), st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 9))
def test_numbers_are_those_of_integers_in_python(
    seed: int, epoch: int, index: int, number: int
) -> None:
    assert draws(seed, epoch, index, number + 1)[number] == by_hand(seed, epoch, index, number)


def test_the_finalizer_is_splitmix64() -> None:
    """The first outputs for the seed 1234567, as Java's and Vigna's programs give them."""
    state, found = 1234567, []
    for _ in range(3):
        state = state + 0x9E3779B97F4A7C15 & MASK
        found.append(hashed(state))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_the_make_up_of_a_batch_does_not_matter() -> None:
    whole = draws(5, 3, np.arange(300), 6)
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_array_equal(draws(5, 3, order, 6), whole[order])
    np.testing.assert_array_equal(draws(5, 3, order[:7], 2), whole[order[:7], :2])
    np.testing.assert_array_equal(draws(5, 3, 299, 6), whole[299])
    seeds = np.array([5, 9], np.uint64)[:, None]
    np.testing.assert_array_equal(draws(seeds, 3, np.arange(300), 6)[0], whole)


def deviation(x: NDArray[np.float64]) -> float:
    """How far the counts in 64 equal bins are from uniform, in deviations of chi squared."""
    counts = np.histogram(x, 64, (0, 1))[0]
    chi = float(((counts - len(x) / 64) ** 2 / (len(x) / 64)).sum())
    return abs(chi - 63) / math.sqrt(2 * 63)


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """In deviations of what chance gives."""
    return abs(float(np.corrcoef(a, b)[0, 1])) * math.sqrt(len(a))


def test_numbers_are_uniform_along_every_part_of_the_place() -> None:
    n = 60_000
    along = {
        "index": draws(0, 0, np.arange(n), 1)[:, 0],
        "seed": draws(np.arange(n, dtype=np.uint64), 0, 7, 1)[:, 0],
        "number": draws(0, 0, 7, n),
        "epoch": np.concatenate([draws(0, e, np.arange(60), 1)[:, 0] for e in range(1000)]),
    }
    for name, x in along.items():
        assert ((x >= 0) & (x < 1)).all()
        assert deviation(x) < 4, name
        assert correlation(x[:-1], x[1:]) < 4, name
        assert len(np.unique(x)) == n, name
    assert deviation(np.arange(n) / n * 0.99) > 4  # the test can fail
    assert correlation(np.arange(9.0), np.arange(9.0)) == pytest.approx(3)


def test_neighbouring_places_have_nothing_in_common() -> None:
    index = np.arange(60_000)
    here = draws(3, 5, index, 2)
    others = {
        "the next number": here[:, 1],
        "the next seed": draws(4, 5, index, 1)[:, 0],
        "the next epoch": draws(3, 6, index, 1)[:, 0],
        "the next index": draws(3, 5, index + 1, 1)[:, 0],
        "seed and epoch changed": draws(5, 3, index, 1)[:, 0],
        "beyond 32 bits": draws(3 + 2**32, 5, index, 1)[:, 0],
        "another name": draws(stream(3, "crop"), 5, index, 1)[:, 0],
    }
    for name, other in others.items():
        assert correlation(here[:, 0], other) < 4, name
        assert not (here[:, 0] == other).any(), name


def test_seeds_for_torch_differ_in_the_32_bits_that_it_reads() -> None:
    seeds = {mix(0, step, rank) for step in range(2000) for rank in range(4)}
    assert len(seeds) == 8000
    assert max(seeds) < 2**32
    first = [torch.Generator().manual_seed(mix(seed, 1)) for seed in (7, 7 + 2**32)]
    assert len({torch.rand((), generator=g).item() for g in first}) == 2
    assert mix(0) != mix(0, 0) != mix(0, 0, 0)
    assert mix(-1, 2) == mix(2**64 - 1, 2)


def test_streams_have_64_bits() -> None:
    found = [stream(0, f"name {k}") for k in range(300)]
    assert len(set(found)) == 300
    assert max(found) > 2**63
    assert stream(1, "name 0") != found[0]


def test_every_order_of_an_epoch_is_about_as_frequent() -> None:
    orders = [tuple(permutation(seed, 2, 4).tolist()) for seed in range(4800)]
    counts = np.unique(np.array(orders), axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 200) ** 2 / 200).sum() < 23 + 4 * np.sqrt(46)


def test_an_order_has_every_number_and_each_epoch_its_own() -> None:
    first, second = permutation(0, 0, 1000), permutation(0, 1, 1000)
    assert sorted(first.tolist()) == list(range(1000))
    assert correlation(first.astype(float), second.astype(float)) < 4
    assert (first == second).sum() < 10
    np.testing.assert_array_equal(first, permutation(0, 0, 1000))
    assert permutation(0, 0, 0).shape == (0,)
