"""A look at a picture: what is shown is what the network read, and no answer comes too early."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from convlens.lab import Lab
from convlens.learn.opening import Opened, open_network
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import read_inputs
from convlens.lens import Recording
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import photo


def test_the_shown_picture_is_what_the_network_read() -> None:
    opened = open_network("digits")
    assert opened.example is not None
    lab = Lab(opened)
    lab.look(opened.example)
    png = lab.picture(1)["png"].tobytes()
    _, shown = read_inputs(opened, opened.example)
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), shown)


def test_a_question_waits_until_all_of_the_first_answer_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answered earlier, the page would show an empty answer and ask no more."""
    begun, go = threading.Event(), threading.Event()

    def found(recording: Recording) -> None:
        begun.set()
        go.wait(60)

    monkeypatch.setattr("convlens.lab.answers.looking.detections_of", found)
    lab = Lab(open_network("digits"))
    with ThreadPoolExecutor(2) as threads:
        looking = threads.submit(lab.look, DATA / "digit-3.png")
        begun.wait(60)
        asked = threads.submit(lab.network)
        try:
            with pytest.raises(TimeoutError):
                asked.result(0.1)
        finally:
            go.set()
        assert (looking.result(), asked.result()["recording"]) == (1, 1)


def test_the_frames_shown_are_those_the_network_read() -> None:
    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3, 4))

    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    opened = Opened("reads", Reads(), Preparation(16, mean=mean, std=std), None, None, (3, 5))
    lab = Lab(opened)
    lab.look(photo())
    network = lab.network()
    assert (network["picture"], network["frames"]) == ([16, 16], 3)
    png = lab.picture(1)["png"].tobytes()
    pixels = np.asarray(Image.open(io.BytesIO(png))).reshape(3, 16, 16, 3)
    x, shown = read_inputs(opened, photo())
    assert x.shape == (1, 3, 3, 16, 16)
    for frame in pixels:
        np.testing.assert_array_equal(frame, shown)
