"""Looks are kept by number: the one on show, and beside it those that were asked about last."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from convlens.lab.answers import looks
from convlens.lab.answers.looking import Look, look_of
from convlens.lab.answers.looks import MOST, Looks
from convlens.lab.guarding import StaleRecordingError
from convlens.learn.opening import opened_module
from convlens.lens import record

OPENED = opened_module(torch.nn.ReLU())


def making(numbers: int = 4) -> Callable[[int], Look]:
    return lambda number: look_of(OPENED, record(OPENED.network, torch.ones(numbers)), number)


def test_the_look_on_show_stays_and_of_the_others_those_asked_about_last() -> None:
    kept = Looks()
    assert kept.shown is None
    assert kept.add(making(), show=True).number == 1
    for number in range(2, MOST + 1):
        assert kept.add(making(), show=False).number == number
    assert kept.at(2).number == 2  # now it is not the oldest
    for _ in range(2):
        kept.add(making(), show=False)
    assert [kept.at(number).number for number in (1, 2, MOST + 1, MOST + 2)][:2] == [1, 2]
    with pytest.raises(StaleRecordingError, match=r"recording 3 is gone.* recording 1$"):
        kept.at(3)
    assert kept.shown is kept.at(1)


def test_large_looks_beside_the_one_on_show_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "ROOM", 1000)
    kept = Looks()
    kept.add(making(600), show=True)
    kept.add(making(200), show=False)
    kept.add(making(200), show=False)
    with pytest.raises(StaleRecordingError):
        kept.at(2)
    assert kept.at(3) is not kept.shown
    kept.add(making(600), show=True)
    assert kept.at(4) is kept.shown
    assert kept.at(3).number == 3
    with pytest.raises(StaleRecordingError):
        kept.at(1)


def test_a_look_that_could_not_be_made_changes_nothing() -> None:
    def fails(number: int) -> Look:
        raise ValueError("no picture")

    kept = Looks()
    first = kept.add(making(), show=True)
    with pytest.raises(ValueError, match="no picture"):
        kept.add(fails, show=True)
    assert kept.shown is first
    assert kept.add(making(), show=True).number == 2


def test_looks_are_made_one_after_another_and_read_meanwhile() -> None:
    kept, started, go = Looks(), threading.Event(), threading.Event()
    kept.add(making(), show=True)

    def slow(number: int) -> Look:
        started.set()
        assert go.wait(20)
        return making()(number)

    threads = [
        threading.Thread(target=kept.add, args=(make,), kwargs={"show": False})
        for make in (slow, making())
    ]
    threads[0].start()
    assert started.wait(20)
    threads[1].start()
    assert kept.at(1) is kept.shown
    with pytest.raises(StaleRecordingError):
        kept.at(2)
    go.set()
    for thread in threads:
        thread.join()
    assert [kept.at(number).number for number in (2, 3)] == [2, 3]
