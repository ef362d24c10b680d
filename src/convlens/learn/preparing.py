"""Turn a picture into the numbers a network reads, and show exactly those pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.files import printed
from convlens.learn.sources.in_memory import given_picture
from convlens.learn.sources.ink import ink_cells
from convlens.learn.sources.pictures.picture import MOST_PIXELS, Picture
from convlens.zoo.inputs import Inputs
from convlens.zoo.small import LUMA

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """What happens to a picture before a network sees it; call it to get the tensor.

    `size`: an int scales the shorter side to that many pixels. (h, w) scales until both sides are
    covered or, with `stretch`, to exactly that, whatever the ratio. None leaves every pixel.
    `crop`: True cuts `size` from the middle, an int the square of it, (h, w) exactly that; False
    cuts nothing. A smaller picture gets a black border, as in torchvision's `center_crop`.
    `channels`: 3 for red, green and blue, 1 for grey (ITU-R BT.601). Values are 0 to 1, and then
    (value - `mean`) / `std`, a channel at a time, if given. `ink`: whether the picture is a
    handwritten digit, see `ink_cells`. Scaling is bilinear; unless `antialias` is False, scaling
    down takes means.

    Raises ValueError for fields that do not fit together.

    >>> prepare = Preparation(size=4)
    >>> picture = Picture(np.full((8, 16, 3), 255, np.uint8))
    >>> prepare(picture).shape, prepare.shown(picture).shape
    (torch.Size([1, 3, 4, 4]), (4, 4, 3))
    """

    size: int | tuple[int, int] | None = 224
    channels: int = 3
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: bool | int | tuple[int, int] = True
    ink: bool = False
    stretch: bool = False
    antialias: bool = True

    def __post_init__(self) -> None:
        _check_size("size", self.size)
        if not isinstance(self.crop, bool):
            _check_size("crop", self.crop)
        if self.stretch and not isinstance(self.size, tuple):
            raise ValueError(
                f"`stretch` needs a `size` (={self.size!r}) of (h, w); give both sides, or leave it"
            )
        if self.channels not in (1, 3):
            raise ValueError(
                f"`channels` (={self.channels}) must be 1 for grey or 3 for red, green and blue; "
                "give other inputs as arrays"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != self.channels:
                raise ValueError(
                    f"`{name}` (={values}) must have one number for each of the {self.channels} "
                    "channels; give as many"
                )
        if self.std is not None and not all(value > 0 for value in self.std):
            raise ValueError(f"`std` (={self.std}) must be positive; use 1 to leave a channel")
        if self.ink and (self.channels != 1 or self.size is None or self.crop is not True):
            raise ValueError(
                f"`ink` needs one grey channel and a size, not `channels` (={self.channels}), "
                f"`size` (={self.size}), `crop` (={self.crop}); use channels=1, size=8"
            )

    @staticmethod
    def of(inputs: Inputs) -> Preparation:
        """Return the preparation that `inputs` describe in numbers.

        >>> Preparation.of(Inputs(resize=(128, 171), crop=112)).stretch
        True
        """
        cut = False if inputs.crop is None else inputs.crop == inputs.resize or inputs.crop
        return Preparation(
            size=inputs.resize,
            channels=inputs.channels,
            mean=inputs.mean,
            std=inputs.std,
            crop=cut,
            ink=inputs.ink,
            stretch=isinstance(inputs.resize, tuple),
            antialias=inputs.antialias,
        )

    def __call__(self, picture: Picture | Image.Image | NDArray[np.uint8] | Tensor) -> Tensor:
        """Return the network's input, float32 (1, c, h, w), for a picture as `predict` takes it.

        Raises ValueError if the scaled picture would have more than 64 million pixels, and for
        numbers that are not pixels.
        """
        return self.normalized(self.shown(given_picture(picture, "picture")))

    def clip(self, frames: Sequence[Picture]) -> Tensor:
        """Return t frames as one input of a network that reads clips, float32 (1, c, t, h, w).

        Raises ValueError if the scaled frames would have more than 64 million pixels.
        """
        return torch.cat([self(frame) for frame in frames])[None].transpose(1, 2)

    def normalized(self, shown: NDArray[np.uint8]) -> Tensor:
        """Return the network's input, float32 (1, c, h, w), for pixels as `shown` returns them."""
        pixels = shown[:, :, : self.channels]
        return self.normalize(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return the float32 input for pixels uint8 (n, c, *space), on their device."""
        x = pixels.to(torch.float32, copy=True)
        if self.ink:
            # The data counts ink in sixteenths, of which 255 is not a multiple, so round to them.
            x = x.mul_(16 / 255).round_().div_(16)
        else:
            x = x.div_(255)
        each = (1, -1, *(1,) * (x.ndim - 2))
        if self.mean is not None:
            x = x.sub_(torch.tensor(self.mean, device=x.device).reshape(each))
        if self.std is not None:
            x = x.div_(torch.tensor(self.std, device=x.device).reshape(each))
        return x

    def seen(self, picture: Picture) -> tuple[float, float, float, float]:
        """Return the place of the network's input in a picture: left, top, right, bottom in pixels.

        It extends beyond the picture's border if `crop` put black around it.

        >>> Preparation(size=4).seen(Picture(np.zeros((8, 16, 3), np.uint8)))
        (4.0, 0.0, 12.0, 8.0)
        """
        h, w = self._scaled_size(picture)
        high, wide = self._cut_to() or (h, w)
        left, top = _start(w, wide), _start(h, high)
        across, down = picture.width / w, picture.height / h
        return left * across, top * down, (left + wide) * across, (top + high) * down

    def shown(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the pixels the network sees, before normalising, uint8 (h, w, 3).

        Row i and column j are row i and column j of the tensor; grey is repeated three times.

        Raises ValueError if the scaled picture would have more than 64 million pixels.
        """
        if self.ink:
            height, width = _pair(self.size)
            cells = ink_cells(_grey(picture.pixels), height, width)
            grey = np.rint(cells * (255 / 16)).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        pixels = _cut(self._scaled(picture), self._cut_to())
        if self.channels == 1:
            grey = np.rint(_grey(pixels)).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return pixels

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int] | None]:
        """Return to what a picture is scaled, and what is then cut from its middle, each (h, w).

        >>> Preparation(size=4).sizes(8, 16)
        ((4, 8), (4, 4))
        """
        blank = Picture(np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3)))
        return self._scaled_size(blank), self._cut_to()

    def fixed_size(self) -> tuple[int, int] | None:
        """Return the size (h, w) that every picture ends with; None if it depends on the picture.

        >>> Preparation(size=256, crop=224).fixed_size(), Preparation(crop=False).fixed_size()
        ((224, 224), None)
        """
        cut = self._cut_to()
        return _pair(self.size) if cut is None and self.stretch else cut

    def _scaled_size(self, picture: Picture) -> tuple[int, int]:
        if self.size is None:
            return picture.height, picture.width
        return _pair(self.size) if self.stretch else _covering(picture, *_pair(self.size))

    def _scaled(self, picture: Picture) -> NDArray[np.uint8]:
        h, w = self._scaled_size(picture)
        pixels = picture.pixels
        if (h, w) == pixels.shape[:2]:
            return pixels
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]  # (1, 3, h, w), channels last
        if self.antialias:
            x = F.interpolate(x, (h, w), mode="bilinear", antialias=True)
        else:  # in floats, rounded once: torch's own way for bytes rounds after each side
            x = F.interpolate(x.float(), (h, w), mode="bilinear").round().to(torch.uint8)
        return np.ascontiguousarray(x[0].permute(1, 2, 0).numpy())

    def _cut_to(self) -> tuple[int, int] | None:
        if isinstance(self.crop, bool):
            return _pair(self.size) if self.crop and self.size is not None else None
        return _pair(self.crop)


def _check_size(name: str, size: int | tuple[int, int] | None) -> None:
    sides: tuple[int, ...] = () if size is None else _pair(size)
    whole = all(isinstance(side, int) for side in sides)
    if len(sides) not in (0, 2) or not whole or any(side < 1 for side in sides):
        raise ValueError(
            f"`{name}` (={size!r}) must be a whole number of pixels, a pair (h, w) or None; use 224"
        )
    if len(sides) == 2 and sides[0] * sides[1] > MOST_PIXELS:
        raise ValueError(
            f"`{name}` (={size!r}) must make at most {MOST_PIXELS:,} pixels; use a smaller one"
        )


def _pair(size: int | tuple[int, int] | None) -> tuple[int, int]:
    if isinstance(size, tuple):
        return size
    return (0, 0) if size is None else (size, size)


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the grey, 0 to 255, of pixels (h, w, 3), a colour at a time to save memory."""
    grey: NDArray[np.float32] = np.multiply(pixels[:, :, 0], LUMA[0], dtype=np.float32)
    for colour in (1, 2):
        grey += np.multiply(pixels[:, :, colour], LUMA[colour], dtype=np.float32)
    return grey


def _covering(picture: Picture, least_h: int, least_w: int) -> tuple[int, int]:
    """Return the smallest size with the picture's ratio that covers both sides."""
    h, w = picture.height, picture.width
    # Whole numbers are exact: one side is the size asked for, the other is rounded down, as in
    # torchvision's Resize.
    if h * least_w <= w * least_h:
        new_h, new_w = least_h, max(least_w, w * least_h // h)
    else:
        new_h, new_w = max(least_h, h * least_w // w), least_w
    if new_h * new_w > MOST_PIXELS:
        raise ValueError(
            f"`picture` ({printed(picture.name)}), {w:,} x {h:,}, must stay within "
            f"{MOST_PIXELS:,} pixels when scaled to cover {least_w} x {least_h}; cut its longer "
            "side"
        )
    return new_h, new_w


def _cut(pixels: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return the middle of (h, w, 3), black where it is short, as torchvision's `center_crop`."""
    if size is None:
        return pixels
    short = [max(0, side - have) for side, have in zip(size, pixels.shape, strict=False)]
    if any(short):
        around = [(lack // 2, (lack + 1) // 2) for lack in short]
        pixels = np.pad(pixels, [*around, (0, 0)])
    top, left = (_start(have, side) for side, have in zip(size, pixels.shape, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]


def _start(have: int, side: int) -> int:
    """Return where the middle `side` of `have` pixels begins; negative if there are fewer."""
    return round((have - side) / 2) if have >= side else -((side - have) // 2)
