"""torchvision as an oracle: its networks and box operations, without its compiled library.

The wheel fits no CPU build of torch, so it is installed without its dependencies and its operators
are declared here. `roi_align` is torchvision's own definition in Python, `nms` is written out from
the definition: take the best box, drop those that overlap it by more than the threshold.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest
import torch
from torch import Tensor

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width) -> (Tensor, Tensor)",
)
# Operators torchvision describes at import and none of its networks here calls.
_UNUSED = (
    *("_roi_align_backward", "ps_roi_align", "_ps_roi_align_backward", "_roi_pool_backward"),
    *("ps_roi_pool", "_ps_roi_pool_backward", "qroi_align", "deform_conv2d"),
    "_deform_conv2d_backward",
)
_library: list[torch.library.Library] = []


def torchvision() -> Any:
    """The module; a test that asks is skipped where it is not installed, except in CI."""
    if not _library:
        library = torch.library.Library("torchvision", "DEF")
        for schema in _OPERATORS:
            library.define(schema)
        for name in _UNUSED:
            library.define(f"{name}(Tensor x) -> Tensor")
        library.impl("nms", _nms, "CompositeExplicitAutograd")
        _library.append(library)
    if os.environ.get("CI"):
        import torchvision as module
    else:
        module = pytest.importorskip(
            "torchvision", reason="./run test installs torchvision as an oracle"
        )
    from torchvision import extension

    # `torchvision.ops.roi_align` is hidden by the function of its name.
    aligning: Any = importlib.import_module("torchvision.ops.roi_align")
    extension._has_ops = lambda: True  # it looks for its library, and its operators are here
    if hasattr(aligning._roi_align, "__wrapped__"):
        aligning._roi_align = aligning._roi_align.__wrapped__  # as it stands, not compiled
    return module


def _nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    from torchvision.ops import box_iou

    order = scores.sort(descending=True, stable=True).indices
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[~(box_iou(dets[best][None], dets[order])[0] > iou_threshold)]
    return torch.stack(kept) if kept else order
