"""The kinds of questions that networks learn to answer, each in a file of its own.

A new task is a file and an entry here; nothing else knows its name.
"""

from __future__ import annotations

from convlens.learn.tasks.classification import CLASSIFICATION
from convlens.learn.tasks.clips import CLIPS
from convlens.learn.tasks.detection import DETECTION, KEYPOINTS, MASKS
from convlens.learn.tasks.segmentation import SEGMENTATION
from convlens.learn.tasks.task import Task

__all__ = ["TASKS"]

TASKS: dict[str, Task] = {
    "classification": CLASSIFICATION,
    "detection": DETECTION,
    "instance segmentation": MASKS,
    "keypoints": KEYPOINTS,
    "semantic segmentation": SEGMENTATION,
    "video classification": CLIPS,
}
"""Every task by its name, which is the one that the zoo's networks give."""
