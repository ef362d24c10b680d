"""What detectors do with boxes is explained: regions, suppression, and what an index chose."""

import importlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.overrides import handle_torch_function, has_torch_function

from convlens.lens import Explanation, Recording, Step, costs_of, explain, explain_value, record
from convlens.lens.kinds.moving import Moving
from convlens.lens.kinds.putting import Putting
from convlens.zoo import model
from convlens.zoo.detection import DETECTORS, Detector, detector
from convlens.zoo.detection.boxes import nms
from convlens.zoo.detection.heads import BoxHead
from convlens.zoo.detection.regions import roi_align, roi_pool
from convlens.zoo.mobilenet import MOBILENETS
from convlens.zoo.resnet import RESNETS
from convlens.zoo.segmentation import SEGMENTERS
from convlens.zoo.vgg import VGGS
from convlens.zoo.video import VIDEOS
from tests.oracles.torchvision_networks import _library, torchvision
from tests.running.holding import LastOnly


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def boxes_in(height: float, width: float, count: int, seed: int = 0) -> Tensor:
    """Boxes at least one cell large inside a map."""
    at = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed))
    corner = at[:, :2] * torch.tensor([width - 2, height - 2])
    room = torch.tensor([width - 1, height - 1]) - corner - 1
    return torch.cat((corner, corner + 1 + at[:, 2:] * room), 1)


def elements(shape: tuple[int, ...], count: int, seed: int = 0) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(int(rng.integers(n)) for n in shape) for _ in range(count)]


def raises(seen: Recording, step: Step | int, count: int = 40) -> int:
    """How many of some elements have terms that do not give them."""
    found, step = 0, seen.step(step)
    for index in elements(seen.values[step.outputs[0]].shape, count):
        try:
            explain(seen, step, index)
        except ArithmeticError:
            found += 1
    return found


def replaced(seen: Recording, position: int, argument: Any) -> Recording:
    """The recording with one argument of its first step another."""
    args = list(seen.steps[0].args)
    args[position] = argument
    object.__setattr__(seen.steps[0], "args", tuple(args))
    return seen


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
    for index in elements(seen.values[seen.output_ids[0]].shape, 12):
        explanation = explain(seen, 0, index)
        (wanted,) = torch.autograd.grad(truth[index], leaf, retain_graph=True)
        made = torch.zeros(x.numel(), dtype=torch.float64)
        made[explanation.terms.position.tolist()] = torch.tensor(
            explanation.terms.weight.tolist(), dtype=torch.float64
        )
        assert (made.view_as(wanted) - wanted).abs().max() < 1e-5
        assert abs(float(made.sum()) - 1) < 1e-12  # of samples inside the map


def definition() -> Callable[..., Tensor]:
    """torchvision's definition in Python, under its operator's name and arguments."""
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
    for index in elements(seen.output.shape, 10):
        explanation = explain(seen, 0, index)
        read = explanation.pixels(0).mask.flatten().nonzero().flatten()
        assert read.tolist() == sorted(explanation.terms.position.tolist())
        box = explanation.pixels(1 + index[0] // 2 if listed else 1)
        row = index[0] % 2 if listed else index[0]
        assert box.mask.nonzero()[:, 0].unique().tolist() == [row]
        assert box.count == box.mask.shape[1]


# Pooled regions.


def largest_by_definition(x: Tensor, box: list[float], bins: int, row: int, column: int) -> float:
    """One number of `roi_pool` on a plane, from the published definition."""
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


def test_costs_count_cells_read_and_overlaps_compared() -> None:
    rois, x = F.pad(boxes_in(30, 40, 8), (1, 0)), numbers(1, 2, 30, 40)
    seen = record(lambda x, b: roi_align(x, b, 7, 1.0, 2), x, rois)
    assert costs_of(seen).operations == 8 * 2 * 7 * 7 * (2 * 2) * 4
    whole = torch.tensor([[0.0, 0, 0, 3, 3], [0, 4, 4, 9, 5]])
    assert costs_of(record(lambda x, b: roi_pool(x, b, 2), x, whole)).operations == 2 * (16 + 12)
    assert costs_of(record(lambda b, s: nms(b, s, 0.5), BOXES, SCORES)).operations == 3 * 6


# Suppression.

BOXES = torch.tensor(
    [
        [0.0, 0, 10, 10],
        [0, 0, 10, 9],
        [0, 0, 10, 8],
        [20, 0, 30, 10],
        [0, 5, 10, 15],
        [22, 0, 32, 10],
    ]
)
SCORES = torch.tensor([0.8, 0.9, 0.7, 0.6, 0.5, 0.4])


def kept(seen: Recording, place: int) -> Explanation:
    return explain(seen, seen.steps[-1], (place,))


def test_a_kept_box_says_its_rank_and_whom_it_dropped() -> None:
    seen = record(lambda b, s: nms(b, s, 0.5), BOXES, SCORES)
    assert [step.op for step in seen] == ["nms"]
    best, second, third = (kept(seen, place) for place in range(3))
    assert [e.recorded for e in (best, second, third)] == [1, 3, 4]
    assert best.rule == "chosen"
    assert best.note == (
        "chosen: box 1 is kept, score rank 1 of 6; no better kept box overlaps it; "
        "it dropped 0 (overlap 0.90), 2 (overlap 0.89)"
    )
    assert second.note.endswith("no better kept box overlaps it; it dropped 5 (overlap 0.67)")
    assert third.note.endswith(
        "score rank 5 of 6; of the better kept boxes 1 overlaps it most (0.27, the limit is 0.5); "
        "it dropped none"
    )
    chosen = int(third.terms.weight.argmax())
    assert third.terms.weight.tolist() == [0, 0, 0, 0, 1, 0]
    assert third.open(chosen).recorded == 0.5
    assert third.open(chosen, weight=True).index == (4, 0)
    assert third.pixels(0).count == BOXES.numel()


def grouped() -> Callable[..., Tensor]:
    """Suppression within groups, as one call with its arguments in torchvision's order."""

    def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
        if has_torch_function((boxes, scores, idxs)):
            arguments = (boxes, scores, idxs, iou_threshold)
            seen: Tensor = handle_torch_function(batched_nms, arguments[:3], *arguments)
            return seen
        apart = idxs.to(boxes) * (boxes.max() + 1)
        return nms(boxes + apart[:, None], scores, iou_threshold)

    return batched_nms


def test_other_groups_suppress_nothing() -> None:
    batched_nms = grouped()
    groups = torch.tensor([1, 0, 1, 0, 0, 0])
    seen = record(lambda b, s, i: batched_nms(b, s, i, 0.5), BOXES, SCORES, groups)
    assert [step.op for step in seen] == ["batched_nms"]
    assert seen.output is not None
    assert seen.output.tensor.tolist() == [1, 0, 3, 4]
    assert kept(seen, 0).note.endswith("it dropped none")
    assert kept(seen, 1).note.endswith(
        "no better kept box overlaps it; it dropped 2 (overlap 0.80)"
    )


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1 / 3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("whole", [False, True], ids=["real", "equal scores"])
def test_every_kept_index_is_what_the_definition_gives(whole: bool, threshold: float) -> None:
    at = torch.rand(300, 4, generator=torch.Generator().manual_seed(1)) * 30
    scores = torch.rand(300, generator=torch.Generator().manual_seed(2))
    if whole:  # overlaps equal to the threshold, and equal scores
        at, scores = at.round(), (scores * 20).round()
    boxes = torch.cat((at[:, :2], at[:, :2] + at[:, 2:] + 1), 1)
    groups = (at[:, 0] % 3).floor().long() * 20_000  # so far apart that boxes are rounded
    batched_nms = grouped()
    for seen in (
        record(lambda b, s: nms(b, s, threshold), boxes, scores),
        record(lambda b, s, i: batched_nms(b, s, i, threshold), boxes, scores, groups),
    ):
        assert seen.output is not None
        for place in range(seen.output.shape[0]):
            explanation = kept(seen, place)
            assert explanation.terms.weight[int(explanation.recorded)] == 1


@pytest.mark.parametrize("wrong", [[1, 4, 3], [1, 3], [1, 0, 3, 4], [0, 3, 4], [1, 3, 5]])
def test_a_wrong_decision_is_caught(wrong: list[int]) -> None:
    def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
        if has_torch_function((boxes, scores)):
            arguments = (boxes, scores, iou_threshold)
            seen: Tensor = handle_torch_function(nms, (boxes, scores), *arguments)
            return seen
        return torch.tensor(wrong)

    seen = record(lambda b, s: nms(b, s, 0.5), BOXES, SCORES)
    errors = 0
    for place in range(len(wrong)):
        try:
            kept(seen, place)
        except ArithmeticError:
            errors += 1
    # A list that only ends too early holds nothing wrong.
    assert errors >= (1 if wrong != [1, 3] else 0)


# What an index chose.

CHOSEN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "getitem": lambda x, i: x[i],
    "second axis": lambda x, i: x[:, i],
    "slices before": lambda x, i: x[None, 1:3, ..., i],
    "broadcast": lambda x, i: x[i[:, None], i],
    "apart": lambda x, i: x[i, :, i],
    "a list beside": lambda x, i: x[[1], i],
    "one number": lambda x, i: x[1, i[0]],
    "negative": lambda x, i: x[i - 4],
    "index_select": lambda x, i: x.index_select(1, i),
    "gather": lambda x, i: x.gather(1, i[None, :, None].expand(2, 3, 2)),
    "take": lambda x, i: x.take(i * 7),
    "take along": lambda x, i: torch.take_along_dim(x, i.reshape(1, 3, 1), 1),
    "embedding": lambda x, i: F.embedding(i, x[0]),
    "operator": lambda x, i: torch.ops.aten.index(x, [None, i]),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_copy_leads_to_the_index_that_chose_it(name: str) -> None:
    x, order = numbers(4, 4, 4), torch.tensor([0.3, 0.9, 0.1])
    seen = record(lambda x, s: CHOSEN[name](x, s.argsort()), x, order)
    assert seen.output is not None
    for index in elements(seen.output.shape, 12):
        explanation = explain_value(seen, seen.output.id, index)
        assert explanation.rule == "copy"
        chooser = explanation.open(0, weight=True)
        at = explanation.terms.index(0, seen)
        told = [int(n) for n in re.findall(r"-?\d+", explanation.note.split(" chosen by")[0])]
        if name == "take":  # as if the data had one axis
            assert told == [at[0] * 16 + at[1] * 4 + at[2]] == [chooser.recorded]
        else:
            assert told[0] == at[told[1]] == chooser.recorded % 4
        assert "chosen by `" + ("sub@" if name == "negative" else "") in explanation.note


def test_a_mask_chose_what_it_let_through() -> None:
    x = torch.tensor([-1.0, 2, -3, 4, 5])[:, None].expand(5, 3).clone()
    for take in (lambda x: x[x[:, 0] > 0], lambda x: x.masked_select(x > 0)):
        seen = record(take, x)
        assert seen.output is not None
        index = (1,) * len(seen.output.shape)
        explanation = explain_value(seen, seen.output.id, index)
        assert "chosen as `gt@" in explanation.note
        assert "is true" in explanation.note
        assert explanation.open(0, weight=True).recorded == 1
        assert explanation.open(0, weight=True).index[0] == explanation.open(0).index[0]


def test_what_was_put_says_by_which_index() -> None:
    def put(x: Tensor, s: Tensor) -> Tensor:
        out = torch.zeros(5, 3)
        out[s.argsort()] = x
        out[x.new_tensor([1, 0, 0, 0, 0]) > 0] = x[:1] * 2
        return out

    def scattered(x: Tensor, s: Tensor) -> Tensor:
        return torch.zeros(5, 3).scatter(0, s.argsort()[:, None].expand(3, 3), x)

    x, order = numbers(3, 3), torch.tensor([0.3, 0.9, 0.1])
    for run in (put, scattered):
        seen = record(run, x, order)
        assert seen.output is not None
        explanation = explain_value(seen, seen.output.id, (2, 1))
        if run is put:  # not touched by the last call
            assert explanation.note == ""
            assert explain_value(seen, seen.output.id, (0, 1)).note.startswith("put here as `gt@")
            explanation = explanation.open(0)
        assert explanation.open(0, weight=True).recorded == 2
        assert "position 2 of axis 0" in explanation.note
        assert "by `argsort@" in explanation.note


KEYS: dict[str, Any] = {
    "number": 1,
    "from the end": (-1, slice(None), 2),
    "slices": (slice(1, 3), slice(None, None, 2)),
    "ellipsis": (..., slice(-2, None)),
    "ellipsis between": (0, ..., 1),
    "new axis": (None, 1, slice(0, 2), None),
    "mask": torch.tensor([True, False, True, True]),
    "index": torch.tensor([2, 0]),
    "both": (slice(1, None), torch.tensor([2, 0])),
}


@pytest.mark.parametrize("whole", [False, True], ids=["row", "whole"])
@pytest.mark.parametrize("name", KEYS)
def test_an_assignment_keeps_and_puts_what_running_it_does(name: str, whole: bool) -> None:
    def put(x: Tensor, y: Tensor) -> Tensor:
        x[KEYS[name]] = y
        return x

    x = numbers(4, 3, 5)
    shape = x[KEYS[name]].shape
    y = numbers(*(shape if whole else shape[-1:]), seed=1)
    seen = record(put, x.clone(), y)
    step = seen.steps[-1]
    given = Putting().bind(seen, step)
    for index in elements((4, 3, 5), 40):
        direct = explain(seen, step, index)
        by_running = Moving().explain(given, 0, index)
        for field in ("source", "position", "value"):
            assert getattr(direct.terms, field) == getattr(by_running.terms, field)
        mask = torch.zeros(4, 3, 5, dtype=torch.bool)
        mask[index] = True
        for id, theirs in Moving().reads(given, 0, mask).items():
            assert torch.equal(Putting().reads(given, 0, mask)[id], theirs)


def test_an_index_nothing_decides_chose_nothing() -> None:
    seen = record(lambda x: x[torch.arange(2)] + x[:2], numbers(3))
    explanation = explain(seen, 1, (0,))
    assert (explanation.rule, explanation.note) == ("copy", "")
    with pytest.raises(ValueError, match="its weight is computed"):
        explanation.open(0, weight=True)


class SmallDetector(nn.Module):
    """Boxes and scores by one convolution, suppressed: a box reads its window, not everything."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 5, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        answers = self.conv(x)[0].flatten(1).T  # (h * w, 5)
        corners = answers[:, :2].sigmoid() * 6
        boxes = torch.cat((corners, corners + 1 + answers[:, 2:4].sigmoid() * 3), 1)
        keep = nms(boxes, answers[:, 4], 0.3)
        return boxes[keep], keep


def test_a_kept_box_reads_its_own_window() -> None:
    torch.manual_seed(0)
    seen = record(SmallDetector(), numbers(1, 1, 8, 8))
    boxes, keep = seen.output_ids
    for place in range(3):
        explanation = explain_value(seen, boxes, (place, 0))
        chosen = int(seen.values[keep].tensor[place])
        assert explanation.note == f"position {chosen} of axis 0 chosen by `nms@14`[{place}]"
        assert explanation.pixels().count <= 9
        chooser = explanation.open(0, weight=True)
        assert chooser.note.startswith(f"chosen: box {chosen} is kept")
        assert chooser.pixels().count == 64  # which is chosen, all decide


# Arithmetic around the boxes.


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_interpolation_has_a_bound_of_its_own(mode: str) -> None:
    x = numbers(10, 3, 56, 56)
    seen = record(lambda x: F.interpolate(x, (15, 6), mode=mode), x)
    assert raises(seen, 0, 300) == 0
    value = seen.values[seen.steps[0].inputs[0]]
    object.__setattr__(value, "tensor", value.tensor * 1.001)
    assert raises(seen, 0) > 30


def test_what_is_less_than_a_normal_number_may_be_zero() -> None:
    seen = record(lambda x: x.sigmoid(), torch.full((16,), -93.0))
    assert explain(seen, 0, (3,)).kind == "pointwise"
    seen = record(lambda x: x.softmax(0), torch.tensor([0.0] * 8 + [-95.0] * 8))
    assert explain(seen, 0, (12,)).recorded < 1e-38


def test_a_number_over_an_element_has_a_rule() -> None:
    seen = record(lambda x: 3 / x, torch.tensor([2.0, 4.0]))
    explanation = explain(seen, 0, (1,))
    assert (seen.steps[0].op, explanation.kind, explanation.formula) == (
        "rdiv",
        "pointwise",
        "number / a",
    )
    assert explanation.terms.weight.tolist() == [-0.1875]


# Whole detectors.


def explained(seen: Recording, each: int) -> Counter[str]:
    """Steps by how the worst of some elements of each output came out."""
    rng = np.random.default_rng(0)
    order = ("own", "slope", "refused", "over the bound")
    found: Counter[str] = Counter()
    for step in seen:
        worst = -1
        for slot, id in enumerate(step.outputs):
            shape = seen.values[id].shape
            for _ in range(each if 0 not in shape else 0):
                try:
                    index = tuple(int(rng.integers(n)) for n in shape)
                    explanation = explain(seen, step, index, slot=slot)
                    verdict = "slope" if explanation.kind == "universal" else "own"
                except NotImplementedError:
                    verdict = "refused"
                except ArithmeticError:
                    verdict = "over the bound"
                worst = max(worst, order.index(verdict))
        if worst >= 0:
            found[order[worst]] += 1
    return found


def small(name: str, score_thresh: float = 0.0) -> Detector:
    """A detector on small pictures that finds ten things where there is nothing to find."""
    torch.manual_seed(0)
    network = detector(name).eval()
    network.transform.min_size, network.transform.max_size = (96,), 128
    network.rpn.settings = replace(network.rpn.settings, post_nms_top_n=(30, 30), score_thresh=0.0)
    first, *others = network.roi_heads.heads
    assert isinstance(first, BoxHead)
    first = replace(first, score_thresh=score_thresh, detections_per_img=10)
    network.roi_heads.heads = (first, *others)
    return network


def same(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    pairs = [zip(a.items(), b.items(), strict=True) for a, b in zip(one, other, strict=True)]
    return all(k == j and torch.equal(x, y) for pair in pairs for (k, x), (j, y) in pair)


PICTURES = [torch.rand(3, 80, 100, generator=torch.Generator().manual_seed(0))]


@LastOnly
def recorded(name: str) -> Recording:
    return record(small(name), PICTURES)


SMALL = [
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
]
ONE_WORKER_EACH = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in SMALL]


@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_a_recorded_detector_finds_the_same_bits(name: str) -> None:
    seen = recorded(name)
    assert seen.error is None
    assert len(seen.outputs[0]["boxes"]) == 10
    with torch.no_grad():
        assert same(seen.outputs, small(name)(PICTURES))
    assert {"nms", "roi_align"} <= {step.op for step in seen}


@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_every_step_of_a_detector_is_explained(name: str) -> None:
    found = explained(recorded(name), 2)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found


@pytest.mark.parametrize("name", ONE_WORKER_EACH)
def test_a_detector_that_finds_nothing_is_recorded(name: str) -> None:
    recorded.cache_clear()
    network = small(name, score_thresh=1.0)
    seen = record(network, PICTURES)
    assert seen.error is None
    assert len(seen.outputs[0]["boxes"]) == 0
    with torch.no_grad():
        assert same(seen.outputs, network(PICTURES))
    found = explained(seen, 1)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found
    assert costs_of(seen).operations > 0


@pytest.mark.parametrize(
    ("name", "part", "index"),
    [
        pytest.param(name, part, index, marks=pytest.mark.xdist_group(name))
        for name, part, index in (
            (SMALL[0], "boxes", (3, 1)),
            (SMALL[0], "scores", (2,)),
            (SMALL[0], "labels", (4,)),
            (SMALL[1], "masks", (9, 0, -1, -1)),
            (SMALL[2], "keypoints", (9, 5, 0)),
            (SMALL[2], "keypoints_scores", (9, 3)),
        )
    ],
)
def test_a_detection_is_walked_back(name: str, part: str, index: tuple[int, ...]) -> None:
    seen = recorded(name)
    id = dict(zip(seen.outputs[0], seen.output_ids, strict=True))[part]
    if part == "masks":  # a pixel on the mask of the last
        index = tuple((seen.values[id].tensor * (torch.arange(10) == 9)[:, None, None, None]
                       > 0).nonzero()[0].tolist())  # fmt: skip
    explanation, ops, notes = explain_value(seen, id, index), set(), ""
    while explanation.rule != "given":
        assert explanation.step is not None
        ops.add(explanation.step.op)
        notes += explanation.note
        sizes = np.abs(explanation.terms.product)
        explanation = explanation.open(int(sizes.argmax()))
    assert "chosen" in notes
    if part in ("masks", "keypoints_scores"):
        assert {"roi_align", "conv2d", "interpolate"} <= ops
    assert explain_value(seen, id, index).pixels().count > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_is_explained(name: str) -> None:
    found = explained(recorded(name), 5)
    recorded.cache_clear()
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in DETECTORS if not n.endswith("v2")])
def test_every_detector_of_torchvision_is_explained(name: str) -> None:
    torchvision()
    models = importlib.import_module("torchvision.models.detection")
    torch.manual_seed(0)
    sizes = {"min_size": 96, "max_size": 128}
    few = {"rpn_post_nms_top_n_test": 50, "box_score_thresh": 0.0, "box_detections_per_img": 10}
    build = getattr(models, name)
    network = build(weights=None, weights_backbone=None, **sizes, **few).eval()
    seen = record(network, PICTURES)
    with torch.no_grad():
        assert same(seen.outputs, network(PICTURES))
    found = explained(seen, 3)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.97 * found.total(), found


OTHERS = ["mobilenet_v2", *RESNETS, *MOBILENETS, *VGGS, *SEGMENTERS, *VIDEOS]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_network_is_explained(name: str) -> None:
    torch.manual_seed(0)
    network = model(name, weights=None)
    x = torch.rand(1, 3, 4, 32, 32) if name in VIDEOS else torch.rand(1, 3, 64, 64)
    found = explained(record(network, x), 3)
    assert found["over the bound"] == 0
    assert found["own"] >= 0.995 * found.total(), found


class Packed(nn.Module):
    """A recurrent layer over sequences of several lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.RNN(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, [3, 5], batch_first=True, enforce_sorted=False)
        y: Tensor = pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]
        return y


def test_regions_of_what_ran_in_inference_mode() -> None:
    network, x = Packed(), numbers(2, 5, 4)
    with torch.inference_mode():
        seen = record(network, x)
    box = explain(seen, "", (1, 2, 0)).pixels().box
    assert box == explain(record(network, x), "", (1, 2, 0)).pixels().box
