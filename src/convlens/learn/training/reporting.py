"""Write the page of a measured run: its measures, its worst mistakes, and pictures to open."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.files import expanded, whole, write_whole
from convlens.learn.data.samples import ClipSample, Sample
from convlens.learn.locking import make_folder
from convlens.learn.measuring.history import read_history
from convlens.learn.measuring.report import Measured, lab_command, report_page
from convlens.learn.training.validation import Validation

__all__ = ["write_report"]

Pen = Callable[[Sample, tuple[str, ...]], Image.Image]
"""What draws a sample with its labels."""


def write_report(
    validation: Validation, out: str | Path | None = None, pen: Pen | None = None
) -> Path:
    """Write the page of a measured run to `out`, by default the folder `report` of the run.

    Beside it are the pictures on it as the network sees them, which the commands on the page open.
    `pen`: draws the labels over them. Returns the page's path.

    Raises OSError if the folder cannot be written.
    """
    folder = validation.folder.path / "report" if out is None else expanded(out)
    make_folder(folder)
    pictures = _PagePictures(validation, folder, pen)
    answers = validation.found()
    measured = Measured(
        run=str(validation.folder.path),
        classes=validation.facts.classes,
        values=answers.values,
        judgements=answers.judgements,
        state=answers.measure.state(),
        by_class=answers.measure.by_class(),
        notes=answers.measure.notes(),
        history=read_history(validation.folder.history),
    )
    page = folder / "index.html"
    write_whole(page, report_page(measured, pictures.drawn, command=pictures.command))
    return page


class _PagePictures:
    """The pictures on a page, read again and written beside it."""

    def __init__(self, validation: Validation, folder: Path, pen: Pen | None) -> None:
        self.folder, self.pen = folder, pen
        self.samples = validation.reading.samples
        self.classes = tuple(self.samples.classes)
        judged = validation.judgements
        self.places = {one.key: at for at, one in reversed(list(enumerate(judged)))}

    def drawn(self, key: str) -> NDArray[np.uint8]:
        """Return a sample's picture with its labels, and keep it as a file without them."""
        sample = self.samples.read(self.places[key])
        with whole(self._file(key)) as beside:
            plain(sample).save(beside)
        image = plain(sample)
        if self.pen is not None and not _pixels(sample).is_floating_point():
            image = self.pen(sample, self.classes)
        return np.asarray(image.convert("RGB"))

    def command(self, run: str, key: str) -> str:
        """Return the command that opens a picture on the page."""
        return lab_command(run, str(self._file(key)))

    def _file(self, key: str) -> Path:
        stem = re.sub(r"[^\w.-]+", "-", key).strip("-.")[-80:]
        return self.folder / f"{self.places[key]}-{stem or 'sample'}.png"


def plain(sample: Any) -> Image.Image:
    """Return a sample's picture, or the middle frame of a clip; floats by their range."""
    pixels = _pixels(sample)
    if pixels.is_floating_point():
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) * (255 / max(high - low, 1e-9))).round().byte()
    shown = np.ascontiguousarray(pixels.movedim(0, -1).numpy())
    return Image.fromarray(shown[:, :, 0] if shown.shape[2] != 3 else shown)


def _pixels(sample: Any) -> Tensor:
    if isinstance(sample, ClipSample):
        return sample.frames[len(sample.frames) // 2]
    picture: Tensor = sample.picture
    return picture
