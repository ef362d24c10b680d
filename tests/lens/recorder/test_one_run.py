"""A recording is one run: a network changes itself, and draws random numbers, once."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.lens import costs, explain, record
from convlens.lens.trees import tensors_in


class Counts(nn.Module):
    """A layer that leaves traces of every run: in Python, in a list, in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.runs, self.shapes = 0, list[torch.Size]()
        self.inner = nn.LazyLinear(3)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        self.shapes.append(x.shape)
        assert isinstance(self.seen, Tensor)
        self.seen += 1
        out: Tensor = self.inner(input=x)
        return out


class InsideAFunction(nn.Module):
    """A lazy module that is not a child of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.held = [nn.Sequential(nn.LazyLinear(3), nn.Dropout(0.5))]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.held[0](x)
        return out


def picture() -> Tensor:
    return torch.randn(4, 5, 6, 6, generator=torch.Generator().manual_seed(1))


def row() -> Tensor:
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(1))


LAZY: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "linear": (lambda: nn.Sequential(nn.LazyLinear(4), nn.BatchNorm1d(4), nn.Dropout(0.5)), row),
    "conv": (
        lambda: nn.Sequential(
            nn.Dropout(0.2), nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.LazyInstanceNorm2d()
        ),
        picture,
    ),
    "transposed": (lambda: nn.Sequential(nn.LazyConvTranspose2d(3, 3), nn.RReLU()), picture),
    "counts": (Counts, row),
    "function": (InsideAFunction, row),
    "twice": (lambda: nn.Sequential(*[nn.LazyLinear(5)] * 2, nn.Dropout(0.5)), row),
}


def state(network: nn.Module) -> list[Tensor]:
    held = getattr(network, "held", [])
    return [t for each in (network, *held) for t in each.state_dict().values()]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_network_is_run_once_as_without_a_recording(name: str, training: bool) -> None:
    make, inputs = LAZY[name]
    plain, recorded = (make().train(training) for _ in range(2))
    fired: list[str] = []
    for network in (plain, recorded):
        network.register_forward_hook(lambda *_: fired.append("hook"))
        network.register_forward_pre_hook(lambda *_: fired.append("before"))
    torch.manual_seed(3)
    with torch.no_grad():
        expected = plain(inputs())
    after, count = torch.rand(3), len(fired)
    torch.manual_seed(3)
    seen = record(recorded, inputs())
    assert torch.equal(torch.rand(3), after)
    assert fired == fired[:count] * 2
    assert seen.error is None
    assert torch.equal(seen.outputs, expected)
    assert all(map(torch.equal, state(recorded), state(plain)))
    assert "Lazy" not in " ".join(call.type for call in seen.calls[1:])
    assert getattr(recorded, "runs", 1) == len(getattr(recorded, "shapes", [0])) == 1
    # How the parameters got their sizes is not part of the run.
    parts = {"0.weight", "1.weight", "inner.weight", "held.weight", "<Sequential>.0.weight"}
    kept = [value.name for value in seen.values if value.kind == "parameter"]
    assert parts & set(kept)
    assert not {"uniform", "kaiming_uniform", "empty", "fill"} & {step.op for step in seen}
    assert all(value.kind != "constant" for value in seen.values)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_network_is_explained_and_counted_by_its_sizes() -> None:
    network = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    found = costs(copy.deepcopy(network), torch.ones(2, 3))
    assert (found.parameters, found.multiply_adds) == (16, 24)
    explanation = explain(record(network, torch.ones(2, 3)), "0", (0, 0))
    assert len(explanation.terms) == 3


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_module_that_cannot_be_initialized_is_the_networks_own_error() -> None:
    class Goes(nn.Module):
        """A network that goes on when its layer fails."""

        def __init__(self) -> None:
            super().__init__()
            self.lazy, self.other = nn.LazyConv2d(2, 3), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            try:
                out: Tensor = self.lazy(x)
            except RuntimeError:
                out = self.other(x)
            return out

    seen = record(Goes(), row())
    assert seen.error is None
    assert [step.op for step in seen] == ["linear"]
    failed = record(nn.LazyConv2d(2, 3), row())
    assert failed.error is not None
    assert "LazyConv2d" in failed.error.message or "dim" in failed.error.message


def test_a_network_leaves_the_traces_of_one_run() -> None:
    class Traces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.runs: list[Any] = []
            self.norm = nn.BatchNorm1d(5)

        def forward(self, x: Tensor) -> Tensor:
            self.runs.append(x.shape)
            return torch.dropout(self.norm(x), 0.5, True) + torch.randn(5)

    plain, recorded = Traces(), Traces()
    torch.manual_seed(0)
    with torch.no_grad():
        expected = plain(row())
    torch.manual_seed(0)
    seen = record(recorded, row())
    assert torch.equal(tensors_in(seen.outputs)[0], expected)
    assert len(recorded.runs) == 1
    assert int(recorded.norm.num_batches_tracked or 0) == 1
