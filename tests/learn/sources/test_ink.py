"""Handwritten digits are found on any paper, and counted as their data set counts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from convlens.learn.preparing import Preparation
from convlens.learn.sources.ink import ink_cells
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.training.digits import digits_samples
from convlens.zoo import model
from convlens.zoo.weights import DATA

INK = Preparation(size=8, channels=1, ink=True)


def test_the_shipped_digits_come_back_as_the_data_sets_numbers() -> None:
    _, held_out = digits_samples()
    network = model("digits")
    for digit in range(10):
        first = int((held_out.targets == digit).nonzero()[0, 0])
        x = INK(read_picture(DATA / f"digit-{digit}.png"))
        assert torch.equal(x[0], held_out.inputs[first])
        assert int(network(x).argmax()) == digit


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("paper", ["dark", "light"])
def test_every_digit_comes_back_exactly_from_either_paper(scale: int, paper: str) -> None:
    for number in digits_samples()[0].inputs[:, 0]:
        grey = np.rint(number.numpy() * 255).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
        picture = Picture(255 - pixels if paper == "light" else pixels)
        assert torch.equal(INK(picture)[0, 0], number)


def test_written_digits_are_found_wherever_they_are_on_the_paper() -> None:
    """A held-out digit, smoothly enlarged, dark on grey paper with a margin and noise, is read."""
    (_, held_out), network = digits_samples(), model("digits")
    noise = np.random.default_rng(1)
    right = upside_down = 0
    for number, label in zip(held_out.inputs[:100, 0], held_out.targets[:100], strict=True):
        large = Image.fromarray(np.rint(number.numpy() * 255).astype(np.uint8)).resize((160, 160))
        paper = np.zeros((300, 420))
        paper[90:250, 40:200] = np.array(large)
        grey = (225 - 0.8 * paper + noise.normal(0, 3, paper.shape)).clip(0, 255).astype(np.uint8)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
        right += int(network(INK(Picture(pixels))).argmax()) == int(label)
        turned = Picture(np.ascontiguousarray(pixels[::-1]))
        upside_down += int(network(INK(turned)).argmax()) == int(label)
    assert right >= 95
    assert upside_down < 60


def test_empty_paper_has_no_ink() -> None:
    assert ink_cells(np.full((33, 47), 250, np.float32), 8, 8).max() == 0
    faint = np.full((33, 47), 250, np.float32)
    faint[10, 10] = 240
    assert ink_cells(faint, 8, 8).max() == 0


def test_large_and_long_papers_are_averaged_down() -> None:
    paper = np.full((3000, 2000), 240, np.float32)
    paper[600:2200, 900:1300] = 20
    cells = ink_cells(paper, 8, 8)
    assert cells[:, 3:5].min() == 16
    assert cells[:, :3].max() == cells[:, 5:].max() == 0
    line = np.full((1, 3000), 240, np.float32)
    line[0, 1000:2000] = 0
    assert ink_cells(line, 8, 8).max() == 16
