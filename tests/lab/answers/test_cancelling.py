import cProfile
import threading
import time
from collections.abc import Callable

import pytest
import torch

from convlens.lab.answers.cancelling import Cancelled, CancelledError, Cancelling
from convlens.lens import record


class Endless(torch.nn.Module):
    """A network that never returns, and that catches whatever it may."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while True:
            try:
                x = x + 1
            except Exception:
                x = x - 1


def test_cancel_stops_a_network_that_never_returns() -> None:
    cancelling = Cancelling()
    said: list[str] = []

    def run() -> None:
        try:
            with cancelling.run():
                record(Endless(), torch.zeros(1))
        except CancelledError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    while not cancelling.cancel():
        time.sleep(0.01)
    thread.join(20)
    assert not thread.is_alive()
    assert said == ["the run was cancelled; choose another picture or network"]


def test_recording_works_after_a_cancelled_run() -> None:
    test_cancel_stops_a_network_that_never_returns()
    recording = record(torch.nn.ReLU(), torch.ones(2))
    assert [step.op for step in recording] == ["relu"]


def test_nothing_to_cancel() -> None:
    assert not Cancelling().cancel()


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), Cancelling().run():
        raise KeyError


def test_a_run_that_was_not_cancelled_can_be_profiled_afterwards() -> None:
    with Cancelling().run():
        pass
    profile = cProfile.Profile()
    profile.enable()
    record(torch.nn.ReLU(), torch.ones(2))
    profile.disable()
    assert profile.getstats()


def cancelled(work: Callable[[Cancelling], None]) -> Cancelling:
    """A run that was cancelled while it did this."""
    cancelling = Cancelling()
    with pytest.raises(CancelledError), cancelling.run():
        work(cancelling)
    return cancelling


@pytest.mark.parametrize("wait", [0.0, 0.001, 0.01])
def test_a_cancelling_that_comes_at_the_end_still_counts(wait: float) -> None:
    def work(cancelling: Cancelling) -> None:
        other = threading.Thread(target=cancelling.cancel)
        other.start()
        other.join()
        time.sleep(wait)

    assert not cancelled(work).cancel()


def test_cancelling_twice_stops_one_run() -> None:
    def work(cancelling: Cancelling) -> None:
        cancelling.cancel()
        cancelling.cancel()

    with cancelled(work).run():
        assert record(torch.nn.ReLU(), torch.ones(2)).steps


def test_a_network_that_catches_everything_is_cancelled_at_its_end() -> None:
    caught: list[BaseException] = []

    def goes_on(cancelling: Cancelling) -> None:
        try:
            cancelling.cancel()
            time.sleep(0.01)
        except BaseException as error:
            caught.append(error)

    def fails(cancelling: Cancelling) -> None:
        goes_on(cancelling)
        raise KeyError

    cancelled(goes_on)
    cancelled(fails)
    assert [type(error) for error in caught] == [Cancelled, Cancelled]
