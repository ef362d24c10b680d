"""Train a network, one epoch at a time, and yield its progress after each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.learn.modes import mode
from convlens.learn.recipe import Recipe
from convlens.learn.training.data import Data, Examples
from convlens.learn.training.progress import Progress
from convlens.zoo.weights.saving import check_destination, save_tensors

__all__ = ["accuracy", "train"]


def train(
    network: nn.Module, data: Data, recipe: Recipe | None = None, out: str | Path | None = None
) -> Iterator[Progress]:
    """Train `network` in place to recognise the category of each input; yield after every epoch.

    The loss is the cross-entropy of the scores before a softmax, (n, categories). They come from
    the network's method `logits`, if it has one, else from its output. A network whose `forward`
    ends in a softmax needs `logits`. `out`: a .safetensors file to which the weights are written
    before each epoch is yielded.

    The same seed gives the same numbers on the same machine; torch's global random state does not
    change. After Ctrl-C the iterator ends, and `out` holds the last whole epoch.

    Raises ValueError or TypeError at the call for arguments that do not fit. Raises ValueError when
    the loss is no longer finite; the weights of the last good epoch stay in `out`.

    >>> from convlens.learn.training.digits import digits_data
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    >>> [progress.epoch for progress in train(network, digits_data(), Recipe(epochs=2))]
    [1, 2]
    """
    recipe = recipe or Recipe()
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"`network` (={type(network).__name__}) must be a torch.nn.Module; build one first"
        )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            f"`network` ({type(network).__name__}) must have parameters to train, and all its "
            "kernels are fixed; set requires_grad on some"
        )
    path = None if out is None else check_destination(out)
    return _epochs(network, data, recipe, path)


def accuracy(network: nn.Module, examples: Examples, batch: int = 256) -> float:
    """Return the share of `examples` whose highest output is the right category, 0 to 1.

    The network runs in evaluation mode; each of its modules gets its own mode back.

    >>> from convlens.learn.training.digits import digits_data
    >>> from convlens.zoo import model
    >>> accuracy(model("digits"), digits_data().held_out) > 0.98
    True
    """
    device = _device(network)
    batches = zip(examples.inputs.split(batch), examples.labels.split(batch), strict=True)
    with mode(network, training=False), torch.no_grad():
        right = sum(
            int((network(inputs.to(device)).argmax(1) == labels.to(device)).sum())
            for inputs, labels in batches
        )
    return right / len(examples)


def _epochs(
    network: nn.Module, data: Data, recipe: Recipe, path: Path | None
) -> Iterator[Progress]:
    steps = recipe.epochs * len(_batches(torch.arange(len(data.train)), recipe.batch))
    step = _stepping(network, recipe, steps)
    began = time.monotonic()
    for epoch in range(1, recipe.epochs + 1):
        try:
            loss = _epoch(network, data.train, recipe, epoch, step)
            _check_finite(network, loss, epoch, recipe)
            progress = Progress(
                epoch=epoch,
                epochs=recipe.epochs,
                loss=loss,
                accuracy=accuracy(network, data.held_out),
                seconds=time.monotonic() - began,
            )
            if path is not None:
                save_tensors(network.state_dict(), path, _story(network, progress, recipe))
        except KeyboardInterrupt:
            return
        yield progress


def _stepping(network: nn.Module, recipe: Recipe, steps: int) -> Callable[[Tensor], None]:
    """Return a function that takes the next of `steps` optimizer steps, down a loss."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def step(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    return step


def _epoch(
    network: nn.Module,
    examples: Examples,
    recipe: Recipe,
    epoch: int,
    step: Callable[[Tensor], None],
) -> float:
    """Pass once over the examples in a random order; return the mean loss."""
    device = _device(network)
    scores_of = getattr(network, "logits", network)
    total = torch.zeros((), dtype=torch.float64, device=device)
    with mode(network, training=True), torch.random.fork_rng(_forked(device)):
        # The golden ratio's multiples keep the epochs of neighbouring seeds apart.
        torch.manual_seed((recipe.seed + epoch * 0x9E3779B97F4A7C15) % 2**63)
        for batch in _batches(torch.randperm(len(examples)), recipe.batch):
            labels = examples.labels[batch].to(device)
            scores = _scores(scores_of, examples.inputs[batch].to(device), recipe)
            _check_scores(scores, examples.labels)
            loss = F.cross_entropy(scores, labels)
            step(loss)
            total += loss.detach() * len(batch)
    return float(total) / len(examples)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Return the examples `size` at a time; a single last one joins the batch before.

    Batch normalization divides by a deviation, and one example has none.
    """
    batches = list(order.split(size))
    if size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _scores(scores_of: Callable[[Tensor], Tensor], x: Tensor, recipe: Recipe) -> Tensor:
    try:
        return scores_of(x)
    except ValueError as error:
        if len(x) == 1 and "more than 1 value per channel" in str(error):
            raise _alone(recipe) from error
        raise


def _alone(recipe: Recipe) -> ValueError:
    return ValueError(
        f"`batch` (={recipe.batch}) must give batch normalization at least 2 examples at a time, "
        "and there was one; use 2 or more, and at least as many examples"
    )


def _check_scores(scores: Tensor, labels: Tensor) -> None:
    if scores.ndim != 2 or scores.shape[1] <= int(labels.max()):
        raise ValueError(
            f"`network` must give scores (n, categories) for the categories 0 to "
            f"{int(labels.max())}, and gives {tuple(scores.shape)}; change its last layer"
        )


def _check_finite(network: nn.Module, loss: float, epoch: int, recipe: Recipe) -> None:
    if not math.isfinite(loss) or not all(p.isfinite().all() for p in network.parameters()):
        raise ValueError(
            f"`rate` (={recipe.rate}) made the loss or a weight infinite or not a number in "
            f"epoch {epoch}, and all must stay finite; use a smaller rate, such as "
            f"{recipe.rate / 10:g}"
        )


def _story(network: nn.Module, progress: Progress, recipe: Recipe) -> dict[str, str]:
    """Return what a checkpoint says about its training."""
    said = {"network": type(network).__name__, "accuracy": f"{progress.accuracy:.6f}"}
    said |= {"loss": f"{progress.loss:.6f}", "epoch": str(progress.epoch)}
    return said | {name: str(value) for name, value in asdict(recipe).items()}


def _device(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def _forked(device: torch.device) -> list[int]:
    """Return the accelerators whose random state must not change; the CPU's is always kept."""
    return [device.index or 0] if device.type == "cuda" else []
