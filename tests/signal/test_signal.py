"""`convlens.signal` against scipy.signal: every option, element type and layout."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import signal as scipy_signal

import convlens.signal
from convlens import signal
from convlens.compute.dispatching import execute
from convlens.signal import convolving, ndimage, sliding
from tests.oracles.compute import Numbers, check_sum
from tests.running.drawn_examples import examples

WHOLE = ["uint8", "int8", "int16", "int32", "uint32", "int64", "uint64"]
FLOAT = ["float32", "float64", "complex64", "complex128"]
MODES = ["full", "same", "valid"]
BOUNDARIES = ["fill", "pad", "wrap", "circular", "symm", "symmetric"]


@pytest.fixture(autouse=True, scope="module")
def _plain_sums() -> Iterator[None]:
    """Leave out the methods that are no plain sum: on whole numbers we want the bits of SciPy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sliding.PLAIN, "auto", True)
        patch.setitem(sliding.PLAIN, "fft", True)
        yield


def whole(shape: tuple[int, ...], dtype: str, seed: int) -> Numbers:
    rng = np.random.default_rng(seed)
    x = rng.integers(0 if np.dtype(dtype).kind in "bu" else -5, 6, shape)
    return (x + 1j * rng.integers(-5, 6, shape) if "complex" in dtype else x).astype(dtype)


def real(shape: tuple[int, ...], dtype: str, seed: int) -> Numbers:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)
    return (x + 1j * rng.standard_normal(shape) if "complex" in dtype else x).astype(dtype)


@st.composite
def shapes(draw: st.DrawFn, axes: int = 3) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes, of which one, but not always the same one, may cover the other."""
    count = draw(st.integers(1, axes))
    one = tuple(draw(st.integers(1, 6)) for _ in range(count))
    two = tuple(draw(st.integers(1, 6)) for _ in range(count))
    return one, two


def covering(sizes: Any, mode: str) -> tuple[int, ...]:
    """Return a second shape that mode "valid" allows beside the first."""
    one, two = sizes
    return tuple(min(n, m) for n, m in zip(one, two, strict=True)) if mode == "valid" else two


@pytest.mark.parametrize("name", sorted(set(convolving.__all__) - {"sepfir2d"}))
def test_signatures_are_those_of_scipy(name: str) -> None:
    def signatures(module: Any) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert signatures(signal) == signatures(scipy_signal)


def test_a_user_changes_one_import() -> None:
    assert set(convlens.signal.__all__) == {*convolving.__all__, "ndimage"}
    assert set(convlens.signal.ndimage.__all__) == set(ndimage.__all__)
    assert convlens.signal.convolve is signal.convolve
    assert convlens.signal.ndimage.correlate is ndimage.correlate


@examples(
    sizes=shapes(4),
    dtypes=st.tuples(st.sampled_from(WHOLE + FLOAT), st.sampled_from(WHOLE + FLOAT)),
    mode=st.sampled_from(MODES),
    method=st.sampled_from(["auto", "fft"]),
    exchanged=st.booleans(),
    name=st.sampled_from(["convolve", "correlate"]),
    few=40,
    many=200,
)
def test_sums_of_whole_numbers_are_scipys(
    sizes: Any, dtypes: Any, mode: str, method: str, exchanged: bool, name: str
) -> None:
    one, two = whole(sizes[0], dtypes[0], 1), whole(covering(sizes, mode), dtypes[1], 2)
    if exchanged:
        one, two = two, one
    with np.errstate(invalid="ignore"):  # SciPy casts memory that it has not written yet
        found = getattr(signal, name)(one, two, mode, method)
        expected = getattr(scipy_signal, name)(one, two, mode, "direct")
    assert found.dtype == expected.dtype
    # Beyond three axes that slide, SciPy does it, and may itself choose a transform.
    sliding_axes = sum(1 not in pair for pair in zip(one.shape, two.shape, strict=True))
    by_transform = sliding_axes > 3 and method != "direct" and expected.dtype.kind in "fc"
    atol = 1e-3 if {"float32", "complex64"} & set(dtypes) else 1e-11
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol if by_transform else 0)


@examples(
    sizes=shapes(3),
    dtype=st.sampled_from(FLOAT),
    mode=st.sampled_from(MODES),
    name=st.sampled_from(["convolve", "correlate", "fftconvolve", "oaconvolve"]),
    few=40,
    many=200,
)
def test_sums_keep_the_bound(sizes: Any, dtype: str, mode: str, name: str) -> None:
    one, two = real(sizes[0], dtype, 3), real(covering(sizes, mode), dtype, 4)
    found = getattr(signal, name)(one, two, mode)
    wide = "complex128" if "complex" in dtype else "float64"
    peer = getattr(scipy_signal, "correlate" if name == "correlate" else "convolve")
    exact = peer(one.astype(wide), two.astype(wide), mode, "direct")
    total = peer(abs(one).astype("float64"), abs(two).astype("float64"), mode, "direct")
    assert found.dtype == dtype
    check_sum(found, exact, total, min(one.size, two.size), dtype)


@examples(
    data=st.data(),
    dtypes=st.tuples(
        st.sampled_from(["bool", "int16", "float16", "float32", "float64", "complex64"]),
        st.sampled_from(["bool", "int16", "float16", "float32", "float64", "complex64"]),
    ),
    mode=st.sampled_from(MODES),
    name=st.sampled_from(["fftconvolve", "oaconvolve"]),
    few=40,
    many=200,
)
def test_some_axes_slide_and_the_others_broadcast(
    data: st.DataObject, dtypes: Any, mode: str, name: str
) -> None:
    count = data.draw(st.integers(1, 5))
    axes = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3)))
    one, two = [], []
    for axis in range(count):
        n = data.draw(st.integers(1, 5))
        m = data.draw(st.integers(1, n) if axis in axes else st.sampled_from([1, n]))
        n = n if axis in axes else data.draw(st.sampled_from([1, n]))
        one.append(n)
        two.append(m)
    x, w = whole(tuple(one), dtypes[0], 5), whole(tuple(two), dtypes[1], 6)
    given_axes = data.draw(st.sampled_from([axes, [axis - count for axis in axes]]))
    found = getattr(signal, name)(x, w, mode, given_axes)
    expected = getattr(scipy_signal, name)(x, w, mode, given_axes)
    assert found.dtype == expected.dtype
    narrow = {"float16", "float32", "complex64"} & set(dtypes)  # SciPy transforms them as they are
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 if narrow else 1e-10)


@examples(
    sizes=st.tuples(*[st.tuples(st.integers(1, 6), st.integers(1, 6))] * 2),
    dtypes=st.tuples(st.sampled_from(WHOLE + FLOAT), st.sampled_from(WHOLE + FLOAT)),
    mode=st.sampled_from(MODES),
    boundary=st.sampled_from(BOUNDARIES),
    fill=st.sampled_from([0, 3, 2.0]),
    exchanged=st.booleans(),
    name=st.sampled_from(["convolve2d", "correlate2d"]),
    few=40,
    many=400,
)
def test_images_of_whole_numbers_are_scipys(
    sizes: Any, dtypes: Any, mode: str, boundary: str, fill: float, exchanged: bool, name: str
) -> None:
    one, two = whole(sizes[0], dtypes[0], 7), whole(covering(sizes, mode), dtypes[1], 8)
    if exchanged:
        one, two = two, one
    found = getattr(signal, name)(one, two, mode, boundary, fill)
    expected = getattr(scipy_signal, name)(one, two, mode, boundary, fill)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@examples(
    image=st.tuples(st.integers(7, 9), st.integers(7, 9)),
    halves=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dtype=st.sampled_from(["bool", "uint8", "int64", *FLOAT]),
    few=40,
    many=200,
)
def test_separable_filters_are_scipys(image: Any, halves: Any, dtype: str) -> None:
    x = whole(image, dtype, 9)
    row, column = (whole((2 * half + 1,), "int8", half) for half in halves)
    found = signal.sepfir2d(x, row, column)
    expected = scipy_signal.sepfir2d(x, row, column)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_separable_filters_longer_than_the_image() -> None:
    """SciPy's reads beyond its memory there."""
    x, row, column = (
        whole((2, 3), "float64", 1),
        whole((13,), "float64", 2),
        whole((11,), "int8", 3),
    )
    mirrored = np.pad(x, ((5, 5), (6, 6)), mode="symmetric")
    expected = scipy_signal.convolve2d(mirrored, np.outer(column, row), "valid")
    np.testing.assert_array_equal(signal.sepfir2d(x, row, column), expected)


def test_integers_are_exact_and_go_round() -> None:
    one = np.array([200, 200, 7], np.uint8)
    np.testing.assert_array_equal(signal.convolve(one, one), np.convolve(one, one))
    huge = np.array([2**40 + 1, -(2**41), 3], np.int64)
    for method in ("auto", "direct"):
        np.testing.assert_array_equal(
            signal.convolve(huge, huge, method=method), np.convolve(huge, huge)
        )
    image = np.array([[2**40 + 1, 5], [7, -(2**41)]])
    for boundary in ("fill", "symm", "wrap"):
        np.testing.assert_array_equal(
            signal.convolve2d(image, image, "same", boundary),
            scipy_signal.convolve2d(image, image, "same", boundary),
        )
    truths = np.array([True, False, False, True]), np.array([True, False, True])
    np.testing.assert_array_equal(signal.convolve(*truths), np.convolve(*truths))
    assert signal.convolve(*truths).dtype == bool


def test_what_only_scipy_can_do() -> None:
    objects = np.array([1, 10**30], object)
    assert signal.convolve(objects, objects).tolist() == [1, 2 * 10**30, 10**60]
    wide = np.ones((4, 4), np.longdouble)
    for name in ("convolve", "correlate", "fftconvolve", "convolve2d", "correlate2d"):
        found = getattr(signal, name)(wide, wide)
        assert found.dtype == np.longdouble
        np.testing.assert_allclose(found, getattr(scipy_signal, name)(wide, wide), atol=1e-15)
    x = whole((3, 3, 2, 3), "float64", 10)
    for name in ("convolve", "correlate"):
        np.testing.assert_array_equal(
            getattr(signal, name)(x, x[:2], method="direct"),
            getattr(scipy_signal, name)(x, x[:2], method="direct"),
        )
    np.testing.assert_allclose(
        signal.oaconvolve(x, x[:2]), scipy_signal.oaconvolve(x, x[:2]), atol=1e-11
    )


def test_single_numbers_and_nothing() -> None:
    assert signal.convolve(2, 3) == 6
    assert signal.correlate(2j, 3j) == 6
    assert signal.fftconvolve(2.0, 3.0) == 6
    assert signal.fftconvolve([], [1.0]).shape == (0,)
    assert signal.oaconvolve(np.ones((0, 3)), np.ones((2, 3))).shape == (0,)
    assert signal.convolve([], [1.0, 2.0], "same").shape == (0,)


CALLS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("convolve", lambda x, w: signal.convolve(x, w)),
    ("correlate", lambda x, w: signal.correlate(x, w, "same")),
    ("fftconvolve", lambda x, w: signal.fftconvolve(x, w, axes=0)),
    ("oaconvolve", lambda x, w: signal.oaconvolve(x, w, "valid", axes=1)),
    ("convolve2d", lambda x, w: signal.convolve2d(x, w, "same", "symm")),
    ("correlate2d", lambda x, w: signal.correlate2d(x, w, "full", "fill", 2)),
    ("sepfir2d", lambda x, w: signal.sepfir2d(x, w[0, :3], w[1, :1])),
]


@pytest.mark.parametrize("call", [row[1] for row in CALLS], ids=[row[0] for row in CALLS])
def test_layouts_and_inputs_left_alone(call: Callable[[Any, Any], Any]) -> None:
    x, w = whole((6, 8), "float64", 11), whole((6, 8), "float64", 12)
    kept = x.copy(), w.copy()
    expected = call(x, w)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(w, kept[1])
    x.flags.writeable = w.flags.writeable = False
    wide = np.zeros((12, 24))
    wide[::2, ::3] = x
    for view in (x, np.asfortranarray(x), wide[::2, ::3], x[::-1, ::-1].copy()[::-1, ::-1]):
        np.testing.assert_array_equal(call(view, w), expected)
    np.testing.assert_array_equal(call(x.tolist(), np.asfortranarray(w)), expected)
    found = call(x.astype(">f8"), w)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, expected)


def test_not_a_number_stays_in_its_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute transforms so long a sum, but not where a transform would spread a NaN."""
    for method in ("auto", "fft"):
        monkeypatch.setitem(sliding.PLAIN, method, False)
    x, w = np.ones(60_000), np.ones(2001)
    plain = signal.convolve(x, w, "same")
    x[30_000] = np.nan
    for y in (
        signal.convolve(x, w, "same"),
        signal.convolve(x, w, "same", "fft"),
        signal.fftconvolve(x, w, "same"),
    ):
        hit = slice(29_000, 31_001)
        assert np.isnan(y[hit]).all()
        y[hit] = plain[hit]
        np.testing.assert_allclose(y, plain, rtol=1e-9)


def test_direct_asks_the_engine_for_plain_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def executed(problem: Any, x: Any, weight: Any, *, exact: bool) -> Any:
        asked.append(exact)
        return execute(problem, x, weight, exact=exact)

    monkeypatch.setattr(sliding, "execute", executed)
    monkeypatch.setitem(sliding.PLAIN, "auto", False)
    one, two = whole((40, 30), "float64", 16), whole((5, 4), "float64", 17)
    for name in ("convolve", "correlate"):
        found = getattr(signal, name)(one, two, "same", "direct")
        expected = getattr(scipy_signal, name)(one, two, "same", "direct")
        np.testing.assert_array_equal(found, expected)
        getattr(signal, name)(one, two, "same")
    assert asked == [True, False] * 2


@pytest.mark.parametrize("dtype", FLOAT)
def test_what_the_engine_chooses_stays_within_its_tolerance(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sliding.PLAIN, "auto", False)
    one, two = real((90, 80), dtype, 18), real((9, 8), dtype, 19)
    exact = scipy_signal.convolve(one.astype("complex128"), two.astype("complex128"), "same")
    rms = np.sqrt(np.mean(abs(exact) ** 2))
    for _ in range(25):
        found = signal.convolve(one, two, "same")
        assert np.sqrt(np.mean(abs(found - exact) ** 2)) <= 1e-5 * rms


ROW, IMAGE = np.ones(3), np.ones((3, 3))
REFUSED: list[Any] = [
    (ValueError, r"`mode` \(='bad'\)", lambda: signal.convolve(ROW, ROW, "bad")),
    (ValueError, "`method`", lambda: signal.convolve(ROW, ROW, "full", "bad")),
    (ValueError, "`mode`", lambda: signal.correlate(ROW, ROW, "bad")),
    (ValueError, "`mode`", lambda: signal.fftconvolve(ROW, ROW, "bad")),
    (ValueError, "`mode`", lambda: signal.convolve2d(IMAGE, IMAGE, 1)),  # type: ignore[arg-type]
    (ValueError, "has 1 axes but `in2` 2", lambda: signal.convolve(ROW, IMAGE)),
    (ValueError, "`in1` of shape .* is empty", lambda: signal.convolve([], ROW)),
    (ValueError, "`in2` of shape .* is empty", lambda: signal.correlate(ROW, [], "same")),
    (ValueError, "at least as large", lambda: signal.convolve(IMAGE[:2], IMAGE[:, :2], "valid")),
    (ValueError, "at least as large", lambda: signal.correlate2d(IMAGE[:2], IMAGE[:, :2], "valid")),
    (ValueError, "`axes`", lambda: signal.fftconvolve(ROW, ROW, axes=[])),
    (ValueError, "`axes` .* once", lambda: signal.fftconvolve(ROW, ROW, axes=[0, -1])),
    (ValueError, "`axes`", lambda: signal.oaconvolve(ROW, ROW, axes=1)),
    (ValueError, "`axes` .* integer", lambda: signal.oaconvolve(ROW, ROW, axes=0.5)),
    (ValueError, "along axis 0 must be", lambda: signal.fftconvolve(IMAGE, IMAGE[:2], axes=1)),
    (ValueError, "`boundary`", lambda: signal.convolve2d(IMAGE, IMAGE, "full", "reflect")),
    (ValueError, "`fillvalue`", lambda: signal.convolve2d(IMAGE, IMAGE, fillvalue=1j)),
    (ValueError, "`fillvalue`", lambda: signal.convolve2d(IMAGE, IMAGE, fillvalue=[1, 2])),
    (ValueError, "`fillvalue`", lambda: signal.convolve2d([[1]], [[1]], fillvalue=2**70)),
    (ValueError, "`in1` has shape", lambda: signal.convolve2d(ROW, IMAGE)),
    (ValueError, "`in2` has shape", lambda: signal.correlate2d(IMAGE, IMAGE[:0])),
    (ValueError, "`hrow` has shape", lambda: signal.sepfir2d(IMAGE, [1, 1], ROW)),
    (TypeError, "`hrow` holds float64", lambda: signal.sepfir2d(IMAGE.astype("f4"), ROW, ROW)),
    (ValueError, "`input` has shape", lambda: signal.sepfir2d(ROW, ROW, ROW)),
    (TypeError, "`input` holds", lambda: signal.sepfir2d(IMAGE.astype("g"), ROW, ROW)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "call"), REFUSED)
def test_bad_arguments_are_refused_in_a_sentence(error: Any, message: str, call: Any) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def large(*shape: int) -> Numbers:
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize("name", ["convolve", "fftconvolve", "oaconvolve", "convolve2d"])
@pytest.mark.parametrize("shape", [(200, 200), (30, 40, 50)])
def test_all_of_a_large_one_with_a_large_one(
    monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, ...]
) -> None:
    """torch would lay all windows side by side, in 51 GB: whoever sums plainly, it must not."""
    if name == "convolve2d" and len(shape) > 2:
        pytest.skip("of images only")
    monkeypatch.setitem(sliding.PLAIN, "auto", False)
    x = large(*shape)
    theirs = scipy_signal.convolve(x, x[::-1])  # its convolve2d would take ten seconds
    np.testing.assert_allclose(getattr(signal, name)(x, x[::-1]), theirs, rtol=1e-9)
