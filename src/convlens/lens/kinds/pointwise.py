"""Explain operations element by element: activations, sums, products, choices by a condition."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, UnboundCall
from convlens.lens.recording import Recording, Ref, Step, Value
from convlens.lens.repeating import NotRepeated, run_again
from convlens.lens.terms import Account, Cost, Terms, broadcast_index, flushed, ravel

# Results of one rounding, or none: they must agree bit for bit.
EXACT = frozenset(
    """relu relu6 hardtanh _hardtanh abs neg clamp clip clamp_min clamp_max maximum minimum floor
    ceil round trunc sign threshold _threshold isnan isfinite isinf eq ne lt gt le ge logical_and
    logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not masked_fill
    nan_to_num max min""".split()
)
# Formulas that subtract nearly equal numbers: they round as their operands do, or as 1 does.
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

_WHERE = "condition, input, other"
_RRELU = "input, lower=0.125, upper=0.3333333333333333, training=False, inplace=False"
_SIGNATURES = {
    **dict.fromkeys(DROPOUTS, "input, p=0.5, training=True, inplace=False"),
    **dict.fromkeys(SUMS, "input, other, alpha=1, rounding_mode=None"),
    "where": _WHERE,
    "rrelu": _RRELU,
    "masked_fill": "input, mask, value",
}
"""The calls whose arguments are read by name; others run again as they were called."""


class Pointwise:
    """value = f(the elements at the same place)."""

    name = "pointwise"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind a call whose arguments are read by name; leave others as they are."""
        signature = _SIGNATURES.get(step.op)
        if signature is None:
            return Arguments.as_called(recording, step)
        given = Arguments.of(recording, step, signature)
        if step.op == "rrelu" and given["training"]:
            raise UnboundCall(step, signature, "training", "in training draws random numbers")
        if given.has("alpha"):
            why = "was called with its factor in the middle"
            raise UnboundCall(step, signature, "alpha", why)
        if step.op == "where" and "condition" not in step.kwargs and _is_method(step):
            # x.where(condition, other) puts the condition second.
            turned = {"condition": given["input"], "input": given["condition"]}
            return replace(given, named={**given.named, **turned})
        return given

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each operand."""
        op = given.step.op
        if op in CASTS:
            return _cast(given, slot, index)
        if op in DROPOUTS:
            return _dropped(given, slot, index)
        if op == "where":
            return _where(given, index)
        summed = op in SUMS and given["rounding_mode"] is None
        if summed and given.output(slot).dtype.is_floating_point:
            return _arithmetic(given, index)
        return _function(given, slot, index)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the same places of every operand, as far as it was broadcast."""
        step, values = given.step, given.recording.values
        if step.op in DROPOUTS:
            kept = given.output(slot).tensor.cpu() != 0
            return {step.inputs[0]: masks.broadcast_back(mask & kept, mask.shape)}
        if step.op in ("where", "masked_fill"):
            return _read_by_choice(given, mask)
        found: dict[int, Tensor] = {}
        # One operand of a cast has the elements; the other only gives the dtype.
        ids = (cast_source(step),) if step.op in CASTS else step.inputs
        for id in ids:
            shape = values[id].shape
            if step.op == "prelu" and id == step.inputs[1] and mask.dim() > 1 and len(shape) == 1:
                others = [axis for axis in range(mask.dim()) if axis != 1]
                negative = mask & (values[step.inputs[0]].tensor.cpu() < 0)
                theirs = masks.collapse(negative, others).flatten().expand(shape)
            else:
                theirs = masks.broadcast_back(mask, shape)
            found[id] = masks.union(found.get(id), theirs)
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count one operation an element; none for a cast."""
        step = given.step
        if step.op in CASTS:
            return Cost()
        count = math.prod(given.output().shape)
        if step.op == "mul" and step.note == "inside einsum":  # a product with an inner axis of 1
            return Cost(multiply_adds=count)
        return Cost(operations=count)


def cast_source(step: Step) -> int:
    """Return the operand of a cast that has the elements."""
    return step.inputs[1] if step.op == "copy" and len(step.inputs) > 1 else step.inputs[0]


def _is_method(step: Step) -> bool:
    return getattr(step.function, "__objclass__", None) is not None


def _read_by_choice(given: Arguments, mask: Tensor) -> dict[int, Tensor]:
    """Return what a condition chose, and the condition."""
    condition, names = "condition", ("input", "other")
    if given.step.op == "masked_fill":
        condition, names = "mask", ("value", "input")
    found: dict[int, Tensor] = {}
    chosen = given.tensor(condition).cpu().to(torch.bool)
    parts = {names[0]: mask & chosen, names[1]: mask & ~chosen, condition: mask}
    for name, part in parts.items():
        if given.has(name):
            theirs = masks.broadcast_back(part, given.value(name).shape)
            found[given.id(name)] = masks.union(found.get(given.id(name)), theirs)
    return found


def _element(value: Value, index: tuple[int, ...]) -> tuple[int, float]:
    """Return flat position and number of an operand's element at an output's index."""
    at = broadcast_index(index, value.shape)
    return ravel(at, value.shape), float(value.tensor[at])


def _rounded(number: float, dtype: torch.dtype) -> float:
    """Return a number as a dtype holds it."""
    return float(torch.tensor(number, dtype=torch.float64).to(dtype))


def _cast(given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
    """Return an element, rounded to another dtype."""
    source, out = given.recording.values[cast_source(given.step)], given.output(slot)
    position, number = _element(source, index)
    terms = Terms.build([source.id], [position], [number])
    if out.tensor.is_quantized:
        scale, zero = out.tensor.q_scale(), out.tensor.q_zero_point()
        made = torch.quantize_per_tensor(torch.tensor([number]), scale, zero, out.dtype)
        rounded = float(made.dequantize()[0])
    else:
        rounded = _rounded(number, out.dtype)
    return Account("copy", terms, rounded, exact=True, formula=str(out.dtype).split(".")[-1])


def _dropped(given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
    """Return an element that dropout kept or dropped."""
    value = given.recording.values[given.step.inputs[0]]
    position, number = _element(value, index)
    recorded = given.recorded(slot, index)
    training, p = given["training"] is not False, float(given["p"])
    keep = (1 / (1 - p) if p < 1 else 0.0) if training else 1.0
    weight = keep if not training or abs(recorded - keep * number) < abs(recorded) else 0.0
    terms = Terms.build([value.id], [position], [number], weight)
    if not training:
        return Account.of_sum(terms, formula="input", note="nothing is dropped in evaluation")
    note = "chosen at random: kept and scaled" if weight else "chosen at random: dropped"
    return Account.of_sum(terms, formula="input × kept / (1 - p)", note=note)


def _where(given: Arguments, index: tuple[int, ...]) -> Account:
    """Return the operand that the condition chose."""
    shape = given.value("condition").shape if given.has("condition") else ()
    condition = bool(given.number("condition", broadcast_index(index, shape)))
    sources, positions, numbers = [], [], []
    for name in ("input", "other"):
        source, position, number = -1, -1, 0.0
        if given.has(name):
            source = given.id(name)
            position, number = _element(given.value(name), index)
        else:
            number = float(given[name])
        sources.append(source)
        positions.append(position)
        numbers.append(number)
    weights = [float(condition), float(not condition)]
    terms = Terms.build(sources, positions, numbers, weights)
    total = _rounded(numbers[0] if condition else numbers[1], given.output().dtype)
    note = f"chosen: the condition is {condition}"
    return Account("chosen", terms, total, exact=True, formula="where", note=note)


def _arithmetic(given: Arguments, index: tuple[int, ...]) -> Account:
    """Return a sum or product of two elements, or of an element and a number."""
    op, alpha = given.step.op, float(given["alpha"])
    if op in ("add", "sub", "rsub", "subtract"):
        signs = {"add": (1.0, alpha), "rsub": (-alpha, 1.0)}.get(op, (1.0, -alpha))
        formula = {"add": "a + b", "rsub": "b - a"}.get(op, "a - b")
        return _added(given, index, signs, formula)
    if op == "rdiv":
        return _divided(given, index, "other", "input")
    if "div" in op:
        return _divided(given, index, "input", "other")
    return _multiplied(given, index)


def _added(
    given: Arguments, index: tuple[int, ...], signs: tuple[float, float], formula: str
) -> Account:
    sources, positions, numbers, weights, bias = [], [], [], [], 0.0
    for name, sign in zip(("input", "other"), signs, strict=True):
        if given.has(name):
            position, number = _element(given.value(name), index)
            sources.append(given.id(name))
            positions.append(position)
            numbers.append(number)
            weights.append(sign)
        else:
            bias += sign * float(given[name])
    terms = Terms.build(sources, positions, numbers, weights)
    return Account.of_sum(terms, bias, formula=formula)


def _multiplied(given: Arguments, index: tuple[int, ...]) -> Account:
    """Return a product: what flows is the value, what is stored the weight."""
    left, right, computed = "input", "other", ("computed", "input")
    if given.has(left) and given.has(right):
        kinds = given.value(left).kind, given.value(right).kind
        if kinds[0] not in computed and kinds[1] in computed:
            left, right = right, left
    elif not given.has(left):
        left, right = right, left
    return _weighted(given, index, left, right, "a × b")


def _divided(given: Arguments, index: tuple[int, ...], left: str, right: str) -> Account:
    """Return a quotient: an element times one over the other, or a number over an element."""
    if given.has(left):
        return _weighted(given, index, left, right, "a / b")
    position, number = _element(given.value(right), index)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = float(np.float64(given[left]) / np.float64(number))
    slope = -total / number if number else math.nan
    terms = Terms.build([given.id(right)], [position], [number], [slope])
    return Account("function", terms, total, abs(total), 1, formula="number / a")


def _weighted(
    given: Arguments, index: tuple[int, ...], left: str, right: str, formula: str
) -> Account:
    """Return one element times a weight: the other element, or one over it."""
    position, number = _element(given.value(left), index)
    source, at = -1, -1
    if given.has(right):
        source = given.id(right)
        at, weight = _element(given.value(right), index)
    else:
        weight = float(given[right])
    if formula == "a / b":
        weight = 1 / weight if weight else math.copysign(math.inf, weight)
    terms = Terms.build(
        [given.id(left)], [position], [number], [weight], weight_source=source, weight_position=at
    )
    return Account.of_sum(terms, formula=formula)


def _function(given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
    """Run the step again on the one element of each operand, in float64, with its slopes."""
    step, out = given.step, given.output(slot)
    in_float64 = out.dtype.is_floating_point
    leaves: dict[int, Tensor] = {}

    def element(ref: Ref) -> Tensor:
        value = given.recording.values[ref.id]
        number = value.tensor.detach()[_place(step, value, index)]
        number = number.cpu().reshape((1,) if value.shape else ())
        if in_float64 and number.is_floating_point():
            return leaves.setdefault(ref.id, number.double().requires_grad_()).clone()
        leaves.setdefault(ref.id, number)
        return number.clone()

    with torch.set_grad_enabled(step.op not in FLAT):
        try:
            result = run_again(step, element, slot)
        except NotRepeated:  # torch has no slopes for it
            with torch.no_grad():
                result = run_again(step, element, slot)
        slopes = _slopes(step, result, list(leaves.values()))
    total = float(result.detach().reshape(-1)[0])
    exact = step.op in EXACT or not in_float64
    if exact and in_float64:
        total = _rounded(total, out.dtype)
    numbers = [float(leaf.detach()) for leaf in leaves.values()]
    values = [given.recording.values[id] for id in leaves]
    positions = [ravel(_place(step, value, index), value.shape) for value in values]
    terms = Terms.build(list(leaves), positions, numbers, slopes)
    magnitude, inside = _rounding(step, terms, total, out.dtype)
    formula = f"{step.op}({', '.join('abcdefgh'[: len(numbers)])})"
    return Account(
        "function", terms, total, magnitude, 1, exact=exact, formula=formula, inside=inside
    )


def _rounding(step: Step, terms: Terms, total: float, dtype: torch.dtype) -> tuple[float, str]:
    """Return the size of the numbers inside a function, and what makes it larger than its terms."""
    numbers, inside = [float(value) for value in terms.value], ""
    size = sum(map(abs, numbers))
    magnitude = abs(total) + float(abs(terms.product).sum())
    if step.op in CANCELLING:
        magnitude += size + CANCELLING[step.op] * any(x < 0 for x in numbers)
        inside = "its formula subtracts numbers that are nearly equal"
    if not dtype.is_floating_point:
        return magnitude, inside
    # Where a power overflows inside, what would be less than a normal number is 0.
    magnitude += (1 + size) * flushed(dtype)
    if step.op not in OPS:
        magnitude += 1 + size
        inside = "how its formula rounds is not known here"
    return magnitude, inside


def _place(step: Step, value: Value, index: tuple[int, ...]) -> tuple[int, ...]:
    """Return where an operand's element stands; a slope of `prelu` stands at its channel."""
    if step.op != "prelu" or value.id != step.inputs[1]:
        return broadcast_index(index, value.shape)
    return (index[1],) if math.prod(value.shape) > 1 else (0,) * len(value.shape)


def _slopes(step: Step, result: Tensor, leaves: list[Tensor]) -> list[float]:
    """Return how the result changes with each leaf; 0 if it does not, or cannot."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not wanted or not result.requires_grad or step.op in FLAT:
        return [0.0] * len(leaves)
    found = torch.autograd.grad(result.sum(), wanted, materialize_grads=True)
    slopes = iter(float(slope) for slope in found)
    return [next(slopes) if leaf.requires_grad else 0.0 for leaf in leaves]
