"""Download a released file of weights once, whole and checked, into the folder of torch.hub."""

from __future__ import annotations

import contextlib
import http.client
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock, Timeout

from convlens.files import give_name
from convlens.zoo.weights.digests import sha256_of
from convlens.zoo.weights.released import AT_RANDOM, Weights

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["fetch", "weights_folder"]

SECONDS = 10.0
"""How long to wait for a silent server."""

TRIES = 3
"""How often in a row a connection may break before a new byte arrives."""

PAUSE = 1.0
"""Seconds between these tries."""


def weights_folder() -> Path:
    """Return the folder the files are kept in: that of `torch.hub.load_state_dict_from_url`.

    >>> weights_folder().name
    'checkpoints'
    """
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch(weights: Weights, progress: bool = True) -> Path:
    """Return the path of the file of `weights`, after downloading it if need be.

    The download goes to `<file>.part`, continues where an earlier one broke off, and takes its name
    once its sha256 begins with the digits in the name. If several processes ask for a file, one
    downloads and the others wait. `progress`: draw a bar if the error stream is a terminal.

    Raises ConnectionError without a connection, with the name and place of the file to supply, and
    for a server that refuses or breaks off. Raises ValueError for a file of another sha256, and
    OSError for a full disk or a folder that cannot be written.

    >>> from convlens.zoo import weights
    >>> fetch(weights("resnet18")).name  # doctest: +SKIP
    'resnet18-f37072fd.pth'
    """
    path = weights_folder() / weights.file
    if path.is_file():
        return path
    lock = Path(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(lock, weights.file if progress else None):
            if not path.is_file():
                _download(weights, path, progress)
            # Processes that wait for this lock find the file, and so do those that make another.
            with contextlib.suppress(OSError):
                lock.unlink()
    except ConnectionError:
        raise
    except OSError as error:
        raise OSError(
            f"`weights` ({weights.file}) must be written into {path.parent}, which failed "
            f"({error.strerror or error}); make room there, set TORCH_HOME to another folder, "
            f"{AT_RANDOM}"
        ) from error
    return path


@contextlib.contextmanager
def _alone(lock: Path, file: str | None) -> Iterator[None]:
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if file:
            print(f"waiting for another process that downloads {file}", file=sys.stderr)
        held.acquire()
    try:
        yield
    finally:
        held.release()


class _Broken(Exception):
    """The connection ended before the file did."""


def _download(weights: Weights, path: Path, progress: bool) -> None:
    part = Path(f"{path}.part")
    fruitless = 0
    with _bar(progress) as bar:
        while True:
            before = _length(part)
            try:
                _receive(weights, part, bar)
                break
            except _Broken as error:
                fruitless = 0 if _length(part) > before else fruitless + 1
                if fruitless == TRIES:
                    raise ConnectionError(
                        f"`weights` ({weights.file}) came only in part: {weights.url} broke off "
                        f"after {_length(part):,} bytes ({error}); run it again to go on from "
                        f"there, {AT_RANDOM}"
                    ) from error
            if fruitless:
                time.sleep(PAUSE)
    digest = sha256_of(part)
    if not digest.startswith(weights.digest):
        part.unlink()
        raise ValueError(
            f"`weights` ({weights.file}) must have a sha256 that begins with {weights.digest}, and "
            f"what {weights.url} sent begins with {digest[:8]}, so it was deleted; "
            f"run it again, as a proxy may have changed it, {AT_RANDOM}"
        )
    give_name(part, path)


def _receive(weights: Weights, part: Path, bar: Progress) -> None:
    """Append to `part` what it lacks, or replace it if the server sends the whole file."""
    before = _length(part)
    try:
        response = _asked(weights.url, before)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part's last byte is the file's
            if not sha256_of(part).startswith(weights.digest):
                part.unlink()
                raise _Broken("what was there is not its beginning") from error
            return
        raise ConnectionError(
            f"`weights` ({weights.file}) could not be downloaded: {weights.url} answered "
            f"{error.code} {error.reason}; {_by_hand(weights)}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise ConnectionError(
            f"`weights` ({weights.file}) must be downloaded once, and {weights.url} cannot be "
            f"reached ({reason}); {_by_hand(weights)}"
        ) from error
    with response:
        start, total = _extent(response)
        if start not in (0, before):
            part.unlink()
            raise _Broken("the server sent other bytes than it was asked for")
        with part.open("ab" if start else "wb") as file:
            task = bar.add_task(weights.file, total=total, completed=start)
            try:
                while block := _block(response):
                    file.write(block)
                    bar.advance(task, len(block))
            finally:
                bar.remove_task(task)
    if total is not None and _length(part) < total:
        raise _Broken(f"of {total:,}")


def _asked(url: str, start: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "convlens"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=SECONDS)
    return response


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return the first byte of the answer, and the bytes of the file if the server says."""
    extent = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == 206:
        return (int(extent[1]), int(extent[2])) if extent else (-1, None)
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and length.isdecimal() else None


def _block(response: http.client.HTTPResponse) -> bytes:
    # Only a failure to read from the network is a broken connection; the disk fails elsewhere.
    try:
        return response.read1(1 << 18)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from error


def _bar(progress: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    rates = (TransferSpeedColumn(), TimeRemainingColumn())
    shown = progress and console.is_terminal
    return Progress(*columns, *rates, console=console, disable=not shown)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _by_hand(weights: Weights) -> str:
    return f"get {weights.file} elsewhere and put it into {weights_folder()}, {AT_RANDOM}"
