"""Detections, segments and clips in the lab: what the server tells of them and the page shows."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect
from torch import nn

from convlens.lab import Lab
from convlens.lab.findings import findings_of
from convlens.lab.guarding import StaleRecordingError
from convlens.learn.opening import Opened, open_network, read_inputs
from convlens.learn.preparing import Preparation
from convlens.learn.tracing import Trace, trace
from convlens.lens import Recording, explain_value, record
from convlens.zoo.weights import DATA
from tests.cases.detectors import finding
from tests.lab import test_page as pages
from tests.running.serving import Served, served

pytestmark = pages.pytestmark

browser, page = pages.browser, pages.page

CLASSES = ("__background__", "cat", "dog", "bird", "cow")

OWN = '''
import torch
from torch import nn


class Finds(nn.Module):
    """A detector of its own kind: three boxes, their keypoints, one box that is nowhere."""

    categories = ("nothing", "cat")

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 1, 3)

    def forward(self, x):
        zero = 0 * self.conv(x).mean()
        boxes = torch.tensor([[2.0, 3, 12, 9], [0, 0, 4, 4], [5, 5, float("nan"), 9]]) + zero
        points = torch.rand(3, 17, 3).round(decimals=2) * 10 + zero
        sure = torch.full((3, 17), 9.0) + zero
        sure[0, 3] = 0.5
        return [{
            "boxes": boxes,
            "labels": torch.tensor([1, 7, 1]),
            "scores": torch.tensor([0.4, 0.9, 0.6]) + zero,
            "keypoints": points,
            "keypoints_scores": sure,
        }]


class Segments(nn.Module):
    categories = ("__background__", "cat", "dog", "never")

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        with torch.no_grad():
            self.conv.bias[3] = -100

    def forward(self, x):
        y = self.conv(x)
        return {"aux": y[:, :1], "out": y}
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "own.py"
    path.write_text(OWN)
    return path


def _detector() -> Opened:
    """A Mask R-CNN with drawn weights on small pictures, few proposals and few detections."""
    network: Any = finding("maskrcnn_resnet50_fpn", shifts=0.002, scores=0.004, size=96)
    settings = network.rpn.settings
    network.rpn.settings = dataclasses.replace(settings, post_nms_top_n=(12, 12))
    boxes, *others = network.roi_heads.heads
    network.roi_heads.heads = [dataclasses.replace(boxes, detections_per_img=5), *others]
    return Opened("masks", network, Preparation(size=None, crop=False), CLASSES, None)


def _photo() -> bytes:
    file = io.BytesIO()
    Image.open(DATA / "cat.jpg").resize((151, 100)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def opened() -> Opened:
    return _detector()


@pytest.fixture(scope="module")
def recording(opened: Opened) -> Recording:
    """The same network on the same picture, recorded by the test itself."""
    return record(opened.network, read_inputs(opened, _photo())[0])


@pytest.fixture(scope="module")
def site(opened: Opened) -> Iterator[Served]:
    lab = Lab(opened)
    lab.look(_photo(), "cat.png")
    with served(lab) as site:
        yield site


@pytest.fixture
def client(site: Served) -> Iterator[httpx.Client]:
    with site.client() as client:
        yield client


def _lab(own: Path, name: str, size: int | None = 16) -> Lab:
    opened = open_network(f"{own}:{name}", size=size)
    lab = Lab(opened)
    lab.look(_photo())
    return lab


# What the server tells


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_packed_parameters_are_counted_as_costs_counts_them() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    packed = torch.ao.quantization.quantize_dynamic(plain, {nn.Linear})
    for network in (plain, packed):
        opened = Opened("own", network.eval(), Preparation(4), None, None)
        lab = Lab(opened)
        lab.look(DATA / "cat.jpg")
        assert lab.network()["parameters"] == 48 * 5 + 5


def test_detections_are_the_networks_own_best_first(
    client: httpx.Client, recording: Recording
) -> None:
    network = client.get("/api/network").json()
    found, answer = network["found"], recording.outputs[0]
    assert found["count"] == len(answer["boxes"]) == 5
    assert (found["masks"], found["walks"], found["limbs"]) == (True, True, [])
    assert network["scores"] == []
    assert network["categories"] is None
    told = [each["score"] for each in found["detections"]]
    assert told == sorted(told, reverse=True)
    for each in found["detections"]:
        number = each["number"]
        assert each["score"] == float(answer["scores"][number])
        assert each["label"] == CLASSES[int(answer["labels"][number])]
        np.testing.assert_allclose(each["box"], answer["boxes"][number], atol=0.006)
    assert len({each["number"] for each in found["detections"]}) == 5
    colours = {each["label"]: tuple(each["colour"]) for each in found["detections"]}
    assert len(set(colours.values())) == len(colours)


def _walked(client: httpx.Client, number: int) -> dict[str, Any]:
    answer = client.get(f"/api/trace?recording=1&detection={number}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def _same_walk(told: dict[str, Any], known: Trace) -> None:
    names = [(s["name"], s["link"], s["text"], tuple(s["index"])) for s in told["stations"]]
    assert names == [(s.name, s.link, s.text, s.index) for s in known.stations]
    for station, other in zip(told["stations"], known.stations, strict=True):
        assert other.box is not None
        np.testing.assert_allclose(station["box"], other.box, atol=0.006)


def test_a_walk_is_the_trace_with_its_places(client: httpx.Client, recording: Recording) -> None:
    for number in range(3):
        _same_walk(_walked(client, number), trace(recording, number))
    with pytest.raises(AssertionError):
        _same_walk(_walked(client, 0), trace(recording, 1))


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
    np.testing.assert_allclose((places["RoI samples"][:2] + places["RoI samples"][2:]) / 2, centre)
    np.testing.assert_allclose(
        (places["RoI samples"][2:] - places["RoI samples"][:2]) * 7,
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


def test_a_mask_is_the_networks_own(client: httpx.Client, recording: Recording) -> None:
    for number in range(5):
        told = client.get(f"/api/mask?recording=1&detection={number}").json()
        (top, bottom), (left, right) = told["box"]
        bits = np.unpackbits(np.frombuffer(base64.b64decode(told["mask"]), np.uint8))
        size = (bottom - top, right - left)
        mask = np.zeros(told["space"], bool)
        mask[top:bottom, left:right] = bits[: size[0] * size[1]].reshape(size)
        np.testing.assert_array_equal(mask, recording.outputs[0]["masks"][number, 0] >= 0.5)
        assert told["count"] == mask.sum() > 0


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("trace?recording=1&detection=5", 400, "`detection` (=5) must be one of the 5"),
        ("trace?recording=1&detection=-1", 400, "`detection`"),
        ("trace?recording=1", 400, "`detection`"),
        ("trace?recording=9&detection=0", 409, "another picture"),
        ("trace?recording=1&detection=" + "9" * 300, 400, "`detection`"),
        ("mask?recording=1&detection=5", 400, "`detection` (=5) must be one of the 5"),
        ("mask?recording=1&detection=x", 400, "`detection`"),
        ("mask?recording=2&detection=0", 409, "another picture"),
        ("segments?recording=1", 400, "gives pixels no classes"),
        ("segments?recording=3", 409, "another picture"),
    ],
)
def test_bad_questions_get_a_sentence(
    client: httpx.Client, query: str, status: int, says: str
) -> None:
    answer = client.get(f"/api/{query}")
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_every_value_of_a_detector_has_its_sheet_and_numbers(
    client: httpx.Client, site: Served
) -> None:
    kinds = set()
    tensors = [value.tensor for value in site.lab._at(1).recording.values]
    for id, name, _, shape, dtype in client.get("/api/network").json()["values"]:
        if name.startswith("backbone.body"):
            continue
        content = site.lab.sheet(1, id)
        header = json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")])
        assert header["shape"] == shape
        if 0 not in shape:
            first = np.frombuffer(site.lab.numbers(1, id, 0, 0), "<f8")[0]
            assert first == float(tensors[id].reshape(-1)[0])
        kinds |= {dtype, len(shape), "wide" if shape[1:] == [256, 7, 7] else "", str(shape[1:])}
        kinds |= {"none of the wide" if shape == [0, 256, 7, 7] else ""}
    assert {"float32", "int64", "bool", 0, 1, 2, 3, 4, "wide", "none of the wide", "[4]"} <= kinds


def test_a_detector_of_another_kind_is_listed_with_its_keypoints(own: Path) -> None:
    lab = _lab(own, "Finds")
    found = lab.network()["found"]
    assert [(each["number"], each["label"]) for each in found["detections"]] == [
        (1, "class 7"),
        (2, "cat"),
        (0, "cat"),
    ]
    assert (found["masks"], found["walks"]) == (False, False)
    assert found["detections"][1]["box"] == [5.0, 5.0, "NaN", 9.0]
    sure = [is_sure for *_, is_sure in found["detections"][2]["points"]]
    assert (sure.count(True), sure[3]) == (16, False)
    assert len(found["limbs"]) == 16
    json.dumps(lab.network(), allow_nan=False)
    with pytest.raises(ValueError, match="`recording` must be of a detector of two stages"):
        lab.walk(1, 0)
    with pytest.raises(ValueError, match="`detection` has no mask"):
        lab.mask(1, 0)


def test_other_networks_have_no_detections(own: Path) -> None:
    lab = _lab(own, "Segments")
    assert lab.network()["found"] is None
    for ask in (lab.walk, lab.mask):
        with pytest.raises(ValueError, match="its network is no detector"):
            ask(1, 0)
        with pytest.raises(StaleRecordingError):
            ask(2, 0)
    plain = record(lambda x: [{"boxes": x, "labels": x, "scores": np.zeros(2)}], torch.zeros(2))
    assert findings_of(plain) is None


def test_segments_are_the_largest_scores(own: Path) -> None:
    lab = _lab(own, "Segments")
    opened = open_network(f"{own}:Segments", size=16)
    recorded = record(opened.network, read_inputs(opened, _photo())[0])
    scores = recorded.outputs["out"][0]
    winners = scores.argmax(0)
    network = lab.network()
    told = network["segments"]
    assert recorded.values[told["value"]].tensor.equal(recorded.outputs["out"])
    assert lab.segments(1) == winners.numpy().astype(np.uint8).tobytes()
    assert network["scores"] == []
    assert network["categories"] is None
    shares = {each["label"]: each["share"] for each in told["classes"]}
    assert shares == {
        label: float((winners == label).float().mean()) for label in winners.unique().tolist()
    }
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert 3 not in shares
    for each in told["classes"]:
        _, label, y, x = each["index"]
        assert winners[y, x] == label
        assert scores[label, y, x] == scores[label][winners == label].max()
        assert each["background"] == (label == 0)


def test_a_score_is_told_where_it_stands_among_all(own: Path) -> None:
    lab = _lab(own, "Segments")
    value = lab.network()["segments"]["value"]
    pixels = np.frombuffer(lab.segments(1), np.uint8).reshape(16, 16)
    for label in range(4):
        told = lab.explain(1, value, (0, label, 3, 5))["standing"]
        winner = int(pixels[3, 5])
        assert told["chosen"] == (label == winner)
        assert (told["rank"] == 1) == told["chosen"]
        assert (told["count"], told["index"]) == (4, [0, winner, 3, 5])
    assert lab.explain(1, value, (0, 3, 3, 5))["standing"]["rank"] == 4
    given = lab.network()["inputs"][0]
    assert "standing" not in lab.explain(1, given, (0, 0, 3, 5))


@pytest.fixture(scope="module")
def video() -> Lab:
    lab = Lab(open_network("r3d_18", weights="none"))
    file = io.BytesIO()
    generator = torch.Generator().manual_seed(0)
    np.save(file, torch.rand(1, 3, 8, 56, 56, generator=generator).numpy())
    lab.look(file.getvalue(), "clip.npy")
    return lab


def test_the_frames_shown_are_those_the_network_read() -> None:
    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3, 4))

    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    opened = Opened("reads", Reads(), Preparation(16, mean=mean, std=std), None, None, (3, 5))
    lab = Lab(opened)
    lab.look(_photo())
    network = lab.network()
    assert (network["picture"], network["frames"]) == ([16, 16], 3)
    png = lab.picture(1)
    assert png is not None
    pixels = np.asarray(Image.open(io.BytesIO(png))).reshape(3, 16, 16, 3)
    x, shown = read_inputs(opened, _photo())
    assert x.shape == (1, 3, 3, 16, 16)
    for frame in pixels:
        np.testing.assert_array_equal(frame, shown)


# What the page shows


@contextlib.contextmanager
def _shown(page: Page, lab: Lab) -> Iterator[Served]:
    """The page on a lab of its own, left before that is closed."""
    with served(lab) as site:
        pages._open(page, site.address)
        yield site
        page.goto("about:blank")


def _stations(page: Page) -> list[str]:
    return [str(name) for name in page.locator(".station .name").all_inner_texts()]


def test_a_detection_is_walked_back_with_the_mouse(
    page: Page, site: Served, recording: Recording
) -> None:
    pages._open(page, f"{site.address}&least=0")
    rows = page.locator(".detection")
    expect(rows).to_have_count(5)
    best = int(recording.outputs[0]["scores"].argmax())
    assert rows.first.get_attribute("data-detection") == str(best)
    expect(page.locator(".box")).to_have_count(5)
    # Each way: the row of a box, the box of a row.
    rows.nth(2).hover()
    number = rows.nth(2).get_attribute("data-detection")
    expect(page.locator(".box.loud")).to_have_attribute("data-detection", str(number))
    expect(page.locator(".tag text")).to_have_text(re.compile(r"^(cat|dog|bird|cow) \d+ %$"))
    page.locator(f'.box[data-detection="{number}"] .edge').dispatch_event("pointerenter")
    page.locator(".title").hover()
    page.locator(f'.box[data-detection="{best}"]').dispatch_event("pointerenter")
    expect(page.locator(".detection.hot")).to_have_attribute("data-detection", str(best))
    page.locator(f'.box[data-detection="{best}"]').dispatch_event("pointerleave")
    expect(page.locator(".detection.hot")).to_have_count(0)

    page.locator(f'.box[data-detection="{best}"]').dispatch_event("click")
    known = trace(recording, best)
    expect(page.locator(".station")).to_have_count(len(known.stations))
    assert _stations(page) == [station.name for station in known.stations]
    chosen = page.locator(".walk .chosen .name").all_inner_texts()
    assert chosen == [station.name for station in known.stations if station.link == "chosen"]
    assert page.locator(".walk em").all_inner_texts() == ["chosen"] * len(chosen)
    for place, station in enumerate(known.stations):
        page.locator(f'.station[data-station="{place}"]').click()
        expect(page.locator(".station.on .text")).to_have_text(station.text)
        expect(page.locator(".what .index")).to_have_text(
            "[" + ", ".join(map(str, station.index)) + "]"
        )
        assert f"found={best}&station={place}" in page.url
        told = float(str(page.locator(".recorded").get_attribute("data-number")))
        tensor = recording.values[station.value].tensor
        assert np.float32(told) == np.float32(tensor[station.index])
        _check_spot(page, station.box)


def test_samples_lie_as_a_window_and_a_chosen_box_leads_to_what_chose_it(
    page: Page, site: Served, recording: Recording
) -> None:
    pages._open(page, f"{site.address}&least=0")
    page.locator('.detection[data-detection="0"]').click()
    stations = {s.name: (n, s) for n, s in enumerate(trace(recording, 0).stations)}
    place, samples = stations["RoI samples"]
    page.locator(f'.station[data-station="{place}"]').click()
    made = explain_value(recording, samples.value, samples.index)
    cells = page.locator(".grid.window td button")
    expect(cells).to_have_count(len(made.terms))
    assert made.terms.arrangement[0] == 1
    shares = [
        float(str(cell.get_attribute("data-number")))
        for cell in page.locator(".grid.kernel td button").all()
    ]
    np.testing.assert_allclose(shares, made.terms.weight, rtol=1e-6)
    expect(page.locator(".between")).to_contain_text("weighed by where the box lies")

    # From the box to the boxes that were kept, and from there to the suppression that kept it.
    page.locator('.station[data-station="0"]').click()
    expect(page.locator(".what .index")).to_have_text("[0, 0]")
    page.locator(".sum .term .from").click()
    link = page.locator(".term .chooser")
    expect(link).to_contain_text("chosen by")
    link.click()
    expect(page.locator(".arithmetic h2")).to_contain_text("nms")
    expect(page.locator(".arithmetic")).to_contain_text("is kept")


def _check_spot(page: Page, box: Any) -> None:
    """The rectangle on the picture is where the station lies in it."""
    width = float(page.locator(".stack canvas").evaluate("(el) => el.clientWidth"))
    edge = page.locator(".spot .edge")
    x, y, w, h = (float(str(edge.get_attribute(name))) for name in ("x", "y", "width", "height"))
    scale = width / 151
    middle = ((box[0] + box[2]) / 2 * scale, (box[1] + box[3]) / 2 * scale)
    assert abs(x + w / 2 - middle[0]) < 1
    assert abs(y + h / 2 - middle[1]) < 1
    assert abs(w - max(7, (box[2] - box[0]) * scale)) < 1
    assert abs(h - max(7, (box[3] - box[1]) * scale)) < 1


def test_the_keyboard_walks_from_station_to_station_and_back(page: Page, site: Served) -> None:
    pages._open(page, f"{site.address}&least=0")
    page.keyboard.press("4")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".station.on .name")).to_have_text("box")
    expect(page.locator(".station.on")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".station.on .name")).to_have_text("mask")
    pages._wait_at(page, "roi_heads.mask_predictor.mask_fcn_logits")
    # A term of the station's number, and back again.
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    pages._wait_at(page, "roi_heads.mask_predictor.relu")
    assert "trail=roi_heads.mask_predictor.mask_fcn_logits!" in page.url
    page.keyboard.press("Escape")
    pages._wait_at(page, "roi_heads.mask_predictor.mask_fcn_logits")
    page.keyboard.press("Escape")
    expect(page.locator(".station.on .name")).to_have_text("box")
    page.keyboard.press("Escape")
    expect(page.locator(".station")).to_have_count(0)
    expect(page.locator(".invitation")).to_be_visible()
    assert "found=" not in page.url


def test_a_reload_restores_the_walk_and_a_click_on_nothing_goes_back(
    page: Page, site: Served
) -> None:
    pages._open(page, f"{site.address}&least=0")
    page.locator(".detection").nth(1).click()
    page.locator(".station", has_text="regression").click()
    pages._wait_at(page, "roi_heads.box_predictor.bbox_pred")
    before = (page.url, page.locator(".recorded").get_attribute("data-number"))
    page.reload()
    pages._wait_at(page, "roi_heads.box_predictor.bbox_pred")
    expect(page.locator(".station.on .name")).to_have_text("regression")
    assert (page.url, page.locator(".recorded").get_attribute("data-number")) == before
    page.go_back()
    expect(page.locator(".station.on .name")).to_have_text("box")
    page.go_forward()
    expect(page.locator(".station.on .name")).to_have_text("regression")
    page.locator(".overlay").dispatch_event("click")
    expect(page.locator(".station.on .name")).to_have_text("score")
    # Another step of the network ends the walk.
    page.locator(".row.module").first.click()
    expect(page.locator(".station")).to_have_count(0)


def test_strange_addresses_of_detections_are_as_if_not_there(page: Page, site: Served) -> None:
    pages._open(page, site.address)
    for text in ("found=99&station=0", "found=-1", "found=x&station=3", "least=1e9&tint=-4"):
        page.goto(f"http://{site.host}/#at=input&{text}")
        page.reload()
        pages._settled(page)
        expect(page.locator(".controls .path")).to_have_text("input")
        expect(page.locator(".station")).to_have_count(0)
        expect(page.locator(".alert")).to_be_empty()


def test_too_high_a_threshold_says_so(page: Page, site: Served) -> None:
    pages._open(page, f"{site.address}&least=100")
    expect(page.locator(".found .none:not(.said)")).to_contain_text("with a score of 100 % or more")
    expect(page.locator(".box")).to_have_count(0)
    page.locator(".found .link").click()
    expect(page.locator(".detection")).to_have_count(5)
    assert "least=0" in page.url


def test_nothing_found_is_said_in_a_sentence(page: Page, opened: Opened) -> None:
    network: Any = opened.network
    boxes, *others = heads = network.roi_heads.heads
    lab = Lab(opened)
    try:
        network.roi_heads.heads = [dataclasses.replace(boxes, score_thresh=1.5), *others]
        lab.look(_photo())
    finally:
        network.roi_heads.heads = heads
    assert lab.network()["found"]["count"] == 0
    with _shown(page, lab):
        expect(page.locator(".found .none:not(.said)")).to_have_text(
            "Nothing was found: no box scored above the network's own threshold."
        )
        expect(page.locator(".blank")).to_contain_text("Empty: its shape is 0×4.")


def test_a_mask_tints_its_pixels(page: Page, site: Served) -> None:
    pages._open(page, f"{site.address}&least=100")
    untinted = _drawing(page)
    plain = _pixels(page)
    page.locator(".found .link").click()
    row = page.locator(".detection").first
    row.hover()
    number = int(str(row.get_attribute("data-detection")))
    expect(page.locator(".box.loud")).to_have_count(1)
    changed = "(was) => document.querySelector('.stack canvas').toDataURL() !== was"
    page.wait_for_function(changed, arg=untinted)
    tinted = np.abs(_pixels(page) - plain).sum(2) > 8
    mask = site.lab.mask(1, number)
    (top, bottom), (left, right) = mask["box"]
    scale = tinted.shape[1] / 151
    inside = tinted[int(top * scale) : int(bottom * scale), int(left * scale) : int(right * scale)]
    assert tinted.sum() == pytest.approx(inside.sum(), rel=0.1)
    assert tinted.sum() == pytest.approx(mask["count"] * scale**2, rel=0.2)


def _drawing(page: Page) -> str:
    return str(page.locator(".stack canvas").evaluate("(el) => el.toDataURL()"))


def _pixels(page: Page) -> Any:
    """What the canvas of the picture shows, without the lines over it."""
    content = base64.b64decode(_drawing(page).split(",")[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_detector_of_another_kind_leads_to_its_scores(page: Page, own: Path) -> None:
    with _shown(page, _lab(own, "Finds")):
        expect(page.locator(".detection")).to_have_count(2)
        expect(page.locator(".box")).to_have_count(1)  # the other is nowhere
        page.locator(".detection").first.click()
        expect(page.locator(".what .index")).to_have_text("[1]")
        assert float(str(page.locator(".recorded").get_attribute("data-number"))) == 0.9
        expect(page.locator(".skeleton circle")).to_have_count(17)
        expect(page.locator(".skeleton line")).to_have_count(16)
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator(".detection.on")).to_have_count(0)


def test_a_pixel_of_the_segments_leads_to_its_winning_score(page: Page, own: Path) -> None:
    lab = _lab(own, "Segments")
    winners = np.frombuffer(lab.segments(1), np.uint8).reshape(16, 16)
    with _shown(page, lab) as site:
        told = lab.network()["segments"]
        rows = page.locator(".segmented .list button")
        expect(rows).to_have_count(len(told["classes"]))
        share = f"{100 * told['classes'][0]['share']:.1f} %"
        expect(rows.first.locator(".number")).to_have_text(share)
        side = float(page.locator(".stack canvas").evaluate("(el) => el.clientWidth"))
        for y, x in ((3, 5), (12, 2)):
            page.locator(".overlay").click(
                position={"x": (x + 0.5) * side / 16, "y": (y + 0.5) * side / 16}
            )
            label = int(winners[y, x])
            expect(page.locator(".what .index")).to_have_text(f"[0, {label}, {y}, {x}]")
            expect(page.locator(".standing")).to_contain_text("chosen: the largest of 4 scores")
            expect(page.locator(".spot circle.edge")).to_have_count(1)
        # The score of a class that did not win says who did, and leads there.
        page.goto(f"http://{site.host}/#at=conv&index=0,3,12,2")
        expect(page.locator(".standing")).to_contain_text("not chosen: rank 4 of 4 scores")
        page.locator(".standing .link").click()
        expect(page.locator(".what .index")).to_have_text(f"[0, {winners[12, 2]}, 12, 2]")
        # Without its colours the picture is no map to click.
        page.goto(f"http://{site.host}/#at=conv&tint=0")
        page.reload()
        pages._settled(page)
        page.locator(".overlay").dispatch_event("click")
        expect(page.locator(".invitation")).to_be_visible()


def test_a_clips_scores_are_listed_and_lit_in_every_frame(page: Page, video: Lab) -> None:
    with _shown(page, video) as site:
        best = video.network()["scores"][0]
        expect(page.locator(".scores .label").first).to_have_text(best["label"])
        page.locator(".scores button").first.click()
        pages._wait_at(page, "fc")
        expect(page.locator(".caption")).to_have_text(
            "It depends on all 25088 positions: frames 0–7, rows 0–55, columns 0–55"
        )
        page.goto(f"http://{site.host}/#at=stem.0&index=0,3,4,10,10")
        pages._wait_at(page, "stem.0")
        expect(page.locator(".caption")).to_contain_text("frames 3–5, rows 17–23, columns 17–23")
        pixels = _pixels(page)
        high, wide = pixels.shape[0] // 2, pixels.shape[1] // 4
        marked = [
            bool((np.abs(frame - (194, 65, 12)).sum(2) < 12).any())
            for y in (0, 1)
            for x in range(4)
            for frame in [pixels[y * high : (y + 1) * high, x * wide : (x + 1) * wide]]
        ]
        assert marked == [False, False, False, True, True, True, False, False]


# The screen


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_nothing_of_a_walk_sticks_out_of_the_screen(
    page: Page, site: Served, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    pages._open(page, f"{site.address}&least=0")
    page.locator(".detection").first.click()
    page.locator(".station", has_text="anchor").click()
    pages._wait_at(page, "rpn.head.bbox_pred")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width > 760:
        assert page.evaluate("document.documentElement.scrollHeight") == height
    picture = page.locator(".stack").bounding_box()
    assert picture is not None
    # The picture is on the screen together with the list.
    assert picture["height"] > 100
    assert picture["y"] >= 0
    assert picture["y"] + picture["height"] <= height
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, [tabindex='0']")].filter((el) =>
          !(el.getAttribute("aria-label") || el.textContent.trim() || el.labels?.length))
          .map((el) => el.outerHTML)"""
    )
    assert nameless == []
    assert page.locator('.stop[tabindex="0"]').count() == 1
