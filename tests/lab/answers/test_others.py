"""Other weights and other networks stand under short names, and run on the very same input."""

from __future__ import annotations

import copy
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convlens.lab import Lab
from convlens.lab.answers.others import Beside, others_of, short_name
from convlens.lab.showing import lab_on
from convlens.learn.opening import Opened, open_network
from convlens.zoo import model
from convlens.zoo.weights import DATA


def moved() -> dict[str, Tensor]:
    """The weights of `digits`, with another bias in its second convolution."""
    weights = copy.deepcopy(model("digits").state_dict())
    weights["conv2.bias"][1] += 0.5
    return weights


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "moved.pt"
    torch.save(moved(), path)
    return path


def first_apart(lab: Lab, name: str) -> tuple[str, str]:
    """What a comparison is with, and the label of the step where the two part, "" for none."""
    base = lab.network()
    beside = lab.beside(base["recording"], name)
    found = lab.compare(base["recording"], beside["recording"])
    assert found["refusal"] == ""
    first = found["first"]
    return beside["said"], "" if first is None else base["steps"][first]["label"]


def test_weights_are_compared_by_their_files_name(file: Path) -> None:
    lab = lab_on("digits", beside=[file, "DEFAULT", moved()])
    assert lab.choices()["beside"] == ["moved.pt", "DEFAULT", "weights"]
    assert first_apart(lab, "moved.pt") == ("moved.pt", "conv2")
    assert first_apart(lab, "weights") == ("weights", "conv2")
    assert first_apart(lab, "DEFAULT") == ("DEFAULT", "")
    assert first_apart(lab, "random") == ("random weights", "conv1")


def test_other_weights_leave_the_network_as_it_is(file: Path) -> None:
    network = model("digits")
    before = copy.deepcopy(network.state_dict())
    others = others_of(open_network(network), file)
    assert others["moved.pt"].network is not network
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())


def test_a_module_is_compared_before_and_after_training() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Conv2d(4, 2, 3))
    before = copy.deepcopy(network)
    with torch.no_grad():
        network.get_parameter("2.weight").mul_(1.5)
    lab = lab_on(network, torch.rand(1, 3, 8, 8), {"before training": before, "same": network})
    assert lab.choices()["beside"] == ["before training", "same"]
    assert first_apart(lab, "before training") == ("before training", "2")
    assert first_apart(lab, "same") == ("same", "")
    assert before.training


def test_what_is_compared_sees_the_same_input() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 2, 3))
    x = torch.randn(1, 3, 5, 5)
    lab = lab_on(network, x.clone(), beside=copy.deepcopy(network))
    assert first_apart(lab, "Sequential")[1] == ""
    assert torch.equal(lab.recording.inputs[0].tensor, x)
    scaled = Lab(open_network("mobilenet_v3_small", weights="none", size=32, crop=32))
    scaled.look(DATA / "cat.jpg")
    assert first_apart(scaled, "random") == ("random weights", "")


def test_equal_names_are_told_apart(file: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        torch.save(moved(), tmp_path / folder / "best.pt")
    opened = open_network("digits")
    files: list[str | Path] = [tmp_path / "a" / "best.pt", str(tmp_path / "b" / "best.pt")]
    assert list(others_of(opened, files)) == ["a/best.pt", "b/best.pt"]
    named: Beside = {"last": file, "digit-3.png": file, "mine": file}
    assert list(others_of(opened, named)) == ["last 2", "digit-3.png 2", "mine"]
    assert others_of(opened, None) == others_of(opened, {}) == {}


def test_a_file_of_networks_lists_its_others_by_short_names(tmp_path: Path) -> None:
    source = "from torch import nn\n\n\ndef small(width=2):\n    return nn.Conv2d(1, width, 3)\n"
    path = tmp_path / "nets.py"
    path.write_text(f"{source}\n\ndef wide():\n    return small(4)\n")
    lab = lab_on(f"{path}:small", beside=f"{path}:small(width=2)")
    assert lab.choices()["beside"] == ["nets.py:small(width=2)", "nets.py:wide"]
    assert first_apart(lab, "nets.py:small(width=2)")[1] == ""
    base = lab.network()["recording"]
    wide = lab.beside(base, "nets.py:wide")
    assert lab.compare(base, wide["recording"])["refusal"] == (
        "nets.py:small and nets.py:wide cannot be compared: step 0, `conv2d`, makes 1×2×222×222 in "
        "the first and 1×4×222×222 in the second; compare networks with the same sizes, on inputs "
        "of one size"
    )
    assert short_name(str(path)) == "nets.py"


def test_what_does_not_run_is_refused_with_both_names() -> None:
    lab = lab_on("digits", beside="filters")
    base = lab.network()["recording"]
    refusal = lab.compare(base, lab.beside(base, "filters")["recording"])["refusal"]
    assert refusal.startswith("digits and filters cannot be compared: the second stops at grey (")
    assert refusal.endswith("); compare with one that runs to its end")
    assert ".)" not in refusal
    assert lab.network()["recording"] == base
    own = lab_on(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 2)), noise())
    refusal = own.compare(1, own.beside(1, "digit-3.png")["recording"])["refusal"]
    assert refusal.startswith("the first run and the second run cannot be compared: the second st")


def noise() -> Tensor:
    return torch.rand(1, 3, 8, 8)


@pytest.mark.parametrize("name", ["moved.pt", "/etc/passwd", "nets.py:wide", "digits", ""])
def test_only_what_was_given_is_compared(name: str, digits: Lab) -> None:
    with pytest.raises(ValueError, match="must be something that this lab was given to compare"):
        digits.beside(digits.network()["recording"], name)


def test_random_weights_need_a_network_with_a_name() -> None:
    lab = lab_on(nn.Conv2d(3, 1, 3), noise())
    with pytest.raises(ValueError, match="Conv2d is a module in memory; give another one with"):
        lab.beside(lab.network()["recording"], "random")


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ("absent.pt", "must name an existing file of weights; check the path"),
        (Path("absent"), "must be a file of weights, released weights of digits"),
        ("filterz", "did you mean 'filters'?"),
        ("net.onnx", "an ONNX model is not opened here"),
        (str(DATA), "is a folder"),
        (str(DATA / "digit-3.png"), "is a PNG picture"),
        ("absent.py:Net", "must name an existing file; there is no absent.py"),
        (nn.Linear(2, 1).state_dict(), r"`weights` \(a state dict\) must fit the network Digits"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(beside: Beside, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        others_of(open_network("digits"), beside)
    assert "\n" not in str(refused.value)


def test_released_weights_are_named_for_their_own_network() -> None:
    opened = open_network("resnet18", weights="none")
    with pytest.raises(ValueError, match=r"\(DEFAULT, IMAGENET1K_V1\) .* mean 'IMAGENET1K_V1'"):
        others_of(opened, "IMAGENET1K_V2")


@pytest.mark.parametrize("beside", [3, [3], {"mine": 3}, [{}]])
def test_other_things_are_refused_by_their_type(beside: Beside) -> None:
    with pytest.raises(TypeError, match=r"`beside` \(of type \w+\) must be weights"):
        others_of(open_network("digits"), beside)


def test_a_network_that_cannot_be_copied_takes_no_other_weights() -> None:
    network = nn.Linear(2, 1)
    network.lock = threading.Lock()  # type: ignore[assignment]
    opened = Opened("Linear", network, None, None, None)
    with pytest.raises(ValueError, match=r"cannot be copied .* give a network that has these"):
        others_of(opened, network.state_dict())
