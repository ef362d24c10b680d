"""The rows of steps and calls: windows, reach, plumbing, weights, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lab.answers.steps import StepRow, call_rows, step_rows
from convlens.lab.answers.windowing import WindowRow
from convlens.lens import costs_of, record, region
from convlens.zoo import model
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded

KERNEL = torch.ones(4, 4, 3, 3)
X = torch.linspace(-1, 1, 1 * 4 * 6 * 7).view(1, 4, 6, 7)

WINDOWED: list[Callable[[Tensor], Tensor]] = [
    lambda x: F.conv2d(x, KERNEL, stride=2, padding=(1, 2), dilation=(1, 2)),
    lambda x: F.conv2d(x, KERNEL[:, :2], padding="same", groups=2),
    lambda x: F.conv_transpose2d(x, KERNEL, stride=3, padding=1, output_padding=2),
    lambda x: F.conv_transpose2d(x, KERNEL, stride=2, dilation=2, padding=3),
    lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    lambda x: F.avg_pool2d(x, 2, 3, ceil_mode=True),
    lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    lambda x: F.pad(x, (1, 2)),
    lambda x: F.pad(x, (0, 0, 2, 1), value=3.0),
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.interpolate(x, (18, 21), mode="nearest-exact"),
    lambda x: F.interpolate(x, scale_factor=4, mode="bilinear"),
]


def read(window: WindowRow, place: int) -> list[int]:
    """The inputs that an output reads, by the words that describe the row."""
    w, n = window, window["inputs"]
    if w["adaptive"]:
        m = w["outputs"]
        return list(range(place * n // m, -(-(place + 1) * n // m)))
    if w["transposed"]:
        taps = [place - i * w["stride"] + w["before"] for i in range(n)]
        reach = [divmod(tap, w["dilation"]) for tap in taps]
        return [i for i, (t, r) in enumerate(reach) if r == 0 and 0 <= t < w["size"]]
    at = [place * w["stride"] - w["before"] + t * w["dilation"] for t in range(w["size"])]
    return [i for i in at if 0 <= i < n]


@pytest.mark.parametrize("call", WINDOWED)
def test_the_rows_of_windows_name_exactly_the_places_that_are_read(
    call: Callable[[Tensor], Tensor],
) -> None:
    recording = record(call, X)
    row = step_rows(recording)[-1]
    out = recording.values[row["outputs"][0]]
    assert row["reach"] == "window"
    assert [w["outputs"] for w in row["windows"]] == list(out.shape[2:])
    assert [w["inputs"] for w in row["windows"]] == list(X.shape[2:])
    for place in torch.cartesian_prod(*map(torch.arange, out.shape[2:])).tolist():
        found = region(recording, out.id, (0, 0, *place)).mask[0].any(0)
        expected = torch.zeros(found.shape, dtype=torch.bool)
        lines = [read(w, o) for w, o in zip(row["windows"], place, strict=True)]
        expected[torch.tensor(lines[0], dtype=torch.long)[:, None], lines[1]] = True
        assert torch.equal(found, expected), place


def test_what_hangs_over_because_of_ceil_is_counted_after() -> None:
    (row,) = step_rows(record(lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), X))
    assert [(w["before"], w["after"]) for w in row["windows"]] == [(0, 1), (0, 0)]
    (row,) = step_rows(
        record(lambda x: F.conv_transpose2d(x, KERNEL, stride=2, output_padding=1), X)
    )
    assert [(w["before"], w["after"]) for w in row["windows"]] == [(0, -1), (0, -1)]


TURNED = torch.tensor([2, 1, 0, 3, 4, 5, 6])

REACHES: list[tuple[str, Callable[[Tensor], object]]] = [
    ("same", lambda x: x.relu()),
    ("same", lambda x: x + x[:, :1]),
    ("same", lambda x: x * x.mean((2, 3), keepdim=True)),
    ("same", lambda x: torch.maximum(x, x.neg())),
    ("same", lambda x: x[:, 1:]),
    ("same", lambda x: torch.cat([x, x], 1)),
    ("all", lambda x: torch.cat([x, x], 2)),
    ("same", lambda x: x.softmax(1)),
    ("all", lambda x: x.softmax(-1)),
    ("same", lambda x: x.mean(1, keepdim=True)),
    ("all", lambda x: x.mean((2, 3))),
    ("same", lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4))),
    ("all", lambda x: F.batch_norm(x, None, None, training=True)),
    ("all", lambda x: F.group_norm(x, 2)),
    ("all", lambda x: x[..., TURNED]),
    ("all", lambda x: x[..., [2, 1, 0, 3, 4, 5, 6]]),
    ("all", lambda x: x.flip(3)),
    ("all", lambda x: x.flatten(1)),
    ("all", lambda x: F.interpolate(x, (7, 9))),
    ("all", lambda x: F.interpolate(x, scale_factor=3, mode="bilinear")),
    ("all", lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")),
    ("all", lambda x: F.linear(x, torch.ones(2, 7))),
    ("all", lambda x: torch.linalg.svdvals(x)),
]


@pytest.mark.parametrize(("reach", "call"), REACHES)
def test_the_reach_of_a_step_holds_what_its_places_read(
    reach: str, call: Callable[[Tensor], object]
) -> None:
    recording = record(call, X)
    row = step_rows(recording)[-1]
    assert row["reach"] == reach
    if reach == "same":
        out = recording.values[row["outputs"][0]]
        for place in ((0, 0), (2, 5)):
            at = (0, 0, *place)
            found = region(recording, out.id, at).mask[0].any(0)
            assert bool(found[place])
            if not any(row["op"] == "mean" for row in step_rows(recording)[:-1]):
                assert int(found.sum()) == 1


PLUMBING: list[tuple[bool, Callable[[Tensor], object]]] = [
    (True, lambda x: x.flatten(1)),
    (True, lambda x: x.view(2, -1)),
    (True, lambda x: x[:, 1:]),
    (True, lambda x: x.mT.contiguous()),
    (True, lambda x: x.detach()),
    (True, lambda x: x.to(torch.float64)),
    (False, lambda x: F.dropout(x, training=True)),
    (False, lambda x: x[:, [1, 0]]),
    (False, lambda x: F.pad(x, (1, 1))),
    (False, lambda x: x.roll(1, 2)),
    (False, lambda x: x.relu()),
]


@pytest.mark.parametrize(("plumbing", "call"), PLUMBING)
def test_plumbing_hands_numbers_on(plumbing: bool, call: Callable[[Tensor], object]) -> None:
    assert step_rows(record(call, X))[-1]["plumbing"] is plumbing


def test_a_row_names_activations_weights_and_costs_apart() -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    rows = step_rows(recording)
    names = recording.names
    first = rows[0]
    assert (first["family"], first["label"], first["type"]) == ("conv", "conv1", "Conv2d")
    assert [names[id] for id in first["x"]] == ["input"]
    assert (names[first["weight"] or 0], names[first["bias"] or 0]) == (
        "conv1.weight",
        "conv1.bias",
    )
    known = {row.step: row.multiply_adds for row in costs_of(recording).rows}
    assert [row["multiply_adds"] for row in rows] == [known[row["index"]] for row in rows]
    assert sum(row["weights"] for row in rows) == sum(
        v.tensor.numel() for v in recording.values if v.kind == "parameter"
    )


def test_a_kernel_that_was_computed_is_no_activation() -> None:
    recording = record(lambda x: F.conv2d(x, KERNEL[:, :1].expand(4, 4, 3, 3).relu()), X)
    row = step_rows(recording)[-1]
    assert row["x"] == [recording.inputs[0].id]
    assert row["weight"] == row["inputs"][1]


def test_only_a_module_without_others_gives_its_type() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.conv(x))

    recording = record(nn.Sequential(Around()), X)
    assert [row["type"] for row in step_rows(recording)] == ["Conv2d", ""]
    calls = call_rows(recording)
    assert [(call["label"], call["parent"]) for call in calls] == [
        ("", -1),
        ("0", 0),
        ("0.conv", 1),
    ]
    assert [(call["first"], call["last"]) for call in calls] == [(0, 2), (0, 2), (0, 1)]


def broken(*given: Any) -> Any:
    raise KeyError("no such thing")


def test_a_step_that_cannot_be_read_is_shown_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = record(lambda x: F.conv2d(x, KERNEL).relu(), X)
    monkeypatch.setattr("convlens.lab.answers.forms.geometry_of", broken)
    conv, relu = step_rows(recording)
    assert (conv["family"], conv["reach"], conv["windows"]) == ("other", "all", [])
    assert (relu["family"], relu["op"]) == ("other", "relu")


def test_steps_that_make_nothing_or_anything_are_listed() -> None:
    def odd(x: Tensor) -> Sequence[Tensor]:
        x.sum().item()
        sparse = x.to_sparse()
        return [sparse, x.to(torch.complex64), x[:, :0], torch.zeros(3), x.isnan(), x.nonzero()]

    rows = step_rows(record(odd, X))
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert rows[1]["op"] == "item"
    assert rows[1]["outputs"] == []


def test_every_step_of_a_detector_is_read() -> None:
    recording = record(
        model("fasterrcnn_mobilenet_v3_large_320_fpn", None).eval(), torch.rand(1, 3, 64, 64)
    )
    rows: list[StepRow] = step_rows(recording)
    assert len(rows) == len(recording.steps)
    families = {row["family"] for row in rows}
    assert {"conv", "add", "resample", "select", "concat", "linear", "softmax"} <= families
