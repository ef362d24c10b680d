"""Figures of one number show exactly its terms, in both formats and both themes."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from importlib.resources import files

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convlens.draw.figures import Figure, number_figure
from convlens.draw.figures.reading import window_of
from convlens.draw.figures.shapes import Map, Rectangle, Text
from convlens.draw.figures.telling import sentence
from convlens.draw.figures.themes import THEMES
from convlens.draw.figures.words import short, tight
from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.lens import Explanation, Recording, explain, record

WEB = files("convlens.lab") / "web"


@pytest.fixture(scope="module")
def digits() -> Recording:
    opened = open_network("digits")
    return record(opened.network, read_inputs(opened)[0])


def texts(figure: Figure) -> list[str]:
    return [shape.text for shape in figure.shapes if isinstance(shape, Text)]


def frames(figure: Figure, theme: str = "light") -> list[Rectangle]:
    """The windows and cells that are framed."""
    accent = THEMES[theme].accent
    return [s for s in figure.shapes if isinstance(s, Rectangle) and s.stroke == accent]


SAID = {
    ("conv1", (0, 5, 6, 4)): "Kernel 5 lies on rows 5–7, columns 3–5 of the input. Every number "
    "is multiplied by the weight on it; the 9 products add up to 1.502, with the bias 0.1750 to "
    "1.677.",
    ("conv2", (0, 8, 0, 2)): "Kernel 8 lies on rows −1 to 1, columns 1–3 of pool1, in each of 24 "
    "maps. Every number is multiplied by the weight on it; the 216 products add up to −0.1569, "
    "with the bias −0.01885 to −0.1758. 3 places of it lie beyond the edge and count 0.",
    ("relu1", (0, 5, 6, 6)): "Negative, so it becomes 0: −0.08440 stops here.",
    ("pool1", (0, 5, 1, 1)): "The largest of 4 numbers, rows 2–3, columns 2–3 of map 5 of relu1: "
    "1.341, at row 3, column 3. The others have no part in it.",
    ("linear", (0, 3)): "192 numbers, each times its weight, plus the bias 0.005978: 18.06.",
    ("flatten", (0, 5)): "The same number as pool2[0,1,0,1].",
    ("input", (0, 0, 1, 1)): "This number was given: input.",
}


@pytest.mark.parametrize(("at", "index"), SAID)
def test_the_sentence(digits: Recording, at: str, index: tuple[int, ...]) -> None:
    explanation = explain(digits, at, index)
    assert sentence(explanation, window_of(explanation)) == SAID[at, index]
    figure = number_figure(explanation)
    assert figure.description.startswith(SAID[at, index])
    assert figure.title.endswith(f"= {short(explanation.recorded)}")


def test_the_window_the_kernel_and_the_cell_are_where_they_are(digits: Recording) -> None:
    explanation = explain(digits, "conv1", (0, 5, 6, 4))
    figure = number_figure(explanation)
    window, cell = frames(figure)
    given, kernel, made = (shape for shape in figure.shapes if isinstance(shape, Map))
    size = given.width / 8
    assert (window.x - given.x, window.y - given.y) == (3 * size, 5 * size)
    assert (window.width, window.height) == (3 * size, 3 * size)
    assert (cell.x - made.x, cell.y - made.y) == (4 * size, 6 * size)
    weights = digits.values[digits.made("conv1.weight")[0]].tensor[5, 0].flatten().tolist()
    written = texts(figure)
    assert "|".join(map(tight, weights)) in "|".join(written)
    assert kernel.pixels.shape == (3, 3, 3)
    assert written[-8:] == [
        *("0 × −.81 + .06 × .20 + .63 × .44", "= 0.2904"),
        *(".25 × −.39 + .31 × .26 + .88 × .61", "= 0.5156"),
        *(".81 × .61 + .81 × .18 + .56 × .09", "= 0.6957"),
        *("1.502 + 0.1750 bias", "= 1.677"),
    ]


def explained(network: nn.Module, x: torch.Tensor, index: tuple[int, ...]) -> Explanation:
    return explain(record(network, x), "", index)


def drawn_number(network: nn.Module, *space: int) -> Explanation:
    torch.manual_seed(0)
    recording = record(network, torch.randn(1, 2, *space))
    assert recording.output is not None
    return explain(recording, "", (0, 1, *(n // 2 for n in recording.output.shape[2:])))


@pytest.mark.parametrize(
    ("network", "space", "rows", "columns"),
    [
        (nn.Conv1d(2, 3, 5, dilation=2, padding=4), (30,), (0,), (11, 13, 15, 17, 19)),
        (nn.Conv2d(2, 3, 3, padding=1), (7, 9), (2, 3, 4), (3, 4, 5)),
        (nn.Conv2d(2, 4, (2, 3), stride=2, groups=2), (7, 9), (2, 3), (4, 5, 6)),
        (nn.Conv3d(2, 3, 3, padding=1), (3, 4, 5), (1, 2, 3), (1, 2, 3)),
        (nn.ConvTranspose2d(2, 3, 3, stride=2), (6, 6), (2, 3), (2, 3)),
        (nn.MaxPool2d(2), (6, 6), (2, 3), (2, 3)),
        (nn.AvgPool1d(3), (9,), (0,), (3, 4, 5)),
        (nn.AdaptiveAvgPool2d(1), (4, 4), (0, 1, 2, 3), (0, 1, 2, 3)),
    ],
)
def test_the_window_of_every_family(
    network: nn.Module, space: tuple[int, ...], rows: tuple[int, ...], columns: tuple[int, ...]
) -> None:
    explanation = drawn_number(network, *space)
    window = window_of(explanation)
    assert window is not None
    assert (window.rows, window.columns) == (rows, columns)
    for (r, c), value in np.ndenumerate(window.values):
        if window.inside[r, c]:
            assert window.map.numbers[rows[r], columns[c]] == value
    if explanation.rule == "sum":
        assert window.sum + window.others + explanation.bias == pytest.approx(explanation.total)
    assert window.sum == pytest.approx(float(window.products.sum()))
    Image.open(io.BytesIO(number_figure(explanation).png(1))).verify()


def test_places_beyond_the_edge_are_counted_and_drawn() -> None:
    torch.manual_seed(0)
    explanation = explained(
        nn.Conv2d(1, 1, 3, padding=2, dilation=2), torch.randn(1, 1, 5, 5), (0, 0, 0, 1)
    )
    window = window_of(explanation)
    assert window is not None
    assert (window.rows, window.columns) == ((-2, 0, 2), (-1, 1, 3))
    figure = number_figure(explanation)
    assert "5 places of it lie beyond the edge and count 0." in figure.description
    assert "rows −2 to 2" in figure.description
    assert sum(isinstance(s, Rectangle) and s.dashed for s in figure.shapes) == 5
    assert len(frames(figure)) == 10  # each of nine cells, and the cell that was made
    assert min(s.x for s in figure.shapes) >= 24


def test_numbers_that_are_not_finite_are_magenta() -> None:
    x = torch.ones(1, 1, 4, 4)
    x[0, 0, 1, 1] = torch.nan
    figure = number_figure(explained(nn.MaxPool2d(2), x, (0, 0, 0, 0)))
    given = next(shape for shape in figure.shapes if isinstance(shape, Map))
    assert given.pixels[1, 1].tolist() == [213, 0, 142]
    assert "NaN" in texts(figure)


def test_svg_is_well_formed_and_read_in_order(digits: Recording) -> None:
    name = 'a<b>&"c"'
    network = nn.Sequential()
    network.add_module(name, nn.Conv2d(1, 1, 1))
    figure = number_figure(explain(record(network, torch.ones(1, 1, 2, 2)), name, (0, 0, 1, 1)))
    root = ET.fromstring(figure.svg())
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == figure.title
    assert name in figure.title
    assert root.findtext(f"{space}desc") == figure.description
    assert [t.text for t in root.iter(f"{space}text")] == texts(figure)
    explanation = explain(digits, "conv1", (0, 5, 6, 4))
    assert number_figure(explanation).svg() == number_figure(explanation).svg()


def test_png_has_the_layout_of_the_svg(digits: Recording) -> None:
    figure = number_figure(explain(digits, "conv1", (0, 5, 6, 4)), theme="dark")
    with Image.open(io.BytesIO(figure.png(3))) as image:
        assert image.size == (3 * figure.width, 3 * figure.height)
        assert image.getpixel((0, 0)) == (0x13, 0x15, 0x18)
        box = frames(figure, "dark")[0]
        assert image.getpixel((round(3 * box.x), round(3 * box.y + 20))) == (0xFF, 0x6D, 0xB3)
    with pytest.raises(ValueError, match="`theme`"):
        number_figure(explain(digits, "conv1", (0, 5, 6, 4)), theme="blue")


def test_the_themes_are_those_of_the_page() -> None:
    tokens = (WEB / "styles" / "tokens.css").read_text()
    light, dark = tokens.split('[data-theme="dark"]')
    colours = (WEB / "colours.js").read_text()
    for name, css in (("light", light), ("dark", dark)):
        page = dict(re.findall(r"--([\w-]+): (#\w+)", css))
        theme = THEMES[name]
        for token in (
            "ground",
            "panel",
            "ink",
            "soft",
            "line",
            "accent",
            "casing",
            "positive",
            "negative",
        ):
            assert getattr(theme, token) == page[token]
        signed = re.search(rf'{name}: "([^"]+)"', colours)
        assert signed
        assert theme.signed == signed[1]
