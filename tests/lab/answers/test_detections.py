"""Detections: the network's own, the best first, each walked back as `trace` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.lab import Lab
from convlens.lab.answers.detections import detections_of
from convlens.lab.answers.filmstrip import WalkAnswer
from convlens.lab.guarding import StaleRecordingError
from convlens.learn.tracing import Trace, candidates, trace, trace_candidate
from convlens.lens import Recording, record
from tests.cases.detectors import CATEGORIES, few_masks
from tests.cases.lab_networks import lab_of, marked, photo
from tests.running.serving import Served

pytestmark = pytest.mark.xdist_group("lab")  # it shares the detector with the page's tests


def test_detections_are_the_networks_own_best_first(
    detector_lab: Lab, recording: Recording
) -> None:
    network, answer = detector_lab.network(), recording.outputs[0]
    found = network["detections"]
    assert found is not None
    assert found["count"] == len(answer["boxes"]) == 5
    assert (found["maps"], found["walks"], found["limbs"]) == (1, True, [])
    assert network["scores"] == []
    assert network["categories"] is None
    scores = [each["score"] for each in found["best"]]
    assert scores == sorted(scores, reverse=True)
    for each in found["best"]:
        number = each["number"]
        assert each["score"] == float(answer["scores"][number])
        assert each["label"] == CATEGORIES[int(answer["labels"][number])]
        np.testing.assert_allclose(each["box"], answer["boxes"][number], atol=0.006)
    assert len({each["number"] for each in found["best"]}) == 5
    colours = {each["label"]: tuple(each["colour"]) for each in found["best"]}
    assert len(set(colours.values())) == len(colours)


def _same_walk(found: WalkAnswer, known: Trace) -> None:
    framed = [s for s in known.stations if not s.name.endswith(("suppression", "ranking"))]
    names = [(s["name"], s["link"], s["text"], tuple(s["index"])) for s in found["stations"]]
    assert names == [(s.name, s.link, s.text, s.index) for s in framed]
    for station, other in zip(found["stations"], framed, strict=True):
        assert other.box is not None
        assert station["box"] is not None
        np.testing.assert_allclose(station["box"], other.box, atol=0.006)


def test_a_walk_is_the_trace_with_its_places(detector_lab: Lab, recording: Recording) -> None:
    for number in range(3):
        _same_walk(detector_lab.walk(1, number), trace(recording, number))
    with pytest.raises(AssertionError):
        _same_walk(detector_lab.walk(1, 0), trace(recording, 1))


def test_each_frame_shows_what_its_station_is_about(
    detector_lab: Lab, recording: Recording
) -> None:
    walk, known = detector_lab.walk(1, 1), trace(recording, 1)
    frames = {station["name"]: station for station in walk["stations"]}
    assert " ".join(station["frame"] for station in walk["stations"]) == (
        "box map score move box move map map map cells pixels"
    )
    why = {station.name: station for station in known.stations}
    for name in ("box", "proposal"):
        chosen, reason = frames[name]["chosen"], why[f"{name} suppression"]
        assert chosen is not None
        assert chosen["text"] == f"Chosen: {reason.text}."
        assert (chosen["value"], tuple(chosen["index"])) == (reason.value, reason.index)
    assert [name for name in frames if frames[name]["chosen"]] == ["box", "proposal"]
    assert frames["level"]["link"] == "chosen"
    move = frames["move"]
    assert move["into"] == frames["box"]["box"]
    assert move["box"] is not None
    assert move["into"] is not None
    (a, b, c, d), (e, f, g, h) = move["box"], move["into"]
    assert move["cut"] == [min(a, e), min(b, f), max(c, g), max(d, h)]
    assert frames["box"]["cut"] == frames["box"]["box"]
    for station in walk["stations"]:
        if (part := station["map"]) is not None:
            plane = recording.values[station["value"]].tensor[tuple(station["index"][:-2])]
            rows, columns = (
                range(first, first + count * step, step)
                for first, step, count in zip(
                    part["first"], part["step"], part["shown"], strict=True
                )
            )
            assert part["size"] == list(plane.shape)
            numbers = walk["numbers"][part["start"] :][: len(rows) * len(columns)]
            np.testing.assert_array_equal(numbers, plane[list(rows)][:, list(columns)].flatten())
            for at, (low, high) in zip(station["index"][-2:], part["cells"], strict=True):
                assert low <= at < high
    cells = frames["cells"]["map"]
    assert cells is not None
    (top, bottom), (left, right) = cells["cells"]
    assert f"rows {top} to {bottom - 1}, columns {left} to {right - 1} of" in why["cells"].text
    assert cells["step"] == [1, 1]


def test_candidates_are_listed_and_walked_like_detections(
    detector_lab: Lab, recording: Recording
) -> None:
    found, known = detector_lab.network()["detections"], candidates(recording)
    assert found is not None
    assert (found["least"], found["proposals"], found["sentence"]) == (0.05, 12, "")
    assert [each["number"] for each in found["candidates"]] == list(range(5, 15))
    for each, other in zip(found["candidates"], known.best, strict=True):
        assert (each["score"], each["label"]) == (other.score, CATEGORIES[other.label])
        np.testing.assert_allclose(each["box"], other.box, atol=0.006)
    _same_walk(detector_lab.walk(1, 7), trace_candidate(recording, known.best[2]))


def test_a_detector_that_finds_nothing_says_how_near_it_came() -> None:
    lab = Lab(few_masks(least=0.99))
    lab.look(photo())
    found = lab.network()["detections"]
    assert found is not None
    best = found["candidates"][0]
    assert (found["count"], best["number"], found["least"]) == (0, 0, 0.99)
    assert found["sentence"] == (
        "No box scored 0.99, where this network begins to report. Best of 12 proposals: "
        f"{best['label']}, {best['score']:.3g}."
    )
    assert lab.walk(1, 0)["stations"][-1]["name"] == "pixels"


def test_the_places_of_a_walk_lie_where_they_should(recording: Recording) -> None:
    found = {station.name: station for station in trace(recording, 0).stations}
    places = {name: np.array(station.box) for name, station in found.items()}
    np.testing.assert_array_equal(places["box"], recording.outputs[0]["boxes"][0])
    proposal = places["proposal"]
    # Proposals lie in the resized picture, 144 x 96 for 151 x 100: two scales.
    scale = np.array([151 / 144, 100 / 96])
    tensor = recording.values[found["proposal"].value].tensor
    row = tensor[found["proposal"].index[0]].numpy()
    np.testing.assert_allclose(proposal, row * np.tile(scale, 2), rtol=1e-5)
    # The middle bin of seven lies in the middle of the proposal.
    centre = (proposal[:2] + proposal[2:]) / 2
    np.testing.assert_allclose((places["samples"][:2] + places["samples"][2:]) / 2, centre)
    np.testing.assert_allclose(
        (places["samples"][2:] - places["samples"][:2]) * 7,
        proposal[2:] - proposal[:2],
        rtol=1e-5,
    )
    # An anchor is about the corner of its cell, and of the level's size.
    anchor, cell = places["anchor"], places["objectness"]
    *_, y, x = found["anchor"].index
    maps = recording.values[found["anchor"].value].shape[-2:]
    stride = np.array([160 / maps[1], 96 / maps[0]])  # the batch is padded to 160 x 96
    np.testing.assert_allclose(cell[:2], np.array([x, y]) * stride * scale, rtol=1e-5)
    np.testing.assert_allclose((anchor[:2] + anchor[2:]) / 2, cell[:2], atol=1e-3)
    low, high = places["pixels"][:2], places["pixels"][2:]
    assert (low >= 0).all()
    assert (high <= (151, 100)).all()


def test_a_mask_is_the_networks_own(detector_lab: Lab, recording: Recording) -> None:
    for number in range(5):
        found = detector_lab.mask(1, number)
        mask = marked(found)
        np.testing.assert_array_equal(mask, recording.outputs[0]["masks"][number, 0] >= 0.5)
        assert found["count"] == mask.sum() > 0


def test_every_value_of_a_detector_has_its_sheet_and_numbers(detector_lab: Lab) -> None:
    kinds = set()
    tensors = [value.tensor for value in detector_lab.recording.values]
    for each in detector_lab.network()["values"]:
        id, shape = each["id"], each["shape"]
        if each["name"].startswith("backbone.body"):
            continue
        assert detector_lab.sheet(1, id)["shape"] == shape
        if 0 not in shape:
            exact = detector_lab.sheet(1, id)["exact"]
            assert exact is None or exact[0] == float(tensors[id].reshape(-1)[0])
        kinds |= {each["dtype"], len(shape), "wide" if shape[1:] == [256, 7, 7] else ""}
        kinds |= {str(shape[1:]), "none of the wide" if shape == [0, 256, 7, 7] else ""}
    assert {"float32", "int64", "bool", 0, 1, 2, 3, 4, "wide", "none of the wide", "[4]"} <= kinds


def test_a_detector_of_another_kind_is_listed_with_its_keypoints(networks: Path) -> None:
    lab = lab_of(f"{networks}:Finds", photo(), 16)
    found = lab.network()["detections"]
    assert found is not None
    assert [(each["number"], each["label"]) for each in found["best"]] == [
        (1, "class 7"),
        (2, "cat"),
        (0, "cat"),
    ]
    assert (found["maps"], found["walks"]) == (0, False)
    assert (found["candidates"], found["proposals"], found["sentence"]) == ([], 0, "")
    np.testing.assert_array_equal(found["best"][1]["box"], [5.0, 5.0, np.nan, 9.0])
    sure = [is_sure for *_, is_sure in found["best"][2]["points"]]
    assert (sure.count(True), sure[3]) == (16, False)
    assert len(found["limbs"]) == 16
    with pytest.raises(ValueError, match="`recording` must be of a detector of two stages"):
        lab.walk(1, 0)
    with pytest.raises(ValueError, match="`detection` has no mask"):
        lab.mask(1, 0)


def test_other_networks_have_no_detections(networks: Path) -> None:
    lab = lab_of(f"{networks}:Segments", photo(), 16)
    assert lab.network()["detections"] is None
    for ask in (lab.walk, lab.mask):
        with pytest.raises(ValueError, match="its network is not a detector"):
            ask(1, 0)
        with pytest.raises(StaleRecordingError):
            ask(2, 0)
    plain = record(lambda x: [{"boxes": x, "labels": x, "scores": np.zeros(2)}], torch.zeros(2))
    assert detections_of(plain) is None


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        (
            "walk?recording=1&detection=15",
            400,
            "`detection` (=15) must be one of the 5 found, or of",
        ),
        ("walk?recording=1&detection=-1", 400, "`detection`"),
        ("walk?recording=1", 400, "`detection`"),
        ("walk?recording=29&detection=0", 409, "another picture"),
        ("walk?recording=1&detection=" + "9" * 300, 400, "`detection`"),
        ("mask?recording=1&detection=5", 400, "`detection` (=5) must be one of the 5"),
        ("mask?recording=1&detection=x", 400, "`detection`"),
        ("mask?recording=28&detection=0", 409, "another picture"),
        ("segments?recording=1", 400, "gives pixels no classes"),
        ("segments?recording=27", 409, "another picture"),
    ],
)
def test_bad_questions_about_a_detector_get_a_sentence(
    detector_site: Served, query: str, status: int, says: str
) -> None:
    with detector_site.client() as client:
        answer = client.get(f"/api/{query}")
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
