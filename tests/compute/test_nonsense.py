"""Every option of every operation with nonsense of every kind; nothing large is allocated."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch

from convlens import functional
from convlens.compute import avg_pool, calling, conv, conv_transpose, max_pool, plan
from convlens.signal import filtering, ndimage

X = np.ones((1, 2, 8, 8))
W = np.ones((2, 2, 3, 3))
POOL_OPTIONS = ("size", "stride", "padding", "dilation", "ceil_mode")
OPERATIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "conv": (
        lambda **options: conv(X, W, **options),
        ("stride", "padding", "dilation", "groups", "padding_mode", "out", "method"),
    ),
    "conv_transpose": (
        lambda **options: conv_transpose(X, W, **options),
        ("stride", "padding", "output_padding", "dilation", "groups", "out", "method"),
    ),
    "max_pool": (
        lambda size=2, **options: max_pool(X, size, **options),
        (*POOL_OPTIONS, "return_indices"),
    ),
    "avg_pool": (
        lambda size=2, **options: avg_pool(X, size, **options),
        (*POOL_OPTIONS, "count_include_pad"),
    ),
    "plan": (
        lambda **options: plan(X, W, **options),
        ("stride", "padding", "dilation", "groups", "padding_mode", "method"),
    ),
}
NONSENSE: dict[str, Any] = {
    "negative": -1,
    "very negative": -(2**62),
    "a float": 1.5,
    "a whole float": 2.0,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "a word": "wide",
    "bytes": b"2",
    "a complex number": 2 + 0j,
    "an object": object,
    "a function": len,
    "a slice": slice(2),
    "nothing at all": (),
    "too many": (1, 2, 3, 4),
    "nested": [[1]],
    "nested deeper": [[[1, 1]], [[1, 1]]],
    "a dict of nothing": {},
    "floats": (1.5, 1.5),
    "None inside": (1, None),
    "words": ("1", "1"),
    "a ragged pair": [(1, 2), (3,)],
    "a NumPy float": np.float64(2),
    "NumPy floats": np.array([1.5, 2.0]),
    "NumPy booleans": np.array([True, True]),
    "NumPy words": np.array(["a", "b"]),
    "NumPy objects": np.array([None, None]),
    "a tensor of floats": torch.tensor([1.5, 2.0]),
    "one float in a tensor": torch.tensor(1.0),
    "a tensor of booleans": torch.tensor([True, True]),
    "a tensor without values": torch.empty(2, dtype=torch.int64, device="meta"),
    "True": True,
    "None": None,
}
MEANT = {
    *((o, name, "True") for o in ("max_pool", "avg_pool") for name in ("ceil_mode",)),
    ("max_pool", "return_indices", "True"),
    ("avg_pool", "count_include_pad", "True"),
    *((o, "stride", "None") for o in ("max_pool", "avg_pool")),
    *((o, "out", "None") for o in ("conv", "conv_transpose")),
}
"""The entries of the table that mean something."""


@pytest.mark.parametrize(
    ("operation", "option"), [(o, name) for o, (_, names) in OPERATIONS.items() for name in names]
)
def test_nonsense_is_refused_by_name(operation: str, option: str) -> None:
    call, _ = OPERATIONS[operation]
    odd = {}
    for what, value in NONSENSE.items():
        if (operation, option, what) in MEANT:
            continue
        try:
            call(**{option: value})
            odd[what] = "it is accepted"
        except (ValueError, TypeError) as refusal:
            with suppress_check(odd, what):
                check_sentence(str(refusal), option, *(["x"] if what == "nested" else []))
        except Exception as error:  # this test looks for all other kinds
            odd[what] = f"{type(error).__name__}: {error}"
    assert not odd


@contextmanager
def suppress_check(odd: dict[str, str], what: str) -> Iterator[None]:
    """Note a message that fails the check, and go on."""
    try:
        yield
    except AssertionError as error:
        odd[what] = f"the sentence: {error}"


def check_sentence(text: str, *names: str) -> None:
    """Raise unless a message is one sentence that names an argument, its value or type, a rule."""
    assert any(f"`{name}`" in text for name in names), text
    assert "\n" not in text, text
    assert 20 < len(text) < 400, text
    rules = (
        "must",
        "cannot",
        "is a",
        "holds",
        "has",
        "requires",
        "reads",
        "spans",
        "shows",
        "is",
        "give",
        "would",
    )
    assert any(f" {rule} " in text for rule in rules), text


def test_the_sentence_is_checked() -> None:
    good = "`stride` (=0) must be at least 1; use 1 or more"
    check_sentence(good, "stride")
    for text in (good.replace("`stride`", "stride"), good + "\n", "`stride`"):
        with pytest.raises(AssertionError):
            check_sentence(text, "stride")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("output_padding", lambda: plan(X, W, output_padding=1)),
        ("output_padding", lambda: plan(X, W, output_padding="wide")),
        ("padding_mode", lambda: plan(X, W, transposed=True, padding_mode="circular")),
        ("transposed", lambda: plan(X, W, transposed="no")),  # type: ignore[arg-type]
    ],
)
def test_a_plan_takes_no_option_it_has_no_use_for(name: str, call: Callable[[], object]) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        call()
    check_sentence(str(raised.value), name)


HUGE = [2**31, 2**32 + 1, 2**42, 2**62, 2**63 - 1, 2**63, 2**64, 2**200, 10**40]
ANSWERED: list[tuple[str, Callable[[int], Any]]] = [
    ("a stride", lambda n: conv(X, W, stride=n)[0, 0].tolist() == [[18.0]]),
    ("a transposed stride", lambda n: conv_transpose(X[..., :1, :1], W, stride=n).sum() == 36),
    ("a dilation of one tap", lambda n: (conv(X, W[..., :1, :1], dilation=n) == 2).all()),
    ("a pooling stride", lambda n: max_pool(X, 2, stride=n).tolist() == [[[[1.0]]] * 2]),
    ("a mean of stride", lambda n: avg_pool(X, 2, stride=n).tolist() == [[[[1.0]]] * 2]),
    (
        "a window of padding",
        lambda n: max_pool(X, n, stride=n, padding=n - 1, dilation=1).max() == 1,
    ),
    (
        "a mean over the input",
        lambda n: (
            avg_pool(X, n, stride=n, padding=((0, n - 8),) * 2, count_include_pad=False) == 1
        ).all(),
    ),
]
REFUSED: list[tuple[str, Callable[[int], Any]]] = [
    ("weight", lambda n: conv(X, W, dilation=n)),
    ("padding", lambda n: conv(X, W, padding=n)),
    ("padding", lambda n: conv(X, W, padding=((0, n), 0))),
    ("padding", lambda n: conv(X, W, padding=n, padding_mode="circular")),
    ("groups", lambda n: conv(X, W, groups=n)),
    ("groups", lambda n: conv_transpose(X, W, groups=n)),
    ("stride", lambda n: conv_transpose(X, W, stride=n)),
    ("stride", lambda n: conv_transpose(X, W, dilation=n)),
    ("padding", lambda n: conv_transpose(X, W, padding=n)),
    ("output_padding", lambda n: conv_transpose(X, W, output_padding=n)),
    ("stride", lambda n: conv_transpose(X, W, stride=n + 1, output_padding=n)),
    ("size", lambda n: max_pool(X, n)),
    ("size", lambda n: avg_pool(X, n)),
    ("size", lambda n: max_pool(X, 2, dilation=n)),
    ("padding", lambda n: max_pool(X, 2, padding=n)),
    ("padding", lambda n: avg_pool(X, n, stride=1, padding=n)),
    ("padding", lambda n: plan(((1, 2, n, n), "float32"), W.astype("f4"))),
    ("padding", lambda n: plan(((n, 2, 8, 8), "float32"), W.astype("f4"))),
    ("weight", lambda n: plan(((1, n, 8, 8), "float32"), W.astype("f4"))),
]


@pytest.mark.parametrize(("what", "answers"), ANSWERED, ids=[what for what, _ in ANSWERED])
def test_a_huge_number_that_means_something_is_answered(
    what: str, answers: Callable[[int], Any]
) -> None:
    wrong: list[str] = []
    for n in HUGE:
        try:
            right = answers(n)
        except Exception as error:  # every kind is wrong here, and all sizes are to be reported
            right, wrong = True, [*wrong, f"{n}: {error!r}"]
        wrong += [] if right else [f"{n}: another answer"]
    assert not wrong, what


def test_a_mean_may_count_any_number_of_zeros() -> None:
    assert avg_pool(X, 2**63, stride=2**63, padding=2**63 - 1).max() < 2**-100


FOLLOWED: list[tuple[str, Callable[[torch.Tensor, int], torch.Tensor]]] = [
    ("a stride", lambda x, n: conv(x, torch.from_numpy(W).to(x.device), stride=n)),
    ("a dilation of one tap", lambda x, n: conv(x, x[:1, :1, :1, :1].detach(), dilation=n)),
    (
        "a transposed stride",
        lambda x, n: conv_transpose(x, torch.from_numpy(W).to(x.device), stride=n),
    ),
    ("output padding", lambda x, n: conv_transpose(x, x.detach(), stride=n, output_padding=3)),
    ("a pooling stride", lambda x, n: max_pool(x, 1, stride=n)),
    ("a mean of stride", lambda x, n: avg_pool(x, 1, stride=n)),
    ("a window of padding", lambda x, n: max_pool(x, n, stride=n, padding=n - 1)),
    ("a mean", lambda x, n: avg_pool(x, n, stride=n, padding=n - 1, count_include_pad=False)),
]


@pytest.mark.parametrize(("what", "call"), FOLLOWED, ids=[what for what, _ in FOLLOWED])
def test_a_huge_number_is_answered_or_refused_where_torch_follows(
    what: str, call: Callable[[torch.Tensor, int], torch.Tensor]
) -> None:
    """Test where a gradient is needed, and tensors without values, against a small number."""
    shape = (2, 2, 1, 1) if "trans" in what or "output" in what else (1, 2, 8, 8)
    channels = {"a dilation of one tap": 1}.get(what, 2)
    for n in HUGE:
        x = torch.ones(*shape, dtype=torch.float64)[:, :channels]
        leaf = x.clone().requires_grad_()
        try:
            y = call(leaf, n)
        except (ValueError, TypeError) as refusal:
            check_sentence(str(refusal), "stride", "size", "padding")
            assert what == "a mean" or (n > 2**62 and what == "a window of padding")
            continue
        assert torch.equal(y, call(x, n))
        (found,) = torch.autograd.grad(y.sum(), leaf)
        smaller = call(leaf, 16)
        assert smaller.shape != y.shape or torch.equal(
            found, torch.autograd.grad(smaller.sum(), leaf)[0]
        )
        assert call(x.to("meta"), n).shape == y.shape


@pytest.mark.parametrize(("name", "call"), REFUSED)
def test_a_huge_number_is_refused_before_anything_is_allocated(
    name: str, call: Callable[[int], Any]
) -> None:
    for n in HUGE[2:]:
        check_refused_lightly(lambda n=n: call(n), name, "padding", "size")  # type: ignore[misc]


def check_refused_lightly(call: Callable[[], object], *names: str) -> None:
    """Raise unless a call is refused in a sentence, with less than a MiB allocated."""
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, TypeError)) as raised:
            call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check_sentence(str(raised.value), *names)
    assert peak < 2**20


def wide(*shape: int, dtype: str = "float32") -> Any:
    """Return an array of any shape in the memory of one number."""
    return np.broadcast_to(np.zeros(1, dtype), shape)


def far(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a tensor of any shape without memory."""
    return torch.empty(shape, dtype=dtype, device="meta")


GIGA = 2**30
KERNEL = np.ones((4, 4, 3, 3), np.float32)
ENORMOUS: list[tuple[str, Callable[[], object]]] = [
    ("weight", lambda: conv(wide(1, 3, GIGA, 64), KERNEL)),
    ("weight", lambda: conv(wide(3, GIGA), KERNEL[:, :, 0, 0])),
    ("weight", lambda: conv(wide(1, 4, GIGA, 16), KERNEL.astype("f8"))),
    ("groups", lambda: conv(wide(1, GIGA, 4, 4), KERNEL, groups=7)),
    ("weight", lambda: conv(KERNEL, wide(GIGA, 2, 3, 3))),
    ("weight", lambda: conv(KERNEL, wide(1, 4, GIGA, 64))),
    ("bias", lambda: conv(wide(1, 4, GIGA, 16), KERNEL, wide(GIGA))),
    ("bias", lambda: conv(wide(1, 4, GIGA, 16), KERNEL, wide(4, 1))),
    ("weight", lambda: conv_transpose(wide(1, 3, GIGA, 16), KERNEL)),
    ("output_padding", lambda: conv_transpose(wide(1, 4, GIGA, 16), KERNEL, output_padding=1)),
    ("out", lambda: conv(wide(1, 4, GIGA, 16), KERNEL, out=wide(1, 4, GIGA, 16))),
    ("out", lambda: conv(wide(1, 4, GIGA, 16), KERNEL, out=wide(1, 4, GIGA - 2, 14))),
    ("stride", lambda: conv(wide(1, 4, GIGA, 16), KERNEL, stride=0)),
    ("padding_mode", lambda: conv(wide(1, 4, GIGA, 16), KERNEL, padding_mode="mirror")),
    ("size", lambda: max_pool(wide(1, 4, GIGA, 16), 17)),
    ("x", lambda: max_pool(wide(1, 4, GIGA, 16, dtype="complex64"), 2)),
    ("x", lambda: avg_pool(wide(1, 4, GIGA, 16, dtype="int8"), 2)),
    ("x", lambda: max_pool(wide(1, 4, GIGA, 16, dtype="object"), 2)),
    ("ceil_mode", lambda: avg_pool(wide(1, 4, GIGA, 16), 2, ceil_mode=1)),  # type: ignore[arg-type]
    ("weight", lambda: conv(far(1, 3, GIGA, 64), far(4, 4, 3, 3))),
    ("weight", lambda: conv(torch.ones(1, 4, 9, 9), far(4, 4, 3, 3))),
    ("bias", lambda: conv(far(1, 4, GIGA, 64), far(4, 4, 3, 3), torch.ones(4))),
    ("out", lambda: conv(far(1, 4, GIGA, 64), far(4, 4, 3, 3), out=torch.ones(1, 4, 2, 2))),
    ("weight", lambda: conv(far(1, 4, 64, 64), far(4, 4, 3, 3, dtype=torch.float64))),
    ("x", lambda: max_pool(far(1, 4, GIGA, 64, dtype=torch.bool), 2)),
    ("x", lambda: plan(far(1, 4, GIGA, 64), far(4, 4, 3, 3))(far(1, 4, GIGA, 63))),
    ("method", lambda: conv(far(1, 4, 64, 64), far(4, 4, 3, 3), method="reference")),
]


@pytest.mark.parametrize(("name", "call"), ENORMOUS)
def test_arrays_of_enormous_shape_are_refused_without_a_copy(
    name: str, call: Callable[[], object]
) -> None:
    check_refused_lightly(call, name)


def test_a_method_is_read_before_the_input_is_copied() -> None:
    """An array that torch cannot share is copied, which must happen last."""
    x = wide(1, 4, GIGA, 16)
    check_refused_lightly(lambda: conv(x, KERNEL, method="magic"), "method")


def test_torch_allocates_nothing_either() -> None:
    """tracemalloc does not see torch, but the peak memory of a separate process shows it."""
    code = (
        "import resource, sys\n"
        f"sys.path.insert(0, {sys.path[0]!r}); sys.path[:0] = {sys.path!r}\n"
        "import tests.compute.test_nonsense as t\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def battery():\n"
        "    calls = [c for _, c in t.ENORMOUS]\n"
        "    calls += [lambda c=c, n=n: c(n) for _, c in t.REFUSED for n in t.HUGE[2:]]\n"
        "    for call in calls:\n"
        "        try: call()\n"
        "        except (ValueError, TypeError): continue\n"
        "        sys.exit('not refused')\n"
        "t.conv(t.X, t.W); before = peak(); battery()\n"
        "sys.exit(0 if peak() - before < 32 * 1024 else f'{peak() - before} KiB more')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr


def test_planning_for_tensors_without_values_allocates_nothing() -> None:
    """A result of a terabyte on the meta device is planned and computed without memory."""
    x, weight = far(1, 4, GIGA, 64), far(4, 4, 3, 3)
    planned = plan(x, weight, padding=1)
    assert planned.shapes["y"] == (1, 4, GIGA, 64)
    assert conv(x, weight, padding=1).is_meta


W1, X1 = np.ones((1, 1, 3), np.float32), np.ones((1, 1, 8), np.float32)
BUFFER = np.zeros(64, np.float32)
BAD_OUT: dict[str, tuple[Any, type[Exception]]] = {
    "one axis too few": (np.empty((1, 6), "f4"), ValueError),
    "one axis too many": (np.empty((1, 1, 1, 6), "f4"), ValueError),
    "one number too many": (np.empty((1, 1, 7), "f4"), ValueError),
    "transposed": (np.empty((6, 1, 1), "f4"), ValueError),
    "wider": (np.empty((1, 1, 6), "f8"), TypeError),
    "integers": (np.empty((1, 1, 6), "i4"), TypeError),
    "the other byte order": (np.empty((1, 1, 6), ">f4"), TypeError),
    "objects": (np.empty((1, 1, 6), object), TypeError),
    "a tensor": (torch.empty(1, 1, 6), TypeError),
    "a list": ([[[0.0] * 6]], TypeError),
    "a number": (0.0, TypeError),
    "masked": (np.ma.zeros((1, 1, 6), "f4"), TypeError),
    "read-only": (np.broadcast_to(np.empty((1, 1, 6), "f4"), (1, 1, 6)), ValueError),
    "one number shown six times": (
        np.lib.stride_tricks.as_strided(BUFFER, (1, 1, 6), (0, 0, 0)),
        ValueError,
    ),
    "overlapping with itself": (
        np.lib.stride_tricks.as_strided(BUFFER, (2, 1, 6), (4, 4, 4)),
        ValueError,
    ),
}
UNNOTICED = {
    "overlapping with itself": "only strides of 0 are found, not windows of one another",
}


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(w, marks=[pytest.mark.xfail(reason=UNNOTICED[w], strict=True)])
        if w in UNNOTICED
        else w
        for w in BAD_OUT
    ],
)
def test_a_place_that_does_not_fit_is_refused(what: str) -> None:
    out, kind = BAD_OUT[what]
    x = X1 if np.shape(out)[:1] != (2,) else np.ones((2, 1, 8), np.float32)
    for compute in (lambda: conv(x, W1, out=out), lambda: plan(x, W1, measure=False)(x, out=out)):
        with pytest.raises(kind) as raised:
            compute()  # type: ignore[no-untyped-call]
        check_sentence(str(raised.value), "out")


@pytest.mark.parametrize("step", [-2, -1, 1, 2])
def test_a_place_inside_an_input_is_refused_however_it_is_cut(step: int) -> None:
    memory = np.ones(64, np.float32)
    x = memory[8:16].reshape(1, 1, 8)
    for start in (8, 10, 15):
        out = memory[start:][::step][:6] if step > 0 else memory[: start + 1][::step][:6]
        if out.size < 6:
            continue
        with pytest.raises(ValueError, match="`out` must not share memory with `x`"):
            conv(x, W1, out=out.reshape(1, 1, 6))
    beside = memory[16:22].reshape(1, 1, 6)
    assert conv(x, W1, out=beside) is beside
    assert memory[8:16].tolist() == [1.0] * 8


def test_comparing_memory_takes_no_time_without_end() -> None:
    """It is hard to decide in general whether odd strides overlap; this must end quickly."""
    memory = np.zeros(2**21, np.float32)
    shape = (9, 8, 9, 8, 9)
    steps = [4 * step for step in (30837, 30261, 30109, 30298, 30413)]
    x = np.lib.stride_tricks.as_strided(memory, shape, steps)
    steps = [4 * step for step in (30814, 30451, 30091, 30334, 30600)]
    out = np.lib.stride_tricks.as_strided(memory[16263:], shape, steps)
    with suppress(ValueError):
        conv(x, np.ones((8, 8, 1, 1, 1), np.float32), out=out)


def test_the_message_tells_the_cure() -> None:
    """Check that the call succeeds after doing what the message says."""
    with pytest.raises(ValueError, match=r"use 1 or 2"):
        conv(X, W, groups=4)
    assert conv(X, W[:, :1], groups=2).shape == (1, 2, 6, 6)
    with pytest.raises(ValueError, match=r"pad 1 more"):
        conv(X[..., :2], W)
    assert conv(X[..., :2], W, padding=((0, 0), (0, 1))).shape == (1, 2, 6, 1)
    with pytest.raises(ValueError, match=r"a pair for one axis is \[\(1, 2\)\]"):
        conv(X1, W1, padding=(1, 2))
    assert conv(X1, W1, padding=[(1, 2)]).shape == (1, 1, 9)
    with pytest.raises(ValueError, match="use at most 9 in all"):
        conv_transpose(X1, W1, padding=5)
    assert conv_transpose(X1, W1, padding=((4, 5),)).shape == (1, 1, 1)


def test_a_flag_of_numpy_is_a_flag() -> None:
    y, places = max_pool(X, 2, return_indices=np.True_, ceil_mode=np.False_)  # type: ignore[arg-type]
    assert places.shape == y.shape == (1, 2, 4, 4)


@pytest.mark.parametrize("name", ["stride", "padding", "dilation", "groups"])
def test_an_integer_that_python_does_not_write_is_told_in_bits(name: str) -> None:
    for value in (10**5000, -(10**5000)):
        with pytest.raises(ValueError, match=f"^`{name}` \\(=an integer of 16610 bits\\)"):
            conv(X, W, **{name: value})  # type: ignore[arg-type]


def test_whatever_a_value_says_of_itself_it_is_told_on_one_line() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no word")

    wrong = np.ones((2, 2), int)
    for value, text in ((Mute(), "of type Mute"), (wrong, r"array\(\[\[1, 1\], \[1, 1\]\]\)")):
        with pytest.raises((ValueError, TypeError), match=f"`padding` \\(={text}\\)") as raised:
            conv(X[..., 0], W[..., 0], padding=value)
        assert "\n" not in str(raised.value)


def test_sizes_that_do_not_fit_the_axes_are_named_before_the_input() -> None:
    for size in ([2], torch.Size([2]), (2,)):
        with pytest.raises(
            ValueError, match=r"^`size` \(=.*\) has 1 entries, one per axis of space"
        ):
            max_pool(X, size)


@pytest.mark.parametrize(
    "error", [MemoryError("Unable"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_is_told_by_what_was_wanted(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(*_: object) -> None:
        raise error

    monkeypatch.setattr(calling, "execute", nothing_left)
    monkeypatch.setattr(torch.nn.functional, "adaptive_avg_pool1d", nothing_left)
    monkeypatch.setattr(filtering, "correlate_along", nothing_left)
    calls: list[tuple[str, Callable[[], object]]] = [
        (r"a result of shape \(1, 2, 6, 6\)", lambda: conv(X, W)),
        (r"`output_size` \(=3\)", lambda: functional.adaptive_avg_pool1d(torch.ones(1, 1, 8), 3)),
        ("`input` padded for these `weights`", lambda: ndimage.correlate1d(X, [1.0, 2.0])),
    ]
    for what, call in calls:
        with pytest.raises(ValueError, match=f"^{what} needs more memory than is available"):
            call()
