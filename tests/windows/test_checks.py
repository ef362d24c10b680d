"""Bad input to a window is named with its value and a cure."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from convlens.windows import (
    AdaptiveWindow,
    TransposedWindow,
    Window,
    padded_source,
)

BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Window(0), ValueError, "`size` (=0) must be at least 1; use a positive integer"),
    (lambda: Window(3, stride=0), ValueError, "`stride` (=0) must be at least 1"),
    (lambda: Window(3, stride=-2), ValueError, "`stride` (=-2) must be at least 1"),
    (lambda: Window(3, dilation=0), ValueError, "`dilation` (=0) must be at least 1"),
    (lambda: Window(3, before=-1), ValueError, "`before` (=-1) must not be negative; crop"),
    (lambda: TransposedWindow(3, after=-1), ValueError, "`after` (=-1) must not be negative"),
    (lambda: Window(3.0), TypeError, "`size` (=3.0) must be an integer, not float"),  # type: ignore[arg-type]
    (lambda: Window("3"), TypeError, "`size` (='3') must be an integer, not str"),  # type: ignore[arg-type]
    (lambda: Window(True), TypeError, "`size` (=True) must be an integer, not bool"),
    (lambda: Window(3, ceil=1), TypeError, "`ceil` (=1) must be True or False"),  # type: ignore[arg-type]
    (lambda: Window(5).outputs(4), ValueError, "`size` (=5) with dilation 1 spans 5 positions"),
    (lambda: Window(3, dilation=2**62).outputs(9), ValueError, "or use a smaller size or dilation"),
    (lambda: Window(1).outputs(0), ValueError, "`n` (=0) must be at least 1"),
    (lambda: Window(1).reads(4, 4), ValueError, "`o` (=4) must be 0 to 3"),
    (lambda: Window(1).taps(-1, 4), ValueError, "`o` (=-1) must be 0 to 3"),
    (lambda: Window(1).readers(4, 4), ValueError, "`i` (=4) must be 0 to 3"),
    (lambda: Window(1).unread(-1), ValueError, "`n` (=-1) must be at least 1"),
    (lambda: Window(2, ceil=True).transposed(), ValueError, "`ceil` (=True) has no transpose"),
    (lambda: Window(3, 2).transposed(2), ValueError, "`output_padding` (=2) must be 0 to 1"),
    (lambda: Window(3, 2).transposed(-1), ValueError, "`output_padding` (=-1) must be 0 to 1"),
    (lambda: TransposedWindow(2, before=1, after=1).outputs(1), ValueError, "use at most 1 in all"),
    (lambda: TransposedWindow(2).reads(5, 4), ValueError, "`o` (=5) must be 0 to 4"),
    (lambda: TransposedWindow(2).readers(4, 4), ValueError, "`i` (=4) must be 0 to 3"),
    (lambda: Window.padded("half", 3), ValueError, "`padding` (='half') must be integers or one"),
    (lambda: Window.padded("same", 3, stride=2), ValueError, '`padding` "same" needs stride 1'),
    (lambda: AdaptiveWindow(0), ValueError, "`count` (=0) must be at least 1"),
    (lambda: AdaptiveWindow(2.0), TypeError, "`count` (=2.0) must be an integer"),  # type: ignore[arg-type]
    (lambda: AdaptiveWindow(3).reads(3, 9), ValueError, "`o` (=3) must be 0 to 2"),
    (lambda: padded_source(0, 3, "mirror"), ValueError, "`mode` (='mirror') must be one"),
    (lambda: padded_source(0, 0), ValueError, "`n` (=0) must be at least 1"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named_with_value_and_cure(
    call: Callable[[], object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_integers_of_numpy_become_plain_integers() -> None:
    window = Window(np.int64(3), stride=np.uint8(2))  # type: ignore[arg-type]
    assert window == Window(3, 2)
    assert type(window.size) is type(window.stride) is int
    with pytest.raises(TypeError, match="`size`"):
        Window(torch.ones(2))  # type: ignore[arg-type]


def test_the_ground_floor_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, convlens.windows; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
