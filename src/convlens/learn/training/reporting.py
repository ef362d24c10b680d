"""Write the page of a measured run: its measures, its worst mistakes, and samples to open."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.files import expanded, write_whole
from convlens.learn.data.samples import ClipSample, Sample
from convlens.learn.locking import make_folder
from convlens.learn.measuring.history import read_history
from convlens.learn.measuring.report import Measured, lab_command, report_page
from convlens.learn.training.examples import write_sample
from convlens.learn.training.validation import Validation

__all__ = ["write_report"]

Pen = Callable[[Sample, tuple[str, ...]], Image.Image]
"""What draws a sample with its labels."""


def write_report(
    validation: Validation, out: str | Path | None = None, pen: Pen | None = None
) -> Path:
    """Write the page of a measured run to `out`, by default the folder `report` of the run.

    Beside it are the samples on it as the network reads them, which the commands on the page open,
    and its links where a lab serves it. `pen`: draws the labels over them. Returns the page's path.

    Raises OSError if the folder cannot be written.
    """
    folder = validation.folder.report if out is None else expanded(out)
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
    text = report_page(measured, pictures.drawn, command=pictures.command, link=pictures.link)
    write_whole(page, text)
    return page


class _PagePictures:
    """The samples on a page, read again, drawn and written beside it."""

    def __init__(self, validation: Validation, folder: Path, pen: Pen | None) -> None:
        self.folder, self.pen, self.validation = folder, pen, validation
        self.classes = tuple(validation.reading.samples.classes)
        judged = validation.judgements
        self.places = {one.key: at for at, one in reversed(list(enumerate(judged)))}
        self.files: dict[str, Path] = {}

    def drawn(self, key: str) -> list[NDArray[np.uint8]]:
        """Return a sample's picture: with what was said, if that can be drawn, and with the truth.

        Where a label is a word it is drawn as it is in the data, larger than the network sees it.
        """
        place = self.places[key]
        both = self.validation.answered(place)
        if both is None:
            return [self._draw(self.validation.reading.samples.read(place))]
        sample, answered = both
        return [self._draw(answered), self._draw(sample)]

    def _draw(self, sample: Sample) -> NDArray[np.uint8]:
        if self.pen is None or _pixels(sample).is_floating_point():
            return np.asarray(plain(sample).convert("RGB"))
        return np.asarray(self.pen(sample, self.classes).convert("RGB"))

    def command(self, run: str, key: str) -> str:
        """Return the command that opens a sample on the page."""
        return lab_command(run, str(self._file(key)))

    def link(self, key: str) -> str:
        """Return the address of a sample, from the page on."""
        return quote(self._file(key).name)

    def _file(self, key: str) -> Path:
        """Return the file of a sample beside the page, which is written the first time."""
        if key not in self.files:
            place = self.places[key]
            name = re.sub(r"[^\w.-]+", "-", key).strip("-.")[-80:]
            stem = self.folder / (str(place) if name in ("", str(place)) else f"{place}-{name}")
            self.files[key] = write_sample(self.validation.reading, place, stem)
        return self.files[key]


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
