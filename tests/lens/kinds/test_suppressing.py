"""A kept box says its rank and what it dropped, and a wrong decision is caught."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from convlens.lens import Explanation, Recording, costs_of, explain, explain_value, record
from convlens.zoo.detection.boxes import nms
from tests.cases.elements import numbers

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
    """Return suppression within groups, as one call with its arguments in torchvision's order."""

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
    groups = (at[:, 0] % 3).floor().long() * 20_000  # groups so far apart that boxes are rounded
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
    # A list that only ends too early has no wrong index.
    assert errors >= (1 if wrong != [1, 3] else 0)


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
        assert chooser.pixels().count == 64  # all boxes decide which is chosen


def test_its_cost_is_the_overlaps_compared() -> None:
    assert costs_of(record(lambda b, s: nms(b, s, 0.5), BOXES, SCORES)).operations == 3 * 6
