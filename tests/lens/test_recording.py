"""A recording has steps and values by name, prints as a table and goes to JSON."""

import json

import pytest
import torch

from convlens.lens import record
from tests.cases.networks import Shared, build


def test_modules_give_paths_and_calls() -> None:
    seen = record(Shared(), torch.randn(1, 3, 6, 6))
    labels = [call.label for call in seen.calls]
    assert labels == ["", "conv", "conv#2", "conv#3"]
    assert seen.step("conv").index < seen.step("conv#2").index < seen.step("conv#3").index
    assert len(seen["conv"]) == 3
    assert seen.calls[1].parent == 0
    with pytest.raises(ValueError, match="did you mean 'conv'"):
        seen.step("convv")
    with pytest.raises(ValueError, match="use 0 to 10"):
        seen.step(11)


def test_prints_and_goes_to_json() -> None:
    network, inputs = build("dilated")
    seen = record(network, *inputs)
    text = str(seen)
    assert text.splitlines()[0].split() == ["step", "module", "operation", "output", "ms"]
    assert len(text.splitlines()) == len(seen) + 1
    assert "branches.2" in text
    content = json.loads(json.dumps(seen.to_dict()))
    assert [step["op"] for step in content["steps"]] == [step.op for step in seen]
