"""Costs equal hand counts, and the figures in the tables of papers."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from convlens.lens import costs, costs_of, explain, record
from convlens.zoo import model


def test_transposed_convolution_counts_its_input() -> None:
    found = costs(nn.ConvTranspose2d(4, 2, 4, 2, 1), torch.ones(1, 4, 16, 16))
    assert found.multiply_adds == 32_768
    assert found.parameters == 4 * 2 * 16 + 2
    assert costs(nn.ConvTranspose2d(8, 4, 2, 2), torch.ones(1, 8, 16, 16)).multiply_adds == 32_768


def test_convolution_functional_subclassed_and_shared() -> None:
    class Own(nn.Conv2d):
        """A subclass that the usual counters do not know."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = Own(3, 3, 3, padding=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(self.own(self.own(x)), self.own.weight, padding=1)

    found = costs(Network(), torch.ones(1, 3, 32, 32))
    one = 3 * 3 * 9 * 32 * 32
    assert [row.multiply_adds for row in found.rows] == [one, one, one]
    assert found.parameters == 81
    assert [row.parameters for row in found.rows] == [81, 0, 0]


def test_groups_dimensions_and_linear() -> None:
    assert costs(nn.Conv2d(8, 8, 3, groups=8), torch.ones(1, 8, 5, 5)).multiply_adds == 8 * 9 * 9
    volume = costs(nn.Conv3d(2, 4, (1, 3, 3)), torch.ones(1, 2, 2, 5, 5))
    assert volume.multiply_adds == 2 * 4 * 9 * 2 * 9
    assert costs(nn.Linear(10, 4), torch.ones(3, 10)).multiply_adds == 120
    assert costs(lambda a: a @ a.mT, torch.ones(2, 3, 5)).multiply_adds == 2 * 3 * 3 * 5


def test_pooling_and_bias_are_operations_not_multiply_adds() -> None:
    found = costs(nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(2)), torch.ones(1, 1, 4, 4))
    assert found.multiply_adds == 2 * 16
    assert found.operations == 2 * 16 + 2 * 16
    assert [row.bytes for row in found.rows] == [128, 32]


def test_resnet50_is_the_published_size() -> None:
    found = costs(model("resnet50", weights=None), torch.zeros(1, 3, 224, 224))
    assert found.multiply_adds == 4_089_184_256
    assert found.parameters == 25_557_032
    assert "4,089,184,256" in str(found)
    assert found.to_dict()["multiply_adds"] == 4_089_184_256


# Products under other names: torch's own counter of floating-point operations is the oracle.

A, B, C = torch.ones(4, 6), torch.ones(6, 5), torch.ones(5, 3)
X, Y = torch.ones(2, 4, 6), torch.ones(2, 6, 5)
PRODUCTS: dict[str, Callable[[], Any]] = {
    "@": lambda: A @ B,
    "__rmatmul__": lambda: B.__rmatmul__(A),
    "mm into out": lambda: torch.mm(A, B, out=torch.empty(4, 5)),
    "mm by keyword": lambda: A.mm(mat2=B),
    "linalg.matmul": lambda: torch.linalg.matmul(X, Y),
    "multi_dot": lambda: torch.linalg.multi_dot([A, B, C]),
    "chain_matmul": lambda: torch.chain_matmul(A, B, C, torch.ones(3, 2)),
    "inner": lambda: torch.inner(A, B.T),
    "tensordot": lambda: torch.tensordot(X, Y, dims=([2], [1])),
    "einsum": lambda: torch.einsum("bij,bjk->bik", X, Y),
    "addmm": lambda: torch.addmm(torch.ones(5), A, B),
    "baddbmm": lambda: torch.baddbmm(torch.ones(2, 4, 5), X, Y),
    "matrix_power": lambda: torch.linalg.matrix_power(torch.ones(4, 4), 3),
    "cov": lambda: torch.cov(A),
    "unfold": lambda: F.unfold(torch.ones(1, 2, 5, 5), 2).transpose(1, 2) @ torch.ones(8, 3),
    "conv_transpose1d": lambda: F.conv_transpose1d(X, torch.ones(4, 3, 2), stride=2),
    "attention": lambda: F.scaled_dot_product_attention(X, X, X),
    "vmap": lambda: torch.vmap(torch.mm)(X, Y),
}


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_counted_whatever_they_are_called(name: str) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        PRODUCTS[name]()
    found = costs(PRODUCTS[name])
    assert found.multiply_adds == counter.get_total_flops() // 2 > 0
    assert found.warnings == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_network_costs_what_it_did() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    makers: list[Any] = [torch.jit.script, lambda network: torch.jit.trace(network, A)]
    for made in makers:
        found = costs(made(network), A)
        assert (found.multiply_adds, found.parameters) == (4 * 30 + 4 * 15, 35 + 18)


def test_products_that_the_oracle_does_not_know() -> None:
    v, w = torch.ones(6), torch.ones(6)
    assert costs(torch.linalg.matmul, A, B).multiply_adds == 120
    assert costs(torch.dot, v, w).multiply_adds == costs(torch.vdot, v, w).multiply_adds == 6
    assert costs(torch.mv, A, v).multiply_adds == 24
    assert costs(torch.addmv, torch.ones(4), A, v).multiply_adds == 24
    assert costs(torch.addbmm, torch.ones(4, 5), X, Y).multiply_adds == 2 * 120
    assert costs(torch.linalg.vecdot, A, A).multiply_adds == 24
    for outer in (torch.outer, torch.ger):
        assert costs(outer, torch.ones(4), torch.ones(5)).multiply_adds == 20
    assert costs(torch.addr, torch.ones(4, 5), torch.ones(4), torch.ones(5)).multiply_adds == 20
    assert costs(torch.kron, torch.ones(2, 3), torch.ones(4, 5)).multiply_adds == 120
    # Each weight counts once for each place it is laid on.
    assert costs(nn.Bilinear(4, 5, 3), torch.ones(7, 4), torch.ones(7, 5)).multiply_adds == 420


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("name", [n for n in PRODUCTS if n not in ("cov", "attention")])
def test_products_are_explained_as_the_sums_they_are(name: str) -> None:
    seen = record(PRODUCTS[name])
    rules = set()
    for step in seen:
        if step.inputs and step.outputs:
            index = tuple(n - 1 for n in seen.values[step.outputs[0]].shape)
            rules.add(explain(seen, step, index).rule)
    assert rules <= {"sum", "copy"}


UNCOUNTED: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "linalg_solve": (torch.linalg.solve, (torch.eye(3), torch.ones(3, 2))),
    "fft_rfft": (torch.fft.rfft, (torch.ones(8),)),
    "cdist": (torch.cdist, (torch.ones(2, 3), torch.ones(4, 3))),
    "linalg_svdvals": (torch.linalg.svdvals, (torch.eye(3),)),
    "matrix_exp": (torch.matrix_exp, (torch.eye(3),)),
    "conv_tbc": (torch.conv_tbc, (torch.ones(5, 2, 3), torch.ones(3, 3, 4), torch.ones(4))),
    "mm": (lambda x: torch.mm(torch.eye(6).to_sparse(), x), (torch.ones(6, 3),)),
}


@pytest.mark.parametrize("name", UNCOUNTED)
def test_what_is_not_counted_is_named_wherever_the_total_is_told(name: str) -> None:
    call, inputs = UNCOUNTED[name]
    found = costs(call, *inputs)
    (warning,) = found.warnings
    assert warning.startswith(f"not counted: the multiply-adds of `{name}` (step ")
    assert str(found).splitlines()[-1].strip() == warning
    assert found.to_dict()["warnings"] == [warning]
    (row,) = (row for row in found.rows if row.uncounted)
    assert (row.op, row.multiply_adds) == (name, 0)
    assert found.to_dict()["rows"][row.step]["uncounted"] == row.uncounted
    assert str(found).splitlines()[1 + found.rows.index(row)].endswith("?")


def test_many_steps_of_one_name_are_one_warning() -> None:
    found = costs(lambda x: torch.linalg.inv(torch.linalg.inv(x)) @ x, torch.eye(3))
    assert found.warnings == (
        "not counted: the multiply-adds of `linalg_inv` (2 steps, the first is 0): "
        "no rule counts it",
    )
    assert found.multiply_adds == 27


@pytest.mark.parametrize(
    "call",
    [F.normalize, torch.special.i0, torch.median, F.cosine_similarity, torch.cummax, F.mse_loss],
    ids=lambda call: call.__name__,
)
def test_what_has_no_products_is_not_warned_of(call: Any) -> None:
    inputs = [torch.ones(2, 3)] * (2 if call in (F.cosine_similarity, F.mse_loss) else 1)
    found = costs(call, *inputs, **({"dim": 1} if call is torch.cummax else {}))
    assert (found.multiply_adds, found.warnings) == (0, ())


# Recurrent layers, and the same written out.


class WrittenOut(nn.Module):
    """A recurrent layer's steps, one by one, as its documentation has them."""

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.own = own

    def forward(self, x: Tensor) -> Tensor:
        own = self.own
        for layer in range(own.num_layers):
            ways = ["", "_reverse"] if own.bidirectional else [""]
            x = torch.cat([self.run(x, f"_l{layer}{way}", way) for way in ways], -1)
        return x

    def run(self, x: Tensor, name: str, way: str) -> Tensor:
        own = self.own
        size = own.proj_size or own.hidden_size
        h, c = x.new_zeros(x.shape[1], size), x.new_zeros(x.shape[1], own.hidden_size)
        outs = []
        for t in reversed(range(len(x))) if way else range(len(x)):
            h, c = self.step(x[t], h, c, name)
            if own.proj_size:
                h = F.linear(h, getattr(own, f"weight_hr{name}"))
            outs.append(h)
        return torch.stack(outs[::-1] if way else outs)

    def step(self, x: Tensor, h: Tensor, c: Tensor, name: str) -> tuple[Tensor, Tensor]:
        own = self.own
        bias = (lambda part: getattr(own, f"bias_{part}{name}")) if own.bias else lambda part: None
        given = F.linear(x, getattr(own, f"weight_ih{name}"), bias("ih"))
        recurrent = F.linear(h, getattr(own, f"weight_hh{name}"), bias("hh"))
        if own.mode == "LSTM":
            i, f, g, o = (given + recurrent).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c
        if own.mode == "GRU":
            (a, b, n), (d, e, m) = given.chunk(3, 1), recurrent.chunk(3, 1)
            z, new = torch.sigmoid(b + e), torch.tanh(n + torch.sigmoid(a + d) * m)
            return new + z * (h - new), c
        return torch.tanh(given + recurrent), c


LAYERS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: nn.LSTM(5, 3),
    "LSTM deep, both ways": lambda: nn.LSTM(5, 3, 2, bidirectional=True),
    "LSTM without biases": lambda: nn.LSTM(5, 3, bias=False),
    "LSTM projected": lambda: nn.LSTM(5, 4, 2, proj_size=2, bidirectional=True),
    "GRU": lambda: nn.GRU(5, 3, 2),
    "GRU both ways": lambda: nn.GRU(5, 3, bidirectional=True, bias=False),
    "RNN": lambda: nn.RNN(5, 3, 2, bidirectional=True),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers_cost_what_they_cost_written_out(name: str) -> None:
    torch.manual_seed(0)
    layer, x = LAYERS[name](), torch.randn(4, 2, 5)
    assert torch.allclose(WrittenOut(layer)(x), layer(x)[0], atol=1e-6)
    found, written = costs(layer, x), costs(WrittenOut(layer), x)
    assert found.multiply_adds == written.multiply_adds > 0
    assert found.operations == written.operations
    assert found.parameters == written.parameters == sum(p.numel() for p in layer.parameters())
    assert found.warnings == ()


def test_an_lstm_step_is_four_matrices_of_input_and_state() -> None:
    assert costs(nn.LSTM(5, 3), torch.randn(4, 2, 5)).multiply_adds == 4 * 2 * 4 * 3 * (5 + 3)
    assert costs(nn.LSTM(5, 3), torch.randn(7, 5)).multiply_adds == 7 * 4 * 3 * (5 + 3)
    front = costs(nn.LSTM(5, 3, batch_first=True), torch.randn(2, 4, 5))
    assert front.multiply_adds == 4 * 2 * 4 * 3 * (5 + 3)
    cells = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCell: 1}
    for cell, gates in cells.items():
        assert costs(cell(5, 3), torch.randn(2, 5)).multiply_adds == 2 * gates * 3 * (5 + 3)


def test_padding_of_a_packed_sequence_costs_nothing() -> None:
    packed = pack_padded_sequence(torch.randn(4, 3, 5), [1, 4, 2], enforce_sorted=False)
    seen = record(nn.GRU(5, 3), packed)
    assert seen.error is None
    assert costs_of(seen).multiply_adds == (1 + 4 + 2) * 3 * 3 * (5 + 3)


# Parameters that are not values of the recording.


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.skipif(
    torch.backends.quantized.engine == "none", reason="this torch has no quantised kernels"
)
def test_packed_weights_are_counted() -> None:
    from torch.ao import quantization

    layers = {nn.Linear, nn.LSTM, nn.GRUCell}
    for network, x in (
        (nn.Sequential(nn.Linear(100, 50)), torch.randn(1, 100)),
        (nn.Sequential(nn.LSTM(5, 3, 2, bidirectional=True)), torch.randn(4, 2, 5)),
        (nn.Sequential(nn.GRUCell(5, 3)), torch.randn(2, 5)),
    ):
        plain = costs(network, x)
        found = costs(quantization.quantize_dynamic(network, layers), x)
        assert found.multiply_adds == plain.multiply_adds > 0
        assert found.parameters == plain.parameters
        assert found.warnings == ()
    first = quantization.quantize_dynamic(nn.Sequential(nn.Linear(100, 50)), {nn.Linear})
    assert costs(first, torch.randn(1, 100)).multiply_adds == 5_000
    with pytest.raises(NotImplementedError, match="its weights are packed"):
        explain(record(first, torch.randn(1, 100)), 0, (0, 0))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.skipif("x86" not in torch.backends.quantized.supported_engines, reason="needs x86")
def test_a_statically_quantised_network_costs_what_it_did() -> None:
    from torch.ao import quantization

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.out = quantization.QuantStub(), quantization.DeQuantStub()
            self.conv, self.relu = nn.Conv2d(4, 6, 3, 2, 1, groups=2), nn.ReLU()
            self.up, self.head = nn.ConvTranspose2d(6, 2, 2, 2), nn.Linear(128, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.up(self.relu(self.conv(self.into(x))))
            made: Tensor = self.out(self.head(x.flatten(1)))
            return made

    network: Any = Network().eval()
    x = torch.randn(2, 4, 8, 8)
    plain = costs(network, x)
    network.qconfig = quantization.get_default_qconfig("x86")
    network.up.qconfig = quantization.default_qconfig
    quantization.prepare(network, inplace=True)
    network(x)
    quantization.convert(network, inplace=True)
    seen = record(network, x)
    assert seen.error is None, seen.error
    found = costs_of(seen)
    assert (found.multiply_adds, found.parameters) == (plain.multiply_adds, plain.parameters)
    with pytest.raises(NotImplementedError, match=r"packed|quantized"):
        explain(seen, "head", (0, 0))


def test_parameters_are_counted_once_wherever_they_stand() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.listed = nn.ParameterList([torch.randn(3, 3), torch.randn(3)])
            self.embed, self.head = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
            self.head.weight = self.embed.weight
            self.copied = nn.Linear(3, 7, bias=False)
            self.copied.weight = nn.Parameter(self.embed.weight.data)  # the same memory
            self.turned = parametrizations.weight_norm(nn.Linear(7, 2))
            self.register_buffer("steps", torch.zeros(5))
            self.unused = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.embed(x) @ self.listed[0] + self.listed[1]
            made: Tensor = self.turned(self.head(y) + self.copied(y))
            return made

    found = costs(Network(), torch.tensor([1, 2]))
    assert found.parameters == (9 + 3) + 21 + (14 + 2 + 2) + (4 + 2)
    assert sum(row.parameters for row in found.rows) == found.parameters - (4 + 2)
    assert found.multiply_adds == 2 * (9 + 21 + 21 + 14)
    assert found.warnings == ()


def test_lazy_layers_are_counted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nn.Sequential(nn.LazyLinear(4), nn.LazyConv1d(2, 3))
    found = costs(network, torch.randn(1, 3, 5))
    assert (found.parameters, found.multiply_adds) == (24 + 3 * 2 * 3 + 2, 3 * 20 + 18 * 2)


def test_nothing_is_computed_where_there_are_no_numbers() -> None:
    with torch.device("meta"):
        network, x = nn.Sequential(nn.LSTM(5, 3)), torch.empty(4, 2, 5)
        found = costs(lambda x: torch.inner(network(x)[0], torch.empty(2, 3)), x)
    assert found.multiply_adds == 4 * 2 * 4 * 3 * (5 + 3) + math.prod((4, 2, 2)) * 3
