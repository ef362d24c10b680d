"""What is constant in a problem for the kernels that convolve by transforms: a record in memory.

It has too many numbers for the registers, so the kernels get its address and read what they need.
Lengths and distances are in elements.
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
    """A tile in memory: (depth, high, columns) vectors, the rows `wide`.

    Rows lie `pitch` apart and planes `plane`. The real and the imaginary part take `elements` each.
    `line` is 1 where the three axes are one.
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
    """The input and its padding: which planes and rows stand at a padded position, and `ends`.

    `end` are the padded sizes. Along a row, the input lies as it is from `first` to `last`.
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
    """The results of an image, the `step` of them that a tile gives, and how many tiles there are.

    `pairs` of tiles make up the whole batch.
    """

    out: Axes
    step: Axes
    count: Axes
    batch: int
    pairs: int


@dataclass(frozen=True, kw_only=True)
class AxisPasses:
    """The schedule of the passes along an axis (see `butterflies`), and how many they are."""

    schedule: Pointer
    count: int


@dataclass(frozen=True, kw_only=True)
class FourierPasses:
    """The passes along the axes and across the lanes.

    Along D and H, `columns_d` and `columns_h` columns are transformed at a time. Backward, only the
    `wanted_columns` and `wanted_rows` are. `shift` is a row's part in the twiddle factors along D.
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

    A strip is `groups` of as many vectors as there are lanes: `leap` from one to the next, `step`
    within one. The `twiddles` across the lanes lie `sweep` vectors apart from strip to strip,
    `jump` from group to group, `advance` from vector to vector.
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
    """The factors of an error, and the numbers beyond which none is known: see `weighing`."""

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
    """Blocks of `down` rows and `along` columns, and what they prove of windows: see `weighing`.

    From one row of blocks to the next there are `pitch` elements, in all `elements`. For every
    kernel, `count` blocks of a window have `floors` and `places`; the `first` ones are tried
    first, and `sums` add up all floors.
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
    """The `terms` largest taps of one channel of every kernel, their places, and that channel.

    And all `weights`, with the `offsets` of the taps in a tile, `size` of them, and how far a
    window reaches.
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
    """How many taps there are along the axes, and how far `apart`.

    From `begin` until `until`, the padded input holds more than the zeros of its padding.
    """

    size: Axes
    apart: Axes
    begin: Axes
    until: Axes


@dataclass(frozen=True, kw_only=True)
class FourierGeometry(InMemory):
    """All that is constant in a problem: sizes, schedules and tables.

    `each` and `outs` are the channels in and out of a group. `length` is that of a tile as the
    windows see it, and `area` leaves room behind it.
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
    """What decides whether the results of a kernel are in doubt.

    In every lane `limit` is the least sum of products that makes a result certain; `row` is the
    kernel's number and `bias` the address of its bias.
    """

    limit: int
    row: int
    bias: int
