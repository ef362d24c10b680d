"""Take the steps of a training: losses, gradients, the optimizer, and the average of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convlens.learn.augmenting.numbers import mix
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.sentences import first_line
from convlens.learn.tasks.task import Batch, Objective
from convlens.learn.training.groups import frozen_stages, parameter_groups
from convlens.learn.training.loading import to_network

__all__ = ["DivergedStep", "Stepper", "copied", "rate_at", "same_numbers"]


class DivergedStep(ArithmeticError):
    """A step whose loss or gradient is not finite; it changed no weight.

    `what`: which of the two. `buffers`: the network's, as they were before the step.
    """

    def __init__(self, what: str, step: int, buffers: Mapping[str, Tensor]) -> None:
        super().__init__(f"{what} of step {step} is not finite")
        self.what, self.step, self.buffers = what, step, buffers


def rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """Return the share of the highest rate that a step has, a function of its number alone.

    >>> recipe = Recipe(warmup=0.2, schedule="linear")
    >>> [round(rate_at(step, 10, recipe), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    warm = round(recipe.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    falls = {
        "cosine": 0.5 * (1 + math.cos(math.pi * done)),
        "linear": 1 - done,
        "constant": 1.0,
    }
    return falls[recipe.schedule]


@contextmanager
def same_numbers(recipe: Recipe, seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for a while, and add in a fixed order if the recipe says so; then undo both."""
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng([device.index or 0] if device.type == "cuda" else []):
        _seed(seed, device)
        try:
            if recipe.deterministic:
                # It would also fill every new tensor, which changes no number that is read.
                torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
                torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warned)
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators that a step draws from.

    `torch.manual_seed` also keeps the seed, with a traceback, for every device that may yet be
    used, which takes a millisecond.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@contextmanager
def _compiling() -> Iterator[None]:
    """Turn what torch says of a network that it cannot compile into a ValueError of a sentence."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise ValueError(
            f"`compile` (=True) needs a network and a C++ compiler that torch can work with, and "
            f"it fails ({first_line(error)}); install a compiler, or leave `compile` out"
        ) from error


@dataclass(eq=False)
class Taken:
    """What a step did: its losses by name, each a sum and its weight, and the norm of gradients."""

    losses: dict[str, tuple[float, float]]
    norm: float


class Stepper:
    """A network with its optimizer; everything that a step changes is in `tensors`."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        recipe: Recipe,
        preparation: Preparation | None,
        steps: int,
    ) -> None:
        self.network, self.objective, self.recipe = network, objective, recipe
        self.preparation, self.steps = preparation, steps
        self.device = next(network.parameters()).device
        self.frozen = [module for _, module in frozen_stages(network, recipe.freeze)]
        for module in self.frozen:
            module.requires_grad_(False)
        self.groups = parameter_groups(network, recipe)
        self.parameters = [one for group in self.groups for one in group["params"]]
        self.optimizer = _optimizer(self.groups, recipe)
        self.average = copied(network.state_dict()) if recipe.ema else {}
        forward = getattr(network, "logits", network)
        self.forward = torch.compile(forward) if recipe.compile else forward
        self._before = copied(dict(network.named_buffers()))

    def step(self, number: int, parts: Sequence[Batch]) -> Taken:
        """Take step `number` on all its parts.

        Raises DivergedStep, before any weight changes, if the loss or the gradient is not finite.
        """
        self._keep_buffers()
        seed = mix(self.recipe.seed, number)
        with same_numbers(self.recipe, seed, self.device), _compiling():
            losses = self.backward(parts)
        if not all(math.isfinite(total) for total, _ in losses.values()):
            raise DivergedStep("the loss", number, self._before)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip or math.inf))
        if not math.isfinite(norm):
            raise DivergedStep("the gradient", number, self._before)
        share = rate_at(number, self.steps, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * group["share"] * share
        self.optimizer.step()
        self._average(number)
        return Taken(losses, norm)

    def backward(self, parts: Sequence[Batch]) -> dict[str, tuple[float, float]]:
        """Compute the gradients of all parts of a step; return each loss's sum and weight."""
        weights: dict[str, float] = {}
        for part in parts:
            for name, weight in self.objective.weights(part.targets).items():
                weights[name] = weights.get(name, 0.0) + weight
        sums = dict.fromkeys(weights, 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        for part in parts:
            found = self._checked_losses(part)
            total = sum(loss / max(weights[name], 1e-12) for name, loss in found.items())
            if isinstance(total, Tensor) and total.requires_grad:
                total.backward()
            for name, loss in found.items():
                sums[name] += float(loss.detach())
        return {name: (sums[name], weights[name]) for name in weights}

    def _checked_losses(self, part: Batch) -> Mapping[str, Tensor]:
        try:
            return self.losses(part)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"`batch` (={self.recipe.batch}) must give batch normalization at least 2 samples "
                "at a time, and there was one; use 2 or more, and fewer parts"
            ) from error

    def losses(self, part: Batch) -> Mapping[str, Tensor]:
        """Return the losses of a part of a step, in the recipe's precision."""
        inputs = to_network(part, self.preparation, self.device)
        targets = part.targets
        if isinstance(targets, Tensor):
            targets = targets.to(self.device)
        half = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            return self.objective.losses(self.forward, inputs, targets)

    def begin(self) -> None:
        """Put the network in training mode; frozen stages keep their statistics."""
        self.network.train()
        for module in self.frozen:
            module.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Return all that steps change, by name."""
        found = {f"weights/{name}": value for name, value in self.network.state_dict().items()}
        found |= {f"ema/{name}": value for name, value in self.average.items()}
        for group in self.groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                for key, value in self.optimizer.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        found[f"optimizer/{name}/{key}"] = value
        return found

    def restore(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Set all that steps change to the tensors of `tensors`, by their first words."""
        self.network.load_state_dict(dict(parts["weights"]))
        for name, value in parts["ema"].items():
            self.average[name].copy_(value)
        named = {
            name: parameter
            for group in self.groups
            for name, parameter in zip(group["names"], group["params"], strict=True)
        }
        self.optimizer.state.clear()
        for name, value in parts["optimizer"].items():
            path, _, key = name.rpartition("/")
            self.optimizer.state[named[path]][key] = _laid_as(value, named[path])

    def evaluated(self) -> dict[str, Tensor]:
        """Return the weights to measure and to keep: their average, if there is one."""
        return self.average or self.network.state_dict()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the average into the network for a while."""
        if not self.average:
            yield
            return
        own = copied(self.network.state_dict())
        self.network.load_state_dict(self.average)
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def _keep_buffers(self) -> None:
        for name, buffer in self.network.named_buffers():
            self._before[name].copy_(buffer)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Move the average towards the weights, faster in early steps."""
        if not self.average:
            return
        kept = min(self.recipe.ema, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - kept)
            else:
                self.average[name].copy_(value)


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that later steps do not change."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def _laid_as(value: Tensor, parameter: Tensor) -> Tensor:
    """Return a tensor of the optimizer in the layout of its parameter.

    Files hold tensors row by row; another layout would add in another order.
    """
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _optimizer(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(groups, recipe.rate, recipe.momentum, nesterov=nesterov, fused=True)
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, recipe.rate, momentum=recipe.momentum)
    return torch.optim.AdamW(groups, recipe.rate, (recipe.momentum, 0.999), fused=True)
