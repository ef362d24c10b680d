"""Paddings by name, and what stands in them, against torch and NumPy."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.windows import (
    PADDING_MODES,
    Window,
    padded_source,
)


def test_paddings_by_name_are_those_of_torch_and_numpy() -> None:
    for k, d, n in itertools.product(range(1, 7), range(1, 4), (1, 5, 8)):
        x, weight = torch.eye(n)[:, None], torch.arange(1.0, k + 1)[None, None]
        same = F.conv1d(
            F.pad(x, padding_of(Window.padded("same", k, dilation=d))), weight, dilation=d
        )
        assert torch.equal(same, quiet_same(x, weight, d))
        full = np.convolve(np.ones(n), dilated(np.ones(k), d), "full")
        assert Window.padded("full", k, dilation=d).outputs(n) == len(full)
    assert Window.padded("valid", 3, 2, 2) == Window(3, 2, 2)
    assert Window.padded("full", 3, 2, 2) == Window(3, 2, 2, 4, 4)


def padding_of(window: Window) -> tuple[int, int]:
    return window.before, window.after


def quiet_same(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Let torch pad; it warns that an even kernel costs a copy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return F.conv1d(x, weight, padding="same", dilation=dilation)


def dilated(kernel: np.ndarray[Any, Any], dilation: int) -> np.ndarray[Any, Any]:
    whole = np.zeros(dilation * (len(kernel) - 1) + 1)
    whole[::dilation] = kernel
    return whole


NUMPY_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_what_stands_in_the_padding_is_what_numpy_puts_there(mode: str) -> None:
    for n, before, after in itertools.product(range(1, 6), range(12), range(12)):
        expected = np.pad(np.arange(n), (before, after), mode=NUMPY_MODES[mode])
        found = [padded_source(p, n, mode) for p in range(-before, n + after)]
        assert found == expected.tolist()


def test_the_modes_differ_so_a_swap_would_be_caught() -> None:
    seen = {tuple(padded_source(p, 4, mode) for p in range(-3, 7)) for mode in PADDING_MODES}
    assert len(seen) == len(PADDING_MODES)
    assert [padded_source(p, 2) for p in (-1, 0, 1, 2)] == [None, 0, 1, None]
