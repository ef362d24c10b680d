"""Operations element by element: activations, sums and products, choices by a condition."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, UnboundCall, bind
from convlens.lens.recording import Recording, Ref, Step, Value
from convlens.lens.repeating import run_again
from convlens.lens.terms import Account, Cost, Terms, broadcast_index, flushed, ravel

# Whole results of one rounding or none: they must agree bit for bit.
EXACT = frozenset(
    """relu relu6 hardtanh _hardtanh abs neg clamp clip clamp_min clamp_max maximum minimum floor
    ceil round trunc sign threshold _threshold isnan isfinite isinf eq ne lt gt le ge logical_and
    logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not masked_fill
    nan_to_num max min""".split()
)
# Formulas that subtract nearly equal numbers: their error is that of their operands, or of 1.
CANCELLING = {
    "gelu": 0.0, "mish": 0.0, "elu": 1.0, "selu": 1.0, "celu": 1.0, "expm1": 0.0, "tanhshrink": 0.0,
}  # fmt: skip
CASTS = frozenset(
    """to type type_as float double half bfloat16 long int bool _to_copy contiguous clone detach
    get_data cpu cuda alias lift_fresh copy requires_grad quantize_per_tensor dequantize""".split()
)
FLAT = frozenset(("floor_divide", "floor", "ceil", "round", "trunc", "sign", "heaviside"))
DROPOUTS = frozenset("dropout feature_dropout dropout1d dropout2d dropout3d native_dropout".split())
SUMS = frozenset("add sub rsub mul div rdiv true_divide subtract multiply divide".split())
OTHERS = frozenset(
    """prelu gelu silu sigmoid tanh hardswish _hardswish hardsigmoid leaky_relu elu mish softplus
    selu celu softsign logsigmoid log_sigmoid softshrink hardshrink rrelu exp exp2 expm1
    log log2 log10 log1p sqrt rsqrt pow rpow square reciprocal sin cos tan asin acos atan atan2
    sinh cosh erf erfc lerp addcmul addcdiv floor_divide remainder rremainder fmod where fill
    logit""".split()
)
OPS = EXACT | frozenset(CANCELLING) | CASTS | DROPOUTS | SUMS | OTHERS


_DROPOUT = "input, p=0.5, training=True"
_WHERE = "condition, input, other"
_ARITHMETIC = "input, other, alpha=1, rounding_mode=None"
BOUND = DROPOUTS | SUMS | {"where", "rrelu"}
"""Those told by the names of their arguments; the others are run again as they were called."""


def bound(step: Step) -> None:
    """Raise UnboundCall unless the call fits its signature."""
    named = bind(step, _signature(step))
    if step.op == "rrelu" and named["training"]:
        raise UnboundCall("`rrelu` in training draws random numbers")
    if isinstance(named.get("alpha"), Ref):
        raise UnboundCall(f"`{step.op}` was called with its factor in the middle")


def _signature(step: Step) -> str:
    if step.op == "rrelu":
        return "input, lower=0.125, upper=0.3333333333333333, training=False, inplace=False"
    if step.op in DROPOUTS:
        return _DROPOUT + (", inplace=False" if len(step.args) > 3 else "")
    return _WHERE if step.op == "where" else _ARITHMETIC


class Pointwise:
    """value = f(the elements at the same place)."""

    name = "pointwise"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term an operand."""
        if step.op in CASTS:
            return _cast(recording, step, slot, index)
        if step.op in DROPOUTS:
            return _dropped(recording, step, slot, index)
        if step.op == "where":
            return _where(recording, step, index)
        if step.op in SUMS and recording.values[step.outputs[slot]].dtype.is_floating_point:
            return _arithmetic(recording, step, index)
        return _function(recording, step, slot, index)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The same places of every operand, as far as it was broadcast."""
        if step.op in ("where", "masked_fill") or step.op in DROPOUTS:
            return _chosen_reads(recording, step, slot, mask)
        found: dict[int, Tensor] = {}
        # Of a cast's operands one has the elements; the other says the dtype alone.
        ids = (cast_source(step),) if step.op in CASTS else step.inputs
        for id in ids:
            shape = recording.values[id].shape
            if step.op == "prelu" and id == step.inputs[1] and mask.dim() > 1 and len(shape) == 1:
                others = [axis for axis in range(mask.dim()) if axis != 1]
                negative = mask & (recording.values[step.inputs[0]].tensor.cpu() < 0)
                theirs = masks.collapse(negative, others).flatten().expand(shape)
            else:
                theirs = masks.broadcast_back(mask, shape)
            found[id] = masks.union(found.get(id), theirs)
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One operation an element; none for a cast."""
        if step.op in CASTS:
            return Cost()
        count = math.prod(recording.values[step.outputs[0]].shape)
        if step.op == "mul" and step.note == "inside einsum":  # a product with an inner axis of 1
            return Cost(multiply_adds=count)
        return Cost(operations=count)


def _chosen_reads(recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
    """What was chosen by a condition, or kept by dropout; and the condition."""
    if step.op in DROPOUTS:
        kept = recording.values[step.outputs[slot]].tensor.cpu() != 0
        return {step.inputs[0]: masks.broadcast_back(mask & kept, mask.shape)}
    if step.op == "where":
        given = _where_arguments(recording, step)
        condition, names = "condition", ("input", "other")
    else:
        given = Arguments(recording, step, "input, mask, value")
        condition, names = "mask", ("value", "input")
    found: dict[int, Tensor] = {}
    chosen = given.tensor(condition).cpu().to(torch.bool)
    parts = {names[0]: mask & chosen, names[1]: mask & ~chosen, condition: mask}
    for name, part in parts.items():
        if given.has(name):
            theirs = masks.broadcast_back(part, given.value(name).shape)
            found[given.id(name)] = masks.union(found.get(given.id(name)), theirs)
    return found


def _element(recording: Recording, id: int, index: tuple[int, ...]) -> tuple[int, float]:
    """Flat position and number of an operand's element."""
    value = recording.values[id]
    at = broadcast_index(index, value.shape)
    return ravel(at, value.shape), float(value.tensor[at])


def cast_source(step: Step) -> int:
    """The operand of a cast that has the elements."""
    return step.inputs[1] if step.op == "copy" and len(step.inputs) > 1 else step.inputs[0]


def _cast(recording: Recording, step: Step, slot: int, index: tuple[int, ...]) -> Account:
    source = cast_source(step)
    position, number = _element(recording, source, index)
    dtype = recording.values[step.outputs[slot]].dtype
    terms = Terms.build([source], [position], [number])
    out = recording.values[step.outputs[slot]].tensor
    if out.is_quantized:
        line = (torch.tensor([number]), out.q_scale(), out.q_zero_point(), dtype)
        rounded = float(torch.quantize_per_tensor(*line).dequantize()[0])
    else:
        rounded = float(torch.tensor(number, dtype=torch.float64).to(dtype))
    return Account("copy", terms, rounded, exact=True, formula=str(dtype).split(".")[-1])


def _dropped(recording: Recording, step: Step, slot: int, index: tuple[int, ...]) -> Account:
    given = Arguments(recording, step, _signature(step))
    position, number = _element(recording, step.inputs[0], index)
    recorded = float(recording.values[step.outputs[slot]].tensor[index])
    training, p = given["training"] is not False, float(given["p"])
    keep = (1 / (1 - p) if p < 1 else 0.0) if training else 1.0
    weight = keep if not training or abs(recorded - keep * number) < abs(recorded) else 0.0
    terms = Terms.build([step.inputs[0]], [position], [number], weight)
    if not training:
        return Account.of_sum(terms, formula="input", note="nothing is dropped in evaluation")
    note = "chosen at random: kept and scaled" if weight else "chosen at random: dropped"
    return Account.of_sum(terms, formula="input × kept / (1 - p)", note=note)


def _where_arguments(recording: Recording, step: Step) -> Arguments:
    given = Arguments(recording, step, _WHERE)
    first = given["condition"]
    if isinstance(first, Ref) and "condition" not in step.kwargs and _is_method(step):
        # x.where(condition, other) puts the condition second.
        given.named.update(condition=given["input"], input=first)
    return given


def _where(recording: Recording, step: Step, index: tuple[int, ...]) -> Account:
    given = _where_arguments(recording, step)
    condition = bool(given.number("condition", _at(given, "condition", index)))
    names = ("input", "other")
    sources, positions, numbers, weights = [], [], [], []
    for name in names:
        chosen = condition == (name == "input")
        if given.has(name):
            position, number = _element(recording, given.id(name), index)
            sources.append(given.id(name))
            positions.append(position)
        else:
            number = float(given[name])
            sources.append(-1)
            positions.append(-1)
        numbers.append(number)
        weights.append(1.0 if chosen else 0.0)
    terms = Terms.build(sources, positions, numbers, weights)
    total = numbers[0] if condition else numbers[1]
    dtype = recording.values[step.outputs[0]].dtype
    rounded = float(torch.tensor(total, dtype=torch.float64).to(dtype))
    note = f"chosen: the condition is {condition}"
    return Account("chosen", terms, rounded, exact=True, formula="where", note=note)


def _is_method(step: Step) -> bool:
    return getattr(step.function, "__objclass__", None) is not None


def _at(given: Arguments, name: str, index: tuple[int, ...]) -> tuple[int, ...]:
    return broadcast_index(index, given.value(name).shape) if given.has(name) else ()


def _arithmetic(recording: Recording, step: Step, index: tuple[int, ...]) -> Account:
    """Sums and products, of two elements or an element and a number."""
    given = Arguments(recording, step, _ARITHMETIC)
    if given["rounding_mode"] is not None:
        return _function(recording, step, 0, index)
    op, alpha = step.op, float(given["alpha"])
    if op in ("add", "sub", "rsub", "subtract"):
        signs = {"add": (1.0, alpha), "rsub": (-alpha, 1.0)}.get(op, (1.0, -alpha))
        formula = {"add": "a + b", "rsub": "b - a"}.get(op, "a - b")
        return _added(recording, given, index, signs, formula)
    left, right = ("other", "input") if op == "rdiv" else ("input", "other")
    divide = "div" in op
    return _multiplied(recording, given, index, left, right, divide)


def _added(
    recording: Recording,
    given: Arguments,
    index: tuple[int, ...],
    signs: tuple[float, float],
    formula: str,
) -> Account:
    sources, positions, numbers, weights, bias = [], [], [], [], 0.0
    for name, sign in zip(("input", "other"), signs, strict=True):
        if given.has(name):
            position, number = _element(recording, given.id(name), index)
            sources.append(given.id(name))
            positions.append(position)
            numbers.append(number)
            weights.append(sign)
        else:
            bias += sign * float(given[name])
    terms = Terms.build(sources, positions, numbers, weights)
    return Account.of_sum(terms, bias, formula=formula)


def _multiplied(
    recording: Recording,
    given: Arguments,
    index: tuple[int, ...],
    left: str,
    right: str,
    divide: bool,
) -> Account:
    computed = ("computed", "input")
    if not divide and given.has(left) and given.has(right):
        kinds = given.value(left).kind, given.value(right).kind
        if kinds[0] not in computed and kinds[1] in computed:
            left, right = right, left  # what flows is the value, what is stored the weight
    elif not given.has(left) and not divide:
        left, right = right, left
    formula = "a / b" if divide else "a × b"
    if not given.has(left):  # number / element
        position, number = _element(recording, given.id(right), index)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            total = float(np.float64(given[left]) / np.float64(number))
        slope = -total / number if number else math.nan
        terms = Terms.build([given.id(right)], [position], [number], [slope])
        return Account("function", terms, total, abs(total), 1, formula="number / a")
    position, number = _element(recording, given.id(left), index)
    source, at = -1, -1
    if given.has(right):
        source = given.id(right)
        at, weight = _element(recording, source, index)
    else:
        weight = float(given[right])
    if divide:
        weight = 1 / weight if weight else math.copysign(math.inf, weight)
    terms = Terms.build(
        [given.id(left)], [position], [number], [weight], weight_source=source, weight_position=at
    )
    return Account.of_sum(terms, formula=formula)


def _function(recording: Recording, step: Step, slot: int, index: tuple[int, ...]) -> Account:
    """Run the step again on the one element, in float64, with its slopes."""
    out = recording.values[step.outputs[slot]]
    in_float64 = out.dtype.is_floating_point
    leaves: dict[int, Tensor] = {}

    def element(ref: Ref) -> Tensor:
        value = recording.values[ref.id]
        at = _prelu_index(step, ref, index, value) or broadcast_index(index, value.shape)
        number = value.tensor.detach()[at].cpu().reshape((1,) if value.shape else ())
        if in_float64 and number.is_floating_point():
            leaf = leaves.setdefault(ref.id, number.double().requires_grad_())
            return leaf.clone()
        leaves.setdefault(ref.id, number)
        return number.clone()

    with torch.set_grad_enabled(step.op not in FLAT):
        try:
            result = run_again(step, element, slot)
        except NotImplementedError:  # torch has no slopes for it
            with torch.no_grad():
                result = run_again(step, element, slot)
        slopes = _slopes(step, result, list(leaves.values()))
    total = float(result.detach().reshape(-1)[0])
    sources = list(leaves)
    numbers = [float(leaf.detach()) for leaf in leaves.values()]
    positions = [
        ravel(
            _prelu_index(step, Ref(i), index, recording.values[i])
            or broadcast_index(index, recording.values[i].shape),
            recording.values[i].shape,
        )
        for i in sources
    ]
    terms = Terms.build(sources, positions, numbers, slopes)
    magnitude = abs(total) + float(abs(terms.product).sum())
    if step.op in CANCELLING:
        magnitude += sum(map(abs, numbers)) + CANCELLING[step.op] * any(x < 0 for x in numbers)
    if in_float64:
        # Where a power overflows inside, what would be less than a normal number is 0.
        magnitude += (1 + sum(map(abs, numbers))) * flushed(out.dtype)
    exact = step.op in EXACT or not in_float64
    if exact and in_float64:
        total = float(torch.tensor(total, dtype=torch.float64).to(out.dtype))
    formula = f"{step.op}({', '.join('abcdefgh'[: len(sources)])})"
    inside = "its formula subtracts numbers that are nearly equal" if step.op in CANCELLING else ""
    if in_float64 and step.op not in OPS:
        magnitude += 1 + sum(map(abs, numbers))
        inside = "how its formula rounds is not known here"
    return Account(
        "function", terms, total, magnitude, 1, exact=exact, formula=formula, inside=inside
    )


def _prelu_index(
    step: Step, ref: Ref, index: tuple[int, ...], value: Value
) -> tuple[int, ...] | None:
    if step.op != "prelu" or ref.id != step.inputs[1]:
        return None
    return (index[1],) if math.prod(value.shape) > 1 else (0,) * len(value.shape)


def _slopes(step: Step, result: Tensor, leaves: list[Tensor]) -> list[float]:
    """How the result changes with each leaf; 0 where it does not, or cannot."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not wanted or not result.requires_grad or step.op in FLAT:
        return [0.0] * len(leaves)
    found = torch.autograd.grad(result.sum(), wanted, materialize_grads=True)
    slopes = iter(float(slope) for slope in found)
    return [next(slopes) if leaf.requires_grad else 0.0 for leaf in leaves]
