"""MobileNetV2's released file: loaded, right on pictures, explained, converted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from convlens import accelerate, model, open_network, predict, read_inputs
from convlens.cli import main
from convlens.lens import Explanation, Recording, explain, record
from convlens.zoo.converting import convert
from convlens.zoo.weights import DATA
from convlens.zoo.weights.downloading import weights_folder
from tests.data.real import real
from tests.oracles.torchvision_networks import torchvision

pytestmark = pytest.mark.real

NAME = "mobilenet_v2"
FILE = "mobilenet_v2-b0353104.pth"
FIRST = "IMAGENET1K_V1"

RIGHT = {
    "cat.jpg": {
        **{"Egyptian cat": 0.7248, "tiger cat": 0.1414, "tabby": 0.1271},
        **{"lynx": 0.0049, "plastic bag": 0.0012},
    },
    "chelsea.png": {
        **{"Egyptian cat": 0.7166, "tiger cat": 0.1471, "tabby": 0.1295},
        **{"lynx": 0.0050, "plastic bag": 0.0011},
    },
    "coffee.png": {
        **{"espresso": 0.9921, "consomme": 0.0043, "cup": 0.0014},
        **{"soup bowl": 0.0013, "coffee mug": 0.0004},
    },
}
"""The five likeliest by torch's own forward, pictures scaled by Pillow."""


def picture(name: str) -> Path:
    return DATA / name if name == "cat.jpg" else real(name)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The released file where torch.hub keeps it."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    weights_folder().mkdir(parents=True)
    return Path(shutil.copy(real(FILE), weights_folder()))


# Right answers


def scores_of(weights: str | Path, name: str) -> dict[str, float]:
    (answer,) = predict(NAME, picture(name), weights=weights)
    assert answer.error is None
    names = [answer.category(int(label)) for label in answer.labels]
    return dict(zip(names, answer.scores.tolist(), strict=True))


@pytest.mark.parametrize("name", RIGHT)
def test_a_picture_is_classified_as_by_torchs_own_forward(name: str, cached: Path) -> None:
    found = scores_of(FIRST, name)
    assert found == pytest.approx(RIGHT[name], abs=2e-3)
    assert list(found)[:3] == list(RIGHT[name])[:3]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_called_right_is_what_torchvision_and_pillow_give(name: str) -> None:
    network = torchvision().models.mobilenet_v2().eval()
    network.load_state_dict(torch.load(real(FILE), weights_only=True))
    with torch.no_grad():
        logits = network(by_pillow(picture(name)))[0]
    best = logits.softmax(0).topk(5)
    assert best.values.tolist() == pytest.approx(list(RIGHT[name].values()), abs=1e-4)


def by_pillow(path: Path) -> Tensor:
    """The shorter side to 256, the middle 224, ImageNet's mean and deviation."""
    with Image.open(path) as opened:
        whole = opened.convert("RGB")
    w, h = whole.size
    w, h = (256, h * 256 // w) if w < h else (w * 256 // h, 256)
    left, top = round((w - 224) / 2), round((h - 224) / 2)
    scaled = whole.resize((w, h), Image.Resampling.BILINEAR)
    middle = np.array(scaled.crop((left, top, left + 224, top + 224)))
    x = torch.from_numpy(middle).permute(2, 0, 1)[None] / 255
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    normal: Tensor = (x - mean[:, None, None]) / deviation[:, None, None]
    return normal


def test_the_command_says_it_in_words(cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for weights in (FIRST, str(cached)):
        with pytest.raises(SystemExit) as ended:
            main(["predict", NAME, str(DATA / "cat.jpg"), "--weights", weights])
        assert not ended.value.code
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(maxsplit=2)[2] for line in lines[1:4]] == list(RIGHT["cat.jpg"])[:3]
        assert lines[1].strip().startswith("72.5 %")


# The file, by whatever name


def test_a_released_file_is_known_by_its_hash(cached: Path, tmp_path: Path) -> None:
    renamed = Path(shutil.copy(cached, tmp_path / "mine.pth"))
    network = model(NAME, renamed)
    assert vars(network)["released"].name == FIRST
    # Prepared for as an unknown file, that is as the DEFAULT, it would get 0.7545.
    assert scores_of(renamed, "cat.jpg") == scores_of(FIRST, "cat.jpg")


def test_a_converted_file_gives_the_same_scores_bit_by_bit(cached: Path, tmp_path: Path) -> None:
    x = by_pillow(picture("coffee.png"))
    released = model(NAME, FIRST)
    for source, name in ((NAME, FIRST), (cached, None)):
        converted = convert(source, name, tmp_path / "mine.safetensors")
        network = model(NAME, converted)
        assert vars(network)["released"].name == FIRST
        with torch.no_grad():
            assert torch.equal(network(x), released(x))
        assert scores_of(converted, "coffee.png") == scores_of(FIRST, "coffee.png")


def test_a_flipped_bit_is_refused(cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.write_bytes(content)
    with pytest.raises(ValueError, match="must have a sha256 that begins with b0353104"):
        model(NAME, FIRST)
    with pytest.raises(SystemExit) as ended:
        main(["predict", NAME, str(DATA / "cat.jpg"), "--weights", FIRST])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "b0353104" in said.err


# Inside


@pytest.fixture(scope="module")
def chelsea() -> tuple[nn.Module, Tensor, Recording]:
    opened = open_network(NAME, weights=real(FILE))
    x, _ = read_inputs(opened, real("chelsea.png"))
    return opened.network, x, record(opened.network, x)


def test_recording_it_is_the_plain_forward_bit_by_bit(chelsea: Any) -> None:
    network, x, seen = chelsea
    with torch.no_grad():
        assert torch.equal(network(x), seen.outputs)


def test_accelerated_logits_are_near(chelsea: Any) -> None:
    network, x, _ = chelsea
    x = x[..., ::2, ::2].contiguous()  # contests are decided sooner at a quarter of the size
    fast = accelerate(network, x)
    with torch.no_grad():
        assert float((fast(x) - network(x)).abs().max()) < 1e-4


def test_the_winning_score_is_explained_down_to_a_pixel(chelsea: Any) -> None:
    _, x, seen = chelsea
    cat = 285
    here = explain(seen, "classifier.1", (0, cat))
    assert here.recorded == float(seen.outputs.max()) == pytest.approx(18.8495, abs=0.02)
    assert here.pixels().count == x.numel()  # the mean over the map sees all of the picture
    deep = 0
    while here.step is not None:
        assert abs(here.recorded - here.total) <= here.bound
        here = here.open(largest(here))
        deep += 1
    assert deep > 50
    assert here.value.name == "input"
    assert here.recorded == float(x[here.index])


def largest(explanation: Explanation) -> int:
    return int(np.abs(explanation.terms.product).argmax())


def test_every_module_path_is_explained_within_the_bound(chelsea: Any) -> None:
    _, _, seen = chelsea
    paths = [call.path for call in seen.calls if call.path]
    assert len(paths) == len(set(paths)) == 212
    generator = torch.Generator().manual_seed(0)
    for call in seen.calls[1:]:
        made = seen.values[call.outputs[0]]
        index = tuple(int(torch.randint(n, (), generator=generator)) for n in made.shape)
        explanation = explain(seen, call.path, index)
        assert explanation.recorded == float(made.tensor[index])
        assert abs(explanation.recorded - explanation.total) <= explanation.bound
        assert explanation.rule != "slope"
