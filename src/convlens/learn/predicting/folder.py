"""Predict into a folder, as JSON lines and drawings; resume where an earlier run was stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from convlens.files import expanded, sweep, whole
from convlens.learn.locking import alone, is_ours, make_folder, not_written
from convlens.learn.opening import Opened
from convlens.learn.predicting.file_names import Names
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.predicting.running import Running
from convlens.learn.predicting.starting import Settings, run_of, with_defaults
from convlens.learn.predicting.writing import LINES, RESERVED, RUN, Pen, Writer, remember
from convlens.learn.sources.reading import Source, Sources, read_sources

__all__ = ["Job", "predict_into"]

_CURE = "name another folder with --out, or start again with --restart"


@dataclass(eq=False)
class Job:
    """A run into a folder; iterating over it yields each prediction once its line is written.

    `finished`: the number of pictures and clips that earlier runs finished, of `total`, which is
    None for a camera. `predicted` and `failed`: the numbers that this run did, and could not do.
    `latest`: the name of the last one, and whether it failed.
    """

    out: Path
    run: Running
    sources: Sources
    done: set[str]
    pen: Pen | None
    finished: int
    total: int | None
    names: Names
    predicted: int = 0
    failed: int = 0
    latest: str | None = None
    latest_failed: bool | None = None

    def __iter__(self) -> Iterator[Prediction]:
        """Yield the predictions that are not finished, in order; a later run resumes a stopped one.

        Raises ValueError if another run is writing into the folder, OSError for a full disk.
        """
        with alone(self.out):
            yield from self._written()

    def _written(self) -> Iterator[Prediction]:
        writer = Writer(self.out, self.pen, self.names)
        pool = ThreadPoolExecutor(1, thread_name_prefix="convlens-write")
        waiting: deque[Future[list[Prediction]]] = deque()
        try:
            with closing(self.run.over(self._left())) as seen:
                for one in seen:
                    waiting.append(pool.submit(writer.write, one))
                    # One batch may wait to be written while the next is computed.
                    while len(waiting) > self.run.batch:
                        yield from self._counted(waiting.popleft().result())
            while waiting:
                yield from self._counted(waiting.popleft().result())
            yield from self._counted(writer.end())
        finally:
            pool.shutdown(cancel_futures=True)
            try:
                if self.total is None:  # only stopping ends a camera
                    writer.end()
            finally:
                writer.close()

    def summary(self) -> str:
        """Return a sentence about how many pictures and clips were done."""
        if self.total is not None and self.finished == self.total:
            return "nothing was left to predict"
        said = f"{self.predicted:,} predicted"
        if self.failed:
            said += f", {self.failed:,} could not be read (see {self.out / LINES})"
        return said

    def _left(self) -> Generator[Source, None, None]:
        """Yield the sources that are not finished, each once."""
        for source in self.sources:
            if source.name not in self.done:
                self.done.add(source.name)
                yield source

    def _counted(self, predictions: list[Prediction]) -> Iterator[Prediction]:
        """Yield the same, counted; a clip or file of pages counts once, as failed if a part did."""
        for prediction in predictions:
            if prediction.name != self.latest:
                self.latest, self.latest_failed = prediction.name, None
            if prediction.error is not None and not self.latest_failed:
                self.failed += 1
                self.predicted -= self.latest_failed is not None
                self.latest_failed = True
            elif prediction.error is None and self.latest_failed is None:
                self.predicted += 1
                self.latest_failed = False
            yield prediction


def predict_into(
    network: str | nn.Module | Opened,
    source: object,
    out: str | Path,
    *,
    pen: Pen | None = None,
    restart: bool = False,
    **settings: Unpack[Settings],
) -> Job:
    """Return the job of predicting on `source` into the folder `out`, to iterate over.

    The other arguments are those of `convlens.predict`. The folder gets:

    - `predictions.jsonl`, with a line for each picture, page, frame or stretch of a clip, as
      `Prediction.to_dict` has it. The last line of a file with several has "last": true;
    - with `pen` (the module `convlens.draw`), a drawing of each picture under its own relative name
      (pages as `NAME.page-0.png`), a clip as a film, and maps as `NAME.map.png`;
    - `run.json`, with which a later call resumes. `restart` begins again instead.

    Raises ValueError for what `predict` refuses, for a folder with files that are not an earlier
    run's, and if that run used another network, other weights or settings.

    >>> import tempfile
    >>> from convlens.zoo.weights import DATA
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = [p.name for p in predict_into("digits", DATA / "digit-3.png", folder)]
    ...     again = [p.name for p in predict_into("digits", DATA / "digit-3.png", folder)]
    >>> first, again
    (['digit-3.png'], [])
    """
    folder = _checked_folder(expanded(out))
    sources = read_sources(source, skip=folder)
    run = run_of(network, **settings)
    facts = _facts(run.opened, sources, pen, with_defaults(settings))
    names = Names(folder, RESERVED)
    make_folder(folder)
    with alone(folder):
        done = set() if restart else _earlier(folder, facts, names)
        sweep(folder)
        _begin(folder, facts, restart)
    total = sources.count()
    finished = len(done) if total is None else sum(one.name in done for one in sources)
    return Job(folder, run, sources, done, pen, finished, total, names)


def _facts(opened: Opened, sources: Sources, pen: Pen | None, settings: Settings) -> dict[str, Any]:
    """Return what decides an answer, so that a run is resumed only where it is the same."""
    return {
        "network": opened.name,
        "weights": str(settings["weights"]),
        "digest": _digest(opened.network),
        "size": settings["size"],
        "crop": settings["crop"],
        "normalize": settings["normalize"],
        "threshold": settings["threshold"],
        "top": settings["top"],
        "every": settings["every"],
        "draw": pen is not None,
        "root": None if sources.root is None else str(sources.root),
    }


def _checked_folder(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise ValueError(f"`out` (={str(out)!r}) must be a folder, and is a file; name another")
    try:
        others = out.is_dir() and any(not is_ours(path.name) for path in out.iterdir())
        is_runs = (out / RUN).is_file()
    except OSError as error:
        raise not_written(out, error) from error
    if others and not is_runs:
        raise ValueError(
            f"`out` (={str(out)!r}) must be new, empty or an earlier run's, and has other files, "
            "which drawings could replace; name another folder"
        )
    return out


def _digest(network: nn.Module) -> str:
    """Return 8 hexadecimal digits of all its numbers, which identify the weights."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        numbers = tensor.detach().cpu().contiguous().reshape(-1)
        found.update(numbers.view(torch.uint8).numpy().data)
    return found.hexdigest()[:8]


def _earlier(folder: Path, facts: dict[str, Any], names: Names) -> set[str]:
    """Return the names that an earlier run finished; raise ValueError if its settings differ."""
    if not (folder / RUN).is_file():
        return set()
    try:
        before = json.loads((folder / RUN).read_text())
        different = next((key for key in facts if before.get(key) != facts[key]), None)
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"`out` (={str(folder)!r}) must hold a {RUN} that can be read ({error}); {_CURE}"
        ) from error
    if different is not None:
        raise ValueError(_difference(different, before, facts, folder))
    return _finished(folder / LINES, names)


def _difference(key: str, before: dict[str, Any], facts: dict[str, Any], folder: Path) -> str:
    """Say that a setting is not the one of the earlier run, and the cure."""
    if key == "digest":
        return (
            f"`weights` (={facts['weights']!r}) must be the numbers that made the answers in "
            f"{folder}, and are others; {_CURE}"
        )
    return (
        f"`{key}` (={facts[key]!r}) must be {before.get(key)!r}, which made the answers in "
        f"{folder}; {_CURE}"
    )


def _finished(path: Path, names: Names) -> set[str]:
    """Return the sources of whole lines; cut what follows: a torn line, or parts of a source."""
    done: set[str] = set()
    if not path.is_file():
        return done
    end = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            row = _row(line)
            if row is None:
                if lines.read(1):
                    raise ValueError(
                        f"`out` ({path}) must have a JSON object on each line, and line {number} "
                        "is not one; mend it, or start again with --restart"
                    )
                break
            remember(row, names)
            if row.get("last") or ("frame" not in row and "page" not in row):
                done.add(row["image"])
                end = lines.tell()
    os.truncate(path, end)
    return done


def _row(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("image"), str) else None


def _begin(folder: Path, facts: dict[str, Any], restart: bool) -> None:
    with whole(folder / RUN) as beside:
        beside.write_text(json.dumps(facts, indent=1) + "\n")
        if restart:  # not before the new file has room
            (folder / LINES).unlink(missing_ok=True)
