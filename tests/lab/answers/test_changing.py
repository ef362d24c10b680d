"""What if: the lab's replays equal runs of the changed network, and refusals are sentences."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from convlens.lab import Lab
from convlens.lab.answers.changing import changes_of
from convlens.learn.opening import open_network
from convlens.lens import record
from convlens.zoo import NETWORKS


@pytest.fixture(scope="module")
def lab() -> Lab:
    lab = Lab(open_network("digits"))
    lab.look(open_network("digits").example)
    return lab


def number(lab: Lab, recording: int, name: str, index: tuple[int, ...]) -> float:
    values = {row["name"]: row["id"] for row in lab.network()["values"]}
    return lab.bench(recording, values[name], index)["recorded"]


def test_a_changed_weight_gives_what_the_changed_network_gives(lab: Lab) -> None:
    base = lab.network()["recording"]
    found = lab.replay(base, "conv1.weight!5,0,2,2:-1.5;conv1!3:mute")
    network = copy.deepcopy(open_network("digits").network)
    with torch.no_grad():
        network.get_parameter("conv1.weight")[5, 0, 2, 2] = -1.5

    def mute(module: object, given: object, made: torch.Tensor) -> torch.Tensor:
        made = made.clone()
        made[:, 3] = 0
        return made

    network.get_submodule("conv1").register_forward_hook(mute)
    run = record(network, lab.recording.inputs[0].tensor)
    assert run.output is not None
    for i in range(10):
        recorded = number(lab, found["recording"], "softmax", (0, i))
        assert recorded == float(run.output.tensor[0, i])
    assert found["network"] is None
    best = int(run.output.tensor[0].argmax())
    assert found["scores"][0]["index"][-1] == best


def test_the_values_that_a_change_touches_are_those_with_other_numbers(lab: Lab) -> None:
    network = copy.deepcopy(open_network("digits").network)
    with torch.no_grad():
        network.get_parameter("conv2.bias")[5] = 3
    run = record(network, lab.recording.inputs[0].tensor)
    pairs = zip(lab.recording.values, run.values, strict=True)
    differ = [a.id for a, b in pairs if not torch.equal(a.tensor, b.tensor)]
    found = lab.replay(lab.network()["recording"], "conv2.bias!5:3")
    assert found["touched"] == differ
    assert lab.replay(found["recording"], "conv2.bias!5:3")["touched"] == []


def test_the_bench_brings_the_number_before_the_change(lab: Lab) -> None:
    base = lab.network()["recording"]
    changed = lab.replay(base, "conv1.bias!5:2")["recording"]
    value = next(row["id"] for row in lab.network()["values"] if row["name"] == "conv1")
    bench = lab.bench(changed, value, (0, 5, 6, 4), beside=base)
    rows = {row["role"]: row for row in bench["seats"]}
    at = 6 * 8 + 4
    real, now = (float(bench["numbers"][rows[role]["start"] + at]) for role in ("real", "out"))
    assert real == number(lab, base, "conv1", (0, 5, 6, 4))
    assert now == bench["recorded"] != real


def test_a_changed_stride_describes_the_network_anew(lab: Lab) -> None:
    base = lab.network()["recording"]
    found = lab.replay(base, "pool1!stride:1")
    assert found["network"] is not None
    shapes = {row["name"]: row["shape"] for row in found["network"]["values"]}
    assert shapes["pool1"] == [1, 24, 7, 7]
    assert found["network"]["error"] is not None  # linear reads 192 numbers, and gets more


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ("conv1", "must name numbers like"),
        ("conv1!a:1", "index that is not whole numbers"),
        ("conv1!0,0,0,0:one", "must set numbers"),
        ("nowhere!0:1", "must be a module that ran"),
        ("conv1!0,99,0,0:1", "index"),
        ("conv1.weight!0,0,0,0:1;" * 5000, "make at most"),
    ],
)
def test_bad_changes_are_refused_in_a_sentence(lab: Lab, changes: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        lab.replay(lab.network()["recording"], changes)


def test_names_are_decoded() -> None:
    assert changes_of("a%21b!1:2")[0].value == "a!b"  # type: ignore[union-attr]


def test_compare_before_and_after(lab: Lab) -> None:
    base = lab.network()["recording"]
    changed = lab.replay(base, "conv2.bias!0:1")["recording"]
    found = lab.compare(base, changed)
    steps = {row["index"]: row["name"] for row in lab.network()["steps"]}
    assert found["first"] is not None
    assert steps[found["first"]] == "conv2"


def test_choices_never_name_a_path(lab: Lab) -> None:
    with pytest.raises(ValueError, match="must be a sample picture"):
        lab.sample("/etc/passwd")
    with pytest.raises(ValueError, match="command line"):
        lab.open("net.py:Net")
    assert "digit-3.png" in lab.choices()["samples"]
    ready = {each["name"] for each in lab.choices()["networks"] if each["weights"] == "shipped"}
    shipped = {name for name, entry in NETWORKS.items() if entry.shipped or entry.fixed}
    assert ready == shipped >= {"digits", "filters", "shapes_boxes", "shapes_unet"}


def test_the_menu_lists_what_the_file_of_an_own_network_holds(tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text(
        "from torch import nn\n\n\ndef small():\n    return nn.Conv2d(1, 2, 3)\n\n\n"
        "def wide(width=4):\n    return nn.Conv2d(1, width, 3)\n\n\n"
        "def needs(width):\n    return width\n"
    )
    own = Lab(open_network(f"{file}:small"))
    names = [each["name"] for each in own.choices()["networks"] if each["weights"] == "own"]
    assert names == [f"{file}:small", f"{file}:wide"]
    assert own.open(f"{file}:wide")["recording"] == 1
    assert own.network()["name"] == f"{file}:wide"


def test_a_detector_runs_again_as_a_whole(detector_lab: Lab) -> None:
    base = detector_lab.network()
    values = {row["name"]: row for row in base["values"] if row["kind"] == "parameter"}
    name = next(name for name in values if name.endswith("conv1.weight"))
    found = detector_lab.replay(base["recording"], f"{name}!0,0,0,0:9")
    assert found["recording"] != base["recording"]
    assert found["network"] is not None
