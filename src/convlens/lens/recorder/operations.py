"""Name torch's calls, and know which of them compute nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

# These ask about a tensor, and compute nothing.
QUESTIONS = frozenset(
    """size dim ndimension numel stride storage_offset is_floating_point is_complex is_contiguous
    get_device element_size nelement is_signed is_same_size untyped_storage data_ptr
    __len__ __hash__ __repr__ __format__ requires_grad is_pinned __dlpack_device__""".split()
)
# The answers of these follow from sizes, which may change with a changed argument.
SIZES = frozenset(
    """size numel nelement stride storage_offset is_contiguous is_same_size __len__ get_shape
    get_nbytes""".split()
)
# These attributes are tensors; every other attribute is a question.
TENSOR_ATTRIBUTES = frozenset(
    f"get_{name}" for name in ("T", "mT", "H", "mH", "data", "real", "imag")
)
# These take numbers out of torch, where nothing can be followed.
READS = frozenset(
    "item tolist numpy __bool__ __int__ __float__ __index__ __array__ equal allclose".split()
)
# These ask what sort of tensor it is, which no number decides.
KINDS_OF_TENSORS = frozenset(
    """is_inference is_shared is_coalesced is_conj is_neg is_distributed is_leaf has_names can_cast
    _is_view""".split()
)
# torch computes these in another way while a mode watches its operators.
ASKING = frozenset(
    """linalg_svdvals linalg_eigvals linalg_eigvalsh linalg_matrix_norm linalg_norm linalg_cond
    linalg_matrix_rank norm nuclear_norm""".split()
)
# Our own operators choose how they compute by whether torch watches them.
_OWN = "convlens.compute.", "convlens.functional."
# These write into nothing that they are given, unless an argument that is True asks for it.
_HARMLESS = """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear
    batch_norm group_norm layer_norm relu relu6 leaky_relu elu gelu silu mish sigmoid tanh hardtanh
    hardswish hardsigmoid softplus softmax log_softmax max_pool1d max_pool2d max_pool3d avg_pool1d
    avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d interpolate
    add sub mul div __add__ __radd__ __sub__ __mul__ __rmul__ __truediv__ matmul cat flatten
    mean""".split()
# These write into the tensor they are called of, and nothing else.
_IN_PLACE = "relu_ add_ sub_ mul_ div_ __iadd__ __isub__ __imul__ __itruediv__".split()


def _of_torch(names: list[str]) -> frozenset[Any]:
    """Return torch's functions and methods of these names."""
    rooms = torch, torch.Tensor, torch.nn.functional
    return frozenset(getattr(room, n) for room in rooms for n in names if hasattr(room, n))


HARMLESS, IN_PLACE = _of_torch(_HARMLESS), _of_torch(_IN_PLACE)
# One call to the user, but several steps to the lens: recorded operator by operator.
EXPANDED = frozenset(("multi_head_attention_forward", "einsum"))

# Python's binary operators (`__add__`, with `__radd__` and `__iadd__`) by torch's names.
_BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "div": "div",  # torch calls number / tensor so
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_UNARY = {
    "neg": "neg",
    "abs": "abs",
    "invert": "bitwise_not",
    "getitem": "getitem",
    "setitem": "setitem",
    "eq": "eq",
    "ne": "ne",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
}
# The order of these operands matters, so the reflected operator keeps a name of its own.
_REFLECTED = ("sub", "div", "pow", "matmul", "floor_divide", "remainder")


@dataclass(frozen=True, slots=True)
class Treatment:
    """How the recorder treats every call of a function of torch, and by which name.

    `question`: it computes nothing; `size`: it asks for sizes. `expanded`: its operators are
    recorded in its place. `alone`: it computes as in a plain run only where no mode watches it.
    `harmless` and `in_place`: what it writes is known from its arguments.
    """

    name: str
    question: bool
    size: bool
    expanded: bool
    alone: bool
    harmless: bool
    in_place: bool

    def writes(self, args: Any, kwargs: Any) -> list[torch.Tensor] | None:
        """Return what a call with these arguments writes; None if only its operators know.

        >>> x = torch.ones(2)
        >>> relu = treatment_of(torch.nn.functional.relu)
        >>> relu.writes((x,), {}), relu.writes((x,), {"inplace": True}), relu.writes((x, True), {})
        ([], [tensor([1., 1.])], None)
        """
        if not (self.harmless or self.in_place) or "out" in kwargs:
            return None
        asked = [name for name, argument in kwargs.items() if argument is True]
        if asked not in ([], ["inplace"]) or any(argument is True for argument in args):
            return None
        return [args[0]] if args and (asked or self.in_place) else []


@functools.cache
def treatment_of(function: Callable[..., Any]) -> Treatment:
    """Return how the recorder treats every call of a function of torch."""
    name = op_name(function)
    attribute = name.startswith("get_") and name not in TENSOR_ATTRIBUTES
    own = (getattr(function, "__module__", None) or "").startswith(_OWN)
    return Treatment(
        name,
        attribute or name in QUESTIONS,
        name in SIZES,
        name in EXPANDED,
        own or name in ASKING,
        function in HARMLESS,
        function in IN_PLACE,
    )


@functools.cache
def op_name(function: Callable[..., Any]) -> str:
    """Return torch's plain name of a call: `Tensor.__iadd__`, `add_` and `torch.add` are "add"."""
    if isinstance(function, torch._ops.OpOverload):
        name = function._schema.name.split("::")[1]
    else:
        name = getattr(function, "__name__", None) or str(function)
        if name in ("__get__", "__set__"):
            owner = getattr(function, "__self__", None)
            return f"{name.strip('_')}_{getattr(owner, '__name__', '')}"
    if name.startswith("__"):
        body = name.strip("_")
        if body in _UNARY:
            return _UNARY[body]
        for side in ("", "i", "r"):
            base = _BINARY.get(body.removeprefix(side)) if body.startswith(side) else None
            if base:
                return f"r{base}" if side == "r" and base in _REFLECTED else base
        return name
    return name if name.startswith("_") else name.rstrip("_")
