"""Which methods a test goes through, how near each must come, and problems larger than a block."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import convlens
from convlens.compute import Plan, plan
from convlens.compute.deciding import decide
from convlens.compute.methods import METHODS
from convlens.compute.planning import plan_pool
from convlens.compute.problems import DTYPES, Unsuited
from tests.cases.problems import Case, avg_pool, conv, conv_transpose, max_pool
from tests.oracles.compute import Numbers, check_sum

PATIENCE = 0.03
"""In seconds: the reference is left out where it says that it takes longer."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "conv": convlens.conv,
    "conv_transpose": convlens.conv_transpose,
    "max_pool": convlens.max_pool,
    "avg_pool": convlens.avg_pool,
}


def planned_of(
    case: Case, x: Any, weight: Any = None, bias: Any = None, method: str = "auto", **more: Any
) -> Plan:
    """Return the plan of a case for these arrays, by estimates unless `measure` is given."""
    options: dict[str, Any] = {"method": method, "measure": False} | case.options | more
    if not case.weight:
        return plan_pool(case.operation, x, case.size, **options)
    transposed = case.operation == "conv_transpose"
    return plan(x, weight, bias, transposed=transposed, **options)


def computed_of(
    case: Case, x: Any, weight: Any = None, bias: Any = None, method: str = "auto", **more: Any
) -> Any:
    """Return what a method makes of a case; "auto" is the public function itself."""
    if method != "auto":
        return planned_of(case, x, weight, bias, method, **more)(x)
    options = case.options | more
    if not case.weight:
        return FUNCTIONS[case.operation](x, case.size, **options)
    return FUNCTIONS[case.operation](x, weight, bias, **options)


def promises_direct() -> bool:
    """Tell whether method="direct", bitwise repeatable, can be asked for."""
    try:
        plan(((1, 1, 4), "float32"), np.ones((1, 1, 3), "f4"), method="direct", measure=False)
    except ValueError as error:
        if "must be one of" in str(error):
            return False
        raise
    return True


DIRECT = promises_direct()


def does(method: str, planned: Plan) -> bool:
    """Tell whether a method can do what an "auto" plan is of; the reference only while quick."""
    if method == "auto":
        return True
    if method == "direct":
        return DIRECT and does(chosen_of(planned, "direct"), planned)
    if method == "reference" and METHODS["reference"].seconds(planned.problem) > PATIENCE:
        return False
    return method not in planned.refused and suits(method, planned)


def methods_of(planned: Plan) -> list[str]:
    """Return "auto" and all that can do what an "auto" plan is of, the reference while quick."""
    return [name for name in ("auto", "direct", *METHODS) if does(name, planned)]


def chosen_of(planned: Plan, method: str) -> str:
    """Return which method does a planned problem when asked for by another name."""
    found = planned.prepared
    return decide(planned.problem, method, found.weight, found.bias, measure=False).decision.method


def suits(name: str, planned: Plan) -> bool:
    """Tell whether a method that did not refuse a problem can do it with these weights."""
    try:
        return chosen_of(planned, name) == name
    except Unsuited:
        return False


def is_exact(name: str, planned: Plan) -> bool:
    """Tell whether a method sums the products themselves; "auto" may take any, so all must."""
    if name == "auto":
        return all(is_exact(m, planned) for m in METHODS if m not in planned.refused)
    return name == "direct" or METHODS[name].exact


def exact_methods_of(planned: Plan) -> list[str]:
    """Return the methods that sum the products themselves, and "auto", which must seem to."""
    return [name for name in methods_of(planned) if name == "auto" or is_exact(name, planned)]


def check_whole(found: Any, expected: Any, exact: bool) -> None:
    """Raise unless whole numbers in float64 are equal, or rounded transforms within 2**-42.

    A method that goes through a transform errs by some units in the last place of its largest
    sum; 2**-42 is two thousand of them and far below the 1 that whole numbers lie apart.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if exact:
        np.testing.assert_array_equal(found, expected)
        return
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-42 * largest)


def check_near(
    found: Numbers, expected: Numbers, total: Numbers, terms: int, dtype: str, exact: bool,
    largest: float = 0.0,
) -> None:  # fmt: skip
    """Raise unless `check_sum` is content; a transform errs by the largest sum of all, 16 times.

    A transform spreads the error of one element over its tile: the bound is normwise, and F(4,3)
    of Winograd enlarges it about 10 times (Lavin & Gray, arXiv 1509.09308; Barabasz et al.,
    arXiv 1803.10986). `largest` is the largest sum there could be, of the weights that fall on
    padding too, where that is not in `total`.
    """
    if not exact and total.size:
        total = np.full_like(total, 16 * max(float(total.max()), largest))
    check_sum(found, expected, total, terms, dtype)


def largest_sum(case: Case, sizes: Sequence[Any]) -> float:
    """Return the largest |x| times the largest sum of the |weight| of a channel, and |bias|."""
    x, weight, bias = sizes
    if weight is None or not x.size:
        return 0.0
    channel = 1 if case.operation == "conv_transpose" else 0
    summed = tuple(axis for axis in range(weight.ndim) if axis != channel)
    most = float(weight.sum(axis=summed).max(initial=0))
    return float(x.max()) * most + (0.0 if bias is None else float(bias.max(initial=0)))


def widened(values: Any) -> Numbers:
    """Return numbers of any type as NumPy knows them: bfloat16, which it does not, as float32."""
    if isinstance(values, torch.Tensor):
        values = values.float() if values.dtype is torch.bfloat16 else values
        return np.asarray(values.numpy())
    return np.asarray(values)


def tensor_of(values: Numbers, dtype: str) -> torch.Tensor:
    """Return the values as a tensor of a type, rounded to it."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(DTYPES[dtype])


LARGER = [
    conv("a long filter", (1, 1, 300), (1, 1, 31), padding=15),
    conv("a filterbank", (2, 1, 203), (9, 1, 25), stride=4),
    conv("an image of few channels", (1, 3, 37, 70), (5, 3, 3, 3), padding=1),
    conv("a long kernel both ways", (1, 1, 40, 41), (1, 1, 11, 9), padding="same"),
    conv("a dense layer", (2, 17, 11, 13), (33, 17, 3, 3), padding=1),
    conv("one by one", (1, 35, 9, 9), (20, 35, 1, 1)),
    conv("a strided layer", (1, 16, 15, 17), (18, 16, 3, 3), stride=2, padding=((0, 1), (1, 1))),
    conv("a dilated layer", (1, 5, 14, 19), (6, 5, 3, 3), dilation=(2, 3), padding=(2, 3)),
    conv("a depthwise layer", (2, 19, 12, 21), (19, 1, 5, 5), groups=19, padding=2),
    conv("a grouped layer", (1, 12, 8, 18), (24, 4, 3, 3), groups=3, padding=1),
    conv("a larger volume", (1, 2, 7, 9, 37), (3, 2, 3, 3, 3), padding=1),
    conv_transpose("a decoder", (1, 9, 7, 11), (9, 18, 2, 2), stride=2),
    conv_transpose("a wide decoder", (1, 4, 9, 17), (4, 5, 4, 4), stride=2, padding=1),
    conv_transpose("a decoder in groups", (2, 6, 33), (6, 2, 5), groups=3, stride=3, padding=2),
    conv_transpose("a volume decoder", (1, 3, 4, 5, 9), (3, 2, 2, 3, 2), stride=(2, 1, 2)),
    max_pool("the largest of many", (2, 5, 23, 37), 3, stride=2, padding=1),
    max_pool("the largest of wide windows", (1, 3, 20, 40), 13, stride=1, padding=6),
    max_pool("the largest of a long signal", (1, 2, 301), 7, stride=3),
    max_pool("the largest of a larger volume", (1, 2, 6, 9, 35), 3, stride=2, ceil_mode=True),
    avg_pool("the mean of many", (2, 5, 23, 37), 3, stride=2, padding=1, ceil_mode=True),
    avg_pool("the mean of wide windows", (1, 3, 20, 40), 13, stride=1, padding=6),
    avg_pool("the mean of a long signal", (1, 2, 301), 7, stride=3, count_include_pad=False),
    avg_pool("the mean of a larger volume", (1, 2, 6, 9, 35), 2),
]
"""Larger than a vector and a block of any kernel, so that their middles run, not only their tails.

`whole_numbers` keeps every sum of theirs exact in float64.
"""
