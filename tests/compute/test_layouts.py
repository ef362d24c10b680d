"""Every memory layout gives the same result, for every operation and element type."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from convlens import functional, signal
from convlens.compute import avg_pool, conv, conv_transpose, max_pool
from convlens.signal import ndimage
from tests.running.broad import broad

Numbers = np.ndarray[Any, Any]

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
REAL = [*INTEGERS, "float16", "float32", "float64"]
SPACES = [(131,), (12, 11), (5, 6, 5)]


def laid_usually(dtype: str, space: tuple[int, ...]) -> bool:
    """Images are of every type; signals and volumes, of one integer and one real type."""
    return len(space) == 2 or dtype in ("int32", "float32")


def layouts(x: Numbers) -> Iterator[tuple[str, Numbers]]:
    """Yield the same numbers in the memory layouts that users have."""
    back = (slice(None, None, -1),) * x.ndim
    yield "contiguous", np.ascontiguousarray(x)
    yield "Fortran", np.asfortranarray(x)
    yield "channels last", np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    yield "batch last", np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0)
    yield "every other", np.repeat(x, 2, -1)[..., ::2]
    yield "backwards", x[back].copy()[back]
    yield "the other byte order", x.astype(x.dtype.newbyteorder())
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    yield "unaligned", odd
    if x.shape[1] > 1:
        yield "shown several times", np.broadcast_to(x[:, :1], x.shape)


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Numbers:
    """Return whole numbers so small that all sums of them are exact, in half types, too."""
    least = 0 if dtype.startswith("u") else -4
    rng = np.random.default_rng(seed)
    x = rng.integers(least, 5, shape)
    return (x + 1j * rng.integers(-4, 5, shape) if "complex" in dtype else x).astype(dtype)


def check_layouts(compute: Callable[[Any], Any], x: Numbers, *, tensors: bool = True) -> None:
    """Raise unless numbers in any layout give the same bits as in contiguous memory."""
    for layout, view in layouts(x):
        kinds: list[Any] = [view]
        if tensors and layout in ("Fortran", "channels last", "batch last", "every other"):
            kinds.append(torch.from_numpy(view))
        expected = parts_of(compute(view.astype(x.dtype, order="C")))
        for given in kinds:
            found = parts_of(compute(given))
            assert len(found) == len(expected)
            for part, right in zip(found, expected, strict=True):
                assert part.shape == right.shape, layout
                np.testing.assert_array_equal(part, right, f"{layout}, {type(given).__name__}")


def parts_of(result: Any) -> list[Numbers]:
    several = result if isinstance(result, tuple) else (result,)
    return [np.asarray(part) for part in several]


def like(x: Any, weight: Numbers) -> Any:
    return torch.from_numpy(weight) if isinstance(x, torch.Tensor) else weight


@pytest.mark.parametrize(("dtype", "space"), broad(product(REAL, SPACES), laid_usually), ids=str)
def test_maxima_do_not_depend_on_the_layout(dtype: str, space: tuple[int, ...]) -> None:
    size = tuple(min(2, n) for n in space)
    uneven = [(0, 1)] * len(space)
    for channels in (1, 3):
        x = numbers((2, channels, *space), dtype)
        check_layouts(lambda x: max_pool(x, size, return_indices=True), x)
        check_layouts(lambda x: max_pool(x, size, stride=1, padding=uneven), x)
        check_layouts(lambda x: max_pool(x, size, dilation=2, padding=1), x)
    check_layouts(lambda x: max_pool(x, size), numbers((0, 3, *space), dtype))


@pytest.mark.parametrize(
    ("dtype", "space"),
    broad(product([*REAL, "complex64", "complex128"], SPACES), laid_usually),
    ids=str,
)
def test_sums_do_not_depend_on_the_layout(dtype: str, space: tuple[int, ...]) -> None:
    size = tuple(min(2, n) for n in space)
    x, weight = numbers((2, 3, *space), dtype), numbers((3, 3, *size), dtype, 1)
    check_layouts(lambda x: conv(x, like(x, weight)), x)
    check_layouts(lambda w: conv(like(w, x), w), weight)
    check_layouts(lambda x: conv_transpose(x, like(x, weight), stride=2), x)
    if "int" not in dtype:
        check_layouts(lambda x: avg_pool(x, size), x)


def test_an_image_of_bytes_as_cameras_give_it_is_pooled() -> None:
    picture = np.zeros((1, 16, 16, 3), np.uint8)
    picture[0, 5, 7] = 1, 2, 3
    y = max_pool(picture.transpose(0, 3, 1, 2), 2)
    assert y[0, :, 2, 3].tolist() == [1, 2, 3]
    assert y.sum() == 6


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_functional_names_do_not_depend_on_the_layout(dtype: str) -> None:
    x = torch.from_numpy(numbers((2, 3, 12, 12), dtype))
    last = x.contiguous(memory_format=torch.channels_last)
    for name, how in (("max_pool2d", 3), ("adaptive_max_pool2d", 4), ("adaptive_max_pool2d", 5)):
        right, found = (getattr(functional, name)(part, how) for part in (x, last))
        assert torch.equal(found, right), name


def test_gradients_do_not_depend_on_the_layout() -> None:
    x, weight = numbers((2, 3, 12, 11), "float32"), numbers((4, 3, 2, 2), "float32", 1)
    for operation, more in ((conv, [torch.from_numpy(weight)]), (max_pool, [2]), (avg_pool, [2])):
        right = None
        for layout, view in layouts(x):
            if layout in ("backwards", "the other byte order", "read-only", "unaligned"):
                continue
            leaf = torch.from_numpy(np.array(view, subok=True, order="K")).requires_grad_()
            (found,) = torch.autograd.grad(operation(leaf, *more).square().sum(), leaf)
            if layout == "shown several times":
                continue
            right = found if right is None else right
            assert torch.equal(found, right), (operation, layout)


@pytest.mark.parametrize("dtype", [*REAL, "bool"])
def test_filters_do_not_depend_on_the_layout(dtype: str) -> None:
    x = numbers((9, 3, 8), dtype.replace("bool", "uint8")).astype(dtype)
    box = np.ones((3, 1, 2), np.uint8)
    for compute in (
        lambda x: ndimage.maximum_filter(x, 3),
        lambda x: ndimage.minimum_filter(x, footprint=[[[1, 0, 1]]]),
        lambda x: ndimage.uniform_filter(x, 2),
        lambda x: ndimage.correlate(x, box, mode="wrap"),
        lambda x: signal.convolve(x, box, "same"),
        lambda x: signal.fftconvolve(x, box, axes=(0, 2)),
    ):
        check_layouts(compute, x, tensors=False)
