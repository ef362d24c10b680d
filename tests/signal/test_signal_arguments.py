"""What the names of SciPy refuse, and that the argument is named: nonsense for each of them."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from convlens.signal import convolving, ndimage

A = np.arange(12.0).reshape(3, 4)
GIVEN: dict[str, Any] = {
    "input": A,
    "in1": A,
    "in2": A[:2, :2],
    "weights": np.ones((2, 2)),
    "sigma": 1,
    "size": 3,
    "hrow": np.ones(3),
    "hcol": np.ones(3),
}
NOTHING: list[Any] = ["word", b"word", {}, object(), len, slice(2), np.datetime64("2020")]
RAGGED: Any = [[1], [1, 2]]
NO_ARRAYS: list[Any] = [
    *NOTHING,
    None,
    ["a"],
    [None],
    RAGGED,
    torch.ones(2, device="meta"),
    np.ma.masked_array([[1.0]], [[True]]),
]
NO_NUMBERS: list[Any] = [*NOTHING, [1, 2, 3], RAGGED, np.array(["a"])]
NO_INTEGERS: list[Any] = [*NOTHING, 1.5, 2.0, True, float("nan"), [None], 2**200, -(2**63), 2j]
NO_WORDS: list[Any] = ["word", b"word", 3, [1], {}, np.array(["a", "b"]), True]
REFUSED: dict[str, list[Any]] = {
    **dict.fromkeys(("input", "in1", "in2", "weights", "footprint", "hrow", "hcol"), NO_ARRAYS),
    "sigma": [*NO_NUMBERS, None, -1, float("nan"), float("inf"), 2**200, 2j],
    "truncate": [*NO_NUMBERS, None, -1, float("nan"), float("inf"), 2**200],
    "cval": [*NO_NUMBERS, None, 2j, 10**400],
    "fillvalue": [*NO_NUMBERS, None, 2j, 10**400],
    **dict.fromkeys(("size", "origin", "axis", "axes", "order"), NO_INTEGERS),
    "radius": [value for value in NO_INTEGERS if value is not None],
    **dict.fromkeys(("mode", "method", "boundary"), NO_WORDS),
    "output": ["word", 5, [1, 2], object(), RAGGED, np.zeros(3), "object", "datetime64[s]"],
}
FUNCTIONS = [(module, name) for module in (ndimage, convolving) for name in module.__all__]


@pytest.mark.parametrize(("module", "name"), FUNCTIONS, ids=[name for _, name in FUNCTIONS])
def test_nonsense_is_refused_by_name(module: Any, name: str) -> None:
    function = getattr(module, name)
    parameters = inspect.signature(function).parameters
    given = {key: value for key, value in GIVEN.items() if key in parameters}
    if name.endswith("1d"):
        given |= {"weights": [1, 2]} if "weights" in given else {}
    function(*given.values())
    for argument in parameters:
        for value in REFUSED[argument]:
            how = {**given, argument: value}
            if argument == "footprint":
                how.pop("size")
            if argument == "cval":
                how["mode"] = "constant"
            with pytest.raises((ValueError, TypeError)) as raised:
                function(*how.values()) if name == "sepfir2d" else function(**how)
            text = str(raised.value)
            assert f"`{argument}`" in text, (argument, value, text)
            assert "\n" not in text, (argument, value, text)


def test_an_axis_alone_is_one_axis() -> None:
    """None is all axes where there are several; here there is one."""
    for name in ("uniform_filter1d", "maximum_filter1d", "minimum_filter1d", "correlate1d"):
        given = [1, 2] if name == "correlate1d" else 3
        wrong: list[Any] = [None, [], (0, 1)]
        for axis in wrong:
            with pytest.raises(TypeError, match=r"`axis` \(=.*\) must be an integer"):
                getattr(ndimage, name)(A, given, axis=axis)
