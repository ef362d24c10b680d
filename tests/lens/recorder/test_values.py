"""Every kind of tensor is recorded; an error of convlens is not taken for one of the network."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from convlens.lens import costs_of, explain, record
from convlens.lens.recorder.calls import CallStack
from convlens.lens.recorder.keeping import Keeper
from convlens.lens.recorder.watching import Watcher
from convlens.lens.trees import tensors_in

# torch warns so about a function of its own that it compiles at its first use.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def nested(layout: torch.layout = torch.strided) -> Tensor:
    return torch.nested.nested_tensor([X[:2], X[:4]], layout=layout)


with warnings.catch_warnings():  # torch warns once that these are new
    warnings.simplefilter("ignore")
    CSR, NESTED, JAGGED = X.to_sparse_csr(), nested(), nested(torch.jagged)
    QUANTIZED = torch.quantize_per_tensor(X, 0.1, 0, torch.quint8)


class Wrapped(torch.Tensor):
    """A tensor without memory of its own, as distributed ones are."""

    held: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Wrapped":
        made: Wrapped = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.held = inner
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        plain = torch.utils._pytree.tree_map_only(Wrapped, lambda w: w.held, (args, kwargs or {}))
        made = func(*plain[0], **plain[1])
        return torch.utils._pytree.tree_map_only(Tensor, Wrapped, made)


class Labelled(torch.Tensor):
    """A subclass that handles its own calls."""

    seen = 0

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen += 1
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


class SparseWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(6).to_sparse())
        self.register_buffer("shift", torch.eye(6).to_sparse_csr())

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.shift, Tensor)
        out: Tensor = torch.sparse.mm(self.weight, x) + self.shift @ x
        return out


@dataclass
class Answer:
    score: Tensor
    name: str


def written_sparse(x: Tensor) -> Tensor:
    sparse = x.to_sparse()
    sparse.mul_(2)
    return sparse.to_dense()


def parts(x: Tensor) -> Tensor:
    sparse = x.to_sparse().coalesce()
    indices, doubled = sparse.indices(), sparse.values() * 2
    made = torch.sparse_coo_tensor(indices, doubled, sparse.shape, check_invariants=True)
    return made.to_dense()


def squares(x: Tensor) -> Tensor:
    return (x**2).sum()


def tangent(x: Tensor) -> Tensor:
    found: Tensor = torch.func.jvp(torch.sin, (x,), (x,))[1]
    return found


# network, inputs, the words in the warnings
KINDS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "sparse mm": (lambda x: torch.sparse.mm(torch.eye(6).to_sparse(), x), (X,), "sparse"),
    "sparse output": (lambda x: x.to_sparse(), (X,), "sparse"),
    "csr": (lambda x: torch.eye(6).to_sparse_csr() @ x, (X,), "sparse"),
    "csc": (lambda x: torch.eye(6).to_sparse_csc() @ x, (X,), "sparse"),
    "bsr": (lambda x: torch.eye(6).to_sparse_bsr((2, 2)) @ x, (X,), "sparse"),
    "sparse input": (lambda s: s.to_dense() * 2, (X.to_sparse(),), "`input`: sparse"),
    "csr input": (lambda s: s.to_dense() * 2, (CSR,), "`input`: sparse"),
    "sparse in place": (written_sparse, (X,), "`to_sparse@0`, `mul@1`: sparse"),
    "sparse parts": (parts, (X,), "sparse"),
    "sparse weights": (SparseWeight(), (X,), "`weight`, `shift`: sparse"),
    "embedding": (nn.Embedding(9, 3, sparse=True), (torch.tensor([1, 2]),), ""),
    "nested": (lambda x: nested() * x[0, 0], (X,), "nested"),
    "nested input": (lambda n: torch.nested.to_padded_tensor(n * 2, 0.0), (NESTED,), "nested"),
    "jagged": (nn.Linear(3, 2), (JAGGED,), "nested"),
    "quantized input": (lambda q: q.dequantize() * 2, (QUANTIZED,), "`input`: quantized"),
    "quantized": (
        lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize(),
        (X,),
        "quantized",
    ),
    "oneDNN": (lambda x: x.to_mkldnn().to_dense() * 2, (X,), "oneDNN"),
    "meta": (nn.Linear(3, 2, device="meta"), (X.to("meta"),), "without numbers"),
    "fake": (lambda x: x * 2, (FakeTensorMode().from_tensor(X),), "FakeTensor"),
    "wrapped": (lambda x: x * 2 + 1, (Wrapped(X),), "of a class of its own (Wrapped)"),
    "labelled": (lambda x: x * 2 + 1, (X.as_subclass(Labelled),), ""),
    "conjugated": (lambda x: torch.fft.fft(x).conj().imag, (X,), ""),
    "empty": (nn.Linear(3, 2), (X[:0],), ""),
    "numpy": (lambda x: torch.from_numpy(np.ones((6, 3), np.float32)) + x, (X,), ""),
    "packed sequence": (nn.LSTM(3, 2), (nn.utils.rnn.pack_sequence([X[:4], X[:2]]),), ""),
    "dataclass": (lambda x: Answer(x * 2, "x"), (X,), ""),
    "none": (lambda x: None, (X,), ""),
    "text": (lambda x: "yes", (X,), ""),
    "an object": (lambda x: iter([x * 2]), (X,), "in which no tensor was found"),
    "vmap": (torch.func.vmap(squares), (X,), ""),
    "grad": (torch.func.grad(squares), (X,), ""),
    "forward mode": (tangent, (X,), ""),
}
EACH_KIND = pytest.mark.parametrize("name", KINDS)


def same(one: Tensor, other: Tensor) -> bool:
    assert type(one) is type(other)
    if one.is_nested:
        return all(map(torch.equal, one.unbind(), other.unbind()))
    if one.layout is not torch.strided:
        return torch.equal(one.to_dense(), other.to_dense())
    if isinstance(one, Wrapped) and isinstance(other, Wrapped):
        return torch.equal(one.held, other.held)
    if one.is_meta or type(one).__name__ == "FakeTensor":
        return one.shape == other.shape
    return torch.equal(one, other)


@EACH_KIND
def test_every_kind_of_value_is_recorded_as_the_plain_call_has_it(name: str) -> None:
    network, inputs, words = KINDS[name]
    with torch.no_grad():
        plain = tensors_in(network(*inputs))
        seen = record(network, *inputs)
    assert seen.error is None
    found = tensors_in(seen.outputs)
    assert len(found) == len(plain) == len(seen.output_ids)
    assert all(map(same, found, plain))
    assert words in "\n".join(seen.warnings)
    assert bool(words) == bool(seen.warnings)


@EACH_KIND
def test_every_kind_of_value_prints_counts_and_is_explained_or_refused(name: str) -> None:
    network, inputs, _ = KINDS[name]
    seen = record(network, *inputs)
    assert str(seen)
    assert seen.to_dict()
    assert seen.nbytes >= 0
    if any(-1 in value.shape for value in seen.values):
        with pytest.raises(NotImplementedError, match="cannot be counted"):
            costs_of(seen)
    else:
        assert costs_of(seen).multiply_adds >= 0
    for value in seen.values:
        if 0 in value.shape:
            continue
        refused = ""
        try:
            explanation = explain(seen, seen.names[value.id], (0,) * len(value.shape))
            assert not value.opaque
            assert explanation.pixels().count >= 0
        except NotImplementedError as refusal:
            refused = str(refusal)
        assert "\n" not in refused


def test_a_value_of_a_sparse_one_says_so() -> None:
    network, inputs, _ = KINDS["sparse mm"]
    with pytest.raises(NotImplementedError, match=r"is made of `to_sparse@1`, which is sparse"):
        explain(record(network, *inputs), "", (0, 0))


def test_our_own_error_is_not_told_as_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handles(nn.Module):
        """A network that goes on after any error of its layer."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                out: Tensor = self.layer(x)
            except Exception:
                return x
            return out

    def broken(*arguments: Any, **more: Any) -> int:
        raise ValueError("our own mistake")

    parts = {Keeper: ("keep", "refer", "made"), CallStack: ("enter", "leave"), Watcher: ("refer",)}
    for owner, name in ((owner, name) for owner, names in parts.items() for name in names):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            with pytest.raises((RuntimeError, ValueError), match="our own mistake"):
                record(Handles(), X)
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "returned", broken)
        with pytest.raises(RuntimeError, match="by a fault of convlens, not of the network"):
            record(Handles(), X)
    # No mode or hook is left behind, and the network's own errors are still its own.
    assert torch._C._len_torch_function_stack() == torch._C._len_torch_dispatch_stack() == 0
    assert not torch.nn.modules.module._global_forward_hooks
    seen = record(nn.Linear(4, 4), X)
    assert seen.error is not None
    assert "mat1 and mat2" in seen.error.message


def test_a_subclass_is_called_no_oftener_than_without_a_recording() -> None:
    x = X.as_subclass(Labelled)
    before = Labelled.seen
    KINDS["labelled"][0](x)
    plain = Labelled.seen - before
    record(KINDS["labelled"][0], x)
    assert Labelled.seen - before == 2 * plain
