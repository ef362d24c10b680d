"""Write answers as they come: a drawing first, then its line, so that a line means finished."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

from PIL import Image

from convlens.files import whole
from convlens.learn.pictures import Picture
from convlens.learn.predicting import Seen
from convlens.learn.predictions import Prediction

__all__ = ["LINES", "FilmInTheMaking", "Pen", "Writer"]

LINES = "predictions.jsonl"

_ROWS = 6  # of a panel beside a film, whose frames are of one size


class FilmInTheMaking(AbstractContextManager["FilmInTheMaking"], Protocol):
    """What frames are given to, and what gets its name at the end."""

    def write(self, image: Image.Image, time: float) -> None:
        """Add a frame shown from `time` on, in seconds."""


class Pen(Protocol):
    """What draws, as the module `convlens.draw` does."""

    def drawn(
        self, picture: Picture, prediction: Prediction, rows: int | None = None
    ) -> Image.Image:
        """Return a picture with what was said of it."""

    def drawn_map(self, prediction: Prediction) -> Image.Image:
        """Return the map as a palette picture."""

    def Film(self, path: Path) -> FilmInTheMaking:  # noqa: N802
        """Begin a film; `path` lacks the suffix."""


class Writer:
    """Writes what it is given, in order, into a folder; see `convlens.learn.answers.answer`."""

    def __init__(self, out: Path, pen: Pen | None) -> None:
        self._out, self._pen = out, pen
        self._lines: IO[str] = (out / LINES).open("a", encoding="utf-8")
        self._clip: dict[str, Any] | None = None  # the line of its newest frame or page, held back
        self._film: FilmInTheMaking | None = None
        self._drawn_to = 0  # the number of the clip's first frame not drawn yet

    def write(self, seen: Seen) -> None:
        """Draw a picture and write its line; a frame's or page's waits, as it may be the last."""
        row = seen.prediction.to_dict()
        if self._clip is not None:
            same = self._clip["image"] == row["image"]
            ended = not same or ("error" in row and "page" not in row)
            self._end_clip(last=not same) if ended else self._put(self._clip)
            self._clip = None
        if seen.prediction.page is not None:
            self._draw(seen)
            self._clip = row
        elif seen.prediction.frame is None:
            self._draw(seen)
            self._put(row)
        else:
            self._draw_frames(seen)
            self._clip = row

    def close(self, whole: bool) -> None:
        """End; a clip that is being written is finished where `whole`, else left to be repeated."""
        if self._clip is not None and whole:
            self._end_clip(last=True)
        elif self._film is not None:
            self._film.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        self._lines.close()

    def _put(self, row: dict[str, Any]) -> None:
        self._lines.write(json.dumps(row, allow_nan=False) + "\n")
        self._lines.flush()

    def _end_clip(self, last: bool) -> None:
        if self._film is not None:
            self._film.__exit__(None, None, None)
            self._film = None
        self._drawn_to = 0
        if self._clip is not None:
            self._put({**self._clip, "last": True} if last else self._clip)

    def _draw(self, seen: Seen) -> None:
        prediction = seen.prediction
        if self._pen is None or prediction.error is not None:
            return
        path = self._path(prediction.name)
        if prediction.page is not None:
            path = path.with_name(f"{path.name}.page-{prediction.page}")
        if prediction.map is not None:
            _save(self._pen.drawn_map(prediction), path.with_name(path.name + ".map.png"), "PNG")
        image = self._pen.drawn(seen.pictures[0], prediction)
        suffix = path.suffix.lower()
        if suffix in (".jpg", ".jpeg"):
            _save(image, path, "JPEG", quality=92, subsampling=0)
        else:
            path = path if suffix == ".png" else path.with_name(path.name + ".png")
            _save(image, path, "PNG", compress_level=2)

    def _draw_frames(self, seen: Seen) -> None:
        """Into the clip's film, but for those that the stretch before had too."""
        prediction = seen.prediction
        if self._pen is None or prediction.frame is None:
            return
        if self._film is None:
            path = self._path(prediction.name)
            base = path.with_suffix("") if path.suffix.lower() == ".mp4" else path
            self._film = self._pen.Film(base).__enter__()
        for number, picture in enumerate(seen.pictures, prediction.frame):
            if number >= self._drawn_to:
                time = (prediction.time or 0.0) + (number - prediction.frame) * seen.step
                self._film.write(self._pen.drawn(picture, prediction, _ROWS), time)
        self._drawn_to = prediction.frame + len(seen.pictures)

    def _path(self, name: str) -> Path:
        path = self._out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _save(image: Image.Image, path: Path, kind: str, **options: Any) -> None:
    with whole(path, durable=False) as beside:
        image.save(beside, kind, **options)
