"""`convlens.signal.ndimage` against scipy.ndimage: every option, element type and layout."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from scipy import ndimage as scipy_ndimage

from convlens.signal import ndimage, sliding
from convlens.signal.ndimage_arguments import BORDERS
from tests.oracles.compute import Numbers, check_sum
from tests.running.drawn_examples import examples

REAL = ["bool", "uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64"]
FLOAT = ["float32", "float64"]
MODES = sorted(BORDERS)


@pytest.fixture(autouse=True, scope="module")
def _plain_sums() -> Iterator[None]:
    """Leave out the methods that are no plain sum: on whole numbers we want the bits of SciPy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sliding.PLAIN, "auto", True)
        yield


def whole(shape: tuple[int, ...], dtype: str, seed: int) -> Numbers:
    rng = np.random.default_rng(seed)
    least = 0 if np.dtype(dtype).kind in "bu" else -5
    x = rng.integers(least, 6, shape)
    return (x + 1j * rng.integers(-5, 6, shape) if "complex" in dtype else x).astype(dtype)


@st.composite
def layouts(draw: st.DrawFn, most_axes: int = 4) -> tuple[tuple[int, ...], tuple[int, ...], Any]:
    """A shape, and some of its axes in order with an odd or even size of weights for each."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=most_axes)))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    along = tuple(sorted(axes))
    sizes = tuple(draw(st.integers(1, 5 if len(shape) < 4 else 3)) for _ in along)
    return shape, sizes, along


def origins(data: st.DataObject, sizes: tuple[int, ...]) -> list[int]:
    return [data.draw(st.integers(-(k // 2), (k - 1) // 2)) for k in sizes]


@pytest.mark.parametrize("name", ndimage.__all__)
def test_signatures_are_those_of_scipy(name: str) -> None:
    def signatures(module: Any) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert signatures(ndimage) == signatures(scipy_ndimage)


@examples(
    data=st.data(),
    layout=layouts(),
    dtype=st.sampled_from([*REAL, *FLOAT, "complex64", "complex128"]),
    output=st.sampled_from([None, "float64", "int16", "uint8", np.float32]),
    weights_dtype=st.sampled_from(["int64", "float32", "complex128"]),
    mode=st.sampled_from(MODES),
    cval=st.integers(-3, 3),
    name=st.sampled_from(["correlate", "convolve"]),
    few=30,
    many=150,
)
def test_weighted_sums_of_whole_numbers_are_scipys(
    data: st.DataObject,
    layout: Any,
    dtype: str,
    output: Any,
    weights_dtype: str,
    mode: str,
    cval: int,
    name: str,
) -> None:
    shape, sizes, along = layout
    x, weights = whole(shape, dtype, 1), whole(sizes, weights_dtype, 2)
    if "complex" in dtype + weights_dtype:
        output = None
    shifts = origins(data, sizes)
    options = {"output": output, "mode": mode, "cval": cval, "origin": shifts, "axes": along}
    found = getattr(ndimage, name)(x, weights, **options)
    expected = getattr(scipy_ndimage, name)(x, weights, **options)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@examples(
    data=st.data(),
    layout=layouts(3),
    dtype=st.sampled_from([*REAL, *FLOAT, "complex64"]),
    mode=st.sampled_from(MODES),
    name=st.sampled_from(["correlate1d", "convolve1d"]),
    few=30,
    many=150,
)
def test_weighted_sums_along_one_axis_are_scipys(
    data: st.DataObject, layout: Any, dtype: str, mode: str, name: str
) -> None:
    shape, sizes, along = layout
    x, weights = whole(shape, dtype, 1), whole(sizes[:1], "float64", 2)
    (shift,) = origins(data, sizes[:1])
    options = {"axis": along[0] - len(shape), "mode": mode, "cval": 2, "origin": shift}
    found = getattr(ndimage, name)(x, weights, **options)
    expected = getattr(scipy_ndimage, name)(x, weights, **options)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@examples(
    layout=layouts(3),
    dtype=st.sampled_from([*FLOAT, "complex64", "complex128"]),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 1000),
    few=30,
    many=150,
)
def test_weighted_sums_keep_the_bound(layout: Any, dtype: str, mode: str, seed: int) -> None:
    shape, sizes, along = layout
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)
    x = (x + 1j * rng.standard_normal(shape) if "complex" in dtype else x).astype(dtype)
    weights = rng.standard_normal(sizes)
    found = ndimage.correlate(x, weights, mode=mode, cval=0.5, axes=along)
    wide = x.astype("complex128" if "complex" in dtype else "float64")
    exact = scipy_ndimage.correlate(wide, weights, mode=mode, cval=0.5, axes=along)
    total = scipy_ndimage.correlate(abs(wide), abs(weights), mode=mode, cval=0.5, axes=along)
    assert found.dtype == dtype
    check_sum(found, exact, total, weights.size, dtype)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_gaussian_weights_are_scipys(order: int, sigma: float) -> None:
    impulse = np.zeros(41)
    impulse[20] = 1
    found = ndimage.gaussian_filter1d(impulse, sigma, order=order)
    expected = scipy_ndimage.gaussian_filter1d(impulse, sigma, order=order)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15 * abs(expected).max())
    assert np.count_nonzero(found) >= 2


@examples(
    layout=layouts(4),
    sigma=st.lists(st.sampled_from([0, 0.3, 0.8, 1.3]), min_size=4, max_size=4),
    mode=st.lists(st.sampled_from(MODES), min_size=4, max_size=4),
    dtype=st.sampled_from(FLOAT),
    radius=st.sampled_from([None, 0, 2]),
    few=30,
    many=150,
)
def test_gaussian_filter_keeps_the_bound(
    layout: Any, sigma: list[float], mode: list[str], dtype: str, radius: int | None
) -> None:
    shape, _, along = layout
    x = np.random.default_rng(3).standard_normal(shape).astype(dtype)
    each = {"sigma": sigma[: len(along)], "mode": mode[: len(along)], "radius": radius}
    options = {**each, "cval": 0.5, "axes": along, "truncate": 3.0}
    found = ndimage.gaussian_filter(x, **options)
    exact = scipy_ndimage.gaussian_filter(x.astype("float64"), **options)
    total = scipy_ndimage.gaussian_filter(abs(x).astype("float64"), **options)
    terms = sum(2 * (2 if radius is not None else int(3 * s + 0.5)) + 3 for s in sigma)
    assert found.dtype == dtype
    check_sum(found, exact, total, terms, dtype)


def test_gaussian_derivatives_go_to_their_axes() -> None:
    x = np.random.default_rng(5).standard_normal((12, 9, 7))
    options: dict[str, Any] = {
        "sigma": (1.2, 0.7),
        "order": (1, 2),
        "axes": (2, 0),
        "mode": ("wrap", "nearest"),
    }
    found = ndimage.gaussian_filter(x, **options)
    np.testing.assert_allclose(found, scipy_ndimage.gaussian_filter(x, **options), atol=1e-13)


def test_integers_differ_from_scipys_only_next_to_a_whole_number() -> None:
    x = np.random.default_rng(6).integers(0, 255, (40, 50)).astype(np.uint8)
    x[:20] = 77
    for axis in (0, 1):
        found = ndimage.gaussian_filter1d(x, 1.4, axis).astype(int)
        exact = scipy_ndimage.gaussian_filter1d(x.astype(float), 1.4, axis)
        assert np.all((found <= exact + 1e-12) & (exact - 1 - 1e-12 <= found))
        expected = scipy_ndimage.gaussian_filter1d(x, 1.4, axis)
        elsewhere = abs(exact - np.rint(exact)) > 1e-12
        assert elsewhere.sum() > 500
        np.testing.assert_array_equal(found[elsewhere], expected[elsewhere])


@examples(
    data=st.data(),
    layout=layouts(4),
    dtype=st.sampled_from(REAL),
    mode=st.lists(st.sampled_from(MODES), min_size=4, max_size=4),
    output=st.sampled_from([None, "float64", "int32"]),
    few=30,
    many=150,
)
def test_means_of_integers_are_scipys(
    data: st.DataObject, layout: Any, dtype: str, mode: list[str], output: Any
) -> None:
    shape, sizes, along = layout
    options = {"size": sizes, "axes": along, "origin": origins(data, sizes), "cval": 2}
    options |= {"mode": mode[: len(along)], "output": output}
    x = whole(shape, dtype, 8)
    found = ndimage.uniform_filter(x, **options)
    expected = scipy_ndimage.uniform_filter(x, **options)
    assert found.dtype == expected.dtype
    if output == "float64":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    else:
        np.testing.assert_array_equal(found, expected)


@examples(
    layout=layouts(3),
    dtype=st.sampled_from([*FLOAT, "complex64", "complex128"]),
    mode=st.sampled_from(MODES),
    few=30,
    many=150,
)
def test_means_keep_the_bound(layout: Any, dtype: str, mode: str) -> None:
    shape, sizes, along = layout
    size, axis = sizes[0], along[0]
    rng = np.random.default_rng(9)
    x = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(
        dtype if "complex" in dtype else "complex128"
    )
    x = (x if "complex" in dtype else x.real).astype(dtype)
    found = ndimage.uniform_filter1d(x, size, axis, mode=mode, cval=0.25)
    wide = x.astype("complex128" if "complex" in dtype else "float64")
    options: dict[str, Any] = {"axis": axis, "mode": mode, "cval": 0.25}
    ones = np.ones(size) / size
    exact = scipy_ndimage.correlate1d(wide, ones, **options)
    total = scipy_ndimage.correlate1d(abs(wide), ones, **options)
    assert found.dtype == dtype
    check_sum(found, exact, total, size, dtype)


@examples(
    data=st.data(),
    layout=layouts(4),
    dtype=st.sampled_from([*REAL, *FLOAT]),
    mode=st.lists(st.sampled_from(MODES), min_size=4, max_size=4),
    plain=st.booleans(),
    cval=st.sampled_from([0, 3, -2, 2.5]),
    output=st.sampled_from([None, "float64", "int16"]),
    name=st.sampled_from(["maximum_filter", "minimum_filter"]),
    few=30,
    many=300,
)
def test_extremes_are_scipys(
    data: st.DataObject,
    layout: Any,
    dtype: str,
    mode: list[str],
    plain: bool,
    cval: float,
    output: Any,
    name: str,
) -> None:
    # One axis makes 2**64 - 2 of -2, and SciPy, along the next, 0 of that.
    assume(dtype != "uint64" or cval >= 0)
    shape, sizes, along = layout
    x = whole(shape, dtype, 10)
    options: dict[str, Any] = {"size": sizes, "axes": along, "cval": cval, "output": output}
    if not plain:
        options |= {"mode": mode[: len(along)], "origin": origins(data, sizes)}
    found = getattr(ndimage, name)(x, **options)
    expected = getattr(scipy_ndimage, name)(x, **options)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "int8", "int64"])
def test_extremes_order_the_ends_of_a_type(dtype: str) -> None:
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.max, 0, limits.max, limits.min, limits.min, 1], dtype)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, 1, mode="edge"), 3)
    np.testing.assert_array_equal(ndimage.maximum_filter(x, 3), windows.max(axis=1))
    np.testing.assert_array_equal(ndimage.minimum_filter(x, 3), windows.min(axis=1))


@pytest.mark.parametrize("axes", [(2, 0), (-1, 0), (1, 2, 0)])
def test_axes_in_another_order_are_taken_as_in_scipy(axes: tuple[int, ...]) -> None:
    x, size = whole((5, 4, 6), "float64", 16), (3, 2, 5)[: len(axes)]
    weights, origin = whole(size, "float64", 17), (1, 0, -2)[: len(axes)]
    if len(axes) == 2:
        origin = (0, 1) if axes == (2, 0) else (-1, -1)
    for name in ("correlate", "convolve"):
        found = getattr(ndimage, name)(x, weights, origin=origin, axes=axes)
        expected = getattr(scipy_ndimage, name)(x, weights, origin=origin, axes=axes)
        np.testing.assert_array_equal(found, expected)
    for name in ("uniform_filter", "maximum_filter"):
        found = getattr(ndimage, name)(x, size, axes=axes)
        expected = getattr(scipy_ndimage, name)(x, size, axes=axes)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_a_footprint_with_holes_is_scipys() -> None:
    x, cross = whole((6, 7), "int16", 11), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    for name in ("maximum_filter", "minimum_filter"):
        ours, theirs = getattr(ndimage, name), getattr(scipy_ndimage, name)
        np.testing.assert_array_equal(ours(x, footprint=cross), theirs(x, footprint=cross))
        full = np.ones((2, 3))
        np.testing.assert_array_equal(ours(x, footprint=full), theirs(x, footprint=full))
    with pytest.warns(UserWarning, match="`size` is ignored"):
        ndimage.maximum_filter(x, 3, footprint=cross)


def test_not_a_number_stays_in_its_windows() -> None:
    x = np.arange(9.0)
    x[4] = np.nan
    near = [3, 4, 5]
    for y in (
        ndimage.uniform_filter(x, 3),
        ndimage.maximum_filter(x, 3),
        ndimage.minimum_filter(x, 3),
        ndimage.correlate1d(x, [1, 1, 1]),
    ):
        assert np.flatnonzero(np.isnan(y)).tolist() == near


LINEAR: list[Any] = [
    ("correlate", (np.array([[1.0, 2.0], [3.0, -4.0]]),), {}),
    ("convolve1d", ([1.0, 2.0, -1.0],), {"axis": 0}),
    ("gaussian_filter", (1.0,), {}),
    ("uniform_filter", (3,), {}),
    ("maximum_filter", (3,), {"mode": "wrap"}),
    ("minimum_filter", (2,), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), LINEAR, ids=[row[0] for row in LINEAR])
def test_layouts_in_place_and_outputs(name: str, arguments: Any, options: Any) -> None:
    ours = getattr(ndimage, name)
    x = whole((6, 8), "float64", 12)
    kept = x.copy()
    expected = ours(x, *arguments, **options)
    np.testing.assert_array_equal(x, kept)
    frozen = x.copy()
    frozen.flags.writeable = False
    big = np.zeros((12, 24))
    big[::2, ::3] = x
    for view in (frozen, np.asfortranarray(x), big[::2, ::3], x[::-1, ::-1].copy()[::-1, ::-1]):
        np.testing.assert_array_equal(ours(view, *arguments, **options), expected)
    found = ours(x.astype(">f8"), *arguments, **options)
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, expected)
    into = np.zeros((6, 16))[:, ::2]
    assert ours(x, *arguments, output=into, **options) is into
    np.testing.assert_array_equal(into, expected)
    assert ours(x, *arguments, output=x, **options) is x
    np.testing.assert_array_equal(x, expected)


def test_nothing_to_do_and_nothing_there() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for y in (
        ndimage.gaussian_filter(x, 0),
        ndimage.uniform_filter(x, 1),
        ndimage.maximum_filter(x, 1),
        ndimage.correlate(x, [[1]]),
    ):
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)
    empty = np.ones((0, 4), np.float32)
    for y in (
        ndimage.correlate(empty, np.ones((3, 3))),
        ndimage.gaussian_filter(empty, 1),
        ndimage.uniform_filter(empty, 3),
        ndimage.minimum_filter(empty, 3),
    ):
        assert (y.shape, y.dtype) == ((0, 4), np.float32)
    assert ndimage.correlate(5.0, 2.0) == 10
    assert ndimage.maximum_filter(5.0, 3) == 5


def test_more_axes_than_the_engine_slides_along() -> None:
    x, weights = whole((3, 4, 3, 2), "int32", 13), whole((2, 3, 2, 2), "float64", 14)
    for name in ("correlate", "convolve"):
        found = getattr(ndimage, name)(x, weights, mode="mirror")
        np.testing.assert_array_equal(
            found, getattr(scipy_ndimage, name)(x, weights, mode="mirror")
        )
    turned = ndimage.convolve(x * 1j, weights * (1 + 2j))
    np.testing.assert_array_equal(turned, scipy_ndimage.convolve(x * 1j, weights * (1 + 2j)))


@pytest.mark.parametrize("dtype", FLOAT)
def test_what_the_engine_chooses_stays_within_its_tolerance(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sliding.PLAIN, "auto", False)
    x = np.random.default_rng(15).standard_normal((90, 80)).astype(dtype)
    exact = scipy_ndimage.gaussian_filter(x.astype("float64"), 2.0)
    rms = np.sqrt(np.mean(exact**2))
    for _ in range(25):
        found = ndimage.gaussian_filter(x, 2.0)
        assert np.sqrt(np.mean((found - exact) ** 2)) <= 2e-5 * rms  # two passes


X = np.arange(12.0).reshape(3, 4)
REFUSED: list[Any] = [
    (ValueError, r"`mode` \(='bad'\)", lambda: ndimage.correlate1d(X, [1, 2], mode="bad")),
    (ValueError, "`mode`", lambda: ndimage.correlate(X, [[1]], mode=["wrap"] * 2)),  # type: ignore[arg-type]
    (ValueError, "`weights` has shape", lambda: ndimage.correlate1d(X, [])),
    (ValueError, "`weights` has shape", lambda: ndimage.correlate(X, [1, 2])),
    (ValueError, "`weights` has shape", lambda: ndimage.correlate(X, np.ones((2, 2)), axes=0)),
    (ValueError, r"\(=1\) must be -1 to 0", lambda: ndimage.correlate1d(X, [1, 2], origin=1)),
    (ValueError, r"must be -1 to 0", lambda: ndimage.convolve1d(X, [1, 2], origin=-2)),
    (TypeError, "`origin`", lambda: ndimage.correlate1d(X, [1, 2], origin=0.5)),  # type: ignore[arg-type]
    (ValueError, r"`axis` \(=2\)", lambda: ndimage.correlate1d(X, [1, 2], axis=2)),
    (ValueError, "`axes`", lambda: ndimage.gaussian_filter(X, 1, axes=5)),
    (ValueError, "`axes`", lambda: ndimage.gaussian_filter(X, 1, axes=(0, 0))),
    (ValueError, "`sigma` .* 3 entries for 2", lambda: ndimage.gaussian_filter(X, [1, 2, 3])),
    (ValueError, "`sigma`", lambda: ndimage.gaussian_filter1d(X, -1)),
    (ValueError, "`sigma`", lambda: ndimage.gaussian_filter1d(X, 0)),
    (ValueError, "`order`", lambda: ndimage.gaussian_filter(X, 1, order=-1)),
    (ValueError, "`radius`", lambda: ndimage.gaussian_filter(X, 1, radius=-1)),
    (ValueError, "`size`", lambda: ndimage.uniform_filter1d(X, 0)),
    (TypeError, "`size`", lambda: ndimage.maximum_filter1d(X, 2.5)),  # type: ignore[arg-type]
    (ValueError, "`size` and `footprint`", lambda: ndimage.maximum_filter(X)),
    (ValueError, "`footprint`", lambda: ndimage.maximum_filter(X, footprint=np.zeros((3, 3)))),
    (TypeError, "complex", lambda: ndimage.maximum_filter(X * 1j, 3)),
    (TypeError, "`input` holds object", lambda: ndimage.correlate1d(X.astype(object), [1])),
    (ValueError, "`output`", lambda: ndimage.correlate1d(X, [1], output=np.zeros(3))),
    (TypeError, "`output` cannot be", lambda: ndimage.correlate1d(X, [1], output="U3")),
    (ValueError, "imaginary", lambda: ndimage.correlate1d(X, [1j], output="float64")),
    (TypeError, "`cval`", lambda: ndimage.correlate1d(X, [1, 2], mode="constant", cval=1j)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "call"), REFUSED, ids=[row[1] for row in REFUSED])
def test_bad_arguments_are_refused_in_a_sentence(error: Any, message: str, call: Any) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
