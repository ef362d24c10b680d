"""Call a recorded step's function again on other tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from convlens.lens.memory import version_of
from convlens.lens.recording import Ref, Step
from convlens.lens.trees import replace_refs, tensors_in


class NotRepeated(RuntimeError):
    """A call that its function refuses on other tensors, or that makes other values of them."""


def run_again(step: Step, substitute: Callable[[Ref], torch.Tensor], slot: int = 0) -> torch.Tensor:
    """Call a step's function on other tensors, and return one of the values it makes or changes.

    Raises NotRepeated if the function refuses them.
    """

    def tensor(ref: Ref) -> torch.Tensor:  # autograd may not keep a tensor of inference mode
        found = substitute(ref)
        return found.clone() if found.is_inference() else found

    args, kwargs = replace_refs((step.args, without_out(step)), tensor)
    return call_again(step, args, kwargs)[slot]


def without_out(step: Step) -> dict[str, Any]:
    """Return a step's keyword arguments, except for where its result went."""
    return {key: argument for key, argument in step.kwargs.items() if key != "out"}


def call_again(step: Step, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """Return what a step's function makes or changes of these arguments, in the recorded order.

    Raises:
        NotRepeated: the function refuses them, or makes another number of values than recorded.
    """
    given = tensors_in((args, kwargs))
    before = [version_of(tensor) for tensor in given]
    try:
        out = step.function(*args, **kwargs)
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        raise NotRepeated(str(error)) from error
    outs = tensors_in(args[:1] if out is None else out)
    written = [t for t, version in zip(given, before, strict=True) if version_of(t) != version]
    made = made_or_changed(args, kwargs, given, [] if writes_aside(step.op) else written, outs)
    if len(made) != len(
        step.outputs
    ):  # inference mode does not count writes; a cast may return what it was given
        made = outs
    if len(made) != len(step.outputs):
        raise NotRepeated(f"`{step.op}` gives {len(made)} values now, not {len(step.outputs)}")
    return made


def made_or_changed(
    args: Any,
    kwargs: Any,
    given: list[torch.Tensor],
    written: list[torch.Tensor],
    outs: list[torch.Tensor],
) -> list[torch.Tensor]:
    """Return the tensors that a call wrote into, then what else it returned and was not given."""
    old = {id(t) for t in given}
    if written:
        target = [t for t in written if (args and t is args[0]) or t is kwargs.get("out")]
        outs = [*(target or written), *outs]
        old.difference_update(id(t) for t in target or written)
    return list({id(t): t for t in outs if id(t) not in old}.values())


def writes_aside(op: str) -> bool:
    """Return whether what a call writes are running statistics, which are not its outputs."""
    return op.endswith(("batch_norm", "instance_norm"))


def unannounced_writes(name: str, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """Return the running statistics that a normalization in training writes, unknown to torch."""
    if not writes_aside(name):
        return []
    default = args[5] if len(args) > 5 else "instance" in name
    if not kwargs.get("training", kwargs.get("use_input_stats", default)):
        return []
    statistics = (args[1:5], kwargs.get("running_mean"), kwargs.get("running_var"))
    return [t for t in tensors_in(statistics) if not isinstance(t, torch.nn.Parameter)]
