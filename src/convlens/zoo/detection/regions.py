"""Bring regions of maps to one size: by interpolation, by maximum, over a pyramid's levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from convlens.zoo.detection.boxes import box_area

__all__ = ["MultiScaleRoIAlign", "roi_align", "roi_pool"]

Boxes = Tensor | Sequence[Tensor]
"""Boxes (k, 5), whose first column is the picture's index, or (l, 4) for each picture."""


def roi_align(
    input: Tensor,
    boxes: Boxes,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Return the map inside each of k boxes, brought to one size: (n, c, h, w) to (k, c, *size).

    Each cell of the result is the mean of samples on a regular grid in its part of the box. Each
    sample is interpolated between the four nearest cells, and is 0 outside [-1, h] x [-1, w] (He et
    al., *Mask R-CNN*, arXiv 1703.06870, section 3). `boxes` are in pixels; times `spatial_scale`
    they are in cells. `sampling_ratio`: samples along each axis; if it is not positive, as many as
    the part is cells long. `aligned`: whether the middle of the first cell is 0.5, not 0, and a box
    may be smaller than one cell. Gradients flow to the map, not to the boxes. It is fastest on
    `channels_last` maps.

    Raises ValueError for boxes of another shape.

    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(x, [torch.tensor([[0.0, 0.0, 2.0, 2.0]])], 2, sampling_ratio=1)
    tensor([[[[2.5000, 3.5000],
              [6.5000, 7.5000]]]])
    """
    tensors = (input, boxes) if isinstance(boxes, Tensor) else (input, *boxes)
    if has_torch_function(tensors):
        arguments = (input, boxes, output_size, spatial_scale, sampling_ratio, aligned)
        seen: Tensor = handle_torch_function(roi_align, tensors, *arguments)
        return seen
    rois = _rois(input, boxes)
    size = _pair(output_size)
    offset = 0.5 if aligned else 0.0
    start = rois[:, 1:3] * spatial_scale - offset  # (k, 2), x and y
    sides = rois[:, 3:5] * spatial_scale - offset - start  # (k, 2)
    if not aligned:
        sides = sides.clamp(min=1)
    x = _taps(start[:, 0], sides[:, 0], size[1], sampling_ratio, input.shape[3])
    y = _taps(start[:, 1], sides[:, 1], size[0], sampling_ratio, input.shape[2])
    combine = _by_lookup if sampling_ratio > 0 else _by_product
    return combine(input, rois[:, 0].to(torch.int32), y, x)


_AT_ONCE = 28 * 2**20
"""Bytes of a table copied at once; beyond 32 MB, glibc asks the system for new pages each time."""

Taps = tuple[Tensor, Tensor]
"""What the parts of a box read along an axis: cells, int32, and weights, both (k, parts, taps)."""


@torch.no_grad()
def _taps(start: Tensor, side: Tensor, parts: int, ratio: int, length: int) -> Taps:
    part = side / parts  # (k,), how long one part is, in cells
    # 0 for an aligned box without a width.
    samples = torch.full_like(part, ratio) if ratio > 0 else part.ceil().clamp(min=0)  # (k,)
    most = ratio if ratio > 0 else max(int(samples.max()), 1) if len(samples) else 0
    nth = torch.arange(most, device=start.device)  # (s,)
    divisor = samples.clamp(min=1)  # (k,)
    within = (nth + 0.5) * part[:, None] / divisor[:, None]  # (k, s)
    each = torch.arange(parts, device=start.device) * part[:, None]  # (k, parts)
    at = (start[:, None] + each)[:, :, None] + within[:, None]  # (k, parts, s)
    counts = (at >= -1) & (at <= length) & (nth < samples[:, None])[:, None]
    at = at.clamp(0, length - 1)
    low = at.floor()
    high = (low + 1).clamp(max=length - 1)
    cells = torch.stack((low, high), 3).flatten(2).to(torch.int32)  # -> (k, parts, 2 s)
    share = counts / divisor[:, None, None]
    weights = torch.stack((share * (1 - (at - low)), share * (at - low)), 3)  # -> (k, parts, s, 2)
    return cells, weights.flatten(2)  # -> (k, parts, 2 s)


def _by_lookup(input: Tensor, picture: Tensor, y: Taps, x: Taps) -> Tensor:
    """Return weighted sums of rows of a table with c numbers for each cell of each picture."""
    (rows, y_weights), (columns, x_weights) = y, x
    n, c, h, w = input.shape
    rows = rows * w + (picture * (h * w))[:, None, None]
    cells = rows[:, :, None, :, None] + columns[:, None, :, None, :]  # (k, *size, 2 s, 2 s)
    weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
    k, *size = cells.shape[:3]
    cells = cells.flatten(0, 2).flatten(1)  # -> (k * size, 4 s * s)
    weights = weights.flatten(0, 2).flatten(1).to(input.dtype)
    table = input.permute(0, 2, 3, 1)  # (n, c, h, w) -> (n, h, w, c)
    # A channels_last map is such a table; of other maps, some channels are copied at a time.
    parts = 1 if table.is_contiguous() else min(1 + table.nbytes // _AT_ONCE, c)
    found = [
        F.embedding_bag(
            *(cells, part.contiguous().view(n * h * w, part.shape[3])),
            mode="sum",
            per_sample_weights=weights,
        )
        for part in table.chunk(parts, 3)
    ]
    whole = found[0] if len(found) == 1 else torch.cat(found, 1)  # (k * size, c)
    return whole.view(k, *size, c).permute(0, 3, 1, 2)  # -> (k, c, *size)


def _by_product(input: Tensor, picture: Tensor, y: Taps, x: Taps) -> Tensor:
    """Return matrix times patch times matrix, box by box, as the number of samples varies."""
    (rows, y_weights), (columns, x_weights) = y, x
    c, (h, w), size = input.shape[1], input.shape[2:], (rows.shape[1], columns.shape[1])
    down = y_weights.new_zeros(len(rows), size[0], h).scatter_add_(2, rows.long(), y_weights)
    across = x_weights.new_zeros(len(rows), size[1], w).scatter_add_(2, columns.long(), x_weights)
    found = [input.new_zeros(0, c, *size)]
    for i, n in enumerate(picture.tolist()):
        high, wide = _extent(rows[i]), _extent(columns[i])
        patch = input[n, :, high, wide]  # (c, h', w')
        left, right = down[i, :, high].to(patch.dtype), across[i, :, wide].to(patch.dtype)
        found.append((left @ patch @ right.T)[None])  # -> (1, c, *size)
    return torch.cat(found)


def _extent(cells: Tensor) -> slice:
    return slice(int(cells.min()), int(cells.max()) + 1)


def roi_pool(
    input: Tensor,
    boxes: Boxes,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """Return the maxima in a grid over each of k boxes: (n, c, h, w) to (k, c, *size).

    Corners are rounded to cells, and both are included. Parts share the cells at their borders, and
    a part outside the map is 0 (Girshick, *Fast R-CNN*, arXiv 1504.08083, section 2.1). `boxes` are
    those of `roi_align`.

    Raises ValueError for boxes of another shape.

    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_pool(x, [torch.tensor([[0.0, 0.0, 3.0, 1.0]])], (1, 2))
    tensor([[[[5., 7.]]]])
    """
    tensors = (input, boxes) if isinstance(boxes, Tensor) else (input, *boxes)
    if has_torch_function(tensors):
        arguments = (input, boxes, output_size, spatial_scale)
        seen: Tensor = handle_torch_function(roi_pool, tensors, *arguments)
        return seen
    rois = _rois(input, boxes)
    size = _pair(output_size)
    c, (h, w) = input.shape[1], input.shape[2:]
    corners = _rounded(rois[:, 1:] * spatial_scale)  # (k, 4)
    first_x, last_x = _parts(corners[:, 0], corners[:, 2], size[1], w)  # (k, columns) each
    first_y, last_y = _parts(corners[:, 1], corners[:, 3], size[0], h)  # (k, rows) each
    found = [input.new_zeros(0, c, *size)]
    for i, n in enumerate(rois[:, 0].long().tolist()):
        widest = _largest(input[n], first_x[i], last_x[i])  # (c, h, w) -> (c, h, columns)
        tallest = _largest(widest.mT, first_y[i], last_y[i]).mT  # -> (c, rows, columns)
        found.append(tallest[None])
    return torch.cat(found)


def _rounded(x: Tensor) -> Tensor:
    # C rounds a half away from zero.
    return x.trunc() + (x - x.trunc()).mul(2).trunc()


def _parts(start: Tensor, end: Tensor, parts: int, length: int) -> tuple[Tensor, Tensor]:
    """Return the first cell of each part, and the one after its last, within the map."""
    part = (end - start + 1).clamp(min=1) / parts  # (k,)
    nth = torch.arange(parts, device=start.device).to(start.dtype)
    first = (nth * part[:, None]).floor() + start[:, None]  # (k, parts)
    last = ((nth + 1) * part[:, None]).ceil() + start[:, None]  # (k, parts)
    return first.clamp(0, length).long(), last.clamp(0, length).long()


def _largest(x: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Return the maxima (c, h, parts) of x (c, h, w) from `first` up to before `last`, or 0."""
    longest = max(int((last - first).max()), 1)
    reach = first[:, None] + torch.arange(longest, device=x.device)  # (parts, longest)
    within = torch.minimum(reach, last[:, None] - 1).clamp(min=0)  # shorter ones repeat their last
    largest = x[:, :, within].max(3).values  # (c, h, w) -> (c, h, parts)
    return torch.where(last > first, largest, 0)


class MultiScaleRoIAlign(nn.Module):
    """`roi_align` on the level of a pyramid that suits each box's size.

    A box of 224 x 224 pixels reads level 4, where a cell is 16 pixels wide. One half as wide reads
    level 3, and so on (Lin et al., *Feature Pyramid Networks*, arXiv 1612.03144, equation 1).
    """

    def __init__(self, output_size: int, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio

    def forward(
        self, maps: Sequence[Tensor], boxes: Sequence[Tensor], sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Return (k, c, size, size) of k boxes in all.

        `maps`: levels (n, c, h, w), the finest first. `boxes`: (l, 4) for each picture, in pixels.
        `sizes`: the height and width of each picture; the largest determines the width of a cell.
        """
        largest = max(h for h, _ in sizes)
        scales = [2.0 ** round(math.log2(level.shape[2] / largest)) for level in maps]
        lowest, highest = (int(-math.log2(scale)) for scale in (scales[0], scales[-1]))
        rois = _with_index(boxes)  # (k, 5)
        if len(maps) == 1:
            return self._aligned(maps[0], rois, scales[0])
        side = box_area(rois[:, 1:]).sqrt()
        level = (4 + torch.log2(side / 224) + 1e-6).floor().clamp(lowest, highest) - lowest
        k, c, size = len(rois), maps[0].shape[1], self.output_size
        found = maps[0].new_empty(k, size, size, c).permute(0, 3, 1, 2)  # -> (k, c, size, size)
        for i, (map_, scale) in enumerate(zip(maps, scales, strict=True)):
            place = torch.where(level == i)[0]
            found[place] = self._aligned(map_, rois[place], scale)
        return found

    def _aligned(self, level: Tensor, rois: Tensor, scale: float) -> Tensor:
        return roi_align(level, rois, self.output_size, scale, self.sampling_ratio)

    def extra_repr(self) -> str:
        """Return the size and the samples, for printing."""
        return f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio}"


def _with_index(boxes: Sequence[Tensor]) -> Tensor:
    """Return the boxes (l, 4) of each picture in one table (k, 5), after the picture's index."""
    return torch.cat([F.pad(each, (1, 0), value=i) for i, each in enumerate(boxes)])


def _rois(input: Tensor, boxes: Boxes) -> Tensor:
    each = (boxes,) if isinstance(boxes, Tensor) else boxes
    wide = 5 if isinstance(boxes, Tensor) else 4
    for tensor in each:
        if tensor.ndim != 2 or tensor.shape[1] != wide:
            raise ValueError(
                f"`boxes` (={tuple(tensor.shape)}) must be (k, 5), a picture's index before each, "
                "or a list of (l, 4), one for each picture; reshape them"
            )
    if not isinstance(boxes, Tensor) and len(boxes) != len(input):
        raise ValueError(
            f"`boxes` (={len(boxes)}) must hold one tensor for each of the {len(input)} pictures; "
            "give an empty (0, 4) for one without"
        )
    rois = boxes if isinstance(boxes, Tensor) else _with_index(boxes)
    return rois.detach()


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
