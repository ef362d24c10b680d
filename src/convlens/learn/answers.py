"""Predict into a folder: JSON lines and drawings, and go on where an earlier run was stopped."""

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
from typing import Any

import torch
from torch import nn

from convlens.files import expanded, whole
from convlens.learn.opening import Opened
from convlens.learn.predicting import Running, device_for, opened_for, running
from convlens.learn.predictions import Limits, Prediction
from convlens.learn.sources import Source, Sources, read_sources
from convlens.learn.writing import LINES, Pen, Writer

__all__ = ["Answers", "answer"]

RUN = "run.json"
"""The file that says what a folder's answers were made with."""


@dataclass(eq=False)
class Answers:
    """A job: iterate over it for the predictions, each after its line and drawing are on the disk.

    `finished`: how many pictures and clips an earlier run left done; `total`: of how many, None
    where a camera has no end; `predicted` and `failed`: how many this run did, and could not;
    `latest`: the name of the one done last.
    """

    out: Path
    run: Running
    sources: Sources
    done: set[str]
    pen: Pen | None
    finished: int
    total: int | None
    predicted: int = 0
    failed: int = 0
    latest: str | None = None
    _latest_failed: bool = False

    def __iter__(self) -> Iterator[Prediction]:
        """Yield the predictions of what is not finished, in order; stopping early loses nothing."""
        writer = Writer(self.out, self.pen)
        pool = ThreadPoolExecutor(1, thread_name_prefix="convlens-write")
        waiting: deque[tuple[Prediction, Future[None]]] = deque()
        ended = False
        try:
            with closing(self.run.over(self._left())) as seen:
                for one in seen:
                    waiting.append((one.prediction, pool.submit(writer.write, one)))
                    # A batch may wait to be written while the next is computed.
                    while len(waiting) > self.run.batch:
                        yield self._written(*waiting.popleft())
            while waiting:
                yield self._written(*waiting.popleft())
            ended = True
        finally:
            pool.shutdown(cancel_futures=True)
            writer.close(whole=ended or self.total is None)

    def summary(self) -> str:
        """Return in a sentence how many pictures and clips were done."""
        if self.total is not None and self.finished == self.total:
            return "nothing was left to predict"
        said = f"{self.predicted:,} predicted"
        if self.failed:
            said += f", {self.failed:,} could not be read (see {self.out / LINES})"
        return said

    def _left(self) -> Generator[Source, None, None]:
        """What is not finished; what is named twice, once."""
        for source in self.sources:
            if source.name not in self.done:
                self.done.add(source.name)
                yield source

    def _written(self, prediction: Prediction, future: Future[None]) -> Prediction:
        future.result()
        again = prediction.name == self.latest  # a clip, or a file of pages, is counted once,
        self._latest_failed &= again
        self.latest = prediction.name
        if prediction.error is None:
            self.predicted += not again
        elif not self._latest_failed:
            self.failed += 1
            self.predicted -= again  # and as one that failed where a part of it did
            self._latest_failed = True
        return prediction


def answer(
    network: str | nn.Module | Opened,
    source: object,
    out: str | Path,
    *,
    batch: int = 8,
    weights: str | Path | None = "DEFAULT",
    threshold: float = 0.5,
    top: int = 5,
    every: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
    device: str | torch.device | None = None,
    pen: Pen | None = None,
    restart: bool = False,
) -> Answers:
    """Return the job of predicting on `source` into the folder `out`, ready to be iterated over.

    The arguments are those of `convlens.predict`. Into `out` go `predictions.jsonl`, a line a
    picture (or page, frame, or stretch of a clip, the last of a file with "last": true) as
    `Prediction.to_dict` says it; with `pen` (the module `convlens.draw`) each picture drawn under
    its own relative name (pages as `NAME.page-0.png`), a clip as a film, and maps as
    `NAME.map.png`; and `run.json`, by which a later call goes on with what is not finished.
    `restart` begins anew.

    Raises ValueError for what `predict` refuses, for a folder that holds other files than an
    earlier run's, and where that run was of another network, weights or settings.

    >>> import tempfile
    >>> from convlens.zoo.weights import DATA
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = [p.name for p in answer("digits", DATA / "digit-3.png", folder)]
    ...     again = [p.name for p in answer("digits", DATA / "digit-3.png", folder)]
    >>> first, again
    (['digit-3.png'], [])
    """
    folder = _checked_folder(expanded(out))
    sources = read_sources(source, skip=folder)
    limits = Limits(threshold, top)
    opened = opened_for(network, weights=weights, size=size, crop=crop, normalize=normalize)
    device = device_for(network, device)
    run = running(opened, limits, batch=batch, every=every, device=device)
    facts = {
        "network": opened.name,
        "weights": str(weights),
        "digest": _digest(opened.network),
        "size": size,
        "crop": crop,
        "normalize": normalize,
        "threshold": threshold,
        "top": top,
        "every": every,
        "draw": pen is not None,
        "root": None if sources.root is None else str(sources.root),
    }
    done = set() if restart else _earlier(folder, facts)
    _begin(folder, facts, restart)
    total = sources.count()
    finished = len(done) if total is None else sum(one.name in done for one in sources)
    return Answers(folder, run, sources, done, pen, finished, total)


def _checked_folder(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise ValueError(f"`out` (={str(out)!r}) must be a folder, and is a file; name another")
    if out.is_dir() and any(out.iterdir()) and not (out / RUN).is_file():
        raise ValueError(
            f"`out` (={str(out)!r}) must be new, empty or of an earlier run, and holds other files "
            "that drawings could replace; name another folder"
        )
    return out


def _digest(network: nn.Module) -> str:
    """8 hexadecimal digits of all its numbers: weights are told apart by what they are."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        numbers = tensor.detach().cpu().contiguous().reshape(-1)
        found.update(numbers.view(torch.uint8).numpy().data)
    return found.hexdigest()[:8]


def _earlier(folder: Path, facts: dict[str, Any]) -> set[str]:
    """The names an earlier run finished; ValueError where it was another's."""
    if not (folder / RUN).is_file():
        return set()
    cure = "name another folder with --out, or begin anew with --restart"
    try:
        before = json.loads((folder / RUN).read_text())
        different = next((key for key in facts if before.get(key) != facts[key]), None)
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"`out` (={str(folder)!r}) must hold a {RUN} that can be read ({error}); {cure}"
        ) from error
    if different == "digest":
        raise ValueError(
            f"`weights` (={facts['weights']!r}) must hold the numbers that the answers in "
            f"{folder} were made with, and hold others; {cure}"
        )
    if different is not None:
        raise ValueError(
            f"`{different}` (={facts[different]!r}) must be {before.get(different)!r}, which the "
            f"answers in {folder} were made with; {cure}"
        )
    return _finished(folder / LINES)


def _finished(path: Path) -> set[str]:
    """The names of whole lines; what follows them, torn or of a clip or pages not ended, is cut."""
    names: set[str] = set()
    if not path.is_file():
        return names
    end, broken = 0, 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            row = _row(line)
            if row is None:
                broken = number
                break
            parts = "page" in row or ("frame" in row and "error" not in row)
            if row.get("last") or not parts:
                names.add(row["image"])
                end = lines.tell()
        if lines.read(1):
            raise ValueError(
                f"`out` ({path}) must hold a JSON object a line, and line {broken} is none; mend "
                "it, or begin anew with --restart"
            )
    os.truncate(path, end)
    return names


def _row(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("image"), str) else None


def _begin(folder: Path, facts: dict[str, Any], restart: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / RUN) as beside:
        beside.write_text(json.dumps(facts, indent=1) + "\n")
        if restart:  # not before there was room for the new
            (folder / LINES).unlink(missing_ok=True)
