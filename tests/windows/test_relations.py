"""The fifteen relations of Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*.

arXiv 1603.07285. i inputs, o outputs, k taps, stride s, padding p at both ends, primed letters
for the transposed convolution.
"""

import itertools

import pytest
import torch
import torch.nn.functional as F

from convlens.windows import TransposedWindow, Window

INPUTS, KERNELS, STRIDES, PADS = range(1, 13), range(1, 7), range(1, 5), range(6)


def check_size(window: Window | TransposedWindow, i: int, expected: int) -> None:
    """Raise unless the window gives `expected` outputs, or refuses if that is below 1."""
    if expected >= 1:
        assert window.outputs(i) == expected
    else:
        with pytest.raises(ValueError, match=r"`(size|padding)`"):
            window.outputs(i)


def check_equivalent(k: int, s: int, p: int, i: int, added: int = 0) -> None:
    """Raise unless the transposed convolution is the convolution the paper says it equals.

    The direct one has stride 1, padding k - p - 1 and runs over the stretched input, s - 1 zeros
    between any two, `added` more at the far end; its taps are in reverse order.
    """
    transposed = Window(k, s, before=p, after=p).transposed(added)
    direct = Window(k, before=k - p - 1, after=k - p - 1)
    stretched = i + (i - 1) * (s - 1) + added
    assert transposed.outputs(i) == direct.outputs(stretched)
    for o in range(transposed.outputs(i)):
        pairs = zip(direct.taps(o, stretched), direct.reads(o, stretched), strict=True)
        real = {(k - 1 - t, j // s) for t, j in pairs if j % s == 0 and j // s < i}
        assert real == set(zip(transposed.taps(o, i), transposed.reads(o, i), strict=True))


def test_relation_01_no_padding_unit_stride() -> None:
    """p = 0, s = 1: o = (i - k) + 1."""
    for i, k in itertools.product(INPUTS, KERNELS):
        check_size(Window(k), i, (i - k) + 1)


def test_relation_02_padding_unit_stride() -> None:
    """s = 1: o = (i - k) + 2p + 1."""
    for i, k, p in itertools.product(INPUTS, KERNELS, PADS):
        check_size(Window(k, before=p, after=p), i, (i - k) + 2 * p + 1)


def test_relation_03_half_padding() -> None:
    """k odd, p = floor(k / 2), s = 1: o = i + 2 floor(k / 2) - (k - 1) = i."""
    for i, k in itertools.product(INPUTS, (1, 3, 5, 7)):
        assert Window.padded("same", k) == Window(k, before=k // 2, after=k // 2)
        check_size(Window.padded("same", k), i, i)


def test_relation_04_full_padding() -> None:
    """p = k - 1, s = 1: o = i + 2(k - 1) - (k - 1) = i + (k - 1)."""
    for i, k in itertools.product(INPUTS, KERNELS):
        assert Window.padded("full", k) == Window(k, before=k - 1, after=k - 1)
        check_size(Window.padded("full", k), i, i + (k - 1))


def test_relation_05_no_padding_with_stride() -> None:
    """p = 0: o = floor((i - k) / s) + 1."""
    for i, k, s in itertools.product(INPUTS, KERNELS, STRIDES):
        check_size(Window(k, s), i, (i - k) // s + 1)


def test_relation_06_padding_with_stride() -> None:
    """o = floor((i + 2p - k) / s) + 1; where s divides, i to i + s - 1 give the same o."""
    for i, k, s, p in itertools.product(INPUTS, KERNELS, STRIDES, PADS):
        window = Window(k, s, before=p, after=p)
        check_size(window, i, (i + 2 * p - k) // s + 1)
        if i + 2 * p >= k and (i + 2 * p - k) % s == 0:
            assert {window.outputs(i + a) for a in range(s)} == {window.outputs(i)}


def test_relation_07_pooling() -> None:
    """Any pooling, without padding: o = floor((i - k) / s) + 1."""
    for i, k, s in itertools.product(INPUTS, KERNELS, STRIDES):
        check_size(Window(k, s), i, (i - k) // s + 1)
        if i >= k:
            assert F.avg_pool1d(torch.ones(1, 1, i), k, s).shape[-1] == (i - k) // s + 1


def test_relation_08_transposed_no_padding_unit_stride() -> None:
    """The transpose of p = 0, s = 1 has p' = k - 1 and o' = i' + (k - 1)."""
    for i, k in itertools.product(INPUTS, KERNELS):
        check_size(Window(k).transposed(), i, i + (k - 1))
        check_equivalent(k, 1, 0, i)


def test_relation_09_transposed_padding_unit_stride() -> None:
    """The transpose of s = 1, p has p' = k - p - 1 and o' = i' + (k - 1) - 2p."""
    for i, k, p in itertools.product(INPUTS, KERNELS, PADS):
        expected = i + (k - 1) - 2 * p
        check_size(Window(k, before=p, after=p).transposed(), i, expected)
        if p < k and expected >= 1:
            check_equivalent(k, 1, p, i)


def test_relation_10_transposed_half_padding() -> None:
    """The transpose of k odd, p = floor(k / 2), s = 1 has p' = p and o' = i'."""
    for i, k in itertools.product(INPUTS, (1, 3, 5, 7)):
        check_size(Window.padded("same", k).transposed(), i, i)
        check_equivalent(k, 1, k // 2, i)


def test_relation_11_transposed_full_padding() -> None:
    """The transpose of p = k - 1, s = 1 has p' = 0 and o' = i' + (k - 1) - 2p = i' - (k - 1)."""
    for i, k in itertools.product(INPUTS, KERNELS):
        check_size(Window.padded("full", k).transposed(), i, i - (k - 1))
        if i >= k:
            check_equivalent(k, 1, k - 1, i)


def test_relation_12_transposed_no_padding_with_stride() -> None:
    """The transpose of p = 0 where s divides i - k: o' = s(i' - 1) + k, which is i again."""
    for i, k, s in itertools.product(INPUTS, KERNELS, STRIDES):
        check_size(Window(k, s).transposed(), i, s * (i - 1) + k)
        check_equivalent(k, s, 0, i)
        if i >= k and (i - k) % s == 0:
            assert Window(k, s).transposed().outputs(Window(k, s).outputs(i)) == i


def test_relation_13_transposed_padding_with_stride() -> None:
    """The transpose where s divides i + 2p - k: p' = k - p - 1 and o' = s(i' - 1) + k - 2p."""
    for i, k, s, p in itertools.product(INPUTS, KERNELS, STRIDES, PADS):
        window = Window(k, s, before=p, after=p)
        expected = s * (i - 1) + k - 2 * p
        check_size(window.transposed(), i, expected)
        if p < k and expected >= 1:
            check_equivalent(k, s, p, i)
        if i + 2 * p >= k and (i + 2 * p - k) % s == 0:
            assert window.transposed().outputs(window.outputs(i)) == i


def test_relation_14_transposed_with_output_padding() -> None:
    """The transpose with a = (i + 2p - k) mod s: o' = s(i' - 1) + a + k - 2p, i again for any i."""
    for i, k, s, p in itertools.product(INPUTS, KERNELS, STRIDES, PADS):
        window = Window(k, s, before=p, after=p)
        for a in range(s):
            expected = s * (i - 1) + a + k - 2 * p
            check_size(window.transposed(a), i, expected)
            if p < k and expected >= 1:
                check_equivalent(k, s, p, i, a)
        if i + 2 * p >= k:
            again = window.transposed((i + 2 * p - k) % s)
            assert again.outputs(window.outputs(i)) == i


def test_relation_15_dilation() -> None:
    """o = floor((i + 2p - k - (k - 1)(d - 1)) / s) + 1, the extent being k + (k - 1)(d - 1)."""
    for i, k, s, p, d in itertools.product(INPUTS, KERNELS, STRIDES, PADS, (1, 2, 3)):
        window = Window(k, s, d, p, p)
        assert window.extent == k + (k - 1) * (d - 1)
        check_size(window, i, (i + 2 * p - k - (k - 1) * (d - 1)) // s + 1)


def test_the_relations_catch_a_wrong_size_and_a_wrong_equivalent() -> None:
    with pytest.raises(AssertionError):
        check_size(Window(3, 2, before=1, after=1), 5, (5 + 2 - 3) // 2)
    with pytest.raises(pytest.fail.Exception):
        check_size(Window(3), 5, 0)
    with pytest.raises(AssertionError):
        check_equivalent_with_the_taps_in_order()


def check_equivalent_with_the_taps_in_order() -> None:
    transposed, direct = Window(3).transposed(), Window(3, before=2, after=2)
    for o in range(6):
        assert list(transposed.taps(o, 4)) == list(direct.taps(o, 4))
