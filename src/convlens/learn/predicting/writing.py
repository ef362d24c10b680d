"""Write answers as they come: a drawing, then its line, so that a line means finished."""

from __future__ import annotations

import errno
import json
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from PIL import Image

from convlens.files import whole
from convlens.learn.predicting.file_names import Names
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.predicting.running import Seen
from convlens.learn.sentences import first_line, reason
from convlens.learn.sources.pictures.picture import Picture

__all__ = ["LINES", "RESERVED", "RUN", "OpenFilm", "Pen", "Writer", "line_of", "remember"]

LINES = "predictions.jsonl"
"""The file that holds the answers."""

RUN = "run.json"
"""The file that holds the settings of a folder's answers."""

RESERVED = (LINES, RUN)
"""Names in the folder that no drawing may take."""

_ROWS = 6  # of the panel of a film, whose frames have one size

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of the disk, which every other picture would meet, too."""


class OpenFilm(AbstractContextManager["OpenFilm"], Protocol):
    """A film that takes frames; leaving its context gives the file its name, `path`."""

    path: Path

    def write(self, image: Image.Image, time: float) -> None:
        """Add a frame shown from `time` on, in seconds."""


class Pen(Protocol):
    """An object that draws, such as the module `convlens.draw`."""

    def drawn(
        self, picture: Picture, prediction: Prediction, rows: int | None = None
    ) -> Image.Image:
        """Return a picture with its prediction."""

    def drawn_map(self, prediction: Prediction) -> Image.Image:
        """Return the map as a palette picture."""

    def Film(self, path: Path) -> OpenFilm:  # noqa: N802
        """Begin a film; the suffix is added to `path`."""


@dataclass
class _Clip:
    """A clip or a file of pages that is being written: its newest row, held back, and its film.

    `drawn_to`: the number of the first frame that is not drawn yet. `error`: why there is no film.
    """

    name: str
    row: dict[str, Any] | None = None
    film: OpenFilm | None = None
    file: str | None = None
    drawn_to: int = 0
    error: str | None = None


class Writer:
    """Writes predictions into a folder, in order; see `folder.predict_into`.

    If the drawing, film or line of a source fails, `write` or `end` returns that as the source's
    error. A full disk raises OSError, as all other sources would fail, too.
    """

    def __init__(self, out: Path, pen: Pen | None, names: Names) -> None:
        self._out, self._pen, self._names = out, pen, names
        self._lines: IO[str] = (out / LINES).open("a", encoding="utf-8")
        self._clip: _Clip | None = None

    def write(self, seen: Seen) -> list[Prediction]:
        """Draw a picture and write its line; that of a frame or page waits, as it may be the last.

        Return the prediction, after the error of a clip that ended before it.
        """
        prediction, ended = seen.prediction, []
        if self._clip is not None and self._clip.name != prediction.name:
            ended = self.end()
        if prediction.frame is not None:
            self._frames(seen)
        elif prediction.page is not None:
            prediction = self._page(seen)
        elif self._clip is not None:
            prediction = self._broken_off(self._clip, prediction)
        else:
            prediction, row = self._drawn(seen)
            self._put(row)
        return [*ended, prediction]

    def _broken_off(self, clip: _Clip, prediction: Prediction) -> Prediction:
        """End a clip with the reason why its rest was not read; the part before is finished."""
        self._end_film(clip)
        self._put(clip.row)
        if clip.error is not None:
            prediction = prediction.changed(error=f"{prediction.error}; {clip.error}")
        self._clip = None
        self._put(_row(prediction))
        return prediction

    def end(self) -> list[Prediction]:
        """Finish the clip that is being written; return its error, if it has one."""
        clip, self._clip = self._clip, None
        if clip is None:
            return []
        self._end_film(clip)
        if clip.error is None:
            self._put(clip.row and {**clip.row, "last": True})
            return []
        self._put(clip.row)
        warnings = tuple((clip.row or {}).get("warnings", ()))
        failed = Prediction(clip.name, error=clip.error, warnings=warnings)
        self._put(failed.to_dict())
        return [failed]

    def close(self) -> None:
        """Close the files; a clip that is being written is repeated by the next run."""
        if self._clip is not None:
            self._abandon(self._clip, KeyboardInterrupt())
            self._clip = None
        self._lines.close()

    def _put(self, row: dict[str, Any] | None) -> None:
        if row is None:
            return
        try:
            self._lines.write(line_of(row) + "\n")
            self._lines.flush()
        except OSError as error:
            raise _no_room(self._out, error) from error

    def _drawn(self, seen: Seen) -> tuple[Prediction, dict[str, Any]]:
        """Draw a picture; return its prediction and line."""
        prediction, files = seen.prediction, {}
        if self._pen is not None and prediction.error is None:
            try:
                files = self._draw(self._pen, seen.pictures[0], prediction)
            except Exception as error:  # it concerns this picture only
                prediction = prediction.changed(error=self._failed("drawing", error))
        return prediction, {**_row(prediction), **files}

    def _page(self, seen: Seen) -> Prediction:
        """Write the line of the page before, and draw this one."""
        if self._clip is None:
            self._clip = _Clip(seen.prediction.name)
        self._put(self._clip.row)
        prediction, self._clip.row = self._drawn(seen)
        return prediction

    def _draw(self, pen: Pen, picture: Picture, prediction: Prediction) -> dict[str, str]:
        """Draw a picture; return the names of files that are not the usual ones, for its line."""
        name = _place_of(prediction.name, prediction.page)
        other: dict[str, str] = {}
        if prediction.map is not None:
            file = self._names.take(f"{name}.map.png", name, ".map.png")
            other |= {"map": file} if file != f"{name}.map.png" else {}
            _save(pen.drawn_map(prediction), self._path(file), "PNG")
        usual = _drawing_of(name)
        file = self._names.take(usual, name, Path(usual).suffix)
        image = pen.drawn(picture, prediction)
        if usual.lower().endswith((".jpg", ".jpeg")):
            _save(image, self._path(file), "JPEG", quality=92, subsampling=0)
        else:
            _save(image, self._path(file), "PNG", compress_level=2)
        return other | ({"drawing": file} if file != usual else {})

    def _frames(self, seen: Seen) -> None:
        """Write the line of the frame before, and add these frames once to the clip's film."""
        if self._clip is None:
            self._clip = _Clip(seen.prediction.name)
        clip = self._clip
        self._put(clip.row)
        clip.row = None
        if self._pen is not None and clip.error is None:
            try:
                self._film(self._pen, clip, seen)
            except Exception as error:  # it concerns this clip only
                clip.error = self._failed("film", error)
                self._abandon(clip, error)
        clip.row = _row(seen.prediction)
        if clip.file is not None and clip.film is not None:
            clip.row["drawing"] = clip.file

    def _film(self, pen: Pen, clip: _Clip, seen: Seen) -> None:
        prediction, first = seen.prediction, seen.prediction.frame or 0
        if clip.film is None and seen.pictures:
            usual = _film_of(clip.name, pen.Film(self._out / "film").path.suffix)
            file = self._names.take(usual, clip.name, Path(usual).suffix)
            clip.file = None if file == usual else file
            clip.film = pen.Film(self._path(file).with_suffix("")).__enter__()
        for number, picture in enumerate(seen.pictures, first):
            if number >= clip.drawn_to and clip.film is not None:
                time = (prediction.time or 0.0) + (number - first) * seen.step
                clip.film.write(pen.drawn(picture, prediction, _ROWS), time)
        clip.drawn_to = first + len(seen.pictures)

    def _end_film(self, clip: _Clip) -> None:
        film, clip.film = clip.film, None
        if film is None:
            return
        try:
            film.__exit__(None, None, None)
        except Exception as error:
            clip.error = self._failed("film", error)

    def _abandon(self, clip: _Clip, error: BaseException) -> None:
        film, clip.film = clip.film, None
        if film is not None:
            with suppress(Exception):  # ending it may fail for the same reason
                film.__exit__(type(error), error, None)

    def _failed(self, what: str, error: Exception) -> str:
        """Return a sentence about why a drawing is missing; raise if the disk is the reason."""
        if getattr(error, "errno", None) in _FULL:
            raise _no_room(self._out, error) from error
        return f"its {what} could not be written ({type(error).__name__}: {first_line(error)})"

    def _path(self, file: str) -> Path:
        path = self._out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def line_of(row: dict[str, Any]) -> str:
    """Return a line of JSON; if a row cannot be one, its name and the reason.

    >>> line_of({"image": "a.png", "time": float("nan")})
    '{"image": "a.png", "error": "its answer could not be written (Out of range float values ...)"}'
    """
    try:
        return json.dumps(row, allow_nan=False)
    except (ValueError, TypeError) as error:
        said = f"its answer could not be written ({first_line(error)})"
        return json.dumps({"image": str(row.get("image")), "error": said})


def remember(row: dict[str, Any], names: Names) -> None:
    """Note which source has the files of a finished line, so that no other takes them."""
    name = _place_of(row["image"], row.get("page"))
    if "frame" in row:
        usual = [_film_of(name, suffix) for suffix in (".mp4", ".webp")]
    elif "error" in row:
        return
    else:
        usual = [_drawing_of(name)]
        names.keep(row.get("map", f"{name}.map.png"), name)
    for file in [row["drawing"]] if "drawing" in row else usual:
        names.keep(file, name)


def _place_of(name: str, page: int | None) -> str:
    return name if page is None else f"{name}.page-{page}"


def _drawing_of(name: str) -> str:
    return name if name.lower().endswith((".jpg", ".jpeg", ".png")) else f"{name}.png"


def _film_of(name: str, suffix: str) -> str:
    return f"{name[:-4] if name.lower().endswith('.mp4') else name}{suffix}"


def _row(prediction: Prediction) -> dict[str, Any]:
    try:
        return prediction.to_dict()
    except Exception as error:  # such as no memory for the masks of this picture
        said = f"its answer could not be written ({type(error).__name__}: {first_line(error)})"
        return prediction.changed(error=said, labels=prediction.labels[:0]).to_dict()


def _no_room(out: Path, error: Exception) -> OSError:
    return OSError(
        f"`out` (={str(out)!r}) cannot be written ({reason(error)}); make room there, and run the "
        "same command again to resume"
    )


def _save(image: Image.Image, path: Path, kind: str, **options: Any) -> None:
    with whole(path, durable=False) as beside:
        image.save(beside, kind, **options)
