"""A network that raised an error: the call, what it was given, and the sizes that led there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lab.answers.failing import FaultRow, fault_of
from convlens.lens import record
from tests.cases.lab_networks import lab_of, noise

X = torch.ones(1, 3, 8, 6)


def fault(network: Callable[..., object]) -> FaultRow:
    found = fault_of(record(network, X))
    assert found is not None
    return found


SENTENCES: list[tuple[str, Callable[[Tensor], object]]] = [
    (
        "`linear` multiplies 144 numbers with weights for 32.",
        lambda x: F.linear(x.flatten(1), torch.ones(2, 32)),
    ),
    (
        "`matmul` multiplies rows of 6 numbers with columns of 5.",
        lambda x: x @ torch.ones(5, 2),
    ),
    ("`conv2d` reads 3 maps with kernels for 4.", lambda x: F.conv2d(x, torch.ones(2, 4, 3, 3))),
    (
        "`conv2d` reads 1 map with kernels for 4.",
        lambda x: F.conv2d(x[:, :1], torch.ones(2, 2, 3, 3), groups=2),
    ),
    (
        "`conv_transpose2d` reads 3 maps with kernels for 2.",
        lambda x: F.conv_transpose2d(x, torch.ones(2, 3, 3, 3)),
    ),
    (
        "`cat` joins 1x3x8x6 with 1x3x7x6 along axis 1: 8 and 7 differ on axis 2.",
        lambda x: torch.cat([x, x[:, :, 1:]], 1),
    ),
    ("`cat` joins 1x3x8x6 with 3x8x6: the axes differ.", lambda x: torch.cat([x, x[0]])),
    (
        "`add` takes 1x3x8x6 and 1x3x7x6: 8 and 7 do not fit.",
        lambda x: x + x[:, :, 1:],
    ),
    ("Given normalized_shape=[5], expected input", lambda x: F.layer_norm(x, [5])),
    ("shape '[5, -1]' is invalid for input of size 144", lambda x: x.view(5, -1)),
]


@pytest.mark.parametrize(("sentence", "call"), SENTENCES)
def test_what_failed_is_one_sentence(sentence: str, call: Callable[[Tensor], object]) -> None:
    said = fault(call)["sentence"]
    assert said.startswith(sentence)
    assert "\n" not in said


def test_a_fault_has_its_operands_its_line_and_the_sizes_that_led_there() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(7, 2)
    )
    found = fault(network)
    assert (found["step"], found["op"], found["label"]) == (4, "linear", "4")
    assert [row["name"] for row in found["operands"]] == ["3", "4.weight", "4.bias"]
    sizes = [(row["name"], row["shape"]) for row in found["chain"]]
    assert sizes == [
        ("input", [1, 3, 8, 6]),
        ("0", [1, 4, 8, 6]),
        ("2", [1, 4, 4, 3]),
        ("3", [1, 48]),
    ]
    assert [row["step"] for row in found["chain"]] == [None, 0, 2, 3]


def test_an_error_outside_torch_keeps_its_words_and_line() -> None:
    def stops(x: Tensor) -> Tensor:
        raise LookupError("no such thing\nand more")

    found = fault(stops)
    assert (found["op"], found["sentence"]) == ("", "no such thing")
    assert (found["operands"], found["chain"]) == ([], [])
    assert found["source"] is not None
    assert found["source"]["text"].startswith("raise LookupError(")


def test_an_error_that_the_network_handled_is_not_the_one_it_stopped_at() -> None:
    def recovers(x: Tensor) -> Tensor:
        try:
            x = x.view(5, -1)
        except RuntimeError:
            x = x.relu()
        return x + x[:, :2]

    assert fault(recovers)["op"] == "add"


def test_the_page_hears_of_the_fault(networks: Path) -> None:
    network = lab_of(f"{networks}:Raises", noise(), 24).network()
    assert network["fault"] is not None
    assert network["fault"]["sentence"] == "`linear` multiplies 968 numbers with weights for 7."
    assert network["door"] is not None
    assert fault_of(record(torch.relu, X)) is None
