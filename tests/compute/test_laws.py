"""Laws that convolution and pooling obey exactly on whole numbers, by every method."""

from collections.abc import Callable, Iterable, Iterator
from math import lcm, prod
from typing import Any

import numpy as np
import pytest
import torch

from convlens.compute import Plan, conv_transpose
from convlens.compute.planning import plan_pool
from convlens.windows import TransposedWindow, Window
from tests.cases.methods import (
    DIRECT,
    LARGER,
    check_whole,
    computed_of,
    does,
    exact_methods_of,
    is_exact,
    methods_of,
    planned_of,
)
from tests.cases.problems import BY_NAME, CASES, Case
from tests.oracles.compute import (
    PAD_MODES,
    Numbers,
    arrays_of,
    convolve,
    several,
    spread,
    whole_numbers,
)
from tests.running.broad import broad

ALL = [*CASES, *LARGER]
BROADER = frozenset(
    (
        *("edges of an image", "half padding, even kernel", "full padding", "valid by name"),
        *("stride leaves inputs over", "dilated", "a volume in groups", "a filterbank"),
        *("an image of few channels", "a long kernel both ways", "one by one", "a strided layer"),
        *("a dilated layer", "a depthwise layer", "a grouped layer", "a larger volume"),
        *("uneven padding", "the largest of a larger volume"),
    )
)
"""The cases that take longest to compile, and need no method that the others do not."""
CONVOLUTIONS = [case for case in ALL if case.operation == "conv" and len(case.x) > 2]
BATCHED = [case for case in CONVOLUTIONS if len(case.x) == len(case.weight)]
ZEROS = [case for case in BATCHED if "padding_mode" not in case.options]
TRANSPOSED = [
    case for case in ALL if case.operation == "conv_transpose" and len(case.x) == len(case.weight)
]
POOLS = [case for case in ALL if not case.weight]
WHOLE_POOLS = [case for case in POOLS if "without batch" not in case.name]


def some(cases: Iterable[Case], *more: str) -> list[Any]:
    """Return cases of which the broader ones are marked as slow, but for some by name."""
    return broad(cases, lambda case: case.name not in BROADER or case.name in more)


def answers(
    case: Case, x: Numbers, weight: Any = None, bias: Any = None, **options: Any
) -> Iterator[tuple[str, bool, Numbers]]:
    """Yield the name of every method, whether it must be exact, and its result."""
    planned = planned_of(case, x, weight, bias, **options)
    for method in methods_of(planned):
        found = computed_of(case, x, weight, bias, method, **options)
        yield method, is_exact(method, planned), found


def unpadded(case: Case) -> list[Window]:
    """Return the window of every axis of a case, without its padding."""
    x, weight, _ = arrays_of(case)
    windows = planned_of(case, x, weight if case.weight else None).windows
    return [Window(w.size, w.stride, w.dilation) for w in windows]


def fits(case: Case) -> bool:
    """Return whether each axis has a place for the window without padding, and some axis two."""
    windows = unpadded(case)
    room = [n - w.extent for n, w in zip(case.x[-len(windows) :], windows, strict=True)]
    return min(room) >= 0 and any(r >= w.stride for r, w in zip(room, windows, strict=True))


def ends_of(planned: Plan) -> list[tuple[int, int]]:
    return [(window.before, window.after) for window in planned.windows]


@pytest.mark.parametrize("case", some([*BATCHED, *TRANSPOSED]), ids=str)
def test_convolution_is_linear_in_every_argument(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    z, v = whole_numbers(case.x, 11), whole_numbers(case.weight, 12)
    for method, exact, whole in answers(case, 2 * x - 3 * z, weight, bias):
        parts = [computed_of(case, part, weight, None, method) for part in (x, z)]
        shift = bias.reshape(-1, *[1] * (x.ndim - 2))
        check_whole(whole, 2 * parts[0] - 3 * parts[1] + shift, exact)
        apart = computed_of(case, x, 2 * weight - 3 * v, None, method)
        check_whole(apart, 2 * parts[0] - 3 * computed_of(case, x, v, None, method), exact)


@pytest.mark.parametrize("case", some(ZEROS, "uneven padding"), ids=str)
def test_transposed_convolution_is_the_adjoint(case: Case) -> None:
    """<conv(x), y> = <x, conv_transpose(y)>, for every pair of methods."""
    x, weight, _ = arrays_of(case)
    planned = planned_of(case, x, weight)
    y = whole_numbers(planned.shapes["y"], 13)
    back: dict[str, Any] = {
        name: case.options[name] for name in ("stride", "dilation") if name in case.options
    }
    fitted = [
        TransposedWindow(w.size, w.stride, w.dilation, w.before, w.after) for w in planned.windows
    ]
    # Positions after the last window are filled with zeros, or cut off.
    left = [n - w.outputs(m) for n, w, m in zip(x.shape[2:], fitted, y.shape[2:], strict=True)]
    named = Case(case.name, "conv_transpose", y.shape, case.weight, options=back)
    more: dict[str, Any] = {"padding": ends_of(planned), "output_padding": tuple(left)}
    more["groups"] = case.options.get("groups", 1)
    read = [float((found * y).sum()) for _, _, found in answers(case, x, weight)]
    written = [float((x * found).sum()) for _, _, found in answers(named, y, weight, **more)]
    exact = [e for _, e, _ in [*answers(case, x, weight), *answers(named, y, weight, **more)]]
    for found, e in zip([*read, *written], exact, strict=True):
        check_whole(found, read[0] if exact[0] else round(read[0]), e)


@pytest.mark.parametrize("case", some(c for c in [*BATCHED, *POOLS] if fits(c)), ids=str)
def test_a_shifted_input_gives_a_shifted_result(case: Case) -> None:
    """Without the first `stride` inputs, the first output is missing and the rest is the same."""
    x, weight, _ = arrays_of(case)
    options: dict[str, Any] = {"padding": 0}
    options |= {"padding_mode": "zeros"} if case.weight else {"ceil_mode": False}
    windows = unpadded(case)
    for axis, window in enumerate(windows):
        if x.shape[axis - len(windows)] - window.stride < window.extent:
            continue
        index: list[Any] = [slice(None)] * len(windows)
        index[axis] = slice(window.stride, None)
        shifted = x[(Ellipsis, *index)]
        index[axis] = slice(1, None)
        for method, exact, found in answers(case, x, weight, **options):
            again = computed_of(case, shifted, weight, None, method, **options)
            exact = exact and case.operation != "avg_pool"
            check_whole(again, found[(Ellipsis, *index)], exact)


@pytest.mark.parametrize("name", ["edges of an image", "an image of few channels", "a layer"])
def test_a_circle_may_begin_anywhere(name: str) -> None:
    case = BY_NAME.get(name) or next(c for c in LARGER if c.name == name)
    x, weight, _ = arrays_of(case)
    options: dict[str, Any] = {"padding": "same", "padding_mode": "circular"}
    for method, exact, found in answers(case, x, weight, **options):
        turned = computed_of(case, np.roll(x, (2, -3), (2, 3)), weight, None, method, **options)
        check_whole(turned, np.roll(found, (2, -3), (2, 3)), exact)


@pytest.mark.parametrize("case", some(c for c in ZEROS if "groups" not in c.options), ids=str)
def test_two_convolutions_are_one_by_the_convolved_kernel(case: Case) -> None:
    """Without flips, two kernels are composed by their true convolution."""
    x, weight, _ = arrays_of(case)
    second = whole_numbers((2, len(weight), *[2] * (x.ndim - 2)), 14)
    both = np.array(
        [
            [
                sum(convolve(k[m], weight[m, c]) for m in range(len(weight)))
                for c in range(weight.shape[1])
            ]
            for k in second
        ]
    )
    full = Case(case.name, "conv", case.x, case.weight, options={"padding": "full"})
    planned = planned_of(full, x, weight)
    for method, exact, found in answers(full, x, both):
        if not does(method, planned):
            continue
        first = np.rint(computed_of(full, x, weight, None, method))
        check_whole(found, computed_of(full, first, second, None, "reference"), exact)


@pytest.mark.parametrize("case", some(c for c in ALL if c.options.get("groups", 1) > 1), ids=str)
def test_groups_are_blocks_of_a_dense_weight(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    groups = case.options["groups"]
    each = weight.shape[0] // groups
    blocks = weight.reshape(groups, each, *weight.shape[1:])
    dense = np.zeros((groups, each, groups, *weight.shape[1:]))
    dense[range(groups), :, range(groups)] = blocks
    dense = dense.reshape(len(weight), groups * weight.shape[1], *weight.shape[2:])
    expected = computed_of(case, x, weight, bias)
    for _, exact, found in answers(case, x, weight, bias):
        check_whole(found, expected, exact)
    for _, exact, found in answers(case, x, dense, bias, groups=1):
        check_whole(found, expected, exact)


@pytest.mark.parametrize("case", some([*BATCHED, *POOLS]), ids=str)
def test_a_stride_is_every_so_manieth_output(case: Case) -> None:
    x, weight, _ = arrays_of(case)
    padding = case.options.get("padding", 0)
    options: dict[str, Any] = {"padding": 0 if padding == "same" else padding}
    if not case.weight:
        options["ceil_mode"] = False
    steps = (3, 2, 4)[: len(unpadded(case))]
    every = (..., *(slice(None, None, step) for step in steps))
    planned = planned_of(case, x, weight, **options, stride=1)
    for method, exact, found in answers(case, x, weight, **options, stride=steps):
        if not does(method, planned):
            continue
        dense = computed_of(case, x, weight, None, method, **options, stride=1)
        exact = exact and case.operation != "avg_pool"
        check_whole(found, dense[every], exact)


@pytest.mark.parametrize("case", some([*ZEROS, *TRANSPOSED]), ids=str)
def test_a_dilation_is_a_kernel_with_gaps(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    axes = x.ndim - 2
    steps = (2, 3, 2)[:axes]
    options: dict[str, Any] = {"padding": 0 if case.operation != "conv" else "full"}
    options["output_padding"] = 0
    if case.operation == "conv":
        del options["output_padding"]
    wide = spread(weight, steps)
    planned = planned_of(case, x, wide, bias, **options, dilation=1)
    for method, exact, found in answers(case, x, weight, bias, **options, dilation=steps):
        if does(method, planned):
            again = computed_of(case, x, wide, bias, method, **options, dilation=1)
            check_whole(found, again, exact)


@pytest.mark.parametrize("case", some(TRANSPOSED), ids=str)
def test_transposed_is_a_convolution_of_the_input_with_gaps(case: Case) -> None:
    """The input has zeros between its elements, the kernel is flipped, and the padding is full."""
    x, weight, _ = arrays_of(case)
    groups, axes = case.options.get("groups", 1), x.ndim - 2
    flipped = np.flip(weight, tuple(range(2, weight.ndim)))
    flipped = flipped.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    flipped = flipped.reshape(-1, len(weight) // groups, *weight.shape[2:])
    stride, dilation = case.options.get("stride", 1), case.options.get("dilation", 1)
    as_conv = Case(
        case.name,
        "conv",
        (),
        flipped.shape,
        options={"padding": "full", "dilation": dilation, "groups": groups},
    )
    stretched = spread(x, several(stride, axes))
    (_, _, expected), *_ = answers(as_conv, stretched, flipped)
    for _, exact, found in answers(case, x, weight, padding=0, output_padding=0):
        check_whole(found, np.rint(expected), exact)


@pytest.mark.parametrize("case", some(c for c in BATCHED if "groups" not in c.options), ids=str)
def test_channels_may_stand_in_any_order(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    p = np.random.default_rng(15).permutation(x.shape[1])
    q = np.random.default_rng(16).permutation(len(weight))
    for method, exact, found in answers(case, x, weight, bias):
        mixed = computed_of(case, x[:, p], weight[q][:, p], bias[q], method)
        check_whole(mixed, found[:, q], exact)


@pytest.mark.parametrize("case", some(c for c in BATCHED if len(c.x) > 3), ids=str)
def test_axes_may_stand_in_any_order(case: Case) -> None:
    """Kernels treat the last axis specially; the result must not depend on it."""
    x, weight, bias = arrays_of(case)
    planned = planned_of(case, x, weight, bias)
    turned_windows = planned.windows[::-1]
    options: dict[str, Any] = {
        "stride": tuple(w.stride for w in turned_windows),
        "dilation": tuple(w.dilation for w in turned_windows),
        "padding": tuple((w.before, w.after) for w in turned_windows),
    }
    order = (0, 1, *reversed(range(2, x.ndim)))
    turned = x.transpose(order), weight.transpose(order)
    planned = planned_of(case, *turned, bias, **options)
    for method, exact, found in answers(case, x, weight, bias):
        if does(method, planned):
            again = computed_of(case, *turned, bias, method, **options)
            check_whole(again.transpose(order), found, exact)


@pytest.mark.parametrize("case", some([*BATCHED, *TRANSPOSED, *WHOLE_POOLS]), ids=str)
def test_a_batch_is_its_members(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    x = np.concatenate([x, whole_numbers(case.x, 17), x[:1] - 1])
    for method, exact, whole in answers(case, x, weight, bias):
        exact = exact and case.operation != "avg_pool"
        for start, stop in ((0, 1), (1, len(x)), (len(x) - 1, len(x))):
            part = computed_of(case, x[start:stop], weight, bias, method)
            check_whole(part, whole[start:stop], exact)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("case", some(BATCHED), ids=str)
def test_a_padding_mode_is_padding_first(case: Case, mode: str) -> None:
    x, weight, bias = arrays_of(case)
    ends = [(min(k, 3), max(0, 3 - k)) for k in range(1, x.ndim - 1)]
    missing = [
        max(0, window.extent - n - sum(end))
        for window, n, end in zip(unpadded(case), x.shape[2:], ends, strict=True)
    ]
    ends = [(low, high + more) for (low, high), more in zip(ends, missing, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *ends], mode=PAD_MODES[mode])
    options: dict[str, Any] = {"padding": ends, "padding_mode": mode}
    first: dict[str, Any] = {"padding": 0, "padding_mode": "zeros"}
    planned = planned_of(case, padded, weight, bias, **first)
    for method, exact, found in answers(case, x, weight, bias, **options):
        if does(method, planned):
            again = computed_of(case, padded, weight, bias, method, **first)
            check_whole(found, again, exact)


def odd_bytes(x: Numbers) -> Numbers:
    """Return the same numbers at addresses that are not aligned for their type."""
    memory = np.zeros(x.nbytes + 1, np.uint8)
    at = memory[1:].view(x.dtype).reshape(x.shape)
    at[...] = x
    return at


def in_gaps(x: Numbers) -> Numbers:
    """Return the same numbers with other numbers between them along every axis."""
    memory = np.full([2 * n + 1 for n in x.shape], 77, x.dtype)
    view = memory[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def read_only(x: Numbers) -> Numbers:
    view = x.view()
    view.flags.writeable = False
    return view


def strange_one(x: Numbers) -> Numbers:
    """Return the same numbers with an arbitrary stride along the axes of size 1."""
    steps = [17 if n == 1 else step for n, step in zip(x.shape, x.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(x, x.shape, steps)


LAYOUTS: dict[str, Callable[[Numbers], Numbers]] = {
    "Fortran": np.asfortranarray,
    "all axes reversed": lambda x: np.flip(np.flip(x).copy()),
    "last axis reversed": lambda x: x[..., ::-1].copy()[..., ::-1],
    "in gaps": in_gaps,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "odd bytes": odd_bytes,
    "read-only": read_only,
    "channels last": lambda x: np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1),
    "absurd strides of size-1 axes": strange_one,
}
LAID_OUT = [
    *(BY_NAME[n] for n in ("a layer", "doubling", "the mean, padded", "the largest, padded")),
    *(c for c in LARGER if c.name in ("a long filter", "a dense layer", "a depthwise layer")),
    *(c for c in LARGER if c.name in ("a larger volume", "the largest of many", "a decoder")),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", some(LAID_OUT), ids=str)
def test_memory_layout_changes_no_bit(case: Case, layout: str) -> None:
    """Test whole numbers by every method, and any numbers by those that promise the same bits."""
    lay = LAYOUTS[layout]
    rng = np.random.default_rng(18)
    whole = [part.astype(np.float32) for part in arrays_of(case)]
    rough = [np.asarray(rng.standard_normal(part.shape), np.float32) for part in whole]
    planned = planned_of(case, whole[0], whole[1], whole[2])
    for parts, promised in ((whole, exact_methods_of(planned)), (rough, ["reference", "direct"])):
        able = [m for m in methods_of(planned) if m in promised and is_exact(m, planned)]
        laid = [lay(part) if part.ndim > 1 else part for part in parts]
        kept = [part.tobytes() for part in laid]
        for method in able:
            expected = computed_of(case, parts[0], parts[1], parts[2], method)
            found = computed_of(case, laid[0], laid[1], laid[2], method)
            assert found.astype(np.float32).tobytes() == expected.tobytes(), method
            assert found.dtype == laid[0].dtype
        assert [part.tobytes() for part in laid] == kept


@pytest.mark.parametrize("case", some(LAID_OUT), ids=str)
def test_one_number_shown_everywhere_is_that_many_numbers(case: Case) -> None:
    """Test an array with strides 0, as `numpy.broadcast_to` makes it."""
    x, weight, bias = arrays_of(case)
    row = np.broadcast_to(x[:1, :1, ..., :1], x.shape)
    kernels = np.broadcast_to(weight[:1], weight.shape) if case.weight else weight
    for method in methods_of(planned_of(case, x, weight, bias)):
        expected = computed_of(case, row.copy(), kernels.copy(), bias, method)
        assert np.array_equal(computed_of(case, row, kernels, bias, method), expected), method


@pytest.mark.parametrize("case", some(c for c in LAID_OUT if c.weight), ids=str)
@pytest.mark.parametrize("layout", ["as it is", "Fortran", "in gaps", "odd bytes", "flipped"])
def test_the_result_goes_where_it_is_wanted(case: Case, layout: str) -> None:
    x, weight, bias = arrays_of(case)
    lay: dict[str, Callable[[Numbers], Numbers]] = dict(LAYOUTS)
    lay |= {"as it is": np.copy, "flipped": lambda y: np.flip(y.copy())}
    planned = planned_of(case, x, weight, bias)
    for method in methods_of(planned):
        ours = planned_of(case, x, weight, bias, method)
        expected = ours(x)
        out = lay[layout](np.full(expected.shape, np.nan))
        around = out.base.copy() if layout == "in gaps" and out.base is not None else None
        kept = [part.tobytes() for part in (x, weight, bias)]
        assert ours(x, out=out) is out
        assert np.array_equal(out, expected), method
        assert [part.tobytes() for part in (x, weight, bias)] == kept
        if around is not None:
            out[...] = np.nan
            np.testing.assert_array_equal(out.base, around)
        tensors = [torch.from_numpy(part) for part in (x, weight, bias)]
        place = torch.empty(expected.shape, dtype=torch.float64)
        filled = planned_of(case, tensors[0], tensors[1], tensors[2], method)(tensors[0], out=place)
        assert filled is place
        assert np.array_equal(place.numpy(), expected)


@pytest.mark.parametrize("case", some(POOLS), ids=str)
def test_the_largest_keeps_order_and_the_mean_is_linear(case: Case) -> None:
    x, z = whole_numbers(case.x, 19), whole_numbers(case.x, 20)
    for method, _, found in answers(case, x):
        if case.operation == "max_pool":
            again = computed_of(case, 3 * x + 1, None, None, method)
            np.testing.assert_array_equal(again, 3 * found + 1)
            continue
        other = computed_of(case, z, None, None, method)
        again = computed_of(case, 2 * x - 3 * z, None, None, method)
        np.testing.assert_allclose(again, 2 * found - 3 * other, rtol=0, atol=2**-45)


@pytest.mark.parametrize("case", some(c for c in POOLS if c.operation == "avg_pool"), ids=str)
def test_a_mean_is_exact_where_it_is_whole(case: Case) -> None:
    """Numbers divisible by every count of a window have whole means, in any order of summation."""
    planned = planned_of(case, np.zeros(case.x))
    unit = lcm(*range(1, min(12, prod(planned.problem.size)) + 1))
    x = whole_numbers(case.x, 21)
    for method, _, found in answers(case, np.full(case.x, float(unit)), count_include_pad=False):
        lying = np.unique(found)
        assert set(lying) <= {0.0, float(unit)}, method
    ones = Case("sum", "conv", (), (1, 1, *planned.problem.size), options={})
    options: dict[str, Any] = {"padding": [(w.before, w.after) for w in planned.windows]}
    options["stride"] = [w.stride for w in planned.windows]
    options["dilation"] = [w.dilation for w in planned.windows]
    kernel = np.ones(ones.weight)
    sums = computed_of(ones, x.reshape(-1, 1, *planned.problem.space), kernel, None, **options)
    for _, _, found in answers(case, x, ceil_mode=False, count_include_pad=True):
        times = found.reshape(sums.shape) * prod(planned.problem.size)
        np.testing.assert_allclose(times, sums, rtol=2**-50, atol=2**-40)


@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
def test_pooling_goes_axis_by_axis(operation: str) -> None:
    whole = next(c for c in LARGER if c.operation == operation and "wide" in c.name)
    x = whole_numbers(whole.x, 22)
    for method, _, found in answers(whole, x):
        once = plan_pool(
            operation, x, (1, 13), stride=1, padding=(0, 6), method=method, measure=False
        )(x)
        twice = plan_pool(
            operation, x, (13, 1), stride=1, padding=(6, 0), method=method, measure=False
        )(once)
        tolerance = 0 if operation == "max_pool" else 2**-48
        np.testing.assert_allclose(twice, found, rtol=0, atol=tolerance, err_msg=method)


@pytest.mark.skipif(not DIRECT, reason='method="direct" is not there yet')
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("case", some(c for c in LARGER if c.weight), ids=str)
def test_direct_gives_a_batch_the_bits_of_its_members(case: Case, dtype: str) -> None:
    rng = np.random.default_rng(23)
    shapes = [(5, *case.x[1:]), case.weight, arrays_of(case)[2].shape]
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    whole = computed_of(case, x, weight, bias, "direct")
    for start, stop in ((0, 1), (1, 3), (3, 5), (0, 4)):
        part = computed_of(case, x[start:stop], weight, bias, "direct")
        assert part.tobytes() == whole[start:stop].tobytes()


def test_the_laws_can_fail() -> None:
    """Check that one result that is wrong by 1 fails the comparison that every law uses."""
    case = BY_NAME["a layer"]
    x, weight, _ = arrays_of(case)
    found = conv_transpose(x, weight[:4, :3])
    wrong = found.copy()
    wrong[0, 0, 0, 0] += 2.0**-30 * max(1.0, np.abs(found).max())
    for exact in (True, False):
        check_whole(found, found, exact)
        with pytest.raises(AssertionError):
            check_whole(wrong, found, exact)
