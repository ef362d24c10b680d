"""Say what a step is for the page: its family, what it reads, and how its places meet theirs."""

from __future__ import annotations

from dataclasses import dataclass

from convlens.lab.answers.families import family_of
from convlens.lab.answers.sheets import reads_batches
from convlens.lab.answers.windowing import Geometry, WindowRow, windows_of
from convlens.lens import Recording, Step
from convlens.lens.kinds import Kind, bound
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.convolving import ConvolutionGeometry, Convolving
from convlens.lens.kinds.moving import RESHAPES
from convlens.lens.kinds.pointwise import CASTS
from convlens.lens.kinds.pooling import Pooling
from convlens.lens.kinds.refusing import StepRefused

_OTHER_INPUTS = ("weight", "bias", "running_mean", "running_var")
"""The arguments that are no activations, even where they were computed."""

_FREE = frozenset(("max_pool", "avg_pool", "pointwise", "add", "multiply", "concat", "move"))
"""The families that multiply nothing by weights, whose costs take longer to count than to know."""

_PLAIN_MOVES = RESHAPES | frozenset(
    """getitem permute transpose t adjoint movedim moveaxis swapaxes swapdims get_T get_mT get_H
    get_mH expand expand_as broadcast_to narrow select slice chunk split split_with_sizes unbind
    tensor_split unsafe_chunk unsafe_split atleast_1d atleast_2d atleast_3d alias""".split()
)
_IN_PLACE = RESHAPES | frozenset(
    """getitem narrow select slice chunk split split_with_sizes expand expand_as broadcast_to
    alias""".split()
)


@dataclass(frozen=True, eq=False)
class StepForm:
    """What a step is: its `family`, and `reach`, how a place of its output maps to its inputs'.

    `reach` is "window" (by `windows`), "same" (the same place) or "all" (any place). `x` are the
    activations it reads, in the order of its call; `weight` and `bias` the ids of its parameters.
    `plumbing`: it changes no number, and only hands them on. `multiply_adds` are those of
    `convlens.lens.costs`. A step that cannot be read has the family "other", and no `kind`.
    """

    kind: Kind | None
    given: Arguments | None
    family: str
    x: tuple[int, ...]
    weight: int | None
    bias: int | None
    windows: tuple[WindowRow, ...]
    groups: int
    reach: str
    plumbing: bool
    multiply_adds: int


def form_of(recording: Recording, step: Step) -> StepForm:
    """Return what a step is; never raises for one that cannot be read."""
    try:
        return _form(recording, step)
    except Exception:  # whatever a step of a user's own network may be, the others are shown
        x = tuple(id for id in step.inputs if _is_activation(recording, id))
        return StepForm(None, None, "other", x, None, None, (), 1, "all", False, 0)


def _form(recording: Recording, step: Step) -> StepForm:
    if not step.outputs:
        raise StepRefused(step, "it made no value")
    kind, given = bound(recording, step)
    aside = {given.id(name) for name in _OTHER_INPUTS if given.has(name)}
    x = tuple(id for id in step.inputs if _is_activation(recording, id) and id not in aside)
    parameters = [id for id in step.inputs if recording.values[id].kind == "parameter"]
    weight = given.id("weight") if given.has("weight") else next(iter(parameters), None)
    family = family_of(kind, step)
    geometry = None if family == "other" else geometry_of(kind, given)
    windows = windows_of(given, geometry)
    return StepForm(
        kind=kind,
        given=given,
        family=family,
        x=x,
        weight=weight,
        bias=given.id("bias") if given.has("bias") else None,
        windows=windows,
        groups=geometry.groups if isinstance(geometry, ConvolutionGeometry) else 1,
        reach=_reach(kind, given, family, x, windows),
        plumbing=_is_plumbing(given, family),
        multiply_adds=0 if family in _FREE else kind.cost(given).multiply_adds,
    )


def _is_activation(recording: Recording, id: int) -> bool:
    return recording.values[id].kind in ("input", "computed")


def geometry_of(kind: Kind, given: Arguments) -> Geometry | None:
    """Return the windows of a convolution or pooling; None for any other step."""
    return kind.geometry(given) if isinstance(kind, Convolving | Pooling) else None


def spaces(recording: Recording, rank: int) -> int:
    """Return how many of an activation's axes are places: the last ones, 3 at most.

    >>> import torch
    >>> from convlens.lens import record
    >>> [spaces(record(torch.relu, torch.ones(1)), rank) for rank in range(6)]
    [0, 1, 1, 1, 2, 3]
    """
    ahead = 2 if reads_batches(recording) else 1
    return min(max(rank - ahead, 1), 3) if rank else 0


def _is_plumbing(given: Arguments, family: str) -> bool:
    """Return whether a step only hands numbers on."""
    op = given.step.op
    if family == "move":
        return op in CASTS or (op in _PLAIN_MOVES and _picks_by_slices(given.step))
    return op == "to"


def _picks_by_slices(step: Step) -> bool:
    """Return whether a step reads one tensor, and picks none of its elements by a list of places.

    >>> import torch
    >>> from convlens.lens import record
    >>> turned = record(lambda x: (x[:, 1:], x[:, [1, 0]]), torch.ones(1, 2))
    >>> [_picks_by_slices(step) for step in turned]
    [True, False]
    """
    if step.op != "getitem":
        return len(step.inputs) == 1
    index = step.args[1] if isinstance(step.args[1], tuple) else (step.args[1],)
    return len(step.inputs) == 1 and not any(isinstance(part, list | tuple) for part in index)


def _reach(
    kind: Kind, given: Arguments, family: str, x: tuple[int, ...], windows: tuple[WindowRow, ...]
) -> str:
    """Return how a place of the output maps to places of the activations that are read."""
    if windows or not x:
        return "window" if windows else "all"
    recording, out = given.recording, given.output().shape
    space = spaces(recording, len(out))
    read = [recording.values[id].shape for id in x]
    if any(spaces(recording, len(shape)) not in (space, 0) for shape in read):
        return "all"
    if kind.name == "pointwise":
        return "same"
    if any(shape[len(shape) - space :] != out[len(out) - space :] for shape in read):
        return "all"
    return "same" if _leaves_places(given, family, len(out) - space) else "all"


def _leaves_places(given: Arguments, family: str, space: int) -> bool:
    """Return whether each number reads its own place alone; places begin at axis `space`."""
    step, rank = given.step, len(given.output().shape)
    if family == "norm":
        return "batch_norm" in step.op and not given["training"]
    if family == "move":
        return step.op in _IN_PLACE and _picks_by_slices(step)
    if family == "concat":
        return int(given["dim"]) % rank < space
    if family in ("softmax", "reduce", "select") and isinstance(given["dim"], int | tuple | list):
        dims = () if isinstance(given["dim"], bool) else given.dims(rank)
        return bool(dims) and max(dims) < space
    return False
