"""Turn scores into the best categories of each picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convlens.learn.predicting.predictions import Limits
from convlens.learn.predicting.reliability import not_finite, ruled_out

__all__ = ["chances_of", "classified", "rows_of"]


def rows_of(output: Any, count: int) -> Tensor | None:
    """Return an output as scores (count, classes); None unless it has one row for each picture.

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


def chances_of(scores: Tensor, *, by_sigmoid: bool = False) -> tuple[Tensor, Tensor]:
    """Return the values to show for scores (n, classes), and which are probabilities, (n,) bool.

    Rows that add up to 1 are probabilities already; others become probabilities by a softmax. Some
    stay as they are, because nothing says that their classes exclude each other: a single score,
    scores of a sigmoid, and rows of 0 to 1 that add up to more.

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
    # Row by row, as no picture may depend on others in its batch.
    values, are_chances = chances_of(scores, by_sigmoid=by_sigmoid)
    excluded = scores.isneginf()
    broken = (~scores.isfinite() & ~excluded).sum(1) + excluded.all(1) * scores.shape[1]
    best = values.float().sort(stable=True, dim=1, descending=True)

    def fields(row: int) -> dict[str, Any]:
        if broken[row]:
            return {"error": not_finite(int(broken[row]), scores.shape[1], "scores")}
        found: dict[str, Any] = {
            "labels": best.indices[row, : limits.top].cpu().numpy(),
            "scores": best.values[row, : limits.top].cpu().numpy(),
            "probabilities": bool(are_chances[row]),
        }
        if excluded[row].any():
            found["warnings"] = (ruled_out(int(excluded[row].sum()), scores.shape[1]),)
        return found

    return [fields(row) for row in range(len(scores))]
