"""`TransposedWindow` against autograd's pattern, exhaustively on small cases."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from convlens.windows import (
    TransposedWindow,
)
from tests.oracles.reading_patterns import check_against, linear_pattern, transposed_of
from tests.running.broad import broad

SIZES = range(1, 9)


@pytest.mark.parametrize("n", broad(SIZES, lambda n: n in (1, 2, 3, 6)))
def test_transposed_convolution_reads_what_autograd_says(n: int) -> None:
    for k, s, d, p in itertools.product(range(1, 5), range(1, 4), range(1, 4), range(4)):
        for added in range(max(s, d)):
            window = TransposedWindow(k, s, d, p, p, added)
            check_against(window, n, linear_pattern(transposed_of(window), n))


@pytest.mark.parametrize("change", [{"output_padding": 0}, {"before": 0}, {"stride": 2}])
def test_the_transposed_oracle_catches_a_wrong_window(change: dict[str, Any]) -> None:
    right = TransposedWindow(3, 3, 1, 1, 1, output_padding=1)
    pattern = linear_pattern(transposed_of(right), 5)
    check_against(right, 5, pattern)
    with pytest.raises(AssertionError):
        check_against(replace(right, **change), 5, pattern)
