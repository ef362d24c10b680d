"""The command trains, and its weights load."""

from pathlib import Path

import pytest
import torch

import convlens
from tests.running.commands import run


def test_train_writes_weights_that_load(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "weights.safetensors"
    text = run(capsys, "train", "digits", "--epochs", "1", "--rate", "0.01", "--out", str(out))
    assert "of the held-out digits right after 1 epochs" in text
    network = convlens.model("digits", out)
    assert not torch.equal(next(network.parameters()), next(convlens.model("digits").parameters()))
    assert "conv2d" in run(capsys, "record", "digits", "--weights", str(out))
