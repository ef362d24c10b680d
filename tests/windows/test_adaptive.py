"""`AdaptiveWindow` against autograd's pattern, exhaustively on small cases."""

import functools
import itertools

import torch.nn.functional as F

from convlens.windows import (
    AdaptiveWindow,
)
from tests.oracles.reading_patterns import (
    linear_pattern,
    maximum_pattern,
)

SIZES = range(1, 9)


def test_adaptive_pooling_reads_what_autograd_says() -> None:
    for count, n in itertools.product(range(1, 10), SIZES):
        window = AdaptiveWindow(count)
        mean = functools.partial(F.adaptive_avg_pool1d, output_size=count)
        largest = functools.partial(F.adaptive_max_pool1d, output_size=count)
        for pattern in (linear_pattern(mean, n), maximum_pattern(largest, n)):
            assert pattern is not None
            assert window.outputs(n) == len(pattern)
            read = [list(window.reads(o, n)) for o in range(count)]
            assert read == [[i for i, hit in enumerate(row) if hit] for row in pattern.tolist()]
