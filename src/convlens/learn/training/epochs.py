"""Train a network, one epoch at a time, and say after each how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.learn.training.data import Data, Examples, digits_data, varied
from convlens.zoo import digits
from convlens.zoo.weights.saving import check_destination, save_tensors

__all__ = ["DIGITS_RECIPE", "Progress", "Recipe", "accuracy", "train", "train_digits"]


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW on shuffled batches, the rate falling to 0 along half a cosine.

    `epochs`: passes over the training examples. `batch`: examples a step; a last one that is left
    alone joins the step before. `rate`: the learning
    rate of the first step. `decay`: the weight decay, decoupled from the rate's gradient step.
    `seed`: of every random number drawn. AdamW and the cosine: Loshchilov & Hutter, *Decoupled
    Weight Decay Regularization* (arXiv 1711.05101, algorithm 2) and *SGDR* (arXiv 1608.03983,
    equation 5, without restarts).

    Raises ValueError or TypeError for a field out of its range.

    >>> Recipe(epochs=0)
    Traceback (most recent call last):
        ...
    ValueError: `epochs` (=0) must be at least 1; use 1 or more
    """

    epochs: int = 10
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"`{name}` (={value!r}) must be a whole number; use {least}")
            if value < least:
                raise ValueError(
                    f"`{name}` (={value}) must be at least {least}; use {least} or more"
                )
        if self.seed >= 2**63:
            raise ValueError(f"`seed` (={self.seed}) must be below 2**63; use a smaller one")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"`rate` (={self.rate}) must be positive and finite; use about 0.001")
        if not (math.isfinite(self.decay) and self.decay >= 0):
            raise ValueError(
                f"`decay` (={self.decay}) must be 0 or more and finite; use about 0.01"
            )


DIGITS_RECIPE = Recipe(epochs=10, batch=32, rate=3e-3, decay=1e-2, seed=0)
"""The recipe the shipped digit weights were trained by."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands after an epoch.

    `epoch` of `epochs`, counted from 1; `loss`: mean cross-entropy over the epoch's training
    examples, in nats; `accuracy`: share of the held-out examples answered right, 0 to 1;
    `seconds` since the training began.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    seconds: float


def train(
    network: nn.Module, data: Data, recipe: Recipe | None = None, out: str | Path | None = None
) -> Iterator[Progress]:
    """Train `network` in place to name the category of each input, yielding after every epoch.

    The loss is the cross-entropy of the scores before the softmax: the network's method `logits`
    where it has one (as a network must whose `forward` ends in a softmax), else its output
    (n, categories). Before an epoch is yielded, its weights are written to `out`, a .safetensors
    file, if one is named.

    The same seed gives the same numbers on the same machine, and torch's global random state is
    left as it was. After Ctrl-C the iterator ends, and `out` holds the last whole epoch.

    Raises ValueError or TypeError for arguments that do not fit, at the call; ValueError when the
    loss is no longer finite, the weights of the last good epoch staying in `out`.

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


def train_digits(out: str | Path, recipe: Recipe = DIGITS_RECIPE) -> Iterator[Progress]:
    """Train the network `digits` of the zoo from scratch and write its weights to `out`.

    On the 1,438 training digits and nine varied copies of each.

    With the default recipe this is how the shipped weights were made; they name 357 of the 359
    held-out digits right, 99.4 %; seeds 1, 2 and 3 end at 355, 355 and 357.

    Raises as `train` does.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for progress in train_digits(f"{folder}/d.safetensors", Recipe(epochs=1, rate=0.01)):
    ...         print(progress.epoch, progress.accuracy > 0.5)
    1 True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = digits()
    data = digits_data()
    return train(network, Data(varied(data.train, 9, recipe.seed), data.held_out), recipe, out)


def accuracy(network: nn.Module, examples: Examples, batch: int = 256) -> float:
    """Return the share of `examples` whose highest output is the right category, 0 to 1.

    The network answers in evaluation mode, and each of its modules is left in the mode it was in.

    >>> from convlens.zoo import model
    >>> accuracy(model("digits"), digits_data().held_out) > 0.98
    True
    """
    device = _device(network)
    batches = zip(examples.inputs.split(batch), examples.labels.split(batch), strict=True)
    with _mode(network, training=False), torch.no_grad():
        right = sum(
            int((network(inputs.to(device)).argmax(1) == labels.to(device)).sum())
            for inputs, labels in batches
        )
    return right / len(examples)


def _epochs(
    network: nn.Module, data: Data, recipe: Recipe, path: Path | None
) -> Iterator[Progress]:
    steps = recipe.epochs * len(_batches(torch.arange(len(data.train)), recipe.batch))
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    began = time.monotonic()

    def step(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

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


def _epoch(
    network: nn.Module,
    examples: Examples,
    recipe: Recipe,
    epoch: int,
    step: Callable[[Tensor], None],
) -> float:
    """Pass once over the examples in a drawn order; the mean loss."""
    device = _device(network)
    scores_of = getattr(network, "logits", network)
    total = torch.zeros((), dtype=torch.float64, device=device)
    with _mode(network, training=True), torch.random.fork_rng(_forked(device)):
        # The golden ratio's multiples keep the epochs of neighbouring seeds apart.
        torch.manual_seed((recipe.seed + epoch * 0x9E3779B97F4A7C15) % 2**63)
        for batch in _batches(torch.randperm(len(examples)), recipe.batch):
            labels = examples.labels[batch].to(device)
            try:
                scores = scores_of(examples.inputs[batch].to(device))
            except ValueError as error:
                if _wants_more(error, batch):
                    raise _alone(recipe) from error
                raise
            _check_scores(scores, examples.labels)
            loss = F.cross_entropy(scores, labels)
            step(loss)
            total += loss.detach() * len(batch)
    return float(total) / len(examples)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """The examples `size` at a time; a last one alone joins the batch before.

    Batch normalization has no deviation of one example to divide by.
    """
    batches = list(order.split(size))
    if size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _wants_more(error: ValueError, batch: Tensor) -> bool:
    return len(batch) == 1 and "more than 1 value per channel" in str(error)


def _alone(recipe: Recipe) -> ValueError:
    return ValueError(
        f"`batch` (={recipe.batch}) must give batch normalization at least 2 examples at a time, "
        "and there was one; use 2 or more, and as many examples"
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
    """What a checkpoint says of itself."""
    said = {"network": type(network).__name__, "accuracy": f"{progress.accuracy:.6f}"}
    said |= {"loss": f"{progress.loss:.6f}", "epoch": str(progress.epoch)}
    return said | {name: str(value) for name, value in asdict(recipe).items()}


@contextmanager
def _mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """Every module in training or evaluation mode, and afterwards each in its own again."""
    before = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def _device(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def _forked(device: torch.device) -> list[int]:
    """The accelerators whose random state an epoch must leave as it was; the CPU's always is."""
    return [device.index or 0] if device.type == "cuda" else []
