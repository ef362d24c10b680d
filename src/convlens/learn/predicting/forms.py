"""What a network's output says of each picture: its form is told from the output itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convlens.learn.predicting.detections import detected, is_detection
from convlens.learn.predicting.predictions import Limits, View
from convlens.learn.predicting.reliability import not_finite

__all__ = [
    "KEEPING",
    "SIGMOIDS",
    "Sigmoids",
    "UnknownFormError",
    "chances_of",
    "classified",
    "fitting_names",
    "map_doubt",
    "outputs_of",
    "predictions_of",
    "rows_of",
]

_CATEGORIES = range(2, 257)  # of a map, which is told as a byte a pixel


class UnknownFormError(TypeError):
    """An output that is none of the forms known."""


def predictions_of(
    output: Any, views: Sequence[View], limits: Limits, *, by_sigmoid: bool = False
) -> list[dict[str, Any]]:
    """Return what an output says of each picture of a batch, as fields of `Prediction`.

    `views`: how the network saw each. Scores (n, classes), axes of size 1 behind them or not, are a
    classification, and so is one number a picture; a dictionary with "out", or a tensor,
    (n, classes, h, w) a segmentation; a list of dictionaries with "boxes", "labels" and "scores"
    detections. Where no number is finite that an answer needs, there is an "error" instead.
    `by_sigmoid`: whether the scores are known to be a sigmoid's, each class by itself.

    Raises UnknownFormError, a TypeError, for an output that is none of these.

    >>> view = View(size=(4, 4), shape=(4, 4))
    >>> predictions_of(torch.tensor([[0.0, 9.0]]), [view], Limits(top=1))[0]["labels"]
    array([1])
    """
    maps = output.get("out") if isinstance(output, dict) else output
    scores = None if maps is not output else rows_of(output, len(views))
    if scores is not None:
        return classified(scores, limits, by_sigmoid=by_sigmoid)
    if isinstance(maps, Tensor) and maps.ndim == 4 and len(maps) == len(views):
        _check_maps(maps)
        pairs = zip(maps.float(), views, strict=True)
        return [_segmented(scores, view, by_sigmoid) for scores, view in pairs]
    is_list = isinstance(output, (list, tuple)) and len(output) == len(views)
    if is_list and all(is_detection(one) for one in output):
        return [detected(one, view, limits) for one, view in zip(output, views, strict=True)]
    raise UnknownFormError(
        f"`network` answered with {_described(output)} for {len(views)} pictures, and must with "
        "scores (n, classes), a dictionary with out (n, classes, h, w) or a list of dictionaries "
        "with boxes, labels and scores; see its numbers with `convlens record`"
    )


class Sigmoids(TorchDispatchMode):
    """While this is entered, it keeps which memory was last written by a sigmoid.

    Or from nothing but what sigmoids made, as a mean of two or the product with another.

    >>> with Sigmoids() as seen:
    ...     y = torch.zeros(2, 3).sigmoid()
    >>> seen.made(y), seen.made(torch.zeros(2, 3))
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.rstrip("_")
        for tensor in output if isinstance(output, (list, tuple)) else (output,):
            if isinstance(tensor, Tensor):
                place = _place(tensor)
                if name in SIGMOIDS:
                    self._places.add(place)
                elif (func.is_view or name in KEEPING) and self._all_made(args):
                    self._places.add(place)  # a view may be a copy
                else:
                    self._places.discard(place)
        return output

    def _all_made(self, args: Any) -> bool:
        """Whether all numbers an operation reads, but for scalars, are sigmoids'."""
        read = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        read = [tensor for tensor in read if tensor.is_floating_point() and tensor.ndim]
        return bool(read) and all(_place(tensor) in self._places for tensor in read)

    def made(self, output: Any) -> bool:
        """Return whether an output's first tensor is made of sigmoids' numbers, and 0 to 1."""
        tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if not tensors or _place(tensors[0]) not in self._places:
            return False
        return bool(((tensors[0] >= 0) & (tensors[0] <= 1)).all())


SIGMOIDS = ("sigmoid", "hardsigmoid", "special_expit")

KEEPING = frozenset(
    """_to_copy clone copy type_as cat concat concatenate stack hstack vstack flip roll index
    index_select gather sort topk pad constant_pad_nd repeat dropout mean sum prod amax amin max min
    max_pool2d max_pool2d_with_indices adaptive_max_pool2d avg_pool2d adaptive_avg_pool2d
    _adaptive_avg_pool2d upsample_bilinear2d upsample_nearest2d upsample_bicubic2d
    add sub rsub mul div pow sqrt clamp clip clamp_min clamp_max maximum minimum where""".split()
)
"""What moves numbers that a sigmoid made, as `out` of a segmenter is resized after it, or makes
others of them that are no part of a whole either."""


def _place(tensor: Any) -> int:
    return tensor.untyped_storage().data_ptr() if isinstance(tensor, Tensor) else 0


def rows_of(output: Any, count: int) -> Tensor | None:
    """Return an output as scores (count, classes) where it holds a row of them a picture.

    >>> rows_of(torch.zeros(2, 5, 1, 1), 2).shape, rows_of(torch.zeros(2), 2).shape
    (torch.Size([2, 5]), torch.Size([2, 1]))
    >>> rows_of(torch.zeros(2, 5, 7), 2)
    """
    if not isinstance(output, Tensor) or output.is_complex() or not output.numel():
        return None
    if output.ndim < 2:
        # A network that squeezes drops the axis of a batch of one.
        return output.reshape(count, -1) if output.shape[:1] == (count,) or count == 1 else None
    same = len(output) == count and output[0].numel() == output.shape[1]
    return output.reshape(count, -1) if same else None


def outputs_of(output: Any, count: int) -> int | None:
    """Return how many categories the scores or maps for `count` pictures are of; None of others.

    >>> outputs_of(torch.zeros(2, 5), 2), outputs_of({"out": torch.zeros(1, 7, 4, 4)}, 1)
    (5, 7)
    """
    maps = output.get("out") if isinstance(output, dict) else output
    rows = rows_of(maps, count) if maps is output else None
    if rows is not None:
        return rows.shape[1]
    return int(maps.shape[1]) if isinstance(maps, Tensor) and maps.ndim == 4 else None


def fitting_names(
    categories: Sequence[str], outputs: int | None, labels: Sequence[int] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a network's outputs, none where it has others, and that as a warning.

    `outputs`: how many it has; None where that is not known, as of detectors, whose names stand but
    for the `labels` that have none.

    >>> fitting_names(["cat", "dog"], 2)
    (('cat', 'dog'), ())
    >>> fitting_names(["dog"], 2)
    ((), ('the network has 1 name for 2 outputs: numbers stand for them all',))
    """
    names = tuple(categories)
    count = f"the network has {len(names):,} name{'s' * (len(names) != 1)}"
    if not names:
        return (), ()
    if outputs is None:
        most = max(labels, default=0)
        said = f"{count}, and none for category {most}: its number stands there"
        return names, (said,) if most >= len(names) else ()
    if outputs == len(names):
        return names, ()
    said = f"{count} for {outputs:,} output{'s' * (outputs != 1)}: numbers stand for them all"
    return (), (said,)


def chances_of(scores: Tensor, *, by_sigmoid: bool = False) -> tuple[Tensor, Tensor]:
    """Return what to tell of scores (n, classes), and whether it is probabilities, (n,) bool.

    Rows that add up to 1 are probabilities already; others become some by a softmax. But a single
    score, scores of a sigmoid, and rows of 0 to 1 that add up to more, as those of classes that do
    not exclude each other, are told as they are: nothing says what part of a whole they are.

    >>> values, are_chances = chances_of(torch.tensor([[2.0, 2.0], [0.9, 0.8], [0.4, 0.6]]))
    >>> values.tolist()[0], are_chances.tolist()
    ([0.5, 0.5], [True, False, True])
    """
    # Half types keep 8 or 11 digits of each number.
    near = max(1e-3, 2 * torch.finfo(scores.dtype).eps)
    scores = scores.float()
    inside = ((scores >= 0) & (scores <= 1)).all(1)
    over = scores.sum(1) - 1
    adds_up = inside & (over.abs() < near)
    plain = inside & (over >= near)
    if by_sigmoid or scores.shape[1] == 1:
        adds_up, plain = torch.zeros_like(inside), torch.ones_like(inside)
    as_they_are = (adds_up | plain)[:, None]
    return torch.where(as_they_are, scores, scores.softmax(1)), ~plain


def classified(scores: Tensor, limits: Limits, *, by_sigmoid: bool = False) -> list[dict[str, Any]]:
    """Return the best categories of each row of scores (n, classes), as fields of `Prediction`.

    >>> classified(torch.tensor([[-2.0]]), Limits())
    [{'labels': array([0]), 'scores': array([-2.], dtype=float32), 'probabilities': False}]
    """
    if not scores.is_floating_point():
        scores = scores.float()
    # Row by row, for a batch must not decide for a picture.
    values, are_chances = chances_of(scores, by_sigmoid=by_sigmoid)
    ruled_out = scores.isneginf()
    broken = (~scores.isfinite() & ~ruled_out).sum(1) + ruled_out.all(1) * scores.shape[1]
    best = values.float().sort(stable=True, dim=1, descending=True)
    told: list[dict[str, Any]] = []
    for row in range(len(scores)):
        if broken[row]:
            told.append({"error": not_finite(int(broken[row]), scores.shape[1], "scores")})
            continue
        told.append(
            {
                "labels": best.indices[row, : limits.top].cpu().numpy(),
                "scores": best.values[row, : limits.top].cpu().numpy(),
                "probabilities": bool(are_chances[row]),
            }
        )
        if ruled_out[row].any():
            told[-1]["warnings"] = (_ruled_out(int(ruled_out[row].sum()), scores.shape[1]),)
    return told


def _check_maps(maps: Tensor) -> None:
    if maps.is_complex() or 0 in maps.shape or maps.shape[1] not in _CATEGORIES:
        why = "a single map does not say which pixels are meant; give the background one too"
        raise UnknownFormError(
            f"`network` answered with {_described(maps)}, and must with 2 to 256 maps of scores, "
            f"one a category, (n, classes, h, w)" + (f"; {why}" * (maps.shape[1] == 1))
        )


def _segmented(scores: Tensor, view: View, by_sigmoid: bool) -> dict[str, Any]:
    """The best category of each pixel of the picture, between the network's own by its scores.

    Only categories that win somewhere on the network's own grid are asked. Where it did not look,
    the first stands, which is the background.
    """
    values, are_chances = _map_chances(scores, by_sigmoid)
    chances, winners = values.max(0)
    doubt = map_doubt(scores, chances)
    if "error" in doubt:
        return doubt
    winners = torch.where(chances.isfinite(), winners, -1)
    present = winners.unique()
    best = torch.full(view.size, -torch.inf)
    map_ = torch.zeros(view.size, dtype=torch.uint8)
    for label in present[present >= 0].tolist():
        one = view.maps(scores[label].cpu()[None], around=-torch.inf)[0]
        map_[one > best] = label
        best = torch.maximum(one, best.nan_to_num(-torch.inf))
    counts = torch.bincount(map_.reshape(-1).long(), minlength=len(scores))
    order = counts.argsort(descending=True, stable=True)
    labels = order[counts[order] > 0]
    means = [
        float(chances[winners == label].mean()) if label in present else 0.0
        for label in labels.to(winners.device)
    ]
    return {
        "labels": labels.numpy(),
        "scores": np.array(means, np.float32),
        "map": map_.numpy(),
        "probabilities": are_chances,
        **doubt,
    }


def map_doubt(scores: Tensor, chances: Tensor | None = None) -> dict[str, Any]:
    """Return the "error" or "warnings" there are of maps of scores (classes, h, w), if any.

    `chances`: their largest softmax at each place, (h, w), where it is known.

    >>> map_doubt(torch.full((2, 1, 1), torch.nan))["error"]
    'the network gave no finite numbers for 2 of 2 scores; its weights may have diverged, ...'
    """
    if chances is None:
        chances = scores.float().softmax(0).amax(0)
    count = int((~chances.isfinite()).sum())
    if count == chances.numel():
        return {"error": not_finite(scores.numel(), scores.numel(), "scores")}
    warnings = []
    if count:
        warnings.append(
            f"{not_finite(count, chances.numel(), 'places of its map')}; category 0 stands there"
        )
    ruled_out = int(scores.isneginf().sum())
    if ruled_out:
        warnings.append(_ruled_out(ruled_out, scores.numel()))
    return {"warnings": tuple(warnings)} if warnings else {}


def _map_chances(scores: Tensor, by_sigmoid: bool) -> tuple[Tensor, bool]:
    """As `chances_of`, of maps (classes, h, w), decided for all pixels together."""
    if by_sigmoid:
        return scores, False
    if scores.min() >= 0 and scores.max() <= 1:
        over = scores.sum(0) - 1
        if (over.abs() < 4e-3).all():
            return scores, True
        if (over > -4e-3).all():
            return scores, False
    return scores.softmax(0), True


def _ruled_out(count: int, of: int) -> str:
    return f"the network gave minus infinity for {count:,} of {of:,} scores, which rules them out"


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, dict):
        return f"a dictionary of {', '.join(map(str, output)) or 'nothing'}"
    return f"a {type(output).__name__}"
