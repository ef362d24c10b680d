"""The derivative to the weight by the kernel of convlens: every band, block and share is right."""

import threading
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from convlens.compute import background, conv
from convlens.compute.kernels.blocks.outer import best_block, outer_blocks
from convlens.compute.kernels.machine import Machine
from convlens.compute.operators import outer_products, weight_gradient
from convlens.compute.operators.operators import conv_weight_gradient_operator
from convlens.compute.problems import Conv
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.oracles.compute import check_sum
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import whole

CONVOLUTIONS: Any = (
    None,
    torch.nn.functional.conv1d,
    torch.nn.functional.conv2d,
    torch.nn.functional.conv3d,
)


def by_torch(x: Tensor, gradient: Tensor, shape: tuple[int, ...], **options: Any) -> Tensor:
    """Return the derivative by torch's autograd, in double precision."""
    weight = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    y = CONVOLUTIONS[x.ndim - 2](x.double(), weight, **options)
    return torch.autograd.grad(y, weight, gradient.double())[0]


def check(
    x: tuple[int, ...], shape: tuple[int, ...], seed: int, dtype: str, **options: Any
) -> None:
    numbers = whole(x, dtype, seed)
    problem = read_conv(numbers, whole(shape, dtype, 0), **options)
    gradient = whole(problem.y_shape, dtype, seed + 1)
    found = outer_products.run(problem, numbers, gradient)
    assert torch.equal(found.double(), by_torch(numbers, gradient, shape, **options))


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    few = st.integers(1, 3)
    groups, each, outs = draw(few), draw(st.sampled_from([1, 2, 5])), draw(st.integers(1, 7))
    wide = draw(st.sampled_from([1, 7, 30, 300]))
    space = [draw(st.integers(1, 9)) for _ in range(axes - 1)] + [wide]
    return {
        "x": (draw(st.integers(1, 3)), each * groups, *space),
        "shape": (outs * groups, each, *(draw(st.integers(1, 5)) for _ in range(axes))),
        "stride": [draw(few) for _ in range(axes)],
        "dilation": [draw(few) for _ in range(axes)],
        "padding": [draw(st.integers(0, 4)) for _ in range(axes)],
        "groups": groups,
    }


@examples(layers(), st.integers(0, 99), few=10, many=60)
def test_any_layer_is_what_torch_differentiates(options: dict[str, Any], seed: int) -> None:
    x, shape = options.pop("x"), options.pop("shape")
    try:
        read_conv(torch.ones(x), torch.ones(shape), **options)
    except ValueError:
        assume(False)
    check(x, shape, seed, "float64", **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("x", "shape", "options"),
    [
        ((1, 1, 9000), (1, 1, 31), {"padding": 15}),  # parts of one line, dealt out
        ((1, 3, 120, 110), (3, 3, 5, 5), {"padding": 2}),  # bands
        ((2, 40, 20, 19), (9, 40, 3, 3), {"padding": 1}),  # channels in shares
        ((2, 30, 33, 31), (11, 30, 1, 1), {}),  # read in place
        ((2, 6, 28, 28), (6, 1, 5, 5), {"padding": 2, "groups": 6, "stride": 2}),
        ((1, 4, 6, 20, 20), (8, 4, 3, 3, 3), {"padding": 1}),
    ],
)
def test_larger_layers_are_what_torch_differentiates(
    x: tuple[int, ...], shape: tuple[int, ...], options: dict[str, Any], dtype: str
) -> None:
    check(x, shape, 0, dtype, **options)


def test_sums_keep_their_bound() -> None:
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(2, 3, 60, 70, generator=generator) for _ in range(2))
    problem = read_conv(x, torch.ones(3, 1, 3, 3), padding=1, groups=3)
    found = outer_products.run(problem, x, gradient)
    wide = [by_torch(a, b, (3, 1, 3, 3), padding=1, groups=3) for a, b in
            ((x, gradient), (x.abs(), gradient.abs()))]  # fmt: skip
    check_sum(found.double().numpy(), wide[0].numpy(), wide[1].numpy(), 2 * 60 * 70, "float32")
    with pytest.raises(AssertionError, match="expected"):
        check_sum(found.numpy() * 1.1, wide[0].numpy(), wide[1].numpy(), 2 * 60 * 70, "float32")


def test_arrays_of_any_layout_are_read() -> None:
    x, gradient = whole((50, 2, 1), "float64", 0), whole((48, 2, 1), "float64", 1)
    problem = read_conv(torch.ones(1, 2, 50).double(), torch.ones(2, 1, 3).double(), groups=2)
    views = x.permute(2, 1, 0), gradient.permute(2, 1, 0)
    kept = [part.contiguous() for part in views]
    assert torch.equal(outer_products.run(problem, *views), outer_products.run(problem, *kept))


def test_threads_change_no_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(2, 3, 60, 70, generator=generator) for _ in range(2))
    problem = read_conv(x, torch.ones(3, 1, 3, 3), padding=1, groups=3)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(outer_products.run(problem, x, gradient))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_number_behind_the_last_vector_is_not_read(bad: float) -> None:
    """The places do not fill whole vectors: what follows them in memory must not count."""
    room = torch.full((2 * 37,), bad)
    room[:37] = 1.0
    x = room[:37].view(1, 1, 37)
    problem = read_conv(x, torch.ones(1, 1, 1))
    assert outer_products.run(problem, x, torch.ones(1, 1, 37)).item() == 37.0


@pytest.mark.parametrize("batch", [0, 1])
def test_a_sum_of_nothing_is_zero(batch: int) -> None:
    x = torch.ones(batch, 2, 8 if batch == 0 else 4)
    problem = read_conv(x, torch.ones(2, 1, 3), groups=2, padding=0)
    gradient = torch.zeros(batch, 2, problem.outputs[0])
    assert not outer_products.run(problem, x, gradient).any()


def test_the_first_derivative_needs_no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch answers until the kernel, which the first call asks for, has been compiled."""
    wanted: list[Any] = []
    used: list[Conv] = []
    monkeypatch.setattr(background, "ask", lambda job, key: wanted.append(job))
    monkeypatch.setattr(outer_products, "at_hand", lambda problem: False)
    x, gradient = torch.randn(1, 1, 50), torch.randn(1, 1, 48)
    how = [3], [1], [0, 0], [1], 1
    first = conv_weight_gradient_operator(x, gradient, *how)
    (job,) = wanted
    job()
    monkeypatch.undo()
    run = outer_products.run

    def seen(problem: Conv, *parts: Tensor) -> Tensor:
        used.append(problem)
        return run(problem, *parts)

    monkeypatch.setattr(outer_products, "run", seen)
    second = conv_weight_gradient_operator(x, gradient, *how)
    assert len(used) == 1
    torch.testing.assert_close(first, second)


def test_of_jobs_with_one_key_the_first_is_done() -> None:
    works = background._Behind()
    works.thread = threading.current_thread()  # so that none is started
    done: list[str] = []
    for name, key in (("a", 1), ("b", 1), ("c", 2), ("d", None), ("e", None)):
        works.ask(partial(done.append, name), key)
    while not works.queue.empty():
        job = works.queue.get()
        assert job is not None
        job()
    assert done == ["a", "c", "d", "e"]


def test_dense_layers_are_left_to_onednn() -> None:
    def problem(c: int, k: int, dtype: str = "float32", groups: int = 1) -> Conv:
        return Conv(
            channels=c,
            space=(99,),
            channels_out=k,
            windows=(Window(3),),
            dtype=dtype,
            groups=groups,
        )

    for ours, asked in (
        (False, problem(64, 64)),
        (
            False,
            Conv(
                channels=4,
                space=(99,),
                channels_out=4,
                windows=(Window(3),),
                dtype="float32",
                device="cuda:0",
            ),
        ),
        (True, problem(1, 64)),
        (True, problem(64, 64, groups=64)),
        (True, problem(64, 64, "float64")),
    ):
        if ours:
            outer_products.prepare(asked)
        assert weight_gradient._by_ours(asked) is ours


def test_half_types_are_summed_in_float32() -> None:
    x = torch.ones(1, 1, 5000, dtype=torch.float16)
    weight = torch.ones(1, 1, 1, dtype=torch.float16, requires_grad=True)
    conv(x, weight).sum().backward()
    assert weight.grad is not None
    assert (weight.grad.dtype, weight.grad.item()) == (torch.float16, 5000.0)


def test_a_block_loads_each_side_once() -> None:
    text = outer_blocks(4, 6)
    assert text.count("fma(") == 2 * 4 * 6  # whole vectors, and the last
    assert text.count(" load(") == 4 + 6
    rows, taps = best_block(Machine("any", 64, 32, True, 32768, 2**20), 64, 576)
    assert rows * taps + rows + 1 <= 32


def test_what_it_refuses() -> None:
    x, weight = torch.ones(1, 1, 9), torch.ones(1, 1, 3)
    reflected = read_conv(x, weight, padding=1, padding_mode="reflect")
    assert 'not "reflect"' in str(outer_products.refuses(reflected))
    assert "float16" in str(outer_products.refuses(read_conv(x.half(), weight.half())))
    assert outer_products.refuses(read_conv(x, weight)) is None
