"""A report is one page that shows what was measured, whatever the names of files and classes."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from convlens.learn.measuring.accuracy import ClassAccuracy
from convlens.learn.measuring.charts import calibration, curve
from convlens.learn.measuring.confusions import confusion_table, largest_confusions
from convlens.learn.measuring.history import HistoryLine
from convlens.learn.measuring.measure import Judgement
from convlens.learn.measuring.overlap import MapOverlap
from convlens.learn.measuring.report import Measured, lab_command, report_page
from convlens.learn.measuring.thumbnails import MOST_BYTES, thumbnail

HOSTILE = "<script>alert(1)</script>\"'&\n\u202e\udcff\x00.png"


class Page(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


def grey(key: str) -> list[NDArray[np.uint8]]:
    return [np.full((20, 30, 3), 128, np.uint8)]


def run(
    n: int = 60, classes: tuple[str, ...] = ("cat", "dog", "fox"), key: str = "{}.png"
) -> Measured:
    """A run of scores in which every third answer is wrong."""
    truth = torch.arange(n) % len(classes)
    said = torch.where(torch.arange(n) % 4 == 0, (truth + 1) % len(classes), truth)
    scores = torch.nn.functional.one_hot(said, len(classes)) * (2.0 + torch.arange(n)[:, None] / n)
    measure = ClassAccuracy(classes)
    keys = tuple(key.format(i) for i in range(n))
    judged = measure.add(scores, truth, keys)
    history = [HistoryLine(5 * k, k, 2 / k, {"accuracy": 1 - 1 / k}) for k in range(1, 9)]
    return Measured(
        "runs/a", classes, measure.values(), judged, measure.state(), measure.by_class(),
        measure.notes(), history,
    )  # fmt: skip


def test_it_shows_what_was_measured() -> None:
    page = Page(report_page(run(), grey))
    assert page.open == []
    assert page.texts["h2"] == [
        *("Confusions", "By class, the worst first", "Training", "The worst mistakes"),
        "Some right answers",
    ]
    assert page.texts["p"][0] == "45 of 60 answers are right (75.0%)."
    assert "0.7500" in page.texts["dd"]
    assert "cat taken for dog: 5 of 20 (25 %)" in page.texts["li"]
    assert page.tags.count("figure") == 15 + 12
    assert page.tags.count("svg") == 3
    assert "convlens lab runs/a 56.png" in page.texts["code"]
    assert page.tags.count("a") == 0


def test_the_worst_come_first() -> None:
    measured = run(200)
    page = Page(report_page(measured, grey))
    wrong = sorted((j for j in measured.judgements if not j.right), key=lambda j: -j.badness)
    assert page.texts["span"][-36:-12] == [j.key for j in wrong[:24]]


def test_a_page_can_link_to_the_stage() -> None:
    page = Page(report_page(run(), grey, link=lambda key: f"/?picture={key}&x=1"))
    assert ("href", "/?picture=56.png&x=1") in page.attributes
    page = Page(report_page(run(), grey, command=lambda run, key: f"open {key}"))
    assert "open 56.png" in page.texts["code"]


def test_hostile_names_stay_text() -> None:
    classes = (HOSTILE, "<b>&amp;", "x" * 500)
    text = report_page(run(60, classes, HOSTILE + "{}"), grey)
    text.encode()
    page, plain = Page(text), Page(report_page(run(), grey))
    assert page.tags == plain.tags
    assert {name for name, _ in page.attributes} == {name for name, _ in plain.attributes}
    assert "\u202e" not in text
    assert "\x00" not in text
    assert any("<script>" in said for said in page.texts["dd"])


def test_it_needs_nothing_else() -> None:
    text = report_page(run(), grey)
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "base", "form"} & {*page.tags}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(
        value.startswith("data:image/jpeg") for name, value in page.attributes if name == "src"
    )
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "http:" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("pictures", [1, 2])
def test_it_has_three_megabytes_at_most(pictures: int) -> None:
    random = np.random.default_rng(0)

    def noise(key: str) -> list[NDArray[np.uint8]]:
        return [random.integers(0, 256, (600, 500, 3), dtype=np.uint8) for _ in range(pictures)]

    text = report_page(run(400, tuple(map(str, range(40)))), noise)
    assert 500_000 < len(text.encode()) <= 3_000_000


def test_the_curve_is_that_of_the_measure_that_decides() -> None:
    """Points lead a keypoint detector's measures, and no figure that is held out may have any."""
    history = [
        HistoryLine(k, float(k), 1 / k, {"point AP": math.nan, "AP": 0.1 * k}) for k in (1, 2, 3)
    ]
    page = Page(report_page(dataclasses.replace(run(), history=history), grey))
    assert "AP" in page.texts["h3"]
    assert "point AP" not in page.texts["h3"]


def test_two_pictures_of_a_sample_are_what_was_said_and_the_truth() -> None:
    page = Page(report_page(run(), lambda key: [*grey(key), *grey(key)]))
    said = [value for name, value in page.attributes if name == "alt"]
    assert said[:2] == ["said: 56.png", "truth: 56.png"]
    assert len(said) == 2 * page.tags.count("figure")


def test_a_picture_that_is_gone_is_said() -> None:
    def gone(key: str) -> list[NDArray[np.uint8]]:
        raise FileNotFoundError(2, "No such file or directory", key)

    page = Page(report_page(run(), gone))
    assert "img" not in page.tags
    assert page.texts["p"].count("no picture: No such file or directory") == 27


def test_nothing_measured_is_a_page() -> None:
    measure = ClassAccuracy(("cat", "dog"))
    empty = Measured("a", ("cat", "dog"), measure.values(), [], measure.state(), measure.by_class())
    page = Page(report_page(empty, grey))
    assert page.texts["h2"] == ["Confusions"]
    assert page.texts["dd"] == ["–"] * 4


def test_maps_have_confusions_but_no_calibration() -> None:
    measure = MapOverlap(("ground", "cat"))
    measure.add(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), torch.tensor([[[0, 0]]]), ("a",))
    given = Measured(
        "a", measure.classes, measure.values(), [], measure.state(), measure.by_class()
    )
    page = Page(report_page(given, grey))
    assert "ground taken for cat: 1 of 2 (50 %)" in page.texts["li"]
    assert "svg" not in page.tags


def test_detections_have_neither() -> None:
    judged = [Judgement("a", False, 2.0, "1 × cat", "1 × dog")]
    given = Measured("a", ("cat", "dog"), {"AP": 0.5}, judged, {}, {"cat": float("nan")})
    assert Page(report_page(given, grey)).texts["h2"] == ["The worst mistakes"]


@pytest.mark.parametrize("key", ["a b.png", "it's.png", "$(x) `y`", "é\n\x07\\'.png", "\udcff.png"])
def test_a_shell_reads_the_command_back(key: str) -> None:
    shown = subprocess.run(
        ["bash", "-c", "printf '%s\\0' " + lab_command("my run", key)],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    words = shown.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert words == ["convlens", "lab", "my run", key]
    assert lab_command("my run", key).isprintable()


def test_many_classes_are_listed_not_drawn() -> None:
    classes = tuple(f"c{k}" for k in range(150))
    page = Page(report_page(run(600, classes), grey))
    assert page.tags.count("th") == 100
    assert "50 between them are left out." in page.texts["p"]
    assert confusion_table(np.eye(41, dtype=np.int64), classes[:41]) == ""


def test_confusions_are_ordered_and_shared_by_row() -> None:
    matrix = np.array([[5, 1, 4], [0, 9, 0], [2, 0, 12_345]])
    assert largest_confusions(matrix, ("a", "b", "c"), 2) == [
        "a taken for c: 4 of 10 (40 %)", "c taken for a: 2 of 12,347 (0 %)",
    ]  # fmt: skip
    cells = ElementTree.fromstring(confusion_table(matrix, ("a", "b", "c"))).findall(".//td")
    assert [cell.get("style") for cell in cells[:3]] == [
        f"--share:{share}%" for share in (50, 10, 40)
    ]
    assert [cell.text for cell in cells[-3:]] == ["2", "·", "12k"]


def points(svg: str) -> list[tuple[float, float]]:
    line = ElementTree.fromstring(svg).find("polyline")
    assert line is not None
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_a_curve_has_its_points_in_place() -> None:
    drawn = points(curve([(0, 0), (1, 0.5), (2, 1.0)], "epoch", "accuracy"))
    assert drawn == [(52, 204), (260, 108), (468, 12)]
    gaps = points(curve([(0, 0), (1, np.nan), (2, 1.0)], "epoch", "accuracy"))
    assert gaps == [drawn[0], drawn[2]]
    assert curve([(0, 1), (1, np.inf)], "epoch", "loss") == ""
    flat = points(curve([(1, 0.3), (2, 0.3)], "epoch", "loss"))
    assert flat[0][1] == flat[1][1]
    assert points(curve([(0.5, 1e-7), (0.75, 3e6)], "epoch", "loss"))


def test_a_calibrated_bar_ends_at_its_dot() -> None:
    counts, right = np.array([0, 10, 0, 8]), np.array([0, 4, 0, 8])
    tree = ElementTree.fromstring(calibration(counts, right, np.array([0, 0.4, 0, 0.9])))
    bars, dots = tree.findall(".//rect"), tree.findall(".//circle")
    assert bars[0].get("y") == dots[0].get("cy") == "127.2"
    assert bars[1].get("y") == "12.0"
    assert dots[1].get("cy") == "31.2"
    titles = [title.text for title in tree.iter("title")]
    assert titles[0] == "25% to 50% sure: 40% right of 10 samples, 40% sure on average"


@pytest.mark.parametrize("shape", [(900, 700, 3), (2, 3000, 3), (1, 1, 3), (320, 320, 3)])
def test_thumbnails_are_small(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    head, data = thumbnail(noise).split(",")
    content = base64.b64decode(data)
    assert head == "data:image/jpeg;base64"
    assert len(content) <= MOST_BYTES
    assert max(Image.open(io.BytesIO(content)).size) <= 320


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_arrays_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"`picture` \(=\("):
        thumbnail(array)


def test_the_style_is_part_of_the_page() -> None:
    style = Path(report_page.__code__.co_filename).with_name("report.css").read_text()
    assert style in report_page(run(), grey)
    assert "prefers-color-scheme: dark" in style
