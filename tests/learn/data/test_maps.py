"""Pictures and maps: which belong together, what their numbers mean."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens.learn.data.finding import find_data
from convlens.learn.data.maps import MapSamples, find_maps, read_map
from tests.cases.labelled import picture

PALETTE = [200, 0, 0, 0, 200, 0, 0, 0, 200] + [9] * 759


def save_map(path: Path, numbers: list[list[int]], mode: str = "P") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(numbers, np.uint8), "P" if mode == "P" else "L")
    if mode == "P":
        image.putpalette(PALETTE)
    image.save(path)
    return path


def folders(root: Path, *maps: list[list[int]], names: str = "images masks") -> Path:
    one, other = names.split()
    for n, numbers in enumerate(maps):
        picture(root / one / f"{n}.jpg", n, (len(numbers[0]), len(numbers)))
        save_map(root / other / f"{n}.png", numbers)
    return root


def whole(root: Path) -> MapSamples:
    samples = find_maps(root)["whole"](None)
    assert isinstance(samples, MapSamples)
    return samples


def test_palettes_are_read_as_indices_and_255_is_ignored(tmp_path: Path) -> None:
    samples = whole(folders(tmp_path, [[0, 2, 255]], [[1, 1], [0, 0]]))
    assert samples.classes == ("0", "1", "2")
    assert samples.read(0).map.tolist() == [[0, 2, 255]]
    assert samples.read(1).map.tolist() == [[1, 1], [0, 0]]
    assert samples.read(1).picture.shape == (3, 2, 2)
    assert samples.read(1).key == "1.jpg"


def test_0_and_255_alone_are_two_classes(tmp_path: Path) -> None:
    samples = whole(folders(tmp_path, [[0, 255]], [[0, 0]]))
    assert samples.classes == ("0", "255")
    assert samples.read(0).map.tolist() == [[0, 1]]
    (tmp_path / "classes.txt").write_text("ground\nroad\n")
    assert whole(tmp_path).read(0).map.tolist() == [[0, 1]]
    assert whole(tmp_path).classes == ("ground", "road")
    (tmp_path / "classes.txt").write_text("ground\nroad\ncar\n")
    assert whole(tmp_path).read(0).map.tolist() == [[0, 255]]


def test_a_part_with_0_and_255_alone_follows_the_other(tmp_path: Path) -> None:
    folders(tmp_path / "train", [[0, 1]], [[1, 1]])
    folders(tmp_path / "val", [[0, 255]])
    data = find_data(tmp_path)
    assert data.held_out.classes == ("0", "1")
    assert data.held_out.read(0).map.tolist() == [[0, 255]]


@pytest.mark.parametrize(
    "names",
    [
        *("{}/images {}/masks", "images/{} masks/{}", "Images/{} annotations/{}"),
        *("{}/img {}/labels", "JPEGImages/{} SegmentationClass/{}"),
    ],
)
def test_where_the_parts_are(tmp_path: Path, names: str) -> None:
    folders(tmp_path, [[0, 1]], [[1, 1]], names=names.replace("{}", "training"))
    folders(tmp_path, [[0, 1]], names=names.replace("{}", "validation"))
    data = find_data(tmp_path, kind="semantic segmentation")
    assert [len(data.train), len(data.held_out)] == [2, 1]


def test_the_names_of_maps(tmp_path: Path) -> None:
    folders(tmp_path, [[0, 1]], [[0, 1]])
    (tmp_path / "masks" / "1.png").rename(tmp_path / "masks" / "1_mask.png")
    assert len(whole(tmp_path)) == 2
    (tmp_path / "masks" / "1_mask.png").rename(tmp_path / "masks" / "5.png")
    samples = whole(tmp_path)
    assert samples.warnings == (
        "`data` (images): 1 pictures have no map and are left out, the first: 1.jpg",
        "`data` (images): 1 maps have no picture and are left out, the first: 5.png",
    )
    (tmp_path / "masks" / "0.png").unlink()
    with pytest.raises(ValueError, match="a picture whose map has the same name, and has none"):
        whole(tmp_path)


def test_labels_that_are_texts_are_no_maps(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 1 1")
    assert not find_maps(tmp_path)


def test_a_map_of_another_size_is_named(tmp_path: Path) -> None:
    folders(tmp_path, [[0, 1]])
    picture(tmp_path / "images" / "0.jpg", 1, (2, 2))
    with pytest.raises(ValueError, match=r"`map` \(0\.png\) must have .*, 2 x 2, and has 2 x 1"):
        whole(tmp_path).read(0)


def test_numbers_beyond_the_classes(tmp_path: Path) -> None:
    folders(tmp_path, [[0, 3]])
    (tmp_path / "classes.txt").write_text("a\nb\n c \n\n")
    samples = whole(tmp_path)
    assert samples.classes == ("a", "b", "c")
    with pytest.raises(ValueError, match=r"`map` \(0\.png\) must have numbers below 3.*and has 3"):
        samples.read(0)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_greys_of_few_bits_are_the_numbers_stored(tmp_path: Path, bits: int) -> None:
    numbers = np.arange(2**bits, dtype=np.uint8)[None]
    packed = np.packbits(np.unpackbits(numbers[..., None], axis=2)[:, :, -bits:].reshape(1, -1), 1)
    (tmp_path / "a.png").write_bytes(png(numbers.shape[1], bits, packed.tobytes()))
    assert np.array_equal(read_map(tmp_path / "a.png", "a.png"), numbers)


def png(width: int, bits: int, row: bytes) -> bytes:
    """A PNG of one row of greys."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">2I5B", width, 1, bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def grey(tmp_path: Path, array: Any, name: str = "a.png") -> Path:
    Image.fromarray(array).save(tmp_path / name)
    return tmp_path / name


def test_other_kinds_of_pictures(tmp_path: Path) -> None:
    grey_rgb = np.full((2, 3, 3), 4, np.uint8)
    assert read_map(grey(tmp_path, grey_rgb), "a").tolist() == [[4] * 3] * 2
    assert read_map(grey(tmp_path, np.full((1, 2), 4, np.uint16)), "a").tolist() == [[4, 4]]
    with pytest.raises(
        ValueError, match=r"`map` \(a\) must have numbers of at most 255, and has 256"
    ):
        read_map(grey(tmp_path, np.full((1, 2), 256, np.uint16)), "a")
    grey_rgb[0, 0, 0] = 5
    with pytest.raises(ValueError, match=r"one number a pixel.*\(Pillow's mode RGB\)"):
        read_map(grey(tmp_path, grey_rgb), "a")
    with pytest.raises(ValueError, match=r"one number a pixel.*\(Pillow's mode RGBA\)"):
        read_map(grey(tmp_path, np.zeros((2, 2, 4), np.uint8)), "a")
    with pytest.raises(ValueError, match=r"`map` \(a\) must keep its numbers exactly, and JPEG"):
        read_map(grey(tmp_path, np.zeros((2, 2), np.uint8), "a.jpg"), "a")


def test_damaged_maps_are_named(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8)
    path = grey(tmp_path, numbers)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"`map` \(a\.png\) must be a whole file, and is damaged"):
        read_map(path, "a.png")
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"`map` \(a\.png\) must be a PNG"):
        read_map(path, "a.png")


def test_a_fingerprint_sees_maps_and_classes(tmp_path: Path) -> None:
    samples = whole(folders(tmp_path, [[0, 1]]))
    seen = {samples.fingerprint, pickle.loads(pickle.dumps(samples)).fingerprint}
    assert len(seen) == 1
    (tmp_path / "classes.txt").write_text("a\nb")
    seen.add(whole(tmp_path).fingerprint)
    save_map(tmp_path / "masks" / "0.png", [[0, 1], [1, 0]])
    seen.add(whole(tmp_path).fingerprint)
    assert len(seen) == 3
