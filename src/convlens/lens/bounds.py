"""Bound how far a correct recorded number may be from the exact sum of its terms."""

from __future__ import annotations

import math

import numpy as np
import torch

from convlens.lens.recording import Value
from convlens.lens.terms import Account, flushed, smallest, unit_roundoff

MULTIPLE = 32
"""The most that the bound of numbers inside a formula may exceed that of the terms unexplained."""


def shown_size(account: Account) -> float:
    """Return the sum of the sizes of what an explanation shows: products, bias and total."""
    sizes = np.abs([*account.terms.product, account.bias, account.total])
    return float(sizes[np.isfinite(sizes)].sum())


def rounding_bound(account: Account, value: Value) -> float:
    """Return how far a correct recorded value may be from the exact sum of its terms.

    The bound is 2 ((4 + sqrt(n)) u S + n t) for n terms. S is the sum of their sizes, u the unit
    roundoff of the value's dtype, and t its smallest number. The root of n, not n, is right because
    the rounding errors of a blocked sum have random signs (Higham & Mary, SIAM J. Sci. Comput. 41,
    2019). The factor 2 was settled on 147 networks: no correct step came near the bound, and each
    seeded fault passed it.

    S is larger where rounding inside the formula moves the result (the exponents of a softmax, a
    mean of large numbers). It is at most MULTIPLE times the size of the terms shown, so that every
    bound can fail. Only where numbers inside the formula cancel may it be larger still, and then a
    note says so.
    """
    if account.exact or not value.dtype.is_floating_point:
        return 0.0
    n, u, tiny = account.count, unit_roundoff(value.dtype), smallest(value.dtype)
    return 2 * ((4 + math.sqrt(n)) * u * _limited_size(account, value) + n * tiny)


def _limited_size(account: Account, value: Value) -> float:
    """Return S of `rounding_bound`; only numbers inside a formula may bring it above the limit."""
    size = account.magnitude
    if account.inside and math.isfinite(size):
        return size
    values = account.terms.value
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    least = flushed(value.dtype) * (1 + largest)  # less than a normal number may become 0
    most = MULTIPLE * (shown_size(account) + least)
    return min(size, most) if math.isfinite(size) else most


def bound_note(account: Account) -> str:
    """Return why a bound is larger than that of the terms shown; "" mostly."""
    if account.inside and account.magnitude > MULTIPLE * shown_size(account):
        return f"rounded as numbers of size {account.magnitude:.2g} are: {account.inside}"
    return ""


def agree(recorded: float, total: float, bound: float, value: Value) -> bool:
    """Return whether a recorded number is what the terms give, within the bound."""
    if recorded == total or (math.isnan(recorded) and math.isnan(total)):
        return True
    if math.isinf(recorded) and value.dtype.is_floating_point:
        # The sum overflowed the dtype, as it must past the largest number.
        return total * math.copysign(1, recorded) + bound >= torch.finfo(value.dtype).max
    return abs(recorded - total) <= bound
