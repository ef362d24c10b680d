"""The command that shows what augmentations do to a picture, on a sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from convlens.learn.data.samples import Sample

__all__ = ["augment"]

_LONGEST = 192
"""Pixels of the longer side of a picture on the sheet; a larger one is scaled down first."""


def augment(
    picture: Annotated[
        str | None,
        Parameter(help="A picture; by default, made-up figures with boxes, masks and points."),
    ] = None,
    /,
    *,
    out: Annotated[str, Parameter(help="Write the sheet to this .png file.")] = "augmentations.png",
    seed: Annotated[int, Parameter(help="Seed of all random numbers.")] = 0,
    strength: Annotated[
        float, Parameter(help="The strength of the last columns, above 0, up to 1.")
    ] = 1.0,
    columns: Annotated[int, Parameter(help="Draw each augmentation this many times.")] = 6,
) -> None:
    """Draw what every augmentation does to a picture, at half and at full strength."""
    if not 0 < strength <= 1:
        raise ValueError(f"`strength` (={strength}) must be above 0, up to 1; use 1")
    if not 1 <= columns <= 50:
        raise ValueError(f"`columns` (={columns}) must be from 1 to 50; use 6")
    if Path(out).suffix.lower() != ".png":
        raise ValueError(f"`out` (={out!r}) must end in .png; name such a file")
    from convlens.draw.samples import draw_sheet
    from convlens.files import whole
    from convlens.learn.augmenting.applying import AUGMENTATIONS
    from convlens.learn.augmenting.sheet import made_up_sample, sheet_rows

    sample: Sample = made_up_sample() if picture is None else _sample_of(picture)
    strengths = [strength / 2] * (columns // 3) + [strength] * (columns - columns // 3)
    rows = sheet_rows(sample, AUGMENTATIONS, strengths, seed)
    sheet = draw_sheet(sample, rows, [f"strength {one:g}" for one in strengths])
    with whole(out) as beside:
        sheet.save(beside)
    print(f"{out}: {len(rows)} augmentations of {sample.key}, {columns} draws of each")


def _sample_of(picture: str) -> Sample:
    """Return a picture, scaled down to what a sheet has room for, as a sample."""
    import torch

    from convlens.learn.augmenting.warping import resized
    from convlens.learn.data.samples import Labelled
    from convlens.learn.sources.pictures.decoding import read_picture

    pixels = torch.from_numpy(read_picture(picture).pixels.copy()).permute(2, 0, 1)
    h, w = pixels.shape[1:]
    share = min(1.0, _LONGEST / max(h, w))
    return Labelled(
        picture, resized(pixels, (max(1, round(h * share)), max(1, round(w * share)))), 0
    )
