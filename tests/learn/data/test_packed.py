"""Texts in two arrays, digests, and the order of names."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from convlens.learn.data.packed import Texts, digest_of, natural


def test_texts_come_back_and_take_little() -> None:
    names = [f"folder/picture {number}.jpg" for number in range(1000)] + ["", "\udcff", "né"]
    texts = pickle.loads(pickle.dumps(Texts(names)))
    assert list(texts) == names
    assert [texts[1], texts[1000], texts[1001]] == [names[1], "", "\udcff"]
    assert len(pickle.dumps(texts)) < sum(map(len, names)) + 9 * len(names)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_place_beyond_the_texts(index: int) -> None:
    with pytest.raises(IndexError, match="from 0 to 2"):
        Texts("abc")[index]


def test_a_digest_depends_on_every_part_and_its_kind() -> None:
    given = [("a", "b"), ("ab", ""), (["a", "b"],), (Texts(["a", "b"]),), (Texts(["ab"]),)]
    given += [(np.array([1, 2]),), (np.array([1, 2], np.int32),), (np.array([[1, 2]]),)]
    digests = [digest_of(*parts) for parts in given]
    assert len(set(digests)) == len(digests)
    assert digests == [digest_of(*parts) for parts in given]


def test_names_in_the_order_of_people() -> None:
    names = ["10", "9", "a10b", "a9b", "Z", "a", "A", "-", ""]
    assert sorted(names, key=natural) == ["", "9", "10", "-", "A", "a", "a9b", "a10b", "Z"]
