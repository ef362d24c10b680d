"""Compare predicting on a folder with the network alone on tensors made before."""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from bench.figures import Figure
from convlens import draw
from convlens.learn.opening import Opened
from convlens.learn.predicting.folder import predict_into
from convlens.learn.predicting.starting import opened_for, predict
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.reading import read_sources
from convlens.zoo.weights import DATA
from tests.cases.clips import film

ROUNDS = 3

# How many pictures (or stretches of clips) a round has, and how many are run at once.
NETWORKS = {
    "resnet50": (500, 8),
    "mobilenet_v3_large": (500, 8),
    "fasterrcnn_resnet50_fpn": (8, 2),
    "r3d_18": (16, 2),
}
BEYOND = 1.15  # what the time of predicting over the network's alone may be, for resnet50


def measure() -> list[Figure]:
    figures = []
    for network, (count, batch) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            make = _clips if network == "r3d_18" else _photographs
            make(Path(folder), count)
            figures += _network(network, Path(folder), batch)
        gc.collect()
    return figures


def _network(name: str, folder: Path, batch: int) -> list[Figure]:
    opened = opened_for(name, weights="none")
    ready = _ready(opened, folder, batch)
    count = sum(len(x) for x in ready)
    ways: dict[str, Callable[[], int]] = {
        "the network alone": lambda: _bare(opened, ready),
        "predict": lambda: sum(1 for _ in predict(opened, folder, batch=batch)),
        "predict, JSON lines and drawings": lambda: _job(opened, folder, batch),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    _bare(opened, ready[:2])  # warms up
    for _ in range(ROUNDS):
        for way, run in ways.items():
            began = time.perf_counter()
            done = run()
            seconds[way].append((time.perf_counter() - began) / count)
            if done != count:
                raise RuntimeError(f"{name}, {way}: {done} of {count} were predicted")
    figures = [
        Figure.of(f"{name}, {way}", [1 / span for span in spans], "a second")
        for way, spans in seconds.items()
    ]
    alone = seconds.pop("the network alone")
    for way, spans in seconds.items():
        ratios = [span / bare for span, bare in zip(spans, alone, strict=True)]
        target = BEYOND if name == "resnet50" else None
        note = f"{count} of {batch} at once, {statistics.median(spans) * 1e3:.1f} ms each"
        figures.append(Figure.of(f"{name}, {way} / alone", ratios, "x", target, note))
    return figures


def _ready(opened: Opened, folder: Path, batch: int) -> list[Tensor]:
    """Return the batches that predicting makes of the folder, prepared beforehand."""
    if opened.preparation is None:
        raise RuntimeError(f"{opened.name} reads no pictures")
    paths = [source.path for source in read_sources(folder) if source.path is not None]
    if opened.frames is not None:
        still = opened.preparation.clip([read_picture(DATA / "cat.jpg")] * opened.frames[0])
        inputs = [still] * len(paths)
    else:
        inputs = [opened.preparation(read_picture(path)) for path in paths]
    return [torch.cat(inputs[at : at + batch]) for at in range(0, len(inputs), batch)]


def _bare(opened: Opened, ready: list[Tensor]) -> int:
    with torch.inference_mode():
        for x in ready:
            opened.network(x)
    return sum(len(x) for x in ready)


def _job(opened: Opened, folder: Path, batch: int) -> int:
    with tempfile.TemporaryDirectory() as out:
        return sum(
            1 for _ in predict_into(opened, folder, Path(out) / "out", batch=batch, pen=draw)
        )


def _photographs(folder: Path, count: int) -> None:
    """Make different JPEG pictures of 500 x 375."""
    cat = Image.open(DATA / "cat.jpg").convert("RGB")
    for number in range(count):
        turned = cat.rotate(number % 40 - 20, Image.Resampling.BICUBIC).resize((500, 375))
        bright = ImageEnhance.Brightness(turned).enhance(0.7 + 0.6 * (number % 17) / 16)
        bright.save(folder / f"{number:04}.jpg", quality=90)


def _clips(folder: Path, count: int) -> None:
    """Make clips of 320 x 240, each one stretch long."""
    for number in range(count):
        film(folder / f"{number:04}.mp4", 16, rate=15, photograph=DATA / "cat.jpg")
