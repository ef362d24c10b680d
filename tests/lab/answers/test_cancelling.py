import threading
import time

import pytest
import torch

from convlens.lab.answers.cancelling import CancelledError, Cancelling
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
