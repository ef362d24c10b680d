"""A recording is bit for bit the run without a recording, or says that it is not."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function
from torch.utils.checkpoint import checkpoint

from convlens.lens import explain, record
from convlens.lens.trees import tensors_in

pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit", "ignore:enable_nested_tensor", "ignore:The PyTorch API of nested tensors"
)

DIFFERS = "last bits"
"""In every sentence that says that a recording is not the plain run."""


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


ROW, LINE, IMAGE, VOLUME = (
    numbers(5, 8),
    numbers(2, 4, 17),
    numbers(2, 4, 9, 12),
    numbers(2, 4, 6, 6, 5),
)
TOKENS, OTHERS = numbers(2, 5, 8), numbers(2, 4, 8)
PADDED = torch.zeros(2, 5, dtype=torch.bool)
PADDED[1, 3:] = True
LAST = IMAGE.contiguous(memory_format=torch.channels_last)


class Calls(nn.Module):
    """A function of a module, as a module."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *inputs: Any) -> Any:
        return self.function(*self.parts, *inputs)


def half(layer: nn.Module, x: Tensor) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return layer(x)


def asks_as_torch_does(x: Tensor) -> Tensor:
    return x * 2 if torch.overrides.has_torch_function((x,)) else x * 3


def asks_for_gradients(x: Tensor) -> Tensor:
    return x * 2 if torch.is_grad_enabled() else x * 3


def backwards(x: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.clone().requires_grad_()
        (found,) = torch.autograd.grad((leaf**3).sum(), leaf)
    return found * 2


def laid_last(network: nn.Module) -> nn.Module:
    laid: nn.Module = copy.deepcopy(network).to(  # type: ignore[call-overload]
        memory_format=torch.channels_last
    )
    return laid


def layer(**options: Any) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)


def spatial() -> Iterator[tuple[str, Callable[[], nn.Module], tuple[Any, ...]]]:
    for axes, x in ((1, LINE), (2, IMAGE), (3, VOLUME)):
        for name, given in (
            ("Conv", (4, 6, 3)),
            ("ConvTranspose", (4, 6, 3)),
            ("MaxPool", (2,)),
            ("AvgPool", (2,)),
            ("AdaptiveAvgPool", (2,)),
            ("AdaptiveMaxPool", (2,)),
            ("LPPool", (2, 2)),
            ("BatchNorm", (4,)),
            ("InstanceNorm", (4,)),
            ("Dropout", (0.3,)),
            ("ReflectionPad", (1,)),
            ("CircularPad", (1,)),
        ):
            make = getattr(nn, f"{name}{axes}d")
            yield f"{name}{axes}d", partial(make, *given), (x,)


def plain() -> Iterator[tuple[str, Callable[[], nn.Module], tuple[Any, ...]]]:
    for name in """ReLU ReLU6 ELU SELU CELU GELU SiLU Mish Sigmoid Tanh Softplus Softsign Hardswish
        Hardsigmoid Hardtanh LeakyReLU LogSigmoid Softshrink Hardshrink Tanhshrink RReLU PReLU GLU
        Softmax2d AlphaDropout FeatureAlphaDropout Identity""".split():
        yield name, getattr(nn, name), (IMAGE,)
    yield "Linear", lambda: nn.Linear(8, 5), (ROW,)
    yield "Linear of tokens", lambda: nn.Linear(8, 5), (TOKENS,)
    yield "Bilinear", lambda: nn.Bilinear(8, 8, 3), (ROW, ROW)
    yield "LayerNorm", lambda: nn.LayerNorm(8), (ROW,)
    yield "RMSNorm", lambda: nn.RMSNorm(8), (ROW,)
    yield "GroupNorm", lambda: nn.GroupNorm(2, 4), (IMAGE,)
    yield "Embedding", lambda: nn.Embedding(9, 4), (torch.tensor([[1, 2], [3, 4]]),)
    yield "EmbeddingBag", lambda: nn.EmbeddingBag(9, 4), (torch.tensor([[1, 2], [3, 4]]),)
    yield "Upsample", lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (IMAGE,)
    yield "FractionalMaxPool2d", lambda: nn.FractionalMaxPool2d(2, output_size=3), (IMAGE,)
    yield "Fold", lambda: nn.Fold((4, 4), 2), (numbers(1, 8, 9),)
    yield "CrossEntropyLoss", nn.CrossEntropyLoss, (ROW, torch.arange(5))
    for name in ("RNN", "LSTM", "GRU"):
        both = {"bidirectional": True, "batch_first": True}
        yield name, partial(getattr(nn, name), 8, 6, 2), (TOKENS,)
        yield (
            f"{name} both ways",
            partial(getattr(nn, name), 8, 6, 2, **both),
            (TOKENS,),
        )
        yield f"{name}Cell", partial(getattr(nn, f"{name}Cell"), 8, 6), (ROW,)


def attention() -> Iterator[tuple[str, Callable[[], nn.Module], tuple[Any, ...]]]:
    def masked(part: nn.Module, x: Tensor) -> Any:
        return part(x, src_key_padding_mask=PADDED)

    def unweighted(part: nn.Module, x: Tensor) -> Any:
        return part(x, x, x, need_weights=False, key_padding_mask=PADDED)

    def heads(**options: Any) -> nn.Module:
        return nn.MultiheadAttention(8, 2, batch_first=True, **options)

    yield "attention", heads, (TOKENS, TOKENS, TOKENS)
    yield "attention, no weights", lambda: Calls(unweighted, heads()), (TOKENS,)
    yield "attention, other sizes", lambda: heads(kdim=8, vdim=8), (TOKENS, OTHERS, OTHERS)
    yield "attention, large", lambda: nn.MultiheadAttention(64, 4), (numbers(40, 4, 64),) * 3
    yield "encoder layer", layer, (TOKENS,)
    yield "encoder layer, norms first", lambda: layer(norm_first=True), (TOKENS,)
    yield "encoder layer, padded", lambda: Calls(masked, layer()), (TOKENS,)
    yield "encoder", lambda: nn.TransformerEncoder(layer(), 2), (TOKENS,)
    yield "encoder, padded", lambda: Calls(masked, nn.TransformerEncoder(layer(), 2)), (TOKENS,)
    yield (
        "decoder",
        lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True),
        (
            TOKENS,
            OTHERS,
        ),
    )
    yield (
        "products",
        lambda: Calls(lambda x: F.scaled_dot_product_attention(x, x, x)),
        (numbers(2, 4, 64, 16),),
    )
    yield "einsum", lambda: Calls(lambda x: torch.einsum("nij,nkj->nik", x, x)), (TOKENS,)


def ways() -> Iterator[tuple[str, Callable[[], nn.Module], tuple[Any, ...]]]:
    deep = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
    yield (
        "channels last",
        partial(laid_last, deep),
        (LAST,),
    )
    yield "bfloat16", lambda: nn.Conv2d(4, 6, 3).bfloat16(), (IMAGE.bfloat16(),)
    yield "autocast", lambda: Calls(half, nn.Conv2d(4, 6, 3)), (IMAGE,)
    yield (
        "checkpoint",
        lambda: Calls(
            lambda part, x: checkpoint(part, x, use_reentrant=False),
            nn.Sequential(nn.Linear(8, 5), nn.Dropout(0.2)),
        ),
        (ROW,),
    )
    yield "weight norm", lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 5)), (ROW,)
    yield "spectral norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 5)), (ROW,)
    yield "spectral norm by hooks", lambda: nn.utils.spectral_norm(nn.Linear(8, 5)), (ROW,)
    yield "scripted", lambda: torch.jit.script(copy.deepcopy(deep)), (IMAGE,)
    yield "asks torch", lambda: Calls(asks_as_torch_does), (ROW,)
    yield "random numbers", lambda: Calls(lambda x: x + torch.randn(8) * torch.rand(())), (ROW,)
    yield "backwards", lambda: Calls(backwards), (ROW,)
    yield "a choice", lambda: Calls(lambda x: x * 2 if x.sum() > 0 else x * 3), (ROW,)


CASES = {
    name: (make, inputs)
    for every in (spatial, plain, attention, ways)
    for name, make, inputs in every()
}
SHARED = {*(name for name, *_ in attention()), "Linear", "Conv2d", "ConvTranspose2d", "LSTM", "GRU"}
"""What torch shares out among threads."""

MODES: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "gradients": contextlib.nullcontext,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
}


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def run(network: nn.Module, inputs: tuple[Any, ...], runner: Callable[..., Any]) -> Any:
    """Return what a runner makes of a network and copies of its inputs, from one seed."""
    given = [part.clone() if isinstance(part, Tensor) else part for part in inputs]
    torch.manual_seed(1)
    return runner(network, *given), torch.rand(2)


def called(network: nn.Module, *inputs: Any) -> Any:
    return network(*inputs)


def same(one: Any, other: Any) -> bool:
    ones, others = tensors_in(one), tensors_in(other)
    return len(ones) == len(others) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(ones, others, strict=True)
    )


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("mode", MODES)
def test_a_recording_is_the_plain_run_bit_for_bit_or_says_that_it_is_not(
    threads: int, mode: str, training: bool
) -> None:
    silent, said = [], []
    kinds = CASES if threads == 1 else SHARED
    for name, (make, inputs) in CASES.items():
        if name not in kinds:
            continue
        torch.manual_seed(0)
        network = make().train(training)
        torch.manual_seed(0)
        again = make().train(training)
        with MODES[mode]():
            expected, after = run(network, inputs, called)
            seen, drawn = run(again, inputs, record)
        assert seen.error is None, name
        assert torch.equal(after, drawn), name
        assert same(list(network.state_dict().values()), list(again.state_dict().values())), name
        returned = [seen.values[id].tensor for id in seen.output_ids]
        assert same(returned, seen.outputs), name
        warned = any(DIFFERS in text for text in seen.warnings)
        if not same(seen.outputs, expected) and not warned:
            silent.append(name)
        if warned:
            said.append(name)
    assert silent == []
    # Nothing that is the same everywhere has a warning.
    allowed = {"LSTM", "LSTM both ways"} if mode == "gradients" else set()
    if mode != "gradients" and not training:
        allowed = {name for name in CASES if name.startswith(("attention", "encoder", "decoder"))}
    assert set(said) <= allowed


def test_what_a_layer_would_compute_as_one_is_named_once() -> None:
    network = nn.TransformerEncoder(layer(), 2, enable_nested_tensor=False).eval()
    with torch.no_grad():
        seen = record(network, TOKENS)
    (warning,) = seen.warnings
    assert warning.startswith("`layers.0`, `layers.1`: recorded by separate steps")
    assert explain(seen, "layers.1.linear1", (0, 0, 0)).rule == "sum"
    assert record(network, TOKENS).warnings == ()  # with gradients a plain run has these steps
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            assert record(network, TOKENS).warnings == ()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_an_encoder_leaves_padding_out_as_in_a_plain_run() -> None:
    make, inputs = CASES["encoder, padded"]
    with torch.no_grad():
        seen = record(make().eval(), *inputs)
    assert float(tensors_in(seen.outputs)[0][1, 3:].abs().max()) == 0
    assert any("nested" in text for text in seen.warnings)


def test_a_network_that_asks_for_gradients_is_told_of() -> None:
    assert "asks for `torch.is_grad_enabled()`" in record(asks_for_gradients, ROW).warnings[0]
    with torch.no_grad():
        seen = record(asks_for_gradients, ROW)
        assert torch.equal(seen.outputs, asks_for_gradients(ROW))
    assert seen.warnings == ()


def test_torch_answers_as_before_afterwards() -> None:
    asked = torch.overrides.has_torch_function, torch.is_grad_enabled
    record(lambda x: record(asks_as_torch_does, x).outputs + 1, ROW)
    record(nn.Linear(3, 3), ROW)
    assert (torch.overrides.has_torch_function, torch.is_grad_enabled) == asked
    assert torch.overrides.has_torch_function is has_torch_function
