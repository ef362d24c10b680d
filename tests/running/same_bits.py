"""The same bits, whatever the number of threads and however the batch is cut."""

from collections.abc import Callable
from typing import Any

import torch

from convlens.compute.methods.method import ConvMethod
from convlens.compute.problems import Conv
from convlens.compute.reading.options import read_conv
from tests.running.poisoned_memory import poisoned


def check_method(
    method: ConvMethod[Conv], x: tuple[int, ...], weight: tuple[int, ...], **options: Any
) -> None:
    """Check that threads and batch change no bit of what a method makes of random numbers."""
    generator = torch.Generator().manual_seed(0)
    numbers, kernel = torch.randn(x, generator=generator), torch.randn(weight, generator=generator)

    def computed(x: torch.Tensor) -> torch.Tensor:
        problem = read_conv(x, kernel, **options)
        return poisoned(problem, x, method.ready(problem, kernel, None))

    check_same_bits(computed, numbers)


def check_same_bits(computed: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
    """Compute x (n, c, *space) by 1 thread, by 3, and by 3 an image at a time: all are equal."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = computed(x)
        torch.set_num_threads(3)
        assert torch.equal(computed(x), alone)
        assert torch.equal(torch.cat([computed(image[None]) for image in x]), alone)
    finally:
        torch.set_num_threads(before)
