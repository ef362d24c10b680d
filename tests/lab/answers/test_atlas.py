"""Thumbnails of all activations: the liveliest maps, sampled, in codes between the ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.lab import Lab
from convlens.lab.answers import atlas, sheets
from convlens.lab.answers.atlas import SIDE, STACK, AtlasAnswer, atlas_of
from convlens.lab.answers.steps import step_rows
from convlens.lens import Recording, record
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded

Thumbnail = npt.NDArray[np.uint8]


def drawn(network: Callable[[Tensor], object], x: Tensor) -> tuple[AtlasAnswer, Recording]:
    recording = record(network, x)
    return atlas_of(recording, step_rows(recording)), recording


def thumbnail(found: AtlasAnswer, at: int, nth: int | None = None) -> Thumbnail:
    alone, stacks = found["codes"], found["stacks"]
    codes: Thumbnail = alone.reshape(-1, SIDE, SIDE)[at]
    stack: Thumbnail = stacks.reshape(-1, STACK, SIDE, SIDE)[at]
    return codes if nth is None else stack[nth]


def test_each_thumbnail_is_the_numbers_of_its_map(digits: Lab) -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    found = digits.atlas(1)
    names = [recording.name_of(int(id)) for id in found["values"]]
    assert names == "input conv1 relu1 pool1 conv2 relu2 pool2 linear softmax".split()
    for at, id in enumerate(found["values"]):
        tensor = recording.values[int(id)].tensor[0]
        maps = tensor.reshape(-1, *tensor.shape[1:]) if tensor.ndim == 3 else tensor[None, None]
        size = [found[side][at] for side in ("maps", "rows", "columns")]
        assert size == list(maps.shape)
        strongest = maps.abs().amax((1, 2))
        order = found["liveliest"].reshape(-1, STACK)[at]
        kept = order[order >= 0]
        assert len(kept) == min(STACK, len(maps))
        assert strongest[kept].tolist() == strongest.sort(descending=True)[0][:STACK].tolist()
        assert found["map"][at] == order[0]
        low, high = float(found["low"][at]), float(found["high"][at])
        assert (low, high) == (float(tensor.min()), float(tensor.max()))
        assert np.array_equal(thumbnail(found, at), thumbnail(found, at, 0))
        for nth, map in enumerate(kept):
            rows, columns = maps.shape[1:]
            codes = thumbnail(found, at, nth)
            assert not codes[rows:].any()
            assert not codes[:, columns:].any()
            back = low + (codes[:rows, :columns] - 1.0) * (high - low) / 254
            np.testing.assert_allclose(back, maps[map], atol=(high - low) / 254)


def test_large_maps_are_sampled_and_small_ones_are_not() -> None:
    x = torch.arange(96.0)[:, None] + torch.zeros(96, 30)
    found, _ = drawn(lambda x: x + 0, x.view(1, 1, 96, 30))
    assert [found[side].tolist() for side in ("rows", "columns")] == [[96, 96], [30, 30]]
    codes = thumbnail(found, 1).astype(float)
    assert not codes[:, 30:].any()
    np.testing.assert_allclose(codes[:, 0], 1 + np.arange(1, 96, 2) / 95 * 254, atol=1)


def test_only_the_first_sample_counts_and_a_vector_is_one_row() -> None:
    x = torch.tensor([[[1.0, -3.0]], [[9.0, 9.0]]])
    found, _ = drawn(lambda x: F.conv1d(x, torch.ones(1, 1, 1)), x)
    assert (found["low"][-1], found["high"][-1]) == (-3, 1)
    found, _ = drawn(lambda x: x.relu(), torch.arange(5.0))
    assert [found[side].tolist() for side in ("maps", "rows", "columns")] == [
        [1, 1],
        [1, 1],
        [5, 5],
    ]


def test_numbers_that_are_not_finite_have_the_code_0() -> None:
    x = torch.tensor([[1.0, torch.nan], [torch.inf, -2.0]]).view(1, 1, 2, 2)
    x = torch.cat([x, torch.full((1, 1, 2, 2), -torch.inf)], 1)
    found, _ = drawn(lambda x: x * 1, x)
    assert thumbnail(found, 1)[:2, :2].tolist() == [[255, 0], [0, 1]]
    assert (found["low"][1], found["high"][1], found["map"][1]) == (-2, 1, 0)
    assert not thumbnail(found, 1, 1).any()


def test_a_signalling_nan_is_drawn_as_any_other() -> None:
    bits = np.full((1, 1, 4, 4), 0x7FA00000, np.uint32)  # as memory that was never written may hold
    bits[..., 1:3] = np.float32(1.5).view(np.uint32)
    found, _ = drawn(lambda x: x, torch.from_numpy(bits.view(np.float32)))
    codes = thumbnail(found, 0)[:4, :4]
    assert ((codes == 0) == (bits[0, 0] == 0x7FA00000)).all()


def test_a_constant_map_and_the_largest_floats_have_codes() -> None:
    found, _ = drawn(lambda x: x * 0 + 7, torch.ones(1, 1, 2, 2))
    assert thumbnail(found, 1)[:2, :2].tolist() == [[1, 1], [1, 1]]
    most = torch.finfo().max
    found, _ = drawn(lambda x: x * 1, torch.tensor([[[[-most, most, 1e-42]]]]))
    assert thumbnail(found, 1)[0, :3].tolist() == [1, 255, 128]
    found, _ = drawn(lambda x: x * 1, torch.tensor([[[[0, 1e-42, 2e-42]]]]))
    assert thumbnail(found, 1)[0, :3].tolist() == [1, 128, 255]


@pytest.mark.parametrize(
    ("maps", "call"),
    [
        (2, lambda x: x > 0),
        (2, lambda x: x.to(torch.int64)),
        (2, lambda x: x.to(torch.uint16)),
        (2, lambda x: x.to(torch.bfloat16)),
        (2, lambda x: x.to(torch.float64)),
        (2, lambda x: x.to(torch.complex64) * 1j),
        (0, lambda x: x[:, :0]),
        (0, lambda x: x[:0] * 2),
        (0, lambda x: x[..., :0] * 2),
        (1, lambda x: x.sum()),
        (1, lambda x: x.flatten() * 2),
        (1, lambda x: x[0, 0] * 2),
        (4, lambda x: x.expand(1, 2, 2, 3, 4) * 1),
        (8, lambda x: x.expand(1, 2, 2, 2, 3, 4) * 1),
    ],
)
def test_values_of_every_kind_are_drawn(maps: int, call: Callable[[Tensor], Tensor]) -> None:
    x = torch.arange(24.0).view(1, 2, 3, 4)
    recording = record(call, x)
    made = [value for value in recording.values if value.kind == "computed"]
    rows = step_rows(recording)
    for row in rows:
        row["plumbing"] = False
    found = atlas_of(recording, rows)
    assert found["values"][-1] == made[-1].id
    assert found["maps"][-1] == maps
    assert bool(thumbnail(found, -1).any()) == bool(maps)
    assert found["codes"].size == found["values"].size * SIDE * SIDE


def test_plumbing_and_opaque_values_are_passed_over() -> None:
    found, recording = drawn(lambda x: [x.to_sparse(), x.view(3, 4), x.relu()], torch.ones(4, 3))
    assert [recording.name_of(int(id)) for id in found["values"]] == ["input", "relu@2"]


def test_many_values_are_too_many_and_large_ones_are_read_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(atlas, "MOST", 3)
    whole, _ = drawn(lambda x: x.relu().exp().sin(), torch.randn(1, 5, 4, 4))
    assert len(whole["values"]) == 3
    monkeypatch.setattr(sheets, "AT_ONCE", 20)
    torch.manual_seed(0)
    x = torch.randn(1, 5, 4, 4)
    parts, _ = drawn(lambda x: x.sin(), x)
    monkeypatch.undo()
    whole, _ = drawn(lambda x: x.sin(), x)
    assert all(np.array_equal(parts[key], whole[key]) for key in ("low", "high", "stacks"))


def test_a_long_row_keeps_its_peaks_and_a_clip_shows_each_channel_once() -> None:
    x = torch.zeros(1, 1000)
    x[0, 777], x[0, 30] = 5, -3
    found, _ = drawn(lambda x: x * 1, x)
    codes = thumbnail(found, 1)[0]
    assert sorted(set(codes.tolist())) == [1, 96, 255]
    assert (codes.argmax(), codes.argmin()) == (37, 1)
    clip = torch.arange(24.0).view(1, 2, 3, 2, 2)
    found, _ = drawn(lambda x: F.conv3d(x, torch.eye(2).view(2, 2, 1, 1, 1)), clip)
    assert found["liveliest"].reshape(-1, STACK)[-1].tolist() == [5, 2, -1, -1, -1, -1]
    assert found["maps"][-1] == 6
