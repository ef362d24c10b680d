"""Explain batch, layer, group, instance and root-mean-square normalization."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.kinds.walking import computed, union_of
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import (
    Account,
    Cost,
    Floats,
    Ints,
    Terms,
    floats,
    ravel,
    smallest,
    unit_roundoff,
)

_BATCH = (
    "input, running_mean=None, running_var=None, weight=None, bias=None, training=False, "
    "momentum=0.1, eps=1e-05"
)
_BATCH_ATEN = (
    "input, weight=None, bias=None, running_mean=None, running_var=None, training=False, "
    "momentum=0.1, eps=1e-05, cudnn_enabled=True"
)
_INSTANCE = (
    "input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, "
    "momentum=0.1, eps=1e-05"
)
_LAYER = "input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True"
SIGNATURES = {
    "batch_norm": _BATCH,
    "native_batch_norm": _BATCH_ATEN,
    "instance_norm": _INSTANCE,
    "layer_norm": _LAYER,
    "native_layer_norm": _LAYER,
    "group_norm": "input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True",
    "rms_norm": "input, normalized_shape, weight=None, eps=None",
}


# These normalize each element among those of the last axes.
OF_ROWS = ("layer_norm", "native_layer_norm", "rms_norm")


@dataclass(frozen=True)
class Population:
    """The elements that one element is normalized among, and the affine parameters' index."""

    positions: Ints
    numbers: Floats
    parameter: tuple[int, ...]


class Normalizing:
    """value = (x - mean) / sqrt(variance + eps) x weight + bias."""

    name = "normalizing"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature."""
        return Arguments.of(recording, step, _signature(step))

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return one term with stored statistics; else x, and each element of the mean."""
        if slot:
            raise StepRefused(given.step, f"output {slot} is a saved statistic; explain output 0")
        x = given.tensor("input")
        position, number = ravel(index, x.shape), float(x[index])
        if stored(given):
            return _scaled(given, index[1], position, number)
        return _standardized(given, _population(given, x, index), position, number)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the same places; with statistics of the input, all it is normalized among.

        Of weight, bias and stored statistics, return the elements that belong to those places.
        """
        id, shape = given.id("input"), given.value("input").shape
        if slot:
            return {id: _of_statistic(given.step, shape, mask)}
        found = {id: mask if stored(given) else read_among(given, shape, mask)}
        names = ["weight", "bias"]
        names += ["running_mean", "running_var"] if stored(given) else []
        for parameter in computed(given, *names):
            own = given.recording.values[parameter].shape
            if given.step.op in OF_ROWS:
                theirs = masks.broadcast_back(mask, own)
            else:
                others = [axis for axis in range(mask.dim()) if axis != 1]
                theirs = masks.collapse(mask, others).flatten().expand(own)
            found = union_of(found, {parameter: theirs})
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count one operation an element, and three more where statistics are taken."""
        count = math.prod(given.output().shape)
        return Cost(operations=count if stored(given) else 4 * count)


def _signature(step: Step) -> str:
    """Return the signature of a call; torch.batch_norm orders its arguments as its operator."""
    signature = SIGNATURES[step.op]
    if step.op.endswith(("batch_norm", "instance_norm")) and (
        getattr(step.function, "__module__", "") != "torch.nn.functional"
    ):
        signature = _BATCH_ATEN
        if step.op == "instance_norm":
            signature = _BATCH_ATEN.replace("training=False", "use_input_stats=True")
    return signature


def stored(given: Arguments) -> bool:
    """Return whether the statistics are the stored ones, not those of the input."""
    op = given.step.op
    if not op.endswith(("batch_norm", "instance_norm")) or not given.has("running_mean"):
        return False
    return not (given["training"] or given["use_input_stats"])


def read_among(given: Arguments, shape: tuple[int, ...], mask: Tensor) -> Tensor:
    """Return the elements of the input that the masked outputs are normalized among."""
    rank, op = len(shape), given.step.op
    if op in OF_ROWS:
        axes = tuple(range(rank - len(given["normalized_shape"]), rank))
    elif op == "group_norm":
        groups = int(given["num_groups"])
        parted = mask.unflatten(1, (groups, -1))
        parted = masks.collapse(parted, range(2, rank + 1))
        return parted.expand(shape[0], groups, shape[1] // groups, *shape[2:]).flatten(1, 2)
    else:
        batch = () if op == "instance_norm" else (0,)
        axes = (*batch, *range(2, rank))
    return masks.collapse(mask, axes).expand(shape)


def _of_statistic(step: Step, shape: tuple[int, ...], mask: Tensor) -> Tensor:
    """Return what a saved statistic is made of: a channel, or a row of normalized elements."""
    if step.op == "native_batch_norm":
        return mask.view(-1, *(1,) * (len(shape) - 2)).expand(shape)
    return mask.view(*mask.shape, *(1,) * (len(shape) - mask.dim())).expand(shape)


def _affine(given: Arguments, at: tuple[int, ...]) -> tuple[float, float, tuple[int, int] | None]:
    """Return weight and bias at an index (1 and 0 without them), and where the bias stands."""
    scale = given.number("weight", at, 1.0)
    bias = given.number("bias", at, 0.0)
    source = None
    if given.has("bias"):
        source = (given.id("bias"), ravel(at, given.value("bias").shape))
    return scale, bias, source


def _scaled(given: Arguments, channel: int, position: int, number: float) -> Account:
    """Return the element times its scale; all that is stored makes up the bias."""
    scale, bias, _ = _affine(given, (channel,))
    mean = given.number("running_mean", (channel,))
    spread = given.number("running_var", (channel,), 1.0)
    a = _over(scale, spread + float(given["eps"]))
    terms = Terms.build([given.id("input")], [position], [number], [a])
    formula = "(x − stored mean) × weight / sqrt(stored variance + eps) + bias"
    return Account.of_sum(
        terms,
        bias - mean * a,
        magnitude=abs(bias) + abs(mean * a),
        count=4,
        formula=formula,
        inside="the bias and the stored mean cancel",
    )


def _over(scale: float, variance: float) -> float:
    """Return a scale over the root of a variance, which may be 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(scale) / np.sqrt(np.float64(variance)))


def _population(given: Arguments, x: Tensor, index: tuple[int, ...]) -> Population:
    """Return the elements that the element at `index` is normalized among."""
    shape, op = tuple(x.shape), given.step.op
    lows, highs = [0] * len(shape), list(shape)
    if op in OF_ROWS:
        kept = len(shape) - len(given["normalized_shape"])
        fixed, parameter = range(kept), index[kept:]
    elif op == "group_norm":
        size = shape[1] // int(given["num_groups"])
        fixed, parameter = range(1), (index[1],)
        lows[1] = index[1] // size * size
        highs[1] = lows[1] + size
    else:
        fixed = range(2) if op == "instance_norm" else range(1, 2)
        parameter = (index[1],)
    for axis in fixed:
        lows[axis], highs[axis] = index[axis], index[axis] + 1
    block = x[tuple(slice(a, b) for a, b in zip(lows, highs, strict=True))]
    grid = np.ix_(*(np.arange(a, b) for a, b in zip(lows, highs, strict=True)))
    positions = np.ravel_multi_index(grid, shape).reshape(-1)
    return Population(positions, floats(block).reshape(-1), tuple(parameter))


def _standardized(given: Arguments, among: Population, position: int, number: float) -> Account:
    """Return x and minus the mean, element by element, times weight / deviation; plus bias."""
    n = among.numbers.size
    centred = given.step.op != "rms_norm"
    mean = float(among.numbers.mean()) if centred else 0.0
    variance = float(((among.numbers - mean) ** 2).mean())
    dtype = given.tensor("input").dtype
    scale, bias, source = _affine(given, among.parameter)
    spread = variance + eps_of(given, dtype)
    a = _over(scale, spread)
    weights = np.full(n, -a / n if centred else 0.0)
    with np.errstate(invalid="ignore"):  # a is infinite where there is no variance and no eps
        weights[among.positions == position] += a
    order = np.argsort(among.positions != position, kind="stable")
    if not centred:
        order = order[:1]
    terms = Terms.build(
        given.id("input"), among.positions[order], among.numbers[order], weights[order]
    )
    # The statistics are float32 sums too: their error moves the value with them.
    steadiness = (abs(mean) + math.sqrt(variance) + smallest(dtype) / unit_roundoff(dtype)) * abs(a)
    offset = abs((number - mean) * a)
    drift = offset * (1 + _over(mean, spread) ** 2 * unit_roundoff(dtype) * n**0.5)
    name = "x − mean" if centred else "x"
    formula = f"({name}) × weight / sqrt(variance + eps) + bias, over {n} elements"
    total = (number - mean) * a + bias
    return Account(
        "sum",
        terms,
        total,
        abs(number * a) + steadiness + drift + abs(bias),
        n,
        bias,
        source,
        formula,
        "the mean and variance are those of the input",
    )


def eps_of(given: Arguments, dtype: torch.dtype) -> float:
    """Return what is added to the variance; None means that of the dtype torch computes in."""
    if given["eps"] is not None:
        return float(given["eps"])
    return torch.finfo(dtype if dtype == torch.float64 else torch.float32).eps
