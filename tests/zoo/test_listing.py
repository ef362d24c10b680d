"""The list of the zoo has every network, with numbers that are counted or published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convlens.cli import main
from convlens.zoo import NETWORKS
from convlens.zoo.building import built_on_meta
from convlens.zoo.listing import listed, networks_table
from convlens.zoo.weights.released import RELEASED

UNRELEASED = {
    "digits": ("classification", 12_586),
    "filters": ("template matching", 1_977),
    "mobilenet_v3_large_075": ("classification", 3_377_576),
    "mobilenet_v3_small_075": ("classification", 1_653_920),
    "fashion_mnist": ("classification", 136_498),
    "shapes_resnet": ("classification", 261_536),
    "shapes_mobilenet": ("classification", 615_888),
    "shapes_unet": ("semantic segmentation", 546_425),
    "shapes_clips": ("video classification", 116_654),
    "shapes_boxes": ("detection", 710_643),
    "shapes_masks": ("instance segmentation", 741_132),
    "shapes_keypoints": ("keypoints", 776_071),
}
"""The task and the parameters of networks that torchvision has released no weights for."""


def test_every_network_is_listed_with_all_its_released_weights() -> None:
    assert [network.name for network in listed()] == sorted(NETWORKS)
    for network in listed():
        assert network.weights == tuple(RELEASED.get(network.name, {}).values())
    assert not any(network.weights for network in listed() if network.name in UNRELEASED)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_network(name: str) -> None:
    (found,) = listed(name)
    counted = sum(parameter.numel() for parameter in built_on_meta(name).parameters())
    assert found.parameters == counted
    if name in UNRELEASED:
        assert (found.task, found.parameters) == UNRELEASED[name]


def test_the_table_has_a_line_a_network() -> None:
    head, *lines = networks_table(listed()).splitlines()
    assert head.split() == "network task parameters multiply-adds file accuracy".split()
    assert [line.split()[0] for line in lines] == sorted(NETWORKS)
    by_name = {line.split()[0]: line for line in lines}
    assert by_name["resnet50"].split() == (
        "resnet50 classification 25,557,032 4.09 G 97.8 MB acc@1 80.858".split()
    )
    assert by_name["keypointrcnn_resnet50_fpn"].endswith("kp_map 65")
    assert by_name["digits"].endswith("0.049 MB  shipped")
    assert by_name["mobilenet_v3_small_075"].endswith("no released weights")


def test_the_page_names_the_file_of_every_network() -> None:
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text()
    for name in NETWORKS:
        *_, file = type(built_on_meta(name)).__module__.split(".")
        assert f"`{file}.py`" in page, name


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet"):
        listed("resnets*")
    with pytest.raises(ValueError, match=r"write it like 'resnet\*'"):
        listed("?")


def test_the_command_prints_the_table_and_everything_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(capsys, "models", "vgg*") == networks_table(listed("vgg*")) + "\n"
    rows = json.loads(command(capsys, "models", "--json"))["networks"]
    assert [network["name"] for network in rows] == sorted(NETWORKS)
    entries = {(entry["network"], entry["name"]): entry for row in rows for entry in row["weights"]}
    assert len(entries) == sum(len(named) for named in RELEASED.values())
    found = entries["r3d_18", "KINETICS400_V1"]
    assert found["url"].endswith(found["file"])
    assert found["file"].endswith(f"-{found['digest']}.pth")
    assert (found["frames"], found["categories"], found["resize"]) == (16, 400, [128, 171])
    assert entries["vgg16", "IMAGENET1K_FEATURES"]["note"]


def command(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert not ended.value.code
    return capsys.readouterr().out
