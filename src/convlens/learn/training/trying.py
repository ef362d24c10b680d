"""Run a network that was given by the user on one sample, before a training begins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from convlens.learn.data.samples import Boxed
from convlens.learn.modes import mode
from convlens.learn.sentences import reason
from convlens.learn.tasks.task import Counts
from convlens.learn.training.loading import SampleReader, to_network

__all__ = ["check_answers"]


def check_answers(
    network: nn.Module, reading: SampleReader, counts: Counts, name: str = "network"
) -> None:
    """Run a network on the first sample, in evaluation mode; its answer must fit the task.

    Nothing changes: neither weights and modes nor torch's random state.

    Raises ValueError, in a sentence, for a network that fails on such inputs, and for one that does
    not give a score for each category.
    """
    task, samples = reading.task, reading.samples
    batch = reading.batch(np.arange(1), None)
    device = next(network.parameters()).device
    inputs = to_network(batch, reading.preparation, device)
    targets = batch.targets.to(device) if isinstance(batch.targets, Tensor) else batch.targets
    objective = task.objective(reading.recipe, counts)
    with torch.random.fork_rng(devices=[]), mode(network, training=False), torch.no_grad():
        try:
            outputs = task.answer(network, inputs)
            if task.sample is not Boxed:  # a detector has losses in training alone
                objective.losses(getattr(network, "logits", network), inputs, targets)
        except RuntimeError as error:
            shape = tuple(inputs[0].shape if isinstance(inputs, list) else inputs.shape)
            raise ValueError(
                f"`network` ({name}) must take inputs {shape}, which the samples become, and fails "
                f"({reason(error)}); change its layers, or the `size` of the pictures"
            ) from error
    # What is not finite is for the training to report, which finds where it was born.
    finite = tree_map(lambda one: one.nan_to_num() if isinstance(one, Tensor) else one, outputs)
    task.measure(samples.classes, samples.points).add(finite, batch.targets, batch.keys)
