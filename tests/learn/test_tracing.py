"""The numbers that the stations of a walk name make the numbers after them."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import convlens
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.tracing import (
    Station,
    Trace,
    candidates,
    is_detector,
    trace,
    trace_candidate,
)
from convlens.lens import Recording, explain_value
from convlens.zoo.detection.boxes import box_iou, clip_boxes_to_image, decode_boxes
from convlens.zoo.detection.proposals import anchors
from tests.cases.detectors import few_masks, finding
from tests.cases.lab_networks import photo

pytestmark = pytest.mark.xdist_group("gigabytes")  # one worker holds detectors at a time

NAMES = ("fasterrcnn_mobilenet_v3_large_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")
SIZE = (100, 140)


Seen = tuple[Any, Recording]


@pytest.fixture(scope="module", params=NAMES)
def seen(request: pytest.FixtureRequest) -> Seen:
    """A detector with drawn weights that finds something, recorded on two pictures.

    pytest runs all tests of one detector before those of the next, so each is recorded once.
    """
    name = request.param
    network = finding(name, 2 if name.startswith("keypoint") else 5)
    x = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    return network, convlens.record(network, x)


def stations(found: Trace) -> dict[str, Station]:
    return {station.name: station for station in found.stations}


def row(recording: Recording, station: Station) -> Tensor:
    """The first four numbers of a station of a box or a shift."""
    tensor = recording.values[station.value].tensor
    first, axis, *place = station.index  # (k, 4 ...) of the heads, (n, 4 a, h, w) of the proposals
    four = tensor[first, axis : axis + 4]
    return four[:, place[0], place[1]] if place else four


@pytest.mark.parametrize("picture", [0, 1])
def test_the_numbers_of_the_stations_make_the_detection(seen: Seen, picture: int) -> None:
    network, recording = seen
    answer = recording.outputs[picture]
    assert len(answer["boxes"]) >= 5
    for detection in range(5):
        found = trace(recording, detection, picture)
        torch.testing.assert_close(torch.tensor(found.box), answer["boxes"][detection])
        assert found.label == answer["labels"][detection]
        check_made(network, recording, found)


def check_made(network: Any, recording: Recording, found: Trace) -> None:
    """The score, the moves and the anchor of a walk make its box."""
    at = stations(found)
    scores = recording.values[at["score"].value].tensor[at["score"].index[0]]
    assert scores.softmax(0)[found.label].item() == pytest.approx(found.score)
    assert at["score"].index == (at["move"].index[0], found.label)

    proposal = row(recording, at["proposal"])
    shifts = row(recording, at["move"])
    box = decode_boxes(shifts[None], proposal[None], (10.0, 10.0, 5.0, 5.0))[0]
    box = clip_boxes_to_image(box, (128, 179))[0]
    back = torch.tensor([140 / 179, 100 / 128] * 2)
    torch.testing.assert_close(box * back, torch.tensor(found.box), atol=1e-3, rtol=1e-5)

    torch.testing.assert_close(made_of_its_anchor(network, recording, at["anchor"]), proposal)
    place = (found.picture, at["anchor"].index[1] // 4, *at["anchor"].index[2:])
    assert at["objectness"].index == place
    for station in found.stations:
        if station.into is not None:  # the shift said is that of the centres
            assert station.box is not None
            (a, b, c, d), (e, f, g, h) = station.box, station.into
            moved = (e + g - a - c) / 2, (f + h - b - d) / 2
            assert "centre moves by {:+.1f}, {:+.1f} pixels".format(*moved) in station.text
            told = [float(x) for x in station.brief.replace("\N{MINUS SIGN}", "-").split(", ")]
            assert told == pytest.approx(moved, abs=0.51 if max(map(abs, moved)) > 9 else 0.051)
    assert at["move"].into == found.box
    assert at["anchor"].into == at["proposal"].box == at["move"].box


@pytest.mark.parametrize("picture", [0, 1])
@pytest.mark.parametrize("seen", NAMES[:2], indirect=True)
def test_candidates_are_the_best_that_scored_too_little(seen: Seen, picture: int) -> None:
    network, recording = seen
    found = candidates(recording, picture)
    assert (found.least, len(found.best)) == (0.05, 10)
    number = recording.made("roi_heads.box_predictor.cls_score")[0]
    pool = next(call for call in recording.calls if call.path == "roi_heads.box_roi_pool")
    counts = [len(recording.values[id].tensor) for id in pool.inputs[-2:]]
    assert found.proposals == counts[picture]
    scores = recording.values[number].tensor.softmax(1).split(counts)[picture][:, 1:]
    low = scores[scores <= 0.05].sort(descending=True).values
    torch.testing.assert_close(torch.tensor([each.score for each in found.best]), low[:10])
    for each in found.best[:3]:
        walk = trace_candidate(recording, each, picture)
        assert (walk.label, walk.score, walk.box) == (each.label, each.score, each.box)
        check_made(network, recording, walk)
        assert walk.stations[-1].name == "pixels"
        assert "box suppression" not in stations(walk)


def test_a_network_that_finds_nothing_says_how_near_it_came() -> None:
    opened = few_masks(least=0.99)
    recording = convlens.record(opened.network, read_inputs(opened, photo())[0])
    assert len(recording.outputs[0]["boxes"]) == 0
    found = candidates(recording)
    best = found.best[0]
    assert found.sentence() == (
        "No box scored 0.99, where this network begins to report. Best of 12 proposals: "
        f"class {best.label}, {best.score:.3g}."
    )
    near = dataclasses.replace(best, score=0.98996)
    assert dataclasses.replace(found, best=(near,)).sentence().endswith("0.98996.")
    none = dataclasses.replace(found, proposals=0, best=()).sentence()
    assert none.endswith("It made no proposals.")


@pytest.mark.parametrize("seen", NAMES[:1], indirect=True)
def test_why_a_box_was_chosen_is_counted_again(seen: Seen) -> None:
    _, recording = seen
    for detection in range(3):
        at = stations(trace(recording, detection))
        kept = at["box suppression"]
        boxes, scores = (
            recording.values[id].tensor
            for id in recording.steps[recording.values[kept.value].step].inputs
        )
        (own,) = (int(recording.values[kept.value].tensor[kept.index]),)
        rank = int((scores > scores[own]).sum()) + 1
        assert kept.text.startswith(f"rank {rank:,} of {len(scores):,} by score; ")
        overlaps = (box_iou(boxes[own : own + 1], boxes)[0] > 0.5).sum() - 1
        told = re.search(r"survived, ([\d,]+) box", kept.text)
        assert (int(told[1].replace(",", "")) if told else 0) == overlaps
        ranking = at["proposal ranking"]
        count = recording.values[
            recording.steps[recording.values[ranking.value].step].inputs[0]
        ].shape[-1]
        assert ranking.text.startswith(f"rank {ranking.index[-1] + 1:,} of {count:,} by objectness")


def made_of_its_anchor(network: Any, recording: Recording, station: Station) -> Tensor:
    """The proposal an anchor's shifts make."""
    heads = [call for call in recording.calls if call.path == "rpn.head"]
    levels = [recording.values[head.inputs[0]].tensor for head in heads]
    grids = [
        anchors([sizes], (128, 192), [level])
        for sizes, level in zip(network.rpn.settings.sizes, levels, strict=True)
    ]
    steps = [s.index for s in recording.steps if s.module == "rpn.head.bbox_pred"]
    level = steps.index(recording.values[station.value].step)
    # The anchors of other levels begin at other cells: those of this one, as they are laid out.
    height, width = levels[level].shape[2:]
    kinds = len(grids[level]) // (height * width)
    _, first, y, x = station.index
    whole = anchors(network.rpn.settings.sizes, (128, 192), levels)
    start = sum(len(grid) for grid in grids[:level])
    anchor = whole[start + (y * width + x) * kinds + first // 4]
    shifts = row(recording, station)
    boxes = decode_boxes(shifts[None], anchor[None], (1.0, 1.0, 1.0, 1.0))[0]
    return clip_boxes_to_image(boxes, (128, 179))[0]


def test_every_station_can_be_explained_and_the_way_ends_at_pixels(seen: Seen) -> None:
    _, recording = seen
    found = trace(recording, 2)
    for station in found.stations:
        assert explain_value(recording, station.value, station.index).index == station.index
    assert found.stations[-1].name == "pixels"
    assert recording.values[found.stations[-1].value].kind == "input"
    cells = stations(found)["cells"]
    assert recording.name_of(cells.value).startswith("backbone.fpn")
    # The samples' box is the proposal's.
    samples = stations(found)["samples"]
    step = recording.steps[recording.values[samples.value].step]
    assert step.op == "roi_align"
    boxes = recording.values[step.inputs[1]].tensor
    proposal = row(recording, stations(found)["proposal"])
    assert torch.equal(boxes[samples.index[0], 1:], proposal)


def test_selections_are_said_to_be_chosen(seen: Seen) -> None:
    _, recording = seen
    links = {station.name: station.link for station in trace(recording, 0).stations}
    chosen = {name for name, link in links.items() if link == "chosen"}
    assert chosen == {
        *(("keypoints",) if "keypoints" in recording.outputs[0] else ()),
        *("level", "box suppression", "proposal suppression", "proposal ranking"),
    }
    assert "rank 1 of" in stations(trace(recording, 0))["box suppression"].text


def test_masks_and_keypoints_lead_to_the_detections_own_maps(seen: Seen) -> None:
    _, recording = seen
    count = len(recording.outputs[0]["boxes"])
    first, second = trace(recording, 1), trace(recording, 1, picture=1)
    has = recording.outputs[0].keys()
    assert ("mask" in stations(first)) == ("masks" in has)
    assert ("keypoints" in stations(first)) == ("keypoints" in has)
    if "masks" in has:
        assert stations(first)["mask"].index[:2] == (1, first.label)
        assert stations(second)["mask"].index[:2] == (count + 1, second.label)
    if "keypoints" in has:
        assert stations(trace(recording, 3))["keypoints"].index[0] == 3


def test_a_trace_prints_and_is_ready_for_json(seen: Seen) -> None:
    _, recording = seen
    found = trace(recording, 0)
    lines = str(found).splitlines()
    assert lines[0].startswith("detection 0: class")
    assert sum(line.startswith("  ~ ") for line in lines) == 4 + (
        "keypoints" in recording.outputs[0]
    )
    plain = json.loads(json.dumps(found.to_dict()))["stations"]
    assert plain[-1]["name"] == "pixels"
    assert plain[-2]["cells"] == [
        [each.start, each.stop] for each in found.stations[-2].cells or ()
    ]
    assert plain[-1]["cells"] is None


def test_what_cannot_be_walked_back_is_refused(seen: Seen) -> None:
    plain = convlens.record(nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 8, 8))
    assert not is_detector(plain)
    with pytest.raises(ValueError, match="`recording` must be of a detector of two stages"):
        trace(plain, 0)
    _, recording = seen
    count = len(recording.outputs[0]["boxes"])
    with pytest.raises(ValueError, match=rf"`detection` \(={count}\) .* use 0 to {count - 1}"):
        trace(recording, count)
    with pytest.raises(ValueError, match=r"`picture` \(=2\) must be one of the 2"):
        trace(recording, 0, 2)
