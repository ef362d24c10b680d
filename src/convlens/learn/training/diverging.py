"""Say in which step and layer a number that is not finite was born, by recording the step again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convlens.learn.augmenting.numbers import mix
from convlens.learn.run_folder import RunFolder
from convlens.learn.tasks.task import Batch
from convlens.learn.training.loading import to_network
from convlens.learn.training.stepping import DivergedStep, Stepper, same_numbers
from convlens.lens import record

__all__ = ["diverged"]


def diverged(
    error: DivergedStep, stepper: Stepper, parts: Sequence[Batch], folder: RunFolder | None
) -> ValueError:
    """Return the error that says where a loss or a gradient stopped being finite.

    The step changed no weight, but running it has changed the statistics of norms; those are put
    back first.
    """
    seed = mix(stepper.recipe.seed, error.step)
    born = None
    for part in parts:
        _put_back(stepper.network, error)
        with same_numbers(stepper.recipe, seed, stepper.device):
            born = born or _forwards(stepper, part)
    if born is None:
        _put_back(stepper.network, error)
        with same_numbers(stepper.recipe, seed, stepper.device):
            born = _backwards(stepper, parts)
    _put_back(stepper.network, error)
    kept = " and the last good checkpoint stays" if folder is not None else ""
    rate = stepper.recipe.rate
    where = f"in {born}" if born else "in the loss"
    return ValueError(
        f"the training stopped at step {error.step + 1}, as {error.what} was not finite, which "
        f"was born {where}; no weight was changed{kept}; use a smaller `rate` (={rate:g}), such as "
        f"{rate / 10:g}, or look at the samples {', '.join(_keys(parts))}"
    )


@torch.no_grad()
def _put_back(network: nn.Module, error: DivergedStep) -> None:
    for name, buffer in network.named_buffers():
        buffer.copy_(error.buffers[name])


def _keys(parts: Sequence[Batch]) -> list[str]:
    found = [key for part in parts for key in part.keys]
    return [*found[:3], f"and {len(found) - 3} more"] if len(found) > 3 else found


def _forwards(stepper: Stepper, part: Batch) -> str | None:
    """Return the first operation with a result that is not finite, and its module."""
    inputs = to_network(part, stepper.preparation, stepper.device)
    if _bad([inputs]):
        return "the input itself"
    half = stepper.recipe.precision == "bfloat16"
    try:
        with torch.autocast(stepper.device.type, torch.bfloat16, enabled=half):
            recording = record(stepper.network, inputs)
    except (ValueError, TypeError, RuntimeError):  # a detector in training wants targets too
        return None
    for step in recording.steps:
        tensors = [recording.values[key].tensor for key in step.outputs]
        if _bad(tensors):
            module = step.module or "the network itself"
            return f"{module}, by {step.op} (operation {step.index} of the forward pass)"
    return None


def _backwards(stepper: Stepper, parts: Sequence[Batch]) -> str | None:
    """Return the module through which a gradient that is not finite passed first."""
    found: list[str] = []
    with _watching(stepper.network, found):
        stepper.backward(parts)
    if found:
        return f"the gradient of {found[0]}"
    for name, parameter in stepper.network.named_parameters():
        if parameter.grad is not None and _bad([parameter.grad]):
            return f"the gradient of {name}"
    return None


@contextmanager
def _watching(network: nn.Module, found: list[str]) -> Iterator[None]:
    """Add to `found` the modules that gradients leave not finite, the first one first."""

    def enter(name: str, inputs: Any) -> None:
        for one in tree_leaves(inputs):
            if isinstance(one, Tensor) and one.requires_grad:
                one.register_hook(lambda grad: found.append(name) if _bad([grad]) else None)

    leaves = [one for one in network.named_modules() if not any(True for _ in one[1].children())]
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: enter(name, inputs))
        for name, module in leaves
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _bad(values: Any) -> bool:
    tensors = [one for one in values if isinstance(one, Tensor) and one.is_floating_point()]
    return any(not bool(one.isfinite().all()) for one in tensors)
