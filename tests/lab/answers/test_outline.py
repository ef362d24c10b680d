"""The outline: every step in it once, under the names of the recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlens.lab import Lab
from convlens.lab.answers.outline import OutlineNode, outline
from convlens.learn.opening import open_network, read_inputs
from convlens.lens import record
from tests.cases.lab_networks import lab_of, noise, recorded


def _steps(nodes: list[OutlineNode]) -> list[int]:
    return [
        step
        for node in nodes
        for step in ([node["step"]] if "step" in node else []) + _steps(node.get("children", []))
    ]


@pytest.mark.parametrize("name", ["Residual", "Raises", "Strange"])
def test_every_step_is_in_the_outline_once(networks: Path, name: str) -> None:
    opened = open_network(f"{networks}:{name}", size=24)
    inputs, _ = read_inputs(opened, noise())
    recording = record(opened.network, inputs)
    assert _steps(outline(recording)) == list(range(len(recording.steps)))
    assert record(opened.network, inputs).names == recording.names


def test_names_are_those_of_the_recording(residual: Lab, networks: Path) -> None:
    recording = recorded(f"{networks}:Residual", noise(), 24)
    assert {each["id"]: each["name"] for each in residual.network()["values"]} == recording.names


def test_the_outline_reads_like_the_network(residual: Lab) -> None:
    nodes = residual.network()["nodes"]
    names = "stem relu shared add@3 relu#2 shared#2 block".split()
    assert [node["name"] for node in nodes] == names
    assert [node["name"] for node in nodes[-1]["children"]] == ["0", "1", "2"]
    assert nodes[0]["parameters"] == 40 * 3 * 9 + 40
    assert nodes[-1]["parameters"] == 4 * 40 + 4


def test_an_error_stands_at_its_step(networks: Path) -> None:
    network = lab_of(f"{networks}:Raises", noise(), 24).network()
    head = network["nodes"][-1]
    assert head["name"] == "head"
    assert "error" in head["children"][-1]
    assert network["error"] is not None
    assert "linear" in network["error"]
    assert len(network["steps"]) == 3
    assert network["output"] is None
