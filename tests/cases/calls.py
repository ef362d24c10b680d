"""Single calls of torch: of known kinds, made of known operators, and of unknown ones."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

G = torch.Generator().manual_seed(0)


PACK = nn.utils.rnn.pack_padded_sequence


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G, dtype=torch.float64)


class Held(nn.Module):
    """A function of a module and inputs, so that the module is converted with it."""

    def __init__(self, own: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.own, self.call = own.double(), call

    def forward(self, *inputs: Tensor) -> Any:
        return self.call(self.own, *inputs)


def layer(own: nn.Module) -> Held:
    torch.manual_seed(3)
    for parameter in own.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return Held(own, lambda own, *inputs: own(*inputs))


def grid(size: int) -> Tensor:
    return torch.rand(2, 3, size, 2, generator=G, dtype=torch.float64) * 1.6 - 0.8


PLACES = torch.tensor([[0, 2], [1, 1]])


SQUARE = 4 * torch.eye(3, dtype=torch.float64)


# All in float64.
CALLS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "linalg.matmul": (torch.linalg.matmul, (drawn(2, 4, 6), drawn(2, 6, 5))),
    "multi_dot": (
        lambda a, b, c: torch.linalg.multi_dot([a, b, c]),
        (drawn(4, 6), drawn(6, 5), drawn(5, 3)),
    ),
    "inner": (torch.inner, (drawn(2, 3, 4), drawn(5, 4))),
    "outer": (torch.outer, (drawn(4), drawn(5))),
    "kron": (torch.kron, (drawn(2, 3), drawn(3, 2))),
    "vecdot": (torch.linalg.vecdot, (drawn(4, 6), drawn(6))),
    "tensordot": (
        lambda a, b: torch.tensordot(a, b, dims=([2], [1])),
        (drawn(2, 4, 6), drawn(2, 6, 5)),
    ),
    "addmm": (lambda a, b, c: torch.addmm(a, b, c, beta=0.5), (drawn(5), drawn(4, 6), drawn(6, 5))),
    "addmv": (torch.addmv, (drawn(4), drawn(4, 6), drawn(6))),
    "addr": (torch.addr, (drawn(4, 5), drawn(4), drawn(5))),
    "addbmm": (torch.addbmm, (drawn(4, 5), drawn(2, 4, 6), drawn(2, 6, 5))),
    "bilinear": (F.bilinear, (drawn(2, 3, 4), drawn(2, 3, 5), drawn(6, 4, 5), drawn(6))),
    "einsum": (lambda a, b: torch.einsum("bij,bjk->bik", a, b), (drawn(2, 3, 4), drawn(2, 4, 3))),
    "linear of a computed weight": (lambda x, w: F.linear(x, w * 2), (drawn(2, 4), drawn(3, 4))),
    "conv of a computed kernel": (
        lambda x, w, b: F.conv2d(x, w * 2, b + 1, padding=1, stride=2),
        (drawn(2, 3, 5, 6), drawn(4, 3, 3, 3), drawn(4)),
    ),
    "norm of a computed weight": (
        lambda x, w, b: F.layer_norm(x, (4,), w * 2, b + 1),
        (drawn(2, 3, 4), drawn(4), drawn(4)),
    ),
    "causal attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        (drawn(2, 4, 3), drawn(2, 4, 3), drawn(2, 4, 6)),
    ),
    "attention of a computed mask": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        (drawn(2, 4, 3), drawn(2, 5, 3), drawn(2, 5, 6), drawn(4, 5)),
    ),
    "attention of shared heads": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (drawn(1, 4, 4, 3), drawn(1, 2, 5, 3), drawn(1, 2, 5, 3)),
    ),
    "LSTM": (layer(nn.LSTM(4, 3, batch_first=True)), (drawn(2, 4, 4),)),
    "LSTM both ways, two deep": (layer(nn.LSTM(3, 2, 2, bidirectional=True)), (drawn(3, 2, 3),)),
    "LSTM projected": (layer(nn.LSTM(3, 3, 2, proj_size=2)), (drawn(3, 2, 3),)),
    "LSTM cell": (
        Held(nn.LSTMCell(4, 3), lambda own, x, h, c: own(x, (h, c))),
        (drawn(2, 4), drawn(2, 3), drawn(2, 3)),
    ),
    "LSTM of given states": (
        Held(nn.LSTM(4, 3), lambda own, x, h, c: own(x, (h, c))),
        (drawn(2, 2, 4), drawn(1, 2, 3), drawn(1, 2, 3)),
    ),
    "GRU both ways": (layer(nn.GRU(4, 3, bidirectional=True, bias=False)), (drawn(3, 2, 4),)),
    "GRU cell": (layer(nn.GRUCell(4, 3)), (drawn(2, 4), drawn(2, 3))),
    "RNN": (layer(nn.RNN(4, 3, batch_first=True)), (drawn(2, 3, 4),)),
    "packed": (
        Held(nn.LSTM(4, 3), lambda own, x: own(PACK(x, [2, 3], enforce_sorted=False))[0].data),
        (drawn(3, 2, 4),),
    ),
    "padded again": (
        Held(
            nn.GRU(4, 3, bidirectional=True),
            lambda own, x: nn.utils.rnn.pad_packed_sequence(
                own(PACK(x, [3, 1, 2], enforce_sorted=False))[0]
            )[0],
        ),
        (drawn(3, 3, 4),),
    ),
    "cdist": (torch.cdist, (drawn(2, 4, 3), drawn(2, 5, 3))),
    "weighted bags": (
        lambda w, p: F.embedding_bag(PLACES, w, per_sample_weights=p, mode="sum"),
        (drawn(4, 3), drawn(2, 2)),
    ),
    "embedding": (lambda w: F.embedding(PLACES, weight=w), (drawn(4, 3),)),
    "fft": (lambda x: torch.fft.irfft(torch.fft.rfft(x)), (drawn(2, 8),)),
    "solve": (lambda a, b: torch.linalg.solve(a + SQUARE, b), (drawn(2, 3, 3), drawn(2, 3, 2))),
    "cholesky": (lambda a: torch.linalg.cholesky(a @ a.mT + SQUARE), (drawn(2, 3, 3),)),
    "eigenvalues": (lambda a: torch.linalg.eigvalsh(a @ a.mT), (drawn(2, 3, 3),)),
    "matrix_exp": (torch.matrix_exp, (drawn(2, 3, 3),)),
    "matrix_power": (lambda a: torch.linalg.matrix_power(a, 3), (drawn(2, 3, 3),)),
    "lu": (lambda a: torch.linalg.lu(a)[2], (drawn(2, 3, 3),)),
    "cov": (torch.cov, (drawn(3, 6),)),
    "cosine_similarity": (F.cosine_similarity, (drawn(2, 3, 4), drawn(2, 3, 4))),
    "normalize": (F.normalize, (drawn(2, 3, 4),)),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, torch.tensor([0, 1]), reduction="none"),
        (drawn(2, 4),),
    ),
    "median": (lambda x: x.median(1), (drawn(2, 5),)),
    "mode": (lambda x: x.mode(1)[0], (drawn(2, 5),)),
    "cummax": (lambda x: x.cummax(1)[0], (drawn(2, 5),)),
    "aminmax": (lambda x: torch.aminmax(x, dim=1), (drawn(2, 5),)),
    "quantile": (lambda x: x.quantile(0.3, 1), (drawn(2, 5),)),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), (drawn(2, 5),)),
    "histc": (lambda x: torch.histc(x, 4), (drawn(6),)),
    "unique": (torch.unique, (drawn(4),)),
    "searchsorted": (
        lambda x: torch.searchsorted(torch.tensor([0.0, 1.0]).double(), x),
        (drawn(3),),
    ),
    "unpooled": (
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), (2, 2)),
        (drawn(1, 1, 4, 4),),
    ),
    "one_hot": (lambda x: F.one_hot(x.argmax(1), 4), (drawn(2, 4),)),
    "scatter_add": (lambda x, y: x.scatter_add(1, PLACES, y), (drawn(2, 5), drawn(2, 2))),
    "index_put added": (
        lambda x, y: x.index_put((torch.tensor([0, 1, 1]),), y, accumulate=True),
        (drawn(3, 2), drawn(3, 2)),
    ),
    "scatter of a number": (
        lambda x: x.scatter(1, torch.tensor([[0], [1]]), value=3.0),
        (drawn(2, 5),),
    ),
    "grid_sample": (
        lambda x, g: F.grid_sample(x, g, align_corners=False),
        (drawn(2, 3, 5, 6), grid(4)),
    ),
    "grouped norm": (lambda x, w: F.group_norm(x, 3, w), (drawn(2, 6, 4), drawn(6))),
    "where": (torch.where, (drawn(2, 3) > 0, drawn(2, 3), drawn(2, 3))),
    "lerp": (torch.lerp, (drawn(2, 3), drawn(2, 3), drawn(2, 3))),
    "special": (torch.special.i0, (drawn(2, 3),)),
    "hypot": (torch.hypot, (drawn(2, 3), drawn(2, 3))),
    "nuclear norm": (lambda x: x.norm(p="nuc"), (drawn(3, 3),)),
    "trapezoid": (torch.trapezoid, (drawn(2, 5),)),
    "batched by vmap": (lambda x: torch.vmap(lambda y: y @ y)(x), (drawn(2, 3),)),
}  # fmt: skip


SINGLE: dict[str, Any] = {
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "power": lambda x: x.abs() ** 1.5,
    "number over element": lambda x: 3 / (x.abs() + 1),
    "number minus element": lambda x: 1 - x,
    "add alpha": lambda x: torch.add(x, x * 2, alpha=0.25),
    "floor divide": lambda x: x // 0.3,
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
    "masked fill": lambda x: x.masked_fill(x > 0, -3.0),
    "where number": lambda x: torch.where(x > 0, x, 0.0),
    "where method": lambda x: x.where(x > 0, -x),
    "softplus": lambda x: F.softplus(x * 10),
    "mish": F.mish,
    "selu": F.selu,
    "tanh gelu": lambda x: F.gelu(x, approximate="tanh"),
    "to half": lambda x: x.half(),
    "to int": lambda x: (x * 10).to(torch.int32),
    "type": lambda x: x.type(torch.float64) * 2,
    "compare": lambda x: x > 0.2,
    "dropout": lambda x: F.dropout(x, 0.4, training=True),
    "rms norm": lambda x: F.rms_norm(x, (x.shape[-1],)),
    "layer norm of two axes": lambda x: F.layer_norm(x, x.shape[-2:]),
    "normalize": lambda x: F.normalize(x, dim=1),
    "var biased": lambda x: x.var(1, unbiased=False),
    "std of all": lambda x: x.std(),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=-1),
    "logsumexp": lambda x: x.logsumexp(1),
    "prod": lambda x: x[..., :4].prod(-1),
    "sum of all": lambda x: x.sum(),
    "amin": lambda x: x.amin((1, 2)),
    "argmax": lambda x: x.argmax(1),
    "argmax of all": lambda x: x.argmax(),
    "sort": lambda x: x.sort(1, descending=True),
    "argsort": lambda x: x.argsort(-1),
    "minimum": lambda x: x.min(-1),
    "nonzero": lambda x: (x > 0).nonzero(),
    "cumsum": lambda x: x.cumsum(-1),
    "nearest": lambda x: F.interpolate(x, scale_factor=1.7),
    "bicubic": lambda x: F.interpolate(x, size=(9, 4), mode="bicubic"),
    "antialias": lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True),
    "corners": lambda x: F.interpolate(x, (11, 5), mode="bilinear", align_corners=True),
    "grid sample": lambda x: F.grid_sample(
        x, torch.rand(2, 4, 4, 2, generator=torch.Generator().manual_seed(3)) * 2 - 1,
        align_corners=False,
    ),
    "unfold": lambda x: F.unfold(x, 3, padding=1),
    "fold": lambda x: F.fold(F.unfold(x, 3), x.shape[-2:], 3),
    "circular pad": lambda x: F.pad(x, (2, 1, 1, 0), mode="circular"),
    "constant pad": lambda x: F.pad(x, (2, 1), value=7.0),
    "gather": lambda x: x.gather(1, torch.ones(2, 1, 3, 3, dtype=torch.int64)),
    "advanced index": lambda x: x[:, [2, 0], 1],
    "cat the same twice": lambda x: torch.cat((x, x * 2, x[:, :1], x), 1),
    "cat by keyword": lambda x: torch.cat(tensors=[x, x], dim=1),
    "sum in NumPy's words": lambda x: x.sum(axis=1, keepdims=True),
    "stack": lambda x: torch.stack((x, -x), 1),
    "roll flip": lambda x: x.roll(1, 2).flip(-1),
    "repeat": lambda x: x.repeat(1, 2, 1, 1).tile(2),
    "expand": lambda x: x[:, :1].expand(-1, 4, -1, -1),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    "max with indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "dilated max": lambda x: F.max_pool2d(x, 2, 1, 1, dilation=2),
    "divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "matrix vector": lambda x: x[0, 0] @ x[0, 0, 0],
    "dot": lambda x: x[0, 0, 0] @ x[0, 0, 1],
    "addmm": lambda x: torch.addmm(x[0, 0], x[0, 0], x[0, 1], beta=0.5, alpha=2),
    "causal attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "masked attention": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=x[0, 0] > 0),
    "local response": lambda x: F.local_response_norm(x, 2),
    "median": lambda x: x.median(1),
    "bilinear": lambda x: F.bilinear(x, x, torch.ones(3, 7, 7) / 7),
    "log": lambda x: (x.abs() + 1e-3).log(),
    "embedding": lambda x: F.embedding(torch.tensor([[3, 0], [6, 6]]), x[0, 0]),
    "zeros like": lambda x: torch.zeros_like(x),
    "softmin": lambda x: F.softmin(x, 1),
}  # fmt: skip
