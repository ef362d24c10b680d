"""Read clips in one folder for each class."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from convlens.files import printed
from convlens.learn.data.folders import class_files, class_parts
from convlens.learn.data.labelled import FileSamples
from convlens.learn.data.mirroring import mirrored
from convlens.learn.data.packed import Texts
from convlens.learn.data.parts import Parts
from convlens.learn.data.samples import ClipSample
from convlens.learn.sources.clips import clip_frames
from convlens.learn.sources.finding import below
from convlens.learn.sources.formats import CLIPS, suffixes

__all__ = ["ClipFiles", "find_clips", "read_clips"]


class ClipFiles(FileSamples):
    """Clips of one category each, of which the first `frames` at `rate` a second are read.

    `pairs`: the classes that change places in a mirror, such as left and right.
    """

    sample = ClipSample

    def __init__(
        self,
        root: Path,
        names: Texts,
        labels: NDArray[np.int64],
        classes: tuple[str, ...],
        warnings: Sequence[str] = (),
        frames: int = 16,
        rate: float = 15.0,
    ) -> None:
        if frames < 1 or rate <= 0:
            raise ValueError(
                f"`frames` (={frames}) must be at least 1, and `rate` (={rate}) more than 0; use "
                "16 and 15"
            )
        super().__init__(root, names, labels, classes, warnings)
        self.frames, self.rate = frames, rate
        self.pairs = mirrored(classes)

    def at(self, frames: int, rate: float) -> ClipFiles:
        """Return the same clips with another number of frames, at another rate."""
        given = (self.root, self.names, self.labels(), self.classes, self.warnings)
        return ClipFiles(*given, frames, rate)

    def read(self, index: int) -> ClipSample:
        """Return a sample; its key is its path below the folder.

        The last frame of a short clip is repeated, and a warning says so.

        Raises ValueError as `clip_frames` does, and for frames of several sizes.
        """
        sample, count = self.counted(index)
        if count < self.frames:
            warnings.warn(
                f"`data` ({printed(self.root.name)}): some clips have fewer than {self.frames} "
                f"frames at {self.rate:g} a second; their last frame is repeated",
                UserWarning,
                stacklevel=2,
            )
        return sample

    def counted(self, index: int) -> tuple[ClipSample, int]:
        """Return a sample, and how many of its frames the clip has."""
        key = self.names[index]
        frames = self._decoded(index)
        places = np.minimum(np.arange(self.frames), len(frames) - 1)
        pixels = torch.from_numpy(np.stack(frames)[places]).permute(0, 3, 1, 2)
        return ClipSample(key, pixels, int(self.labels()[index]), self.pairs), len(frames)

    def _decoded(self, index: int) -> list[NDArray[np.uint8]]:
        """Return the first frames, (h, w, 3) each."""
        with closing(clip_frames(self.path(index), self.rate)) as frames:
            pixels = [frame.picture.pixels for frame in itertools.islice(frames, self.frames)]
        if len({one.shape for one in pixels}) > 1:
            raise ValueError(
                f"`source` ({printed(self.names[index])}) must have frames of one size, and has "
                "several; convert it"
            )
        return pixels


def find_clips(path: Path) -> Parts:
    """Return the parts of class folders of clips; none if no folder holds clips."""
    return class_parts(path, _clips_below, read_clips)


def read_clips(root: Path, classes: tuple[str, ...] | None = None) -> ClipFiles:
    """Read the clips below a folder, whose folders are the classes; see `read_folders`."""
    return ClipFiles(root, *class_files(root, classes, _clips_below, "clip"))


def _clips_below(folder: Path) -> Iterator[str]:
    for path in below(str(folder)):
        if path.lower().endswith(suffixes(CLIPS)):
            yield Path(path).relative_to(folder).as_posix()
