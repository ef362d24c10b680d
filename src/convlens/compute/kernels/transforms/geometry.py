"""Define the constants of a problem for the kernels that convolve by transforms.

They are too many for the registers, so the kernels get the address of a record and read what they
need. Lengths and distances are in elements.
"""

from __future__ import annotations

from dataclasses import dataclass

from convlens.compute.kernels.records import InMemory, Pointer
from convlens.compute.kernels.shapes import Axes

__all__ = [
    "AxisPasses", "DoubtLimit", "FourierErrors", "FourierGeometry", "FourierGrid", "FourierInputs",
    "FourierPasses", "FourierStrips", "FourierTile", "LargestTaps", "ProofBlocks", "WindowSpans",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FourierTile:
    """A tile in memory: (depth, high, columns) vectors, in rows of `wide` elements.

    Rows are `pitch` apart and planes `plane`. The real and the imaginary part take `elements` each.
    `line` is 1 if the three axes form a single signal.
    """

    depth: int
    high: int
    wide: int
    columns: int
    pitch: int
    plane: int
    elements: int
    line: int


@dataclass(frozen=True, kw_only=True)
class FourierInputs:
    """The input and its padding: the planes and rows at padded positions, and the `ends` of rows.

    `end` holds the padded sizes. Along a row, the input is unchanged from `first` to `last`.
    """

    space: Axes
    planes: Pointer
    rows: Pointer
    ends: Pointer
    end: Axes
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class FourierGrid:
    """The results of an image, the `step` of them that a tile gives, and the `count` of tiles.

    The whole batch has `pairs` pairs of tiles.
    """

    out: Axes
    step: Axes
    count: Axes
    batch: int
    pairs: int


@dataclass(frozen=True, kw_only=True)
class AxisPasses:
    """The schedule of the passes along an axis (see `butterflies`), and their number."""

    schedule: Pointer
    count: int


@dataclass(frozen=True, kw_only=True)
class FourierPasses:
    """The passes along the axes and across the lanes.

    `columns_d` and `columns_h` columns are transformed at a time along D and H. Backward, only the
    `wanted_columns` and `wanted_rows` are. A row adds `shift` to the twiddle index along D.
    """

    d: AxisPasses
    h: AxisPasses
    w: AxisPasses
    across: AxisPasses
    columns_d: int
    columns_h: int
    wanted_columns: int
    wanted_rows: int
    shift: int


@dataclass(frozen=True, kw_only=True)
class FourierStrips:
    """The strips of a plane: `count` of them, `elements` apart, each of `rows` rows.

    A strip consists of `groups` groups of as many vectors as there are lanes; groups are `leap`
    apart, vectors `step`. The `twiddles` across the lanes are `sweep` vectors apart between strips,
    `jump` between groups and `advance` between vectors.
    """

    count: int
    elements: int
    rows: int
    groups: int
    leap: int
    step: int
    twiddles: Pointer
    sweep: int
    jump: int
    advance: int


@dataclass(frozen=True, kw_only=True)
class FourierErrors:
    """The factors of an error, and the limits beyond which no error is known; see `weighing`."""

    mean: Pointer
    peak: Pointer
    spread: Pointer
    spectral: Pointer
    least: Pointer
    most: Pointer
    floor: Pointer
    never: Pointer


@dataclass(frozen=True, kw_only=True)
class ProofBlocks:
    """Blocks of `down` rows and `along` columns, and what they prove about windows; see `weighing`.

    Rows of blocks are `pitch` elements apart and take `elements` in all. For each kernel, `count`
    blocks of a window have `floors` and `places`. The `first` of them are tried first; `sums` holds
    the sum of all floors.
    """

    down: int
    along: int
    pitch: int
    elements: int
    floors: Pointer
    places: Pointer
    count: int
    first: int
    sums: Pointer


@dataclass(frozen=True, kw_only=True)
class LargestTaps:
    """The `terms` largest taps of one channel of each kernel, with their places and that channel.

    It also holds all `weights`, `size` per channel, the `offsets` of the taps in a tile, and the
    `reach` of a window.
    """

    largest: Pointer
    places: Pointer
    terms: int
    channel: Pointer
    weights: Pointer
    offsets: Pointer
    size: int
    reach: Axes


@dataclass(frozen=True, kw_only=True)
class WindowSpans:
    """The numbers of taps along the axes, and their distances `apart`.

    Before `begin` and from `until` on, the padded input holds only zeros of padding.
    """

    size: Axes
    apart: Axes
    begin: Axes
    until: Axes


@dataclass(frozen=True, kw_only=True)
class FourierGeometry(InMemory):
    """All constants of a problem: sizes, schedules and tables.

    `each` and `outs` are the input and output channels of a group. `length` is that of a tile as
    the windows read it, and `area` the same with some room after it.
    """

    tile: FourierTile
    inputs: FourierInputs
    grid: FourierGrid
    each: int
    outs: int
    groups: int
    passes: FourierPasses
    strips: FourierStrips
    kernel: Pointer
    scale: Pointer
    bias: Pointer
    length: int
    area: int
    errors: FourierErrors
    blocks: ProofBlocks
    taps: LargestTaps
    window: WindowSpans


@dataclass(frozen=True, kw_only=True)
class DoubtLimit:
    """The criterion for results of a kernel that are in doubt.

    Each lane of `limit` is the smallest sum of products that makes a result certain. `row` is the
    number of the kernel and `bias` the address of its bias.
    """

    limit: int
    row: int
    bias: int
