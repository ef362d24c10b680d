"""Paint clips in which one figure moves or turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.shapes.dice import Dice
from convlens.learn.data.shapes.figures import FIGURES, PlacedFigure
from convlens.learn.data.shapes.scenes import colour, ground
from convlens.zoo.categories import MOTIONS

__all__ = ["MIRRORED", "MOTIONS", "clip"]

MIRRORED = ((0, 1), (4, 5))
"""The motions that change places in a mirror."""

_STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_TURNS = {"clockwise": 1, "anticlockwise": -1}


def clip(dice: Dice, motion: int, size: int, hard: float, frames: int) -> NDArray[np.uint8]:
    """Return the frames (frames, 3, size, size) of a clip of one of `MOTIONS`.

    A step is 2 to 6 % of the size, a turn 0.12 to 0.3 radians a frame.
    """
    pixels, base = ground(dice, size)
    kind = 2 + dice.whole(len(FIGURES) - 2)  # a disc or ring that turns does not seem to
    radius, speed = dice.uniform(size * 0.14, size * 0.22), dice.uniform(0.02, 0.06) * size
    turn, spin = dice.uniform(0, 2 * np.pi), dice.uniform(0.12, 0.3)
    centre = dice.vector(size * 0.35, size * 0.65, 2)
    fill = colour(dice, base, 200 - 120 * hard).astype(np.float32)
    step = np.array(_STEPS.get(MOTIONS[motion], (0, 0))) * speed
    turning = _TURNS.get(MOTIONS[motion], 0) * spin
    noise = dice.noise(frames, size, size, 3) * np.float32(4 + 10 * hard)
    found = np.empty((frames, 3, size, size), np.uint8)
    for number in range(frames):
        at = number - (frames - 1) / 2
        figure = PlacedFigure(kind, centre + step * at, radius, turn + turning * at)
        (rows, columns), share = figure.cover(size)
        frame = pixels + noise[number]
        frame[rows, columns] += (fill - pixels[rows, columns]) * share[..., None]
        found[number] = np.clip(frame, 0, 255).astype(np.uint8).transpose(2, 0, 1)
    return found
