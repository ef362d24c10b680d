"""Fashion-MNIST beside the same training written in plain torch: seconds, and pictures right.

    python -m bench.learn.fashion [EPOCHS]

Both train the shipped network by its recipe, on as many threads as torch has, one after the other.
The plain one is what its users write: tensors in memory, a batch cut by a random permutation and
mirrored at random, autocast, channels last; torch's schedule, optimizer and average of weights.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bench.figures import Figure
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.recipe import Recipe
from convlens.learn.training.named_data import data_for
from convlens.learn.training.shipped import SHIPPED
from convlens.learn.training.starting import train
from convlens.zoo import model

NAME = "fashion_mnist"


def measure() -> list[Figure]:
    """Train both ways, and compare the seconds; the note has the shares that are right."""
    return compared(SHIPPED[NAME].recipe)


def compared(recipe: Recipe) -> list[Figure]:
    """Train both ways by a recipe."""
    plain_seconds, plain_right = _plain(recipe)
    seconds, right = _ours(recipe)
    note = f"{100 * right:.2f} % right, plain torch {100 * plain_right:.2f} %"
    return [
        Figure.of("Fashion-MNIST by the shipped recipe", [seconds], "s", 120.0, note),
        Figure.of("the same over plain torch", [seconds / plain_seconds], "x", 1.0),
    ]


def _ours(recipe: Recipe) -> tuple[float, float]:
    """Return the seconds of the training with its measuring, and the share right in the end."""
    began, right = time.perf_counter(), 0.0
    for progress in train(NAME, None, recipe):
        right = progress.values["accuracy"]
        _say("convlens", progress.epoch, began, right)
    return time.perf_counter() - began, right


def _plain(recipe: Recipe) -> tuple[float, float]:
    data = data_for("fashion-mnist", None)
    assert isinstance(data.train, ArraySamples)
    assert isinstance(data.held_out, ArraySamples)
    began = time.perf_counter()
    inputs, labels = _floats(data.train.inputs), data.train.targets
    held_out, truth = _floats(data.held_out.inputs), data.held_out.targets
    torch.manual_seed(recipe.seed)
    network = model(NAME, None).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kernels = [one for one in network.parameters() if one.ndim > 1]
    others = [one for one in network.parameters() if one.ndim == 1]
    groups = [{"params": kernels, "weight_decay": recipe.decay}]
    groups.append({"params": others, "weight_decay": 0.0})
    optimizer = torch.optim.SGD(groups, recipe.rate, recipe.momentum, nesterov=True, fused=True)
    steps = recipe.epochs * (len(labels) // recipe.batch)
    warm = round(recipe.warmup * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: (k + 1) / warm if k < warm else max(0, steps - k) / (steps - warm)
    )
    average = AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True
    )
    right = 0.0
    for epoch in range(recipe.epochs):
        network.train()
        order = torch.randperm(len(labels))[: len(labels) // recipe.batch * recipe.batch]
        for numbers in order.split(recipe.batch):
            batch = inputs[numbers]
            chosen = torch.rand(len(batch), 1, 1, 1) < 0.5
            batch = torch.where(chosen, batch.flip(3), batch)
            batch = batch.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, recipe.precision == "bfloat16"):
                scores = network(batch)
            loss = F.cross_entropy(scores.float(), labels[numbers])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
        right = _right(average, held_out, truth)
        _say("plain torch", epoch + 1, began, right)
    return time.perf_counter() - began, right


@torch.inference_mode()
def _right(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    network.eval()
    scores = torch.cat([network(part) for part in inputs.split(1000)])
    return float((scores.argmax(1) == labels).float().mean())


def _floats(pictures: Tensor) -> Tensor:
    prepared = pictures.float() / 255
    return prepared.contiguous(memory_format=torch.channels_last)


def _say(what: str, epoch: int, began: float, right: float) -> None:
    seconds = time.perf_counter() - began
    print(f"{what}, epoch {epoch}: {100 * right:.2f} %, {seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    from bench.figures import as_text

    shipped = SHIPPED[NAME].recipe
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else shipped.epochs
    print(as_text(compared(replace(shipped, epochs=epochs))))
