"""Run a network in a mode that is not its own, and give it back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["mode"]


@contextmanager
def mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """Put every module in training or evaluation mode, and restore its own mode afterwards.

    >>> network = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    >>> with mode(network, training=False):
    ...     [module.training for module in network]
    [False, False]
    >>> [module.training for module in network]
    [True, False]
    """
    before = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, own in before:
            module.training = own
