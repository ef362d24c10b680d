"""Name what the small networks of the zoo tell apart."""

from __future__ import annotations

__all__ = ["BACKGROUND", "CLOTHES", "FIGURES", "MOTIONS", "POINTS"]

BACKGROUND = "__background__"
"""The name of category 0 of detectors and segmenters."""

FIGURES = ("disc", "ring", "square", "triangle", "star", "cross", "half", "arrow")
"""The figures of the made-up data set `convlens.learn.data.shapes`."""

POINTS = ("tip", "left", "right", "tail")
"""The points of its arrow, as seen from the tail."""

MOTIONS = ("left", "right", "up", "down", "clockwise", "anticlockwise")
"""The motions of its clips."""

CLOTHES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
"""The categories of Fashion-MNIST (Xiao et al., arXiv 1708.07747, table 2)."""
