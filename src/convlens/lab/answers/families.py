"""Name the family of a step: the words by which the page chooses how to show its arithmetic."""

from __future__ import annotations

from convlens.lens.kinds import Kind
from convlens.lens.kinds.moving import JOINS
from convlens.lens.kinds.pointwise import SUMS
from convlens.lens.kinds.resampling import PLANEWISE
from convlens.lens.recording import Step
from convlens.lens.repeating import without_out
from convlens.lens.trees import refs_in

_BY_KIND = {
    "linear": "linear",
    "softmax": "softmax",
    "normalizing": "norm",
    "selecting": "select",
    "reducing": "reduce",
}
_SUMS_OF_TWO = ("add", "sub", "rsub", "subtract")
# These hand an element on as it is.
_COPIES = frozenset("contiguous clone detach get_data cpu cuda alias lift_fresh copy".split())


def family_of(kind: Kind, step: Step) -> str:
    """Return the family of a step of this kind.

    It is one of "conv", "transposed", "max_pool", "avg_pool", "linear", "softmax", "pointwise",
    "add", "multiply", "concat", "norm", "resample", "move", "select", "reduce" and "other". A
    subtraction is an "add", a division a "multiply". An element-by-element function of several
    tensors that is neither is "other".
    """
    if kind.name == "windowed":
        return _windowed(step)
    if kind.name == "pointwise":
        return _pointwise(step)
    if kind.name == "moving":
        return "concat" if step.op in JOINS else "move"
    if kind.name in ("resampling", "region"):
        return "resample" if step.op in PLANEWISE or step.op == "roi_align" else "other"
    return _BY_KIND.get(kind.name, "other")


def _windowed(step: Step) -> str:
    """Return the family of a convolution or pooling; "other" if it repeats elements as padding."""
    if "pool" in step.op:
        return "max_pool" if "max_pool" in step.op else "avg_pool"
    if getattr(getattr(step.function, "problem", None), "padding_mode", "zeros") != "zeros":
        return "other"
    turned = False
    if step.op in ("convolution", "_convolution"):  # the operators beneath have a flag
        turned = bool(step.kwargs.get("transposed", step.args[6:7] == (True,)))
    return "transposed" if turned or "transpose" in step.op else "conv"


def _pointwise(step: Step) -> str:
    """Return the family of a step that treats each place by itself."""
    if step.op in _COPIES:
        return "move"
    if len(refs_in((step.args, without_out(step)))) == 1 or step.op == "prelu":
        return "pointwise"
    if step.op not in SUMS or step.kwargs.get("rounding_mode") is not None:
        return "other"
    return "add" if step.op in _SUMS_OF_TWO else "multiply"
