"""Fields out of range are refused when an augmentation is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convlens.learn.augmenting.colouring import Colour, Posterize
from convlens.learn.augmenting.cutting import Crop, Translate, ZoomOut
from convlens.learn.augmenting.flipping import Flip, Mirror, QuarterTurn
from convlens.learn.augmenting.spoiling import Blur, Erase, Noise
from convlens.learn.augmenting.turning import Affine, Rotate, Shear


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mirror(chance=1.5), r"`chance` \(=1.5\) must be from 0 to 1"),
        (lambda: Flip(chance=-1), "`chance`"),
        (lambda: QuarterTurn(chance=float("nan")), "`chance`"),
        (lambda: Mirror(visible=2), r"`visible` \(=2\)"),
        (lambda: Crop(area=0), "`area`"),
        (lambda: Crop(ratio=0.5), "`ratio`"),
        (lambda: Crop(size=(0, 3)), r"`size` \(=\(0, 3\)\) must be two numbers of pixels"),
        (lambda: Translate(most=2), "`most`"),
        (lambda: Translate(fill=256), "`fill`"),
        (lambda: ZoomOut(least=0), "`least`"),
        (lambda: Rotate(degrees=200), "`degrees`"),
        (lambda: Shear(across=1), "`across`"),
        (lambda: Affine(wide=1), "`wide`"),
        (lambda: Affine(down=-1), "`down`"),
        (lambda: Colour(hue=0.6), "`hue`"),
        (lambda: Posterize(bits=8), "`bits`"),
        (lambda: Blur(sigma=(2, 1)), "must begin with the smaller number"),
        (lambda: Noise(most=-1), "`most`"),
        (lambda: Erase(area=(0.1, 1.5)), "`area`"),
    ],
)
def test_a_field_out_of_range_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
