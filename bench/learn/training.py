"""Training beside the bare network: ResNet-18 at 224 from JPEGs, and memory over 5,000 steps."""

import gc
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from PIL import Image

from bench.figures import Figure
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe
from convlens.learn.training.run import Training
from convlens.learn.training.starting import train
from convlens.zoo import model

BATCH, STEPS = 16, 6
ROUNDS = 5


def measure() -> list[Figure]:
    return [_loop(), _memory()]


def _loop() -> Figure:
    """Time the whole loop against forward, backward and optimizer on tensors that are ready."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _photographs(Path(folder))
        ratios = []
        for _ in range(ROUNDS):
            bare = _bare()
            ratios.append(_whole(Path(folder)) / bare)
    note = f"seconds a step of {BATCH} JPEGs of 500x375, decoded, augmented and learned, over bare"
    return Figure.of("training ResNet-18 at 224 over the bare network", ratios, "x", 1.10, note)


def _photographs(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(BATCH * STEPS):
            coarse = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
            image.save(folder / name / f"{number}.jpg", quality=90)


def _bare() -> float:
    network = model("resnet18", None, 2).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    x = torch.randn(BATCH, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 2
    began = 0.0
    for step in range(STEPS + 1):
        if step == 1:  # the first allocates
            began = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
    return (time.perf_counter() - began) / STEPS


def _whole(folder: Path) -> float:
    running = train("resnet18", folder, epochs=2, batch=BATCH, augment=1.0).steps()
    next(running)
    began = time.perf_counter()
    for _ in range(STEPS):
        next(running)
    seconds = (time.perf_counter() - began) / STEPS
    running.close()
    return seconds


def _memory() -> Figure:
    """Return by how many MB the process grows from step 500 to step 5,000."""
    random = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (512, 3, 16, 16), generator=random, dtype=torch.uint8)
    samples = ArraySamples(inputs, torch.arange(512) % 4)
    network = torch.nn.Sequential(
        *(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()),
        *(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4)),
    )
    recipe = Recipe(epochs=157, batch=16, ema=0.99)
    training: Training = train(network, Data(samples, samples), recipe, size=16)
    process, first = psutil.Process(), 0
    for progress in training.steps():
        if progress.step == 500:
            gc.collect()
            first = process.memory_info().rss
    gc.collect()
    grown = (process.memory_info().rss - first) / 2**20
    return Figure.of("memory from step 500 to 5,000", [grown], "MB", 10.0, "growth of the process")
