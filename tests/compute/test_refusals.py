"""What the operations refuse, and the messages."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from convlens.compute import avg_pool, conv, conv_transpose, max_pool, plan

W = np.ones((1, 1, 3))
X = np.ones((1, 1, 8))
MASKED = np.ma.masked_array(np.ones((1, 1, 8)), mask=False)
READ_ONLY = np.empty((1, 1, 6))
READ_ONLY.flags.writeable = False
A_LIST: Any = [1.0, 2.0]
A_FLOAT: Any = 1.0

BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: conv(A_LIST, W), TypeError, "`x` must be a NumPy array or a torch"),
    (lambda: conv(X, A_LIST), TypeError, "`weight` must be a NumPy"),
    (lambda: conv(MASKED, W), TypeError, "`x` is a masked array"),
    (
        lambda: conv(X.astype(object), W),
        TypeError,
        "`x` holds object values; convert it to one of float16",
    ),
    (lambda: max_pool(X > 0, 2), TypeError, "`x` holds bool values"),
    (lambda: max_pool(X.astype(np.longdouble), 2), TypeError, "values; convert it to one of"),
    (lambda: max_pool(np.array([["a", "b"]]), 1), TypeError, "`x` holds str"),
    (lambda: max_pool(torch.eye(3).to_sparse(), 1), TypeError, "`x` must be a dense tensor"),
    (
        lambda: conv(X, torch.ones(1, 1, 3)),
        TypeError,
        "`weight` is a torch array but `x` a numpy one",
    ),
    (lambda: conv(X, W.astype("f4")), TypeError, "`weight` holds float32 values but `x` float64"),
    (
        lambda: conv(torch.ones(1, 1, 8), torch.ones(1, 1, 3, device="meta")),
        ValueError,
        "`weight` is on meta but `x` on cpu",
    ),
    (
        lambda: conv(X, W, np.ones(1, "f4")),
        TypeError,
        "`bias` holds float32 values but `x` float64",
    ),
    (
        lambda: conv(X, W, np.ones(2)),
        ValueError,
        "`bias` has shape (2,) but the result has 1 channels; use (1,)",
    ),
    (
        lambda: conv(X, np.ones((3, 3))),
        ValueError,
        "`weight` has shape (3, 3); it must be (k, c/groups, *size) with 1 to 3 axes",
    ),
    (
        lambda: conv_transpose(X, np.ones([1] * 6)),
        ValueError,
        "it must be (c, k/groups, *size) with 1 to 3 axes",
    ),
    (lambda: conv(X, np.ones((1, 1, 0))), ValueError, "`weight` of shape (1, 1, 0) is empty"),
    (
        lambda: conv(np.ones(8), W),
        ValueError,
        "`x` has shape (8,); with 1 axes of space it must be (n, c, *space) or (c, *space)",
    ),
    (
        lambda: conv(np.ones((1, 1, 0)), W),
        ValueError,
        "`x` of shape (1, 1, 0) is empty; only the batch may be 0",
    ),
    (
        lambda: conv(np.ones((1, 3, 9, 9)), np.ones((8, 4, 3, 3))),
        ValueError,
        "reads 4 channels but `x` has 3 and `groups` is 1; weight.shape[1] must be 3",
    ),
    (
        lambda: conv_transpose(np.ones((1, 3, 9)), np.ones((4, 8, 3))),
        ValueError,
        "reads 4 channels but `x` has 3 and `groups` is 1; weight.shape[0] must be 3",
    ),
    (
        lambda: conv(np.ones((1, 8, 9)), np.ones((6, 2, 3)), groups=3),
        ValueError,
        "`groups` (=3) must divide the 8 input channels; use 1, 2, 4 or 8",
    ),
    (
        lambda: conv(np.ones((1, 6, 9)), np.ones((4, 2, 3)), groups=3),
        ValueError,
        "`groups` (=3) must divide the 4 output channels; use 1, 2 or 4",
    ),
    (lambda: conv(X, W, groups=0), ValueError, "`groups` (=0) must be at least 1"),
    (
        lambda: conv(X, W, groups=A_FLOAT),
        TypeError,
        "`groups` (=1.0) must be an integer",
    ),
    (lambda: conv(X, W, stride=0), ValueError, "`stride` (=0) must be at least 1; use 1 or more"),
    (lambda: max_pool(X, 2, stride=-1), ValueError, "`stride` (=-1) must be at least 1"),
    (lambda: conv(X, W, stride=2.0), TypeError, "`stride` (=2.0) must be an integer, not float"),
    (lambda: conv(X, W, stride=True), TypeError, "`stride` (=True) must be an integer, not bool"),
    (lambda: conv(X, W, stride="2"), TypeError, "`stride` (='2') must be an integer, not str"),
    (
        lambda: conv(X, W, stride=(1, 1)),
        ValueError,
        "`stride` (=(1, 1)) has 2 entries; give one integer or 1",
    ),
    (lambda: conv(X, W, dilation=0), ValueError, "`dilation` (=0) must be at least 1"),
    (lambda: conv(X, W, padding=-1), ValueError, "`padding` (=-1) must be at least 0"),
    (lambda: conv(X, W, padding=((0, -2),)), ValueError, "`padding` (=-2) must be at least 0"),
    (
        lambda: conv(X, W, padding=(1, 2)),
        ValueError,
        "`padding` (=(1, 2)) has 2 entries for 1 axes; a pair for one axis is [(1, 2)]",
    ),
    (
        lambda: conv(X, W, padding=(1, 2, 3)),
        ValueError,
        "`padding` (=(1, 2, 3)) has 3 entries for 1 axes; give 1",
    ),
    (lambda: conv(X, W, padding=((1, 2, 3),)), ValueError, "`padding` (=(1, 2, 3)) has 3 entries"),
    (lambda: conv(X, W, padding="half"), ValueError, "`padding` (='half') must be one of"),
    (lambda: conv(X, W, padding="same", stride=2), ValueError, '`padding` "same" needs stride 1'),
    (
        lambda: conv_transpose(X, W, padding="same"),
        ValueError,
        '`padding` (=\'same\') must be integers, "same_upper" or "same_lower"',
    ),
    (
        lambda: conv(X, W, padding_mode="mirror"),
        ValueError,
        "`padding_mode` (='mirror') must be one of",
    ),
    (
        lambda: conv(X, np.ones((1, 1, 9))),
        ValueError,
        "`weight` has a kernel of size 9, which with `dilation` 1 spans 9 positions along axis 0 "
        "of space, but `x` has 8, with `padding` 0 + 0 only 8; pad 1 more",
    ),
    (lambda: conv(X, W, dilation=2**62), ValueError, "or use a smaller kernel or dilation"),
    (
        lambda: conv(X, W, padding=2**62),
        ValueError,
        "the result would have shape (1, 1, 9223372036854775814), more than",
    ),
    (lambda: conv_transpose(X, W, stride=2**62), ValueError, "the result would have shape"),
    (
        lambda: conv_transpose(X, W, padding=5),
        ValueError,
        "`padding` (=5 + 5) must cut off less than the 10 outputs",
    ),
    (
        lambda: conv_transpose(X, W, stride=2, output_padding=2),
        ValueError,
        "`output_padding` (=2) must be 0 to 1",
    ),
    (
        lambda: conv_transpose(X, W, output_padding=-1),
        ValueError,
        "`output_padding` (=-1) must be at least 0",
    ),
    (
        lambda: conv(X, W, method="magic"),
        ValueError,
        '`method` (=\'magic\') must be one of "auto", "direct", ',
    ),
    (
        lambda: conv(X.astype(int), W.astype(int), method="torch"),
        ValueError,
        '`method` (="torch") cannot do this: torch has no convolution of int64',
    ),
    (lambda: max_pool(X, 0), ValueError, "`size` (=0) must be at least 1"),
    (lambda: max_pool(X, ()), ValueError, "`size` (=()) and `x` of shape (1, 1, 8) give 0 axes"),
    (lambda: max_pool(X, 2.5), TypeError, "`size` (=2.5) must be an integer, not float"),
    (lambda: max_pool(np.ones(8), 2), ValueError, "give -1 axes of space, but only"),
    (lambda: avg_pool(X, 9), ValueError, "`size` (=9) with `dilation` 1 spans 9 positions"),
    (lambda: max_pool(X + 1j, 2), TypeError, "`x` holds complex128 values, which have no largest"),
    (
        lambda: avg_pool(X.astype(int), 2),
        TypeError,
        "`x` holds int64 values, whose average need not be an integer; convert x to float32",
    ),
    (
        lambda: max_pool(X, 2, ceil_mode=A_FLOAT),
        TypeError,
        "`ceil_mode` (=1.0) must be True",
    ),
    (
        lambda: conv(X, W, out=np.empty((1, 1, 8))),
        ValueError,
        "`out` has shape (1, 1, 8) but the result (1, 1, 6); use that",
    ),
    (
        lambda: conv(X, W, out=np.empty((1, 1, 6), "f4")),
        TypeError,
        "`out` holds float32 values but the result float64",
    ),
    (
        lambda: conv(X, W, out=torch.empty(1, 1, 6)),
        TypeError,
        "`out` must have the type of `x`, ndarray, not Tensor",
    ),
    (
        lambda: conv(X, W, out=A_LIST),
        TypeError,
        "`out` must be a NumPy array or a torch tensor, not list",
    ),
    (
        lambda: conv(
            torch.ones(1, 1, 8), torch.ones(1, 1, 3), out=torch.empty(1, 1, 6, device="meta")
        ),
        ValueError,
        "`out` is on meta but `x` on cpu",
    ),
    (lambda: conv(X, W, out=READ_ONLY), ValueError, "`out` is read-only"),
    (
        lambda: conv(torch.ones(1, 1, 8), torch.ones(1, 1, 3), out=torch.empty(1).expand(1, 1, 6)),
        ValueError,
        "`out` shows one element in several places",
    ),
    (lambda: conv(X, W, out=X[:, :, 1:7]), ValueError, "`out` must not share memory with `x`"),
    (
        lambda: conv(X, W, padding=((0, 0),), stride=2, out=W),
        ValueError,
        "`out` must not share memory with `weight`",
    ),
    (
        lambda: conv(
            torch.ones(1, 1, 8), torch.ones(1, 1, 3), out=torch.empty(1, 1, 6, requires_grad=True)
        ),
        ValueError,
        "`out` requires a gradient",
    ),
    (
        lambda: conv(
            torch.ones(1, 1, 8, requires_grad=True), torch.ones(1, 1, 3), out=torch.empty(1, 1, 6)
        ),
        ValueError,
        "`out` cannot be used where a gradient is required",
    ),
    (
        lambda: plan(X, W, method="reference")(X[:, :, 1:]),
        ValueError,
        "`x` is a numpy array (1, 1, 7) of float64 on cpu but this plan was made for",
    ),
    (lambda: plan(((1, 1, 8.0), "float64"), W), TypeError, "`x.shape` (=8.0) must be an integer"),
    (
        lambda: plan(((1, 1, 8), "float128x"), W),
        TypeError,
        "`x[1]` (='float128x') must name an element type",
    ),
    (lambda: plan(((1, 1, 8), "bool"), W), TypeError, "`x` holds bool values"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD, ids=[entry[2] for entry in BAD])
def test_bad_input_is_refused_in_a_sentence(
    call: Callable[[], object], kind: type[Exception], text: str
) -> None:
    start = time.thread_time()  # of this thread: other processes may keep the machine busy
    with pytest.raises(kind) as raised:
        call()
    assert time.thread_time() - start < 1
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)
