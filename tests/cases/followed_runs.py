"""A short training in a folder, for the lab to follow, with more of it on demand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from convlens.lab.following import FollowedRun
from convlens.learn.opening import open_network
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.run import Training
from convlens.learn.training.starting import train

SOURCE = """
import torch
from torch import nn

def network():
    made = nn.Sequential()
    made.add_module("<b>&conv", nn.Conv2d(1, 4, 3))
    made.add_module("relu", nn.ReLU())
    made.add_module("flat", nn.Flatten())
    made.add_module("fc", nn.Linear(144, 10))
    with torch.no_grad():
        made[0].bias[1:] = -100
    made.preparation = None
    return made
"""


def training(folder: Path, epochs: int = 2) -> Training:
    """Return a training of a network with hostile names and dead channels."""
    own = folder.parent / "net.py"
    own.write_text(SOURCE)
    return train(
        f"{own}:network", "digits", out=folder, epochs=epochs, batch=359, rate=0.01, threads=1
    )


def followed(folder: Path, *, newest: bool = True) -> FollowedRun:
    weights = "last" if newest else None
    opening = partial(open_network, str(folder), weights=weights)
    return FollowedRun(RunFolder(folder), opening, newest=newest)
