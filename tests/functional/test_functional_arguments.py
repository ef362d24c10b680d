"""What `torch.nn.functional` takes we take, what it refuses we refuse, by the argument's name."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convlens import functional
from convlens.compute.reading.windows import is_several

SPACE = {1: (9,), 2: (9, 8), 3: (7, 6, 5)}
OPTIONS = {
    "conv": ("stride", "padding", "dilation"),
    "conv_transpose": ("stride", "padding", "dilation", "output_padding"),
    "max_pool": ("kernel_size", "stride", "padding", "dilation"),
    "avg_pool": ("kernel_size", "stride", "padding"),
    "adaptive_max_pool": ("output_size",),
    "adaptive_avg_pool": ("output_size",),
}
NAMES = [f"{family}{axes}d" for family in OPTIONS for axes in SPACE]


def spellings(axes: int) -> Iterator[Any]:
    """Yield what users write for a size: right and wrong, of every length."""
    yield from (0, 1, 2, -1, True, 2.0, None, "", "2", "same", b"2", {}, {2}, 2**63, -(2**63))
    yield from (float("nan"), float("inf"), 2j, object(), len, slice(2))
    yield from (np.int64(2), torch.tensor(2), torch.tensor(2.0))
    for length in range(6):
        yield (2,) * length
        yield [1] * length
    yield torch.Size((2,) * axes)
    for entry in (np.int64(2), torch.tensor(2), True, 2.0, None, "2", (2,), -1, 2**63):
        yield (entry,) * axes
    yield [[1]]
    yield [[[1]]]
    yield (2, None, 2)[:axes]


def call(module: Any, name: str, x: Any, option: str, value: Any) -> Any:
    how: dict[str, Any] = {option: value}
    axes = int(name[-2])
    given = [x]
    if name.startswith("conv"):
        given.append(torch.ones(3, 3, *(2,) * axes))
        how |= {"stride": 3} if option == "output_padding" else {}
    elif option not in ("kernel_size", "output_size"):
        how["kernel_size"] = 5 if option == "padding" else 3
    return getattr(module, name)(*given, **how)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_is_taken_or_refused_as_by_torch(name: str) -> None:
    axes = int(name[-2])
    for batch in ((2,), ()):
        x = torch.randn(*batch, 3, *SPACE[axes], generator=torch.Generator().manual_seed(0))
        for option in OPTIONS[name[:-2]]:
            for value in spellings(axes):
                if "adaptive" in name and isinstance(value, np.int64 | torch.Tensor):
                    continue  # a number, but torch looks for its length
                label = f"{name}, {option}={value!r}, input {tuple(x.shape)}"
                try:
                    right = call(F, name, x, option, value)
                except Exception:  # of any of torch's kinds
                    right = None
                try:
                    found = call(functional, name, x, option, value)
                except (ValueError, TypeError) as refusal:
                    found, text = None, str(refusal)
                if found is None and f"`{option}`" not in text:
                    pytest.fail(f"{label}: {text}")
                if (
                    isinstance(value, str)
                    and value == "same"
                    and "transpose" not in name
                    and "adaptive" not in name
                ):
                    continue  # poolings know it here
                if option == "stride" and 2**63 in (value if is_several(value) else (value,)):
                    continue  # one output, however far the next would be
                assert (found is None) == (right is None), label
                if found is not None:
                    assert found.shape == right.shape, label
                    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-5, msg=label)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_of_other_ranks_are_refused_as_by_torch(name: str) -> None:
    axes = int(name[-2])
    option, *_ = OPTIONS[name[:-2]]
    for rank in range(7):
        # Three channels wherever an input of that rank would have them.
        x = torch.ones(((3, 9, 9, 9, 9) if rank == axes + 1 else (2, 3, 9, 9, 9, 9))[:rank])
        values: list[Any] = [2, (2,) * axes, (2,) * max(0, rank - 2), (2,) * max(0, rank - 1)]
        for value in values:
            fits = value == 2 or len(value) == axes or (len(value) == 1 and "adapt" not in name)
            if rank in (axes + 1, axes + 2) and fits:
                call(functional, name, x, option, value)
                continue
            with pytest.raises(ValueError, match=rf"`input` has shape|`{option}` "):
                call(functional, name, x, option, value)


def test_a_pair_for_one_axis_is_written_as_the_message_says() -> None:
    x, weight = torch.ones(1, 1, 9), torch.ones(1, 1, 3)
    with pytest.raises(ValueError, match=r"a pair for one axis is \[\(1, 2\)\]"):
        functional.conv1d(x, weight, padding=(1, 2))
    pairs: list[Any] = [[(1, 2)], ((1, 2),), [[1, 2]], np.array([[1, 2]])]
    for padding in pairs:
        assert functional.conv1d(x, weight, padding=padding).shape == (1, 1, 10)
        assert functional.max_pool1d(x, 3, 1, padding).shape == (1, 1, 10)
        assert functional.conv_transpose1d(x, weight, padding=padding).shape == (1, 1, 8)
    with pytest.raises(ValueError, match=r"`padding` .* has 1 entries for 2 axes"):
        functional.conv2d(x[None], weight[None], padding=[(1, 2)])


def test_a_window_of_two_axes_is_not_pooled_over_channels() -> None:
    with pytest.raises(ValueError, match=r"`kernel_size` \(=\(2, 2\)\) has 2 entries"):
        functional.max_pool1d(torch.ones(1, 2, 9), (2, 2))


NO_TENSORS: dict[str, Any] = {
    "nothing": None,
    "a list": [[[1.0, 2.0, 3.0]]],
    "a word": "input",
    "a number": 1.0,
    "an array": np.ones((1, 3, 9)),
    "a sparse tensor": torch.eye(3).to_sparse(),
}


@pytest.mark.parametrize("what", NO_TENSORS)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_tensor_is_refused_by_name(name: str, what: str) -> None:
    axes, bad = int(name[-2]), NO_TENSORS[what]
    x, weight, bias = torch.ones(1, 3, *SPACE[axes]), torch.ones(3, 3, *(2,) * axes), torch.ones(3)
    function = getattr(functional, name)
    given: dict[str, Any] = {"input": x}
    if "pool" in name:
        given["output_size" if "adaptive" in name else "kernel_size"] = 2
    else:
        given |= {"weight": weight, "bias": bias}
    for argument in given:
        if argument.endswith("_size") or (argument == "bias" and bad is None):
            continue
        with pytest.raises(TypeError, match=rf"^`{argument}` must be a"):
            function(**{**given, argument: bad})
    if "conv" in name:
        with pytest.raises(TypeError, match=r"^`weight` must be a torch tensor, not NoneType"):
            function(x, None)


@pytest.mark.parametrize(
    ("name", "how", "text"),
    [
        ("max_pool2d", {"kernel_size": "2"}, "`kernel_size` (='2') must be an integer, not str"),
        ("max_pool2d", {"kernel_size": 99}, "`kernel_size` (=99) with `dilation` 1 spans 99"),
        ("avg_pool2d", {"kernel_size": (2, 99)}, "`kernel_size` (=99) with `dilation` 1 spans 99"),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 0}, "`divisor_override` (=0)"),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 2.0}, "`divisor_override` (=2.0)"),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 2**63}, "`divisor_override`"),
        ("avg_pool2d", {"kernel_size": 2, "ceil_mode": None}, "`ceil_mode` (=None) must be True"),
        ("max_pool2d", {"kernel_size": 2, "return_indices": 1}, "`return_indices` (=1) must be"),
        ("adaptive_max_pool2d", {"output_size": 3, "return_indices": 1}, "`return_indices` (=1)"),
        ("adaptive_avg_pool2d", {"output_size": -1}, "`output_size` (=-1) must be at least 0"),
        ("conv2d", {"weight": torch.ones(3, 3, 99, 2)}, "`weight` has a kernel of size 99, which"),
        ("conv2d", {"weight": torch.ones(3, 3, 99, 2)}, "but `input` has 9, with `padding` 0 + 0"),
        ("conv2d", {"weight": torch.ones(3, 4, 2, 2)}, "reads 4 channels but `input` has 3"),
        ("conv2d", {"weight": torch.ones(3, 3, 2)}, "must have 4 axes; use conv1d"),
        ("conv_transpose2d", {"weight": torch.ones(3, 3, 2)}, "use conv_transpose1d"),
        ("conv2d", {"weight": torch.ones(3)}, "must have 4 axes; give it 4"),
        (
            "conv2d",
            {"weight": torch.ones(3, 3, 2, 2).half()},
            "`weight` holds float16 values but `i",
        ),
        ("conv2d", {"weight": torch.ones(3, 3, 2, 2), "groups": "1"}, "`groups` (='1') must be an"),
    ],
)
def test_messages_speak_in_the_words_of_the_function(
    name: str, how: dict[str, Any], text: str
) -> None:
    x = torch.ones(1, 3, 9, 8)
    for leaf in (x, x.clone().requires_grad_()):
        with pytest.raises((ValueError, TypeError)) as raised:
            getattr(functional, name)(leaf, **how)
        assert text in str(raised.value)
        assert "`x`" not in str(raised.value)
        assert "`size`" not in str(raised.value)


def test_parts_without_number_are_refused() -> None:
    for count in (2**40, 2**63, 2**200):
        with pytest.raises(ValueError, match=r"`output_size` .* more than 1099511627776 bytes"):
            functional.adaptive_max_pool1d(torch.ones(1, 3, 9), count)


def test_integers_are_pooled_adaptively_with_parts_of_two_sizes() -> None:
    for axes, size in ((1, 4), (2, (4, 5)), (3, (2, None, 3))):
        x = torch.randint(-9, 9, (2, 3, *SPACE[axes]), generator=torch.Generator().manual_seed(1))
        name = f"adaptive_max_pool{axes}d"
        expected = getattr(F, name)(x.double(), size, return_indices=True)
        for dtype in (torch.int8, torch.int16, torch.int32, torch.int64):
            found = getattr(functional, name)(x.to(dtype), size, return_indices=True)
            assert found[0].dtype is dtype
            assert torch.equal(found[0].double(), expected[0])
            assert torch.equal(found[1], expected[1])
            assert torch.equal(getattr(functional, name)(x.to(dtype), size), found[0])
        with pytest.raises(TypeError, match="`input` holds int64 values, whose average"):
            getattr(functional, f"adaptive_avg_pool{axes}d")(x, size)


def test_complex_numbers_are_averaged_adaptively() -> None:
    x = torch.randn(2, 3, 9, 8, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    found = functional.adaptive_avg_pool2d(x, (4, 5))
    right = [F.adaptive_avg_pool2d(part, (4, 5)) for part in (x.real, x.imag)]
    assert torch.equal(found, torch.complex(*right))
    with pytest.raises(TypeError, match="`input` holds complex128 values, which have no largest"):
        functional.adaptive_max_pool2d(x, (4, 5))
