"""Write the windows of a step as the page reads them: a row of whole numbers for each axis."""

from __future__ import annotations

from typing import TypedDict

from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.convolving import ConvolutionGeometry
from convlens.lens.kinds.pooling import PoolingGeometry
from convlens.windows import AdaptiveWindow, TransposedWindow, Window

Geometry = ConvolutionGeometry | PoolingGeometry
AnyWindow = Window | TransposedWindow | AdaptiveWindow

_INTERPOLATE = (
    "input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
    "recompute_scale_factor=None, antialias=False"
)
_PAD = "input, pad, mode='constant', value=None"
_LINEAR = ("linear", "bilinear", "trilinear")


class WindowRow(TypedDict):
    """The window of a step along one axis of `inputs` and `outputs` places.

    Output `o` reads, for each tap `t` below `size`, the input `o * stride - before + t * dilation`.
    Where `transposed`, input `i` adds to the output `i * stride - before + t * dilation`. Where
    `adaptive`, output `o` reads from floor(o * inputs / outputs) to before
    ceil((o + 1) * inputs / outputs); `size` and `stride` are then the largest that occur. `before`
    and `after` are the places that windows may cover beyond each end. Of a transposed one they are
    the places cut off, where `after` is below 0 if some were added.
    """

    size: int
    stride: int
    dilation: int
    before: int
    after: int
    transposed: bool
    inputs: int
    outputs: int
    adaptive: bool


def windows_of(given: Arguments, geometry: Geometry | None) -> tuple[WindowRow, ...]:
    """Return the windows of a step, () where its places are not read by windows.

    Beside convolutions and poolings these are paddings with a constant, and enlargements by a whole
    factor.
    """
    op = given.step.op
    if geometry is not None:
        return _rows(given, given.tensor("input").shape, geometry.windows)
    if op in ("interpolate", "pad"):
        named = Arguments.of(given.recording, given.step, _PAD if op == "pad" else _INTERPOLATE)
        shape = named.value("input").shape
        found = _padded(named, len(shape)) if op == "pad" else _enlarged(named, shape)
        return _rows(named, shape, found)
    return ()


def _rows(
    given: Arguments, shape: tuple[int, ...], windows: tuple[AnyWindow, ...]
) -> tuple[WindowRow, ...]:
    """Return rows of windows along the last axes of an input and of the output."""
    ends = (sizes[len(sizes) - len(windows) :] for sizes in (shape, given.output().shape))
    return tuple(_row(w, n, m) for w, n, m in zip(windows, *ends, strict=True))


def _row(window: AnyWindow, inputs: int, outputs: int) -> WindowRow:
    if isinstance(window, AdaptiveWindow):
        size = max((len(window.reads(o, inputs)) for o in range(outputs)), default=0)
        size, stride, dilation, before, after = size, -(-inputs // outputs), 1, 0, 0
    else:
        size, stride, dilation = window.size, window.stride, window.dilation
        before = window.before
        if isinstance(window, TransposedWindow):
            after = (inputs - 1) * stride + window.extent - before - outputs
        else:
            after = max(window.after, window.span(outputs) - before - inputs)
    return {
        "size": size,
        "stride": stride,
        "dilation": dilation,
        "before": before,
        "after": after,
        "transposed": isinstance(window, TransposedWindow),
        "inputs": inputs,
        "outputs": outputs,
        "adaptive": isinstance(window, AdaptiveWindow),
    }


def _padded(given: Arguments, rank: int) -> tuple[Window, ...]:
    """Return windows of one tap where an axis is padded with a constant, () for other paddings.

    At most the last three axes, after samples and channels, have places.
    """
    pads, axes = [int(each) for each in given["pad"]], min(max(rank - 2, 1), 3)
    ends = list(zip(pads[::2], pads[1::2], strict=True))
    if given["mode"] != "constant" or min(pads) < 0 or any(map(any, ends[axes:])):
        return ()
    ends += [(0, 0)] * (axes - len(ends))
    return tuple(Window(1, before=low, after=high) for low, high in reversed(ends[:axes]))


def _enlarged(given: Arguments, shape: tuple[int, ...]) -> tuple[TransposedWindow, ...]:
    """Return windows of an enlargement by whole factors, () for any other resampling.

    A linear one by an odd factor has outputs that lie on an input. Whether these read the next
    input too depends on rounding, so that it has no windows here.
    """
    mode, factors = given["mode"], given["scale_factor"]
    linear = mode in _LINEAR
    sizes = list(zip(shape[2:], given.output().shape[2:], strict=True))
    if given["align_corners"] or not (linear or mode.startswith("nearest")):
        return ()
    windows = []
    for axis, (n, m) in enumerate(sizes):
        factor = factors[axis] if isinstance(factors, tuple | list) else factors
        scale = m // n
        if m % n or factor not in (None, scale) or (linear and scale % 2 and scale > 1):
            return ()
        ends = scale // 2 if linear and scale > 1 else 0
        size = 2 * scale if ends else scale
        windows.append(TransposedWindow(size, scale, before=ends, after=ends))
    return tuple(windows)
