"""Several sheets and a kernel in one answer: those that each question gives alone."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.lab import Lab
from convlens.lab.answers.envelope import pack
from tests.running.serving import unpacked


def test_sheets_and_kernel_are_those_asked_for_alone(digits: Lab) -> None:
    conv2 = digits.recording.made("conv2")[0]
    pool1 = digits.recording.made("pool1")[0]
    found = unpacked(pack(digits.sheets(1, (conv2, pool1), (0, 0), conv2, 8)))
    for sheet, id in zip(found["sheets"], (conv2, pool1), strict=True):
        known = digits.sheet(1, id)
        for name in ("low", "high", "codes", "exact"):
            np.testing.assert_array_equal(sheet[name], known[name])
        assert sheet["shape"] == known["shape"]
    kernel = digits.kernels(1, conv2, 8)
    np.testing.assert_array_equal(found["kernels"]["numbers"], kernel["numbers"])


def test_what_is_refused_alone_is_none_among_others(digits: Lab) -> None:
    conv2 = digits.recording.made("conv2")[0]
    found = digits.sheets(1, (conv2, conv2), (0, 9), conv2 + 1, 0)
    assert found["sheets"][0] is not None
    assert (found["sheets"][1], found["kernels"]) == (None, None)
    with pytest.raises(ValueError, match="must have an entry for each"):
        digits.sheets(1, (conv2,), ())
