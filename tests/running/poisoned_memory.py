"""Memory in which nothing may be relied on: not-a-number wherever nobody has written."""

from collections.abc import Callable
from typing import Any

import torch

from convlens.compute.kernels import launching
from convlens.compute.problems import Problem

Run = Callable[[torch.Tensor, torch.Tensor], Any]


def whole(shape: tuple[int, ...], dtype: str, seed: int) -> torch.Tensor:
    """Return small integers, whose sums of products are exact in any order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).to(getattr(torch, dtype))


def poisoned(problem: Problem, x: torch.Tensor, run: Run) -> torch.Tensor:
    """Return what a method makes of x (n, c, *space), whose memory ends in not-a-numbers.

    So does the result's, and scratch memory is full of them. Raises where anything was written
    beyond the result.
    """
    for memories in launching._pool.values():
        for memory in memories:
            memory.fill(255)
    shape = (problem.batch, problem.channels_out, *problem.outputs)
    count = int(torch.tensor(shape).prod())
    given = torch.empty(x.numel() + 128, dtype=x.dtype)
    target = torch.empty(count + 128, dtype=x.dtype)
    for tensor in (given, target):
        tensor.view(torch.uint8).fill_(255)
    given[64 : 64 + x.numel()] = x.flatten()
    run(given[64 : 64 + x.numel()].view(x.shape), target[64 : 64 + count].view(shape))
    around = torch.cat([target[:64], target[64 + count :]])
    if not bool((around.view(torch.uint8) == 255).all()):
        raise AssertionError("something was written outside the result")
    return target[64 : 64 + count].view(shape)
