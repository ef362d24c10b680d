"""Integers of 64 bits in the filters of SciPy: exact, where SciPy computes in float64."""

from collections.abc import Callable
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import ndimage as scipy_ndimage
from scipy import signal as scipy_signal

from convlens import signal
from convlens.signal import ndimage
from convlens.signal.ndimage_arguments import BORDERS
from tests.running.drawn_examples import examples

Numbers = np.ndarray[Any, Any]

TOP = 2**63 - 1


def windows(x: Numbers, mask: Numbers, mode: str, cval: Any) -> list[list[Any]]:
    """The elements under a mask, in the middle of which each stands, as Python's own numbers."""
    reach = [(n // 2, n - 1 - n // 2) for n in mask.shape]
    pad = BORDERS[mode]
    options = {"constant_values": cval} if pad == "constant" else {}
    wide = np.pad(x.astype(object), reach, mode=pad, **options)  # type: ignore[call-overload]
    view = np.lib.stride_tricks.sliding_window_view(wide, mask.shape)
    return [list(view[index][mask]) for index in np.ndindex(*x.shape)]


@pytest.mark.parametrize("footprint", [[1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 0, 0, 1, 1]])
@pytest.mark.parametrize("name", ["minimum_filter", "maximum_filter"])
def test_the_numbers_of_the_report(name: str, footprint: list[int]) -> None:
    choose = min if name == "minimum_filter" else max
    for values in ([TOP, TOP, 3], [2**62 + 1, 5, 2**62 + 3], [2**53 + 1, 5, 2**53 + 3]):
        for dtype in (np.int64, np.uint64):
            x = np.array(values, dtype)
            found = getattr(ndimage, name)(x, footprint=footprint)
            expected = [
                choose(window) for window in windows(x, np.array(footprint, bool), "reflect", 0)
            ]
            assert found.dtype == dtype
            assert found.tolist() == expected


@examples(
    data=st.data(),
    dtype=st.sampled_from(["int64", "uint64", "uint8"]),
    mode=st.sampled_from(sorted(BORDERS)),
    cval=st.sampled_from([0, -1, 2.5, -(2**62) - 1, 2**63 - 1, 2**53 + 1]),
    name=st.sampled_from(["minimum_filter", "maximum_filter"]),
    holes=st.booleans(),
    few=25,
    many=60,
)
def test_extremes_are_elements_of_the_window(
    data: st.DataObject, dtype: str, mode: str, cval: Any, name: str, holes: bool
) -> None:
    axes = data.draw(st.integers(1, 2 if holes else 1))  # boxes go one axis after another
    shape, size = (tuple(data.draw(st.integers(1, most)) for _ in range(axes)) for most in (6, 5))
    mask = np.ones(size, bool)
    if holes:
        mask = np.array([data.draw(st.booleans()) for _ in range(mask.size)]).reshape(size)
        mask.flat[0] = True
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    numbers = [data.draw(st.integers(low, high)) for _ in range(int(np.prod(shape)))]
    x = np.array(numbers, dtype).reshape(shape)
    found = getattr(ndimage, name)(x, footprint=mask, mode=mode, cval=cval)
    choose = min if name == "minimum_filter" else max
    right = [choose(window) for window in windows(x, mask, mode, cval)]
    # A border value that wins becomes an integer as in C.
    assert found.ravel().tolist() == [(int(v) - low) % (high - low + 1) + low for v in right]


def test_a_border_value_that_cannot_win_may_be_anything() -> None:
    x = np.array([2**53 + 1, -(2**53) - 1, 7])
    for footprint in ([1, 0, 1], [1, 1, 1]):
        options: dict[str, Any] = {"footprint": footprint, "mode": "constant"}
        least = ndimage.minimum_filter(x, cval=float("inf"), **options)
        most = ndimage.maximum_filter(x, cval=float("-inf"), **options)
        assert set(least.tolist()) <= set(x.tolist())
        assert set(most.tolist()) <= set(x.tolist())
        for wrong in (float("inf"), float("nan"), 2**70):
            with pytest.raises(ValueError, match=r"`cval` \(=.*\) wins beyond the border"):
                ndimage.maximum_filter(x, cval=wrong, **options)
        # Between two whole numbers that float64 cannot tell apart.
        tight = ndimage.maximum_filter(np.array([2**53]), cval=2**53 + 1, **options)
        assert tight.tolist() == [2**53 + 1]
    assert ndimage.maximum_filter(
        np.array([5, 1], np.uint64), 3, mode="constant", cval=2.5
    ).tolist() == [5, 5]


def test_not_a_number_wins_under_a_footprint() -> None:
    x = np.arange(9.0)
    x[4] = np.nan
    for name in ("minimum_filter", "maximum_filter"):
        found = getattr(ndimage, name)(x, footprint=[1, 0, 1])
        assert np.flatnonzero(np.isnan(found)).tolist() == [3, 5]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "bool"])
def test_footprints_are_scipys(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 50, (7, 8, 5)).astype(dtype)
    for size, axes in (((4, 3, 2), None), ((5, 3), (0, 2)), ((6,), (1,)), ((3, 4), (2, 0))):
        mask = rng.random(size) < 0.6
        mask.flat[0], mask.flat[1] = True, False
        origin = [int(rng.integers(-(n // 2), (n - 1) // 2 + 1)) for n in size]
        for mode in sorted(BORDERS):
            options: dict[str, Any] = {"mode": mode, "cval": 3, "origin": origin, "axes": axes}
            for name in ("minimum_filter", "maximum_filter"):
                found = getattr(ndimage, name)(x, footprint=mask, **options)
                wide = x.astype("float32") if dtype == "float16" else x
                right = getattr(scipy_ndimage, name)(wide, footprint=mask, **options)
                assert found.dtype == dtype
                np.testing.assert_array_equal(found, right.astype(dtype))


@examples(
    values=st.lists(st.integers(-(2**63), TOP), min_size=1, max_size=9),
    weights=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=4),
    mode=st.sampled_from(sorted(BORDERS)),
    cval=st.sampled_from([0, -7, 2**53 + 1, -(2**62)]),
    dtype=st.sampled_from(["int64", "uint64"]),
    output=st.sampled_from([None, "int32", "uint64"]),
    few=25,
    many=60,
)
def test_whole_sums_are_exact_modulo_the_bits(
    values: list[int], weights: list[int], mode: str, cval: int, dtype: str, output: Any
) -> None:
    x = np.array([value % 2**64 if dtype == "uint64" else value for value in values], dtype)
    found = ndimage.correlate1d(x, weights, output=output, mode=mode, cval=cval)
    reach = len(weights) // 2, len(weights) - 1 - len(weights) // 2
    options = {"constant_values": cval} if BORDERS[mode] == "constant" else {}
    wide = np.pad(x.astype(object), reach, mode=BORDERS[mode], **options)  # type: ignore[call-overload]
    sums = [
        sum(int(a) * w for a, w in zip(wide[i : i + len(weights)], weights, strict=True))
        for i in range(len(x))
    ]
    assert [int(n) % 2 ** (8 * found.itemsize) for n in found] == [
        n % 2 ** (8 * found.itemsize) for n in sums
    ]


@examples(
    values=st.lists(st.integers(-(2**63), TOP), min_size=1, max_size=9),
    size=st.integers(2, 7),
    mode=st.sampled_from(sorted(BORDERS)),
    dtype=st.sampled_from(["int64", "uint64"]),
    few=25,
    many=60,
)
def test_means_of_integers_are_cut_from_the_exact_one(
    values: list[int], size: int, mode: str, dtype: str
) -> None:
    x = np.array([value % 2**64 if dtype == "uint64" else value for value in values], dtype)
    found = ndimage.uniform_filter1d(x, size, mode=mode, cval=3)
    sums = [sum(map(int, window)) for window in windows(x, np.ones(size, bool), mode, 3)]
    assert found.dtype == dtype
    assert found.tolist() == [abs(s) // size * (1 if s >= 0 else -1) for s in sums]


def test_more_axes_than_three_are_slid_along_here() -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.integers(-9, 9, (4, 3, 5, 4)), rng.integers(-3, 4, (2, 3, 2, 2))
    for mode in ("reflect", "constant", "wrap"):
        found = ndimage.correlate(x, weights, mode=mode, cval=2)
        np.testing.assert_array_equal(found, scipy_ndimage.correlate(x, weights, mode=mode, cval=2))
    big = ndimage.correlate(x + 2**60, weights)
    exact = scipy_ndimage.correlate(x, weights) + 2**60 * int(weights.sum())
    np.testing.assert_array_equal(big, exact)
    for mode in ("full", "same", "valid"):
        for one, two in ((x, weights), (x * 0.5, weights)):
            found = signal.convolve(one, two, mode)
            right = scipy_signal.convolve(one, two, mode, "direct")
            np.testing.assert_allclose(found, right, rtol=0, atol=1e-12)
    spoilt = x.astype(float)
    spoilt[0, 0, 0, 0] = np.nan
    for found in (signal.convolve(spoilt, weights), signal.fftconvolve(spoilt, weights)):
        assert np.isnan(found).sum() == weights.size


@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_convolutions_of_integers_are_exact_by_every_method(method: str) -> None:
    """SciPy takes the magnitude of the least int64 for negative, and so it for a small number."""
    one, two = np.array([-(2**63), 3, TOP, 2**53 + 1]), np.array([1, 1, 3])
    exact = [0] * 6
    for i, a in enumerate(one.tolist()):
        for j, b in enumerate(two.tolist()):
            exact[i + j] += a * b
    wrapped = [(n + 2**63) % 2**64 - 2**63 for n in exact]
    assert signal.convolve(one, two, method=method).tolist() == wrapped
    square = signal.convolve(one[:, None], two[:, None], method=method)
    assert square[:, 0].tolist() == wrapped
    assert signal.convolve2d(one[:, None], two[:, None])[:, 0].tolist() == wrapped
    long = signal.convolve(np.full(400, 2**53 + 1), np.ones(300, int), method=method)
    assert long[350] == 300 * (2**53 + 1)


def test_what_no_integer_holds_is_refused() -> None:
    x = np.array([1.0, np.nan, 2.0])
    calls: list[Callable[[], Any]] = [
        lambda: ndimage.correlate1d(x, [1, 1], output=np.int64),
        lambda: ndimage.uniform_filter1d(x, 2, output=np.uint8),
        lambda: ndimage.maximum_filter1d(x, 2, output=np.int32),
        lambda: ndimage.maximum_filter(x, footprint=[1, 0, 1], output=np.int32),
        lambda: ndimage.correlate1d([1, 2], [1, 1], mode="constant", cval=np.inf),
        lambda: ndimage.correlate1d(np.array([1e300]), [1], output=np.int64),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"`output` of u?int\d+ cannot hold"):
            call()
    turned = ndimage.gaussian_filter1d(np.array([0, 2**63 + 2**62], np.uint64), 1, order=1)
    assert turned.dtype == np.uint64
    assert floor(int(turned[0])) >= 0
