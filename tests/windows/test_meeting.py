"""The equation of outputs and taps against every pair of small integers."""

import itertools

from convlens.windows.meeting import meet


def test_every_solution_is_found_in_order() -> None:
    for a, b, total in itertools.product(range(1, 7), range(1, 7), range(-3, 30)):
        for count_p, count_q in ((1, 1), (3, 5), (6, 2), (40, 40)):
            pairs = itertools.product(range(count_p), range(count_q))
            expected = [(p, q) for p, q in pairs if a * p + b * q == total]
            assert list(zip(*meet(total, a, b, count_p, count_q), strict=True)) == expected
