"""Read pictures with maps that give the category of each pixel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from convlens.files import printed
from convlens.learn.data.faults import Faults
from convlens.learn.data.files import folders_in, pictures_below, read_pixels, read_text, sizes_of
from convlens.learn.data.packed import Texts, digest_of
from convlens.learn.data.parts import Parts, part_folders
from convlens.learn.data.samples import NOT_LABELLED, Mapped
from convlens.learn.sentences import first_line
from convlens.learn.sources.binary import opened
from convlens.learn.sources.pictures.decoding import open_image
from convlens.learn.sources.pictures.refusals import check_size
from convlens.learn.sources.prefetching import prefetched
from convlens.learn.sources.silencing import silence

__all__ = ["MapSamples", "find_maps", "read_map"]

_PICTURES = ("images", "image", "imgs", "img", "jpegimages")
_MAPS = ("masks", "mask", "labels", "label", "annotations", "segmentationclass")
"""How the folders of pictures and of their maps are called."""

_SCALES = {"L;2": 85, "L;4": 17}
"""Pillow multiplies the numbers of a grey PNG with few bits by these."""

_CLASSES = "classes.txt"
"""The file that names the classes, one on each line."""

Numbers = NDArray[np.uint8]


class MapSamples:
    """Pictures and their maps, which have the same names in two folders."""

    sample = Mapped
    points: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()

    def __init__(
        self,
        pictures: tuple[Path, Texts],
        maps: tuple[Path, Texts],
        classes: tuple[str, ...],
        two_tone: bool,
        faults: Faults,
    ) -> None:
        self.pictures, self.maps, self.classes = pictures, maps, classes
        self.two_tone, self.faults = two_tone, faults
        self.warnings = tuple(faults.warnings(printed(pictures[0].name)))

    def __len__(self) -> int:
        return len(self.pictures[1])

    def path(self, index: int) -> Path:
        """Return the file of a picture."""
        return self.pictures[0] / self.pictures[1][index]

    def labels(self) -> None:
        """Return None: a picture has pixels of several categories."""
        return

    @cached_property
    def fingerprint(self) -> str:
        """Return the digest of names, classes and sizes of files; their content is not read."""
        (folder, names), (map_folder, map_names) = self.pictures, self.maps
        sizes = sizes_of(folder / name for name in names)
        map_sizes = sizes_of(map_folder / name for name in map_names)
        return digest_of(names, map_names, self.classes, int(self.two_tone), sizes, map_sizes)

    def read(self, index: int) -> Mapped:
        """Return a sample; its key is the name of its picture.

        Raises ValueError if a file cannot be read, and for a map of another size than the picture,
        or with numbers that are no class.
        """
        key, name = self.pictures[1][index], self.maps[1][index]
        picture = read_pixels(self.pictures[0] / key, key)
        numbers = read_map(self.maps[0] / name, name)
        if numbers.shape != tuple(picture.shape[1:]):
            raise ValueError(
                f"`map` ({printed(name)}) must have the size of its picture, {picture.shape[2]} x "
                f"{picture.shape[1]}, and has {numbers.shape[1]} x {numbers.shape[0]}; scale one"
            )
        if self.two_tone:
            numbers = (numbers == NOT_LABELLED).astype(np.uint8)
        wrong = numbers[(numbers >= len(self.classes)) & (numbers != NOT_LABELLED)]
        if len(wrong):
            raise ValueError(
                f"`map` ({printed(name)}) must have numbers below {len(self.classes)}, one for "
                f"each class, and {NOT_LABELLED}, and has {wrong.max()}; correct it, or name the "
                "class"
            )
        return Mapped(key, picture, torch.from_numpy(numbers))


def read_map(path: Path, name: str) -> Numbers:
    """Return the numbers of a map, uint8 (h, w): those of a palette, or greys.

    Raises ValueError for a file that cannot be read, loses numbers as JPEG does, or has colours.
    """
    called = f"`map` ({printed(name)})"
    with opened(path, "map") as file, silence() as said, open_image(file, called, said) as image:
        check_size(image, called)
        if image.format not in ("PNG", "TIFF", "BMP", "GIF"):
            raise ValueError(
                f"{called} must keep its numbers exactly, and {image.format} does not; make it a "
                "PNG"
            )
        tiles = getattr(image, "tile", None)
        raw = str(tiles[0].args) if tiles else ""
        try:
            numbers = np.array(image)
        except Exception as error:  # decoders fail on damaged files with any exception
            raise ValueError(
                f"{called} must be a whole file, and is damaged ({first_line(error)}); copy it "
                "again"
            ) from error
        return _single(numbers, image, called) // np.uint8(_SCALES.get(raw, 1))


def _single(numbers: NDArray[np.generic], image: Image.Image, called: str) -> Numbers:
    """Return the one number of each pixel."""
    if image.mode == "RGB" and (numbers == numbers[:, :, :1]).all():
        numbers = numbers[:, :, 0]
    if numbers.ndim != 2 or image.mode not in ("1", "L", "P", "RGB", "I", "I;16", "I;16B"):
        raise ValueError(
            f"{called} must have one number a pixel, a palette or grey, and has colours (Pillow's "
            f"mode {image.mode}); save the number of each pixel's class"
        )
    if numbers.dtype.kind in "iu" and (numbers.min() < 0 or numbers.max() > 255):
        raise ValueError(
            f"{called} must have numbers of at most 255, and has {numbers.max()}; number the "
            "classes from 0"
        )
    return numbers.astype(np.uint8)


class _Maps:
    """The folders of pictures and maps of all parts, and which numbers their maps have."""

    def __init__(self, root: Path, parts: dict[str, tuple[Path, Path]]) -> None:
        self.parts = parts
        self.named: tuple[str, ...] = ()
        path = root / _CLASSES
        if path.is_file():
            self.named = tuple(filter(None, map(str.strip, read_text(path, 2**20).splitlines())))

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which numbers any of the maps has, (256,); it reads all of them."""
        found = np.zeros(256, bool)
        paths = ((folder, name) for _, folder in self.parts.values() for name in _maps_in(folder))
        for numbers in prefetched(paths, _numbers_in, ahead=8, workers=2):
            found |= numbers
        return found

    @cached_property
    def two_tone(self) -> bool:
        """Whether all maps have 0 and 255 alone, which then are two classes."""
        return len(self.named) in (0, 2) and self.present[255] and not self.present[1:255].any()

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, or the numbers that maps have for them."""
        if self.named:
            return self.named
        if self.two_tone:
            return ("0", "255")
        return tuple(
            str(n) for n in range(int(np.flatnonzero(self.present[:255]).max(initial=0)) + 1)
        )

    def read(self, part: str, classes: tuple[str, ...] | None) -> MapSamples:
        """Read a part; pictures without a map, and maps without a picture, are left out."""
        folder, map_folder = self.parts[part]
        maps = {_stem(name): name for name in _maps_in(map_folder)}
        names, faults = [], Faults()
        for name in pictures_below(folder):
            if _stem(name) in maps:
                names.append((name, maps.pop(_stem(name))))
            else:
                faults.add("pictures have no map and are left out", printed(name))
        for name in maps.values():
            faults.add("maps have no picture and are left out", printed(name))
        if not names:
            raise ValueError(
                f"`data` (={str(folder)!r}) must have a picture whose map has the same name, and "
                "has none; rename them"
            )
        pictures, of_maps = zip(*names, strict=True)
        classes = classes or self.classes()
        return MapSamples(
            (folder, Texts(pictures)), (map_folder, Texts(of_maps)), classes, self.two_tone, faults
        )


def find_maps(path: Path) -> Parts:
    """Return the parts of folders of pictures and maps.

    They are `images/PART` and `masks/PART`, or `PART/images` and `PART/masks`, or have no parts.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for part, folder in part_folders(path).items():
        for pair in _pairs(folder):
            found[part] = pair
    if not found:
        for pictures, maps in _pairs(path):
            below, map_below = part_folders(pictures), part_folders(maps)
            found = {part: (below[part], map_below[part]) for part in below if part in map_below}
            found = found or {"whole": (pictures, maps)}
    whole = _Maps(path, found)
    return {part: partial(whole.read, part) for part in found}


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return the folders of pictures and of maps in a folder: one pair, or none."""
    there = {name.lower(): folder / name for name in folders_in(folder)}
    pairs = [
        (there[one], there[other])
        for one, other in product(_PICTURES, _MAPS)
        if one in there and other in there and next(_maps_in(there[other]), None)
    ]
    return pairs[:1]


def _maps_in(folder: Path) -> Iterator[str]:
    return pictures_below(folder)


def _stem(name: str) -> str:
    """Return the name that a picture shares with its map: a.jpg with a.png or a_mask.png."""
    return name.rpartition(".")[0].removesuffix("_mask")


def _numbers_in(place: tuple[Path, str]) -> NDArray[np.bool_]:
    found = np.zeros(256, bool)
    found[np.unique(read_map(place[0] / place[1], place[1]))] = True
    return found
