"""Find the memory that a tensor's numbers are in, and whether they can be read one by one."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor


def memory_of(tensor: Tensor) -> tuple[Hashable, int]:
    """Return a key that all tensors in one memory share, and the bytes of that memory.

    A tensor without a memory of one piece (sparse, of oneDNN) has a key of its own while it lives.

    >>> x = torch.ones(4)
    >>> memory_of(x) == memory_of(x[2:]), memory_of(x)[1], memory_of(torch.eye(2).to_sparse())[1]
    (True, 16, 40)
    """
    try:
        storage = tensor.untyped_storage()
        return storage._cdata, storage.nbytes()
    except (NotImplementedError, RuntimeError):
        return ("tensor", id(tensor)), sum(part.nbytes for part in _parts(tensor))


def _parts(tensor: Tensor) -> list[Tensor]:
    """Return the dense tensors that a sparse one holds; none if torch hides them."""
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return []


def opaque(tensor: Tensor) -> str:
    """Return why a tensor's numbers cannot be read one by one; "" for a dense tensor.

    >>> opaque(torch.eye(2).to_sparse()), opaque(torch.eye(2))
    ('sparse', '')
    """
    if tensor.is_nested:
        return "nested"
    if tensor.layout is not torch.strided:
        return "in oneDNN's layout" if tensor.is_mkldnn else "sparse"
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_meta:
        return "without numbers (meta)"
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return "wrapped by torch.func"
    dispatch = type(tensor).__torch_dispatch__
    if dispatch is not Tensor.__torch_dispatch__:
        return f"of a class of its own ({type(tensor).__name__})"
    return ""


def copy_of(tensor: Tensor) -> Tensor:
    """Return a copy without a graph that lies in its memory as the tensor does.

    Where the tensor has one element at several places, the copy has it at one.

    >>> x = torch.ones(2, 4)[:, :3]
    >>> x.clone().stride(), copy_of(x).stride()
    ((3, 1), (4, 1))
    """
    copy = tensor.detach().clone()
    if opaque(tensor) or copy.stride() == tensor.stride():
        return copy
    if any(
        step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)
    ):
        return copy
    laid = torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    return laid.copy_(copy)


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor was written; 0 in inference mode, which does not count."""
    return 0 if tensor.is_inference() else tensor._version
