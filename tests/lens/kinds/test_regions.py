"""A number pooled from a box is a sum over the cells of a map, or the largest of them."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from convlens.lens import costs_of, explain, record
from convlens.zoo.detection.regions import roi_align, roi_pool
from tests.cases.elements import indices_in, numbers, raises, replaced
from tests.oracles.torchvision_networks import _library, torchvision


def boxes_in(height: float, width: float, count: int, seed: int = 0) -> Tensor:
    """Return boxes inside a map that are at least one cell large."""
    at = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed))
    corner = at[:, :2] * torch.tensor([width - 2, height - 2])
    room = torch.tensor([width - 1, height - 1]) - corner - 1
    return torch.cat((corner, corner + 1 + at[:, 2:] * room), 1)


# Aligned regions.


def test_one_sample_lies_between_four_cells() -> None:
    x = torch.arange(20.0).reshape(1, 1, 4, 5)
    box = torch.tensor([[0.0, 1.0, 0.5, 3.0, 2.0]])
    seen = record(lambda x, b: roi_align(x, b, 1, 1.0, 1), x, box)
    assert [step.op for step in seen] == ["roi_align"]
    explanation = explain(seen, 0, (0, 0, 0, 0))
    assert explanation.terms.position.tolist() == [7, 8, 12, 13]  # rows 1 and 2, columns 2 and 3
    assert explanation.terms.weight.tolist() == [0.75, 0.0, 0.25, 0.0]
    assert explanation.terms.arrangement == (1, 2, 2)
    assert (explanation.kind, explanation.rule, explanation.recorded) == ("region", "sum", 8.25)
    assert "box 0, `input1`[0] = x 1 to 3, y 0.5 to 2; picture 0" in explanation.note
    assert "map `input` (4x5, scale 1)" in explanation.note
    assert "mean of 1x1 samples" in explanation.formula


def test_samples_in_one_cell_are_one_term() -> None:
    seen = record(
        lambda x, b: roi_align(x, [b], 1, 0.5, 2),
        numbers(1, 1, 6, 6),
        torch.tensor([[0.0, 0, 4, 4]]),
    )
    explanation = explain(seen, 0, (0, 0, 0, 0))
    # Samples at 0.5 and 1.5 along each axis: 0, 1 and 2 share them as 1 to 2 to 1.
    assert explanation.terms.weight.reshape(3, 3).tolist() == [
        [1 / 16, 2 / 16, 1 / 16],
        [2 / 16, 4 / 16, 2 / 16],
        [1 / 16, 2 / 16, 1 / 16],
    ]


def test_a_region_leads_to_its_box_and_its_cells() -> None:
    boxes = [boxes_in(9, 9, 2), boxes_in(9, 9, 3, seed=1)]
    seen = record(lambda x, a, b: roi_align(x, [a, b], (2, 3)), numbers(2, 4, 9, 9), *boxes)
    explanation = explain(seen, 0, (3, 2, 1, 1))
    box = explanation.open(0, weight=True)
    assert (box.value.name, box.index) == ("input2", (1, 0))
    assert "box 3, `input2`[1] = " in explanation.note
    assert "picture 1" in explanation.note
    cell = explanation.open(0)
    assert (cell.value.name, cell.index[:2]) == ("input", (1, 2))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 0.25, 0.1])
def test_coefficients_are_those_of_the_gradient(scale: float, ratio: int, aligned: bool) -> None:
    x = numbers(2, 3, 17, 12)
    boxes = boxes_in(17, 12, 5) / scale
    rois = torch.cat((torch.tensor([[0.0], [1], [1], [0], [1]]), boxes), 1)
    options = ((2, 3), scale, ratio, aligned)
    seen = record(lambda x, b: roi_align(x, b, *options), x, rois)
    leaf = x.double().requires_grad_()
    truth = roi_align(leaf, rois.double(), *options)
    for index in indices_in(seen.values[seen.output_ids[0]].shape, 12):
        explanation = explain(seen, 0, index)
        (wanted,) = torch.autograd.grad(truth[index], leaf, retain_graph=True)
        made = torch.zeros(x.numel(), dtype=torch.float64)
        made[explanation.terms.position.tolist()] = torch.tensor(
            explanation.terms.weight.tolist(), dtype=torch.float64
        )
        assert (made.view_as(wanted) - wanted).abs().max() < 1e-5
        assert abs(float(made.sum()) - 1) < 1e-12  # of samples inside the map


def definition() -> Callable[..., Tensor]:
    """Return torchvision's definition in Python, under its operator's name and arguments."""
    torchvision()
    made = importlib.import_module("torchvision.ops.roi_align")._roi_align

    def roi_align(x: Tensor, rois: Tensor, *options: Any) -> Tensor:
        if has_torch_function((x, rois)):
            seen: Tensor = handle_torch_function(roi_align, (x, rois), x, rois, *options)
            return seen
        (height, width), scale, ratio, aligned = options
        found: Tensor = made(x, rois, scale, height, width, ratio, aligned)
        return found

    return roi_align


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 2])
def test_another_rounding_of_the_same_definition_is_within_the_bound(
    ratio: int, aligned: bool
) -> None:
    rois = F.pad(boxes_in(30, 40, 8) / 0.1, (1, 0))
    theirs = definition()
    seen = record(
        lambda x, b: theirs(x, b, (7, 7), 0.1, ratio, aligned), numbers(1, 4, 30, 40), rois
    )
    assert [step.op for step in seen] == ["roi_align"]
    assert raises(seen, 0, 200) == 0


def test_the_operator_names_its_arguments_in_another_order() -> None:
    torchvision()
    made = importlib.import_module("torchvision.ops.roi_align")._roi_align
    if not torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::roi_align", "CPU"):
        _library[0].impl("roi_align", made, "CPU")
    rois = F.pad(boxes_in(12, 9, 4), (1, 0))
    operator = torch.ops.torchvision.roi_align
    seen = record(lambda x, b: operator(x, b, 1.0, 2, 3, 2, False), numbers(1, 2, 12, 9), rois)
    assert [step.op for step in seen] == ["roi_align"]
    assert raises(seen, 0) == 0
    assert explain(seen, 0, (3, 1, 1, 2)).note.endswith("bin (1, 2) of 2x3")


def test_samples_outside_the_map_count_as_zero() -> None:
    x = torch.ones(1, 1, 4, 4)
    rois = torch.tensor([[0.0, 0, 0, 16, 4], [0, 90, 90, 99, 99], [0, -1.4, 0, 1.4, 4]])
    seen = record(lambda x, b: roi_align(x, b, 1, 1.0, 4), x, rois)
    # Columns 2, 6, 10 and 14: only the first is on a map of 4 (up to 1 cell beyond its last).
    partly, beyond, before = (explain(seen, 0, (k, 0, 0, 0)) for k in range(3))
    assert partly.recorded == 0.25
    assert partly.terms.weight.sum() == 0.25
    assert (beyond.recorded, len(beyond.terms), beyond.terms.arrangement) == (0.0, 0, (0,))
    assert before.terms.weight.sum() == 0.75  # -1.05 is outside, -0.35 is the first cell
    for explanation in (partly, before):
        explanation.to_dict()


@pytest.mark.parametrize(
    ("position", "wrong"),
    [(3, 0.2501), (4, 3), (5, True), (2, (3, 2))],
    ids=["scale", "samples", "alignment", "bins"],
)
def test_a_wrong_argument_is_caught(position: int, wrong: Any) -> None:
    rois = F.pad(boxes_in(30, 40, 8) / 0.25, (1, 0))
    x = numbers(1, 2, 30, 40)
    seen = record(lambda x, b: roi_align(x, b, (2, 3), 0.25, 2, False), x, rois)
    assert raises(seen, 0) == 0
    assert raises(replaced(seen, position, wrong), 0) > 20


def test_a_moved_box_and_a_changed_cell_are_caught() -> None:
    rois = F.pad(boxes_in(30, 40, 8), (1, 0))
    x = numbers(1, 2, 30, 40)
    seen = record(lambda x, b: roi_align(x, b, 7, 1.0, 2), x, rois)
    value = seen.values[seen.steps[0].inputs[1]]
    object.__setattr__(value, "tensor", value.tensor + torch.tensor([0, 1e-3, 0, 1e-3, 0]))
    assert raises(seen, 0) > 20
    seen = record(lambda x, b: roi_align(x, b, 7, 1.0, 2), x, rois)
    value = seen.values[seen.steps[0].inputs[0]]
    object.__setattr__(value, "tensor", value.tensor * 1.0001)
    assert raises(seen, 0) > 5


@pytest.mark.parametrize("pooled", [False, True], ids=["roi_align", "roi_pool"])
@pytest.mark.parametrize("listed", [False, True], ids=["rows", "lists"])
def test_the_mask_is_what_the_terms_read(pooled: bool, listed: bool) -> None:
    x = numbers(2, 3, 9, 11)
    first, second = boxes_in(9, 11, 2), boxes_in(9, 11, 2, seed=3)
    pool = roi_pool if pooled else roi_align
    if listed:
        seen = record(lambda x, a, b: pool(x, [a, b], (2, 2)), x, first, second)
    else:
        rois = torch.cat((F.pad(first, (1, 0), value=1.0), F.pad(second, (1, 0))))
        seen = record(lambda x, b: pool(x, b, (2, 2)), x, rois)
    assert seen.output is not None
    for index in indices_in(seen.output.shape, 10):
        explanation = explain(seen, 0, index)
        read = explanation.pixels(0).mask.flatten().nonzero().flatten()
        assert read.tolist() == sorted(explanation.terms.position.tolist())
        box = explanation.pixels(1 + index[0] // 2 if listed else 1)
        row = index[0] % 2 if listed else index[0]
        assert box.mask.nonzero()[:, 0].unique().tolist() == [row]
        assert box.count == box.mask.shape[1]


# Pooled regions.


def largest_by_definition(x: Tensor, box: list[float], bins: int, row: int, column: int) -> float:
    """Compute one number of `roi_pool` on a plane by the published definition."""
    x1, y1, x2, y2 = (int(np.floor(abs(c) + 0.5) * np.sign(c)) for c in box)
    found = []
    for y in range(x.shape[0]):
        for column_ in range(x.shape[1]):
            high, wide = max(y2 - y1 + 1, 1) / bins, max(x2 - x1 + 1, 1) / bins
            inside_rows = int(np.floor(row * high)) <= y - y1 < int(np.ceil((row + 1) * high))
            across = column_ - x1
            if inside_rows and int(np.floor(column * wide)) <= across < int(
                np.ceil((column + 1) * wide)
            ):
                found.append(float(x[y, column_]))
    return max(found, default=0.0)


def test_the_largest_cell_of_a_bin_is_chosen() -> None:
    x = numbers(1, 1, 8, 8)
    boxes = torch.tensor([[0.5, 1, 6.4, 7], [-3, -3, 2, 2], [4, 4, 4, 4], [6, 6, 12, 12]])
    seen = record(lambda x, b: roi_pool(x, [b], 3), x, boxes)
    empty = 0
    for k in range(4):
        for row in range(3):
            for column in range(3):
                explanation = explain(seen, 0, (k, 0, row, column))
                wanted = largest_by_definition(x[0, 0], boxes[k].tolist(), 3, row, column)
                assert explanation.rule == "chosen"
                assert explanation.total == explanation.recorded == wanted
                assert explanation.note.startswith("chosen: ")
                empty += not len(explanation.terms)
    assert empty > 0
    cells = seen.values[seen.steps[0].inputs[0]].tensor
    cells.copy_(cells.roll(1, -1))
    object.__setattr__(seen.values[seen.steps[0].inputs[0]], "version", cells._version)
    assert raises(seen, 0) > 20


def test_costs_count_cells_read() -> None:
    rois, x = F.pad(boxes_in(30, 40, 8), (1, 0)), numbers(1, 2, 30, 40)
    seen = record(lambda x, b: roi_align(x, b, 7, 1.0, 2), x, rois)
    assert costs_of(seen).operations == 8 * 2 * 7 * 7 * (2 * 2) * 4
    whole = torch.tensor([[0.0, 0, 0, 3, 3], [0, 4, 4, 9, 5]])
    assert costs_of(record(lambda x, b: roi_pool(x, b, 2), x, whole)).operations == 2 * (16 + 12)
