"""The same bits, whatever the number of threads and however the batch is cut."""

from collections.abc import Callable

import torch


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
