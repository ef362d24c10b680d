"""The released MobileNetV2 learns new categories of real pictures, with all but its head frozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from convlens.learn.opening import open_network
from convlens.learn.training.starting import train
from convlens.learn.training.validation import validate
from tests.data.real import real

pytestmark = pytest.mark.real


def cut_into_folders(folder: Path) -> None:
    """Cut photographs into parts: those of the left two thirds to train on, the rest held out."""
    pictures = {
        **{
            name: np.asarray(Image.open(real(f"{name}.png")))[:, :, :3]
            for name in ("chelsea", "coffee")
        },
        "flower": load_sample_image("flower.jpg"),
        "temple": load_sample_image("china.jpg"),
    }
    random = np.random.default_rng(0)
    for name, pixels in pictures.items():
        h, w = pixels.shape[:2]
        for part, count, low, high in (("train", 24, 0, 0.66), ("val", 8, 0.66, 1.0)):
            side = int(min(h, w * (high - low)) * 0.8)
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                top = random.integers(h - side + 1)
                left = random.integers(int(w * low), int(w * high) - side + 1)
                cut = Image.fromarray(pixels[top : top + side, left : left + side])
                cut.save(folder / part / name / f"{number}.jpg")


def test_a_frozen_body_and_a_new_head_tell_photographs_apart(tmp_path: Path) -> None:
    cut_into_folders(tmp_path / "photos")
    training = train(
        "mobilenet_v2",
        tmp_path / "photos",
        out=tmp_path / "run",
        weights=real("mobilenet_v2-b0353104.pth"),
        epochs=2,
        batch=16,
        rate=3e-3,
        freeze=-1,
        threads=1,
    )
    body = training.network.features[0][0].weight.detach().clone()  # type: ignore[index, union-attr]
    reports = list(training)
    assert reports[-1].values["accuracy"] >= 0.9
    assert torch.equal(training.network.features[0][0].weight, body)  # type: ignore[index, union-attr]
    opened = open_network(str(tmp_path / "run"))
    assert opened.categories == ("chelsea", "coffee", "flower", "temple")
    assert validate(tmp_path / "run").values["accuracy"] == max(
        report.values["accuracy"] for report in reports
    )
