"""Samples of figures are whole, the same in any order, and told apart by their arguments."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from convlens.learn.data.samples import Boxed, ClipSample, Labelled, Mapped, Samples
from convlens.learn.data.shapes.figures import FIGURES, PAIRS, POINTS
from convlens.learn.data.shapes.motions import MIRRORED, MOTIONS
from convlens.learn.data.shapes.shapes import Shapes, ShapesKind, shapes_data

KINDS = get_args(ShapesKind)


def parts(sample: Any) -> dict[str, Any]:
    return {field.name: getattr(sample, field.name) for field in fields(sample)}


def same(a: Any, b: Any) -> bool:
    return all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y
        for x, y in zip(parts(a).values(), parts(b).values(), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_depends_on_seed_and_number_alone(kind: ShapesKind) -> None:
    forwards = Shapes(kind, 3, 12)
    read = [forwards.read(i) for i in range(12)]
    again = Shapes(kind, 3, 500)
    assert all(same(again.read(i), read[i]) for i in reversed(range(12)))
    assert not same(Shapes(kind, 4, 12).read(0), read[0])
    assert not same(read[1], read[0])
    other = Shapes(kind, 3, 12, hard=0.5).read(1)
    assert not same(other, read[1])


@pytest.mark.parametrize("kind", KINDS)
def test_samples_keep_the_protocol(kind: ShapesKind) -> None:
    samples: Samples = Shapes(kind, 0, 30)
    assert len(samples) == 30
    for i in (0, 29):
        sample: Any = samples.read(i)
        assert type(sample) is samples.sample
        assert sample.key == str(i)
        pixels = parts(sample)["frames" if kind == "clips" else "picture"]
        assert pixels.dtype == torch.uint8
        assert pixels.is_contiguous()
        assert tuple(pixels.shape) == ((8, 3, 48, 48) if kind == "clips" else (3, 96, 96))
    assert samples.ids == ()
    assert samples.points == (POINTS if kind == "points" else ())


@pytest.mark.parametrize(("kind", "count"), [("classes", 8), ("clips", 6)])
def test_categories_are_known_unread_and_equally_frequent(kind: ShapesKind, count: int) -> None:
    samples = Shapes(kind, 0, 2 * count)
    labels = samples.labels()
    assert labels is not None
    assert np.bincount(labels).tolist() == [2] * count
    read = [samples.read(i) for i in range(len(samples))]
    assert all(isinstance(sample, Labelled | ClipSample) for sample in read)
    assert [parts(sample)["label"] for sample in read] == labels.tolist()
    assert samples.classes == (FIGURES if kind == "classes" else MOTIONS)
    if kind == "clips":
        assert {parts(sample)["pairs"] for sample in read} == {MIRRORED}


@pytest.mark.parametrize("kind", ["boxes", "masks", "points"])
def test_boxed_samples_have_what_was_asked_for(kind: ShapesKind) -> None:
    samples = Shapes(kind, 1, 40)
    assert samples.labels() is None
    with_masks = Shapes("masks", 1, 40)
    for i in range(40):
        sample, full = samples.read(i), with_masks.read(i)
        assert isinstance(sample, Boxed)
        assert isinstance(full, Boxed)
        assert full.masks is not None
        m = len(sample.boxes)
        assert 1 <= m <= 4
        assert (sample.masks is None, sample.points is None) == (kind != "masks", kind != "points")
        assert sample.pairs == (PAIRS if kind == "points" else None)
        assert torch.equal(sample.boxes, full.boxes)  # the kinds show the same pictures
        assert sample.boxes.dtype == torch.float32
        assert sample.labels.dtype == torch.int64
        assert 1 <= sample.labels.min() <= sample.labels.max() <= 8
        assert sample.area.tolist() == full.masks.sum((1, 2)).tolist()
        assert not sample.crowd.any()
        if sample.points is not None:
            assert sample.points.shape == (m, 4, 3)
            is_arrow = sample.labels == 1 + FIGURES.index("arrow")
            assert not sample.points[~is_arrow].any()


def test_maps_count_the_ground_as_0() -> None:
    samples, boxed = Shapes("maps", 1, 20), Shapes("masks", 1, 20)
    assert samples.classes == ("__background__", *FIGURES)
    for i in range(20):
        sample, full = samples.read(i), boxed.read(i)
        assert isinstance(sample, Mapped)
        assert isinstance(full, Boxed)
        assert full.masks is not None
        wanted = torch.zeros(96, 96, dtype=torch.uint8)
        for mask, label in zip(full.masks, full.labels, strict=True):
            wanted[mask] = int(label)
        assert torch.equal(sample.map, wanted)


def test_sizes_and_frames_are_as_asked() -> None:
    clip = Shapes("clips", 0, 3, size=64, frames=5).read(2)
    assert isinstance(clip, ClipSample)
    assert clip.frames.shape == (5, 3, 64, 64)
    picture = Shapes("maps", 0, 3, size=50).read(2)
    assert isinstance(picture, Mapped)
    assert (picture.picture.shape, picture.map.shape) == ((3, 50, 50), (50, 50))


def test_every_argument_changes_the_fingerprint() -> None:
    usual = Shapes("boxes", 0, 10)
    assert usual.fingerprint == Shapes("boxes", 0, 10).fingerprint
    assert usual.fingerprint == Shapes("boxes", 0, 10, size=96).fingerprint
    assert replace(usual, hard=0).fingerprint == replace(usual, hard=0.0).fingerprint
    changed: list[dict[str, Any]] = [
        *({"kind": "masks"}, {"seed": 1}, {"count": 11}, {"size": 64}),
        *({"hard": 0.5}, {"most": 5}, {"frames": 9}),
    ]
    others = [replace(usual, **change).fingerprint for change in changed]
    assert len({usual.fingerprint, *others}) == 1 + len(fields(usual))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "words"}, r"`kind` \(='words'\) must be one of classes, boxes"),
        ({"count": 0}, r"`count` \(=0\) must be at least 1; use more"),
        ({"size": 40}, r"`size` \(=40\) must be at least 48; use more"),
        ({"frames": 1}, r"`frames` \(=1\) must be at least 2"),
        ({"most": 0}, r"`most` \(=0\) must be at least 1"),
        ({"seed": -1}, r"`seed` \(=-1\) must be 0 to 2\*\*63 - 1"),
        ({"hard": 1.5}, r"`hard` \(=1.5\) must be 0 to 1"),
        ({"hard": float("nan")}, r"`hard` \(=nan\) must be 0 to 1"),
    ],
)
def test_arguments_out_of_range_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Shapes(**{"kind": "maps", "seed": 0, "count": 1, **change})


def test_samples_outside_are_refused() -> None:
    with pytest.raises(IndexError, match=r"`index` \(=3\) must be 0 to 2; use one of these"):
        Shapes("maps", 0, 3).read(3)
    with pytest.raises(IndexError, match=r"`index` \(=-1\)"):
        Shapes("maps", 0, 3).read(-1)
    with pytest.raises(TypeError):
        Shapes("maps", 0, 2.5)  # type: ignore[arg-type]


def test_held_out_samples_are_others() -> None:
    data = shapes_data("classes", 16, 16, seed=1, hard=0.5)
    trained, held_out = ({side.read(i).picture.numpy().tobytes() for i in range(16)}
                         for side in (data.train, data.held_out))  # fmt: skip
    assert len(trained | held_out) == 32
    assert data.train.fingerprint != data.held_out.fingerprint
    following = shapes_data("classes", 16, 16, seed=2)
    assert {data.held_out.fingerprint, data.train.fingerprint}.isdisjoint(
        {following.held_out.fingerprint, following.train.fingerprint}
    )
