"""Which input positions an output position of a sliding window reads: integers along one axis.

A convolution, a pooling, a transposed convolution and a stack of them differ in what they do with
the numbers; which numbers they read is decided here and nowhere else. An operation over several
axes has one window an axis. Positions come back as `range` objects, so nothing grows with the
numbers: a dilation of 2**62 costs what a dilation of 1 costs.

The terms are those of Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*
(arXiv 1603.07285).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from convlens.integers import count, integer, is_one_of, meeting, place, shown

__all__ = [
    "PADDINGS", "PADDING_MODES", "AdaptiveWindow", "TransposedWindow", "Window", "padded_source",
]  # fmt: skip

PADDINGS = ("valid", "same", "same_upper", "same_lower", "full")
"""The paddings that have a name, see `Window.padded`."""

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
"""What stands in the padding, see `padded_source`."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window of `size` taps that slides along an axis of n inputs, one output a place.

    Output `o` reads, for every tap `t`, the input at position `o * stride - before + t * dilation`;
    positions outside 0 to n - 1 are padding. `before` and `after` count the padded positions.
    With `ceil`, a last window may hang over the end of the padded axis as long as it starts
    inside the input or the padding before it (the rule of torch's pooling).

    Raises TypeError for what is no integer, ValueError for a size, stride or dilation below 1 and
    for a negative padding.

    Source: Dumoulin & Visin, arXiv 1603.07285, chapters 2, 3 and 5.

    >>> window = Window(3, stride=2, before=1, after=1)
    >>> window.outputs(6)
    3
    >>> [list(window.reads(o, 6)) for o in range(3)]
    [[0, 1], [1, 2, 3], [3, 4, 5]]
    """

    size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False

    def __post_init__(self) -> None:
        _check_fields(self)
        if not isinstance(self.ceil, bool):
            raise TypeError(f"`ceil` (={shown(self.ceil)}) must be True or False")

    @classmethod
    def padded(
        cls, padding: str, size: int, stride: int = 1, dilation: int = 1, n: int | None = None
    ) -> Window:
        """Return the window whose padding has a name.

        - "valid" pads nothing.
        - "same" gives as many outputs as inputs, with stride 1 only, as in torch: it pads
          dilation * (size - 1) positions in all, the odd one after the input.
        - "same_upper" gives ceil(n / stride) outputs of `n` inputs, and pads no more than they
          need: max((outputs - 1) * stride + extent - n, 0), the odd one after the input. It is
          ONNX's SAME_UPPER, and the "SAME" of TensorFlow and JAX.
        - "same_lower" is the same with the odd one before the input: ONNX's SAME_LOWER.
        - "full" gives every window that touches the input.

        Raises ValueError for another name, for "same" with a stride, and for "same_upper" and
        "same_lower" without `n`; the window returned is for inputs of that length.

        Source: arXiv 1603.07285, relations 3 and 4 (same is also called half padding); ONNX,
        operator Conv, attribute auto_pad; TensorFlow, `tf.nn`, *Notes on padding*.

        >>> Window.padded("same", 4)
        Window(size=4, stride=1, dilation=1, before=1, after=2, ceil=False)
        >>> Window.padded("same_upper", 3, stride=2, n=8)
        Window(size=3, stride=2, dilation=1, before=0, after=1, ceil=False)
        """
        window = cls(size, stride, dilation)
        around = window.extent - 1
        if not is_one_of(padding, PADDINGS):
            names = ", ".join(f'"{name}"' for name in PADDINGS)
            raise ValueError(f"`padding` (={shown(padding)}) must be integers or one of {names}")
        if padding == "valid":
            return window
        if padding == "full":
            return cls(size, stride, dilation, around, around)
        if padding in ("same_upper", "same_lower"):
            return window._evenly(padding, n)
        if window.stride != 1:
            raise ValueError(
                f'`padding` "same" needs stride 1 (here {stride}), as in torch: use "same_upper", '
                f'as in TensorFlow, or "same_lower", for one output every {stride} inputs'
            )
        return cls(size, stride, dilation, around // 2, around - around // 2)

    def _evenly(self, padding: str, n: int | None) -> Window:
        """Return this window with the least padding that gives ceil(n / stride) outputs."""
        if n is None:
            raise ValueError(
                f'`n` is missing: how much `padding` "{padding}" pads depends on the length of the '
                "input; give it"
            )
        n = count("n", n)
        outputs = -(-n // self.stride)
        total = max((outputs - 1) * self.stride + self.extent - n, 0)
        less, more = total // 2, (total + 1) // 2  # of free sizes, seen to be none below 0
        ends = (less, more) if padding == "same_upper" else (more, less)
        return Window(self.size, self.stride, self.dilation, *ends)

    @property
    def extent(self) -> int:
        """Return how many positions the window spans from its first tap to its last.

        >>> Window(3, dilation=2).extent
        5
        """
        return self.dilation * (self.size - 1) + 1

    @property
    def room_after(self) -> int:
        """Return how many positions behind the input windows may cover: `after`, more with `ceil`.

        `ceil` is nothing but room: rounding the number of outputs up lets the last window hang
        over by up to stride - 1 positions, and that it must start inside the input or the padding
        before it leaves at most extent - 1 positions behind the input.

        >>> Window(3, stride=2, ceil=True).room_after
        1
        """
        if not self.ceil:
            return self.after
        return max(self.after, min(self.after + self.stride - 1, self.extent - 1))

    def outputs(self, n: int) -> int:
        """Return how many outputs an axis of `n` inputs gives.

        Raises ValueError when the window is larger than the padded axis.

        Source: arXiv 1603.07285, relation 15; with `ceil`, torch's `pooling_output_shape`.

        >>> Window(3, stride=2).outputs(7), Window(3, stride=2, ceil=True).outputs(8)
        (3, 4)
        """
        n = count("n", n)
        room = self.before + n + self.room_after
        if self.extent > room:
            raise ValueError(
                f"`size` (={self.size}) with dilation {self.dilation} spans {self.extent} "
                f"positions but {n} inputs with padding {self.before} + {self.after} are only "
                f"{self.before + n + self.after}; pad {self.extent - room} more, or use a smaller "
                "size or dilation"
            )
        return (room - self.extent) // self.stride + 1

    def covers(self, o: int) -> range:
        """Return the positions of all taps of output `o`, padding included.

        Positions below 0 are padding before the input, positions from n on padding after it.

        >>> list(Window(3, before=1).covers(0))
        [-1, 0, 1]
        """
        o = integer("o", o)
        if o < 0:
            raise ValueError(f"`o` (={o}) must not be negative: outputs are counted from 0")
        start = o * self.stride - self.before
        return range(start, start + self.extent, self.dilation)

    def taps(self, o: int, n: int, padded: bool = False) -> range:
        """Return the taps of output `o` that lie inside the `n` inputs.

        The j-th of them lies on the j-th position of `reads(o, n)`: `zip` gives the pairs. With
        `padded`, those on padding count too, but not what `ceil` lets hang over: their number is
        the divisor of an average that includes the padding. Raises ValueError when there is no
        output `o`.

        >>> window = Window(3, before=1)
        >>> list(zip(window.taps(0, 5), window.reads(0, 5)))
        [(1, 0), (2, 1)]
        """
        n = count("n", n)
        start = place("o", o, self.outputs(n)) * self.stride - self.before
        low, high = (-self.before, n + self.after) if padded else (0, n)
        first = max(0, -((start - low) // self.dilation))
        stop = min(self.size, -((start - high) // self.dilation))
        return range(first, max(first, stop))

    def reads(self, o: int, n: int) -> range:
        """Return the positions that output `o` reads of `n` inputs, a `range` of step `dilation`.

        Empty when the window lies in the padding altogether. Raises ValueError when there is no
        output `o`.

        >>> Window(3, dilation=2, before=2, after=2).reads(0, 5)
        range(0, 4, 2)
        """
        taps = self.taps(o, n)
        start = o * self.stride - self.before
        return range(
            start + taps.start * self.dilation, start + taps.stop * self.dilation, self.dilation
        )

    def readers(self, i: int, n: int) -> range:
        """Return the outputs that read input `i` of `n`, a `range`.

        Always exact, with a dilation too: `o * stride + t * dilation = i + before` is solved by
        every (dilation / gcd(stride, dilation))-th output between two ends. The tap is
        `(i + before - o * stride) // dilation`. Raises ValueError when there is no input `i`.

        >>> list(Window(3, stride=2, dilation=3).readers(6, 20))
        [0, 3]
        """
        n = count("n", n)
        total = place("i", i, n) + self.before
        return meeting(total, self.stride, self.dilation, self.outputs(n), self.size)[0]

    def unread(self, n: int) -> tuple[int, ...]:
        """Return the positions of `n` inputs that no output reads, in order.

        They are skipped between windows, or left over behind the last one.

        >>> Window(2, stride=3).unread(9)
        (2, 5, 8)
        """
        return tuple(i for i in range(count("n", n)) if not self.readers(i, n))

    def then(self, following: Window) -> Window:
        """Return the one window that a stack of this window and the `following` one is.

        Kept exactly: the number of outputs, for every n this window accepts; how far outputs lie
        apart (`stride`, the *jump*); where the first begins (`before`, the *offset*); the span of
        one (`extent`, the *receptive field*). `ceil` has become room `after`, which is the same
        (see `room_after`).

        Kept as a box: the taps. With dilations 2 and 3, say, a stack of two reads with holes that
        no single window has; the window returned has the greatest common dilation, so its taps
        hold all that are read and, in such a case, some that are not. At the borders, too, it
        reads all that the stack reads and possibly more: it does not know that the first window
        ends there, and that its outputs beyond are padding for the second.

        Source: Araujo, Norris & Sim, *Computing receptive fields of convolutional neural
        networks*, Distill, 2019.

        >>> Window(3, stride=2, before=1, after=1).then(Window(3))
        Window(size=7, stride=2, dilation=1, before=1, after=1, ceil=False)
        """
        jump = self.stride
        extent = self.extent + jump * (following.extent - 1)
        # A window of one tap has no steps, and gcd(0, step) is step.
        own_step = self.dilation if self.size > 1 else 0
        following_step = jump * following.dilation if following.size > 1 else 0
        dilation = gcd(own_step, following_step) or 1
        return Window(
            size=(extent - 1) // dilation + 1,
            stride=jump * following.stride,
            dilation=dilation,
            before=self.before + jump * following.before,
            after=self.room_after + jump * following.room_after,
        )

    def transposed(self, output_padding: int = 0) -> TransposedWindow:
        """Return the window of the transposed convolution: who read is now read from.

        `output_padding` chooses among the stride numbers of inputs that all give the same number
        of outputs. Raises ValueError with `ceil`, and for an `output_padding` that is not below
        the larger of stride and dilation.

        Source: arXiv 1603.07285, chapter 4, relations 8 to 14.

        >>> Window(4, stride=2, before=1, after=1).transposed().outputs(16)
        32
        """
        if self.ceil:
            raise ValueError("`ceil` (=True) has no transpose; set ceil=False")
        return TransposedWindow(
            self.size, self.stride, self.dilation, self.before, self.after, output_padding
        )


@dataclass(frozen=True, slots=True)
class TransposedWindow:
    """A window that slides along the outputs, `stride` further for every input, and writes.

    Input `i` adds, through every tap `t`, to the output at position
    `i * stride - before + t * dilation`; `before` and `after` count the positions cut off the
    ends, `output_padding` those added at the far end again. It answers what `Window` answers.

    Raises TypeError for what is no integer, ValueError for a size, stride or dilation below 1,
    for a negative padding, and for an `output_padding` that is not below the larger of stride and
    dilation.

    Source: Dumoulin & Visin, arXiv 1603.07285, chapter 4.

    >>> window = TransposedWindow(3, stride=2, before=1, after=1)
    >>> window.outputs(3)
    5
    >>> [list(window.reads(o, 3)) for o in range(5)]
    [[0], [0, 1], [1], [1, 2], [2]]
    """

    size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    output_padding: int = 0

    def __post_init__(self) -> None:
        _check_fields(self)
        added = integer("output_padding", self.output_padding)
        object.__setattr__(self, "output_padding", added)
        limit = max(self.stride, self.dilation)
        if not 0 <= added < limit:
            raise ValueError(
                f"`output_padding` (={added}) must be 0 to {limit - 1}, below the larger of "
                f"stride {self.stride} and dilation {self.dilation}"
            )

    @classmethod
    def padded(
        cls,
        padding: str,
        size: int,
        stride: int = 1,
        dilation: int = 1,
        output_padding: int = 0,
    ) -> TransposedWindow:
        """Return the window that gives `stride` outputs for every input.

        With "same_upper" and "same_lower" it cuts extent + output_padding - stride positions off,
        the odd one behind or in front; where the window is shorter than its stride, zeros follow
        it instead. It transposes the `Window` of that name. Raises ValueError for another name.

        Source: ONNX, operator ConvTranspose, attribute auto_pad.

        >>> TransposedWindow.padded("same_upper", 4, stride=2).outputs(5)
        10
        """
        window = cls(size, stride, dilation, output_padding=output_padding)
        if not is_one_of(padding, ("same_upper", "same_lower")):
            raise ValueError(
                f'`padding` (={shown(padding)}) must be integers, "same_upper" or "same_lower"'
            )
        total = window.extent + window.output_padding - window.stride
        if total < 0:
            added = window.stride - window.extent
            return cls(window.size, window.stride, window.dilation, output_padding=added)
        less, more = total // 2, (total + 1) // 2  # of free sizes, seen to be none below 0
        ends = (less, more) if padding == "same_upper" else (more, less)
        how = window.size, window.stride, window.dilation
        return cls(*how, *ends, window.output_padding)

    @property
    def extent(self) -> int:
        """Return how many positions one input writes over, from its first tap to its last.

        >>> TransposedWindow(3, dilation=2).extent
        5
        """
        return self.dilation * (self.size - 1) + 1

    def outputs(self, n: int) -> int:
        """Return how many outputs an axis of `n` inputs gives.

        Raises ValueError when the padding cuts all of them off.

        Source: arXiv 1603.07285, relation 14.

        >>> TransposedWindow(3, stride=2, before=1, after=1, output_padding=1).outputs(4)
        8
        """
        whole = (count("n", n) - 1) * self.stride + self.extent + self.output_padding
        if whole <= self.before + self.after:
            raise ValueError(
                f"`padding` (={self.before} + {self.after}) must cut off less than the {whole} "
                f"outputs that {n} inputs give; use at most {whole - 1} in all"
            )
        return whole - self.before - self.after

    def taps(self, o: int, n: int) -> range:
        """Return the taps through which output `o` reads the `n` inputs.

        The j-th of them lies on the j-th position of `reads(o, n)`: `zip` gives the pairs.
        Raises ValueError when there is no output `o`.

        >>> window = TransposedWindow(4, stride=2)
        >>> list(zip(window.taps(3, 5), window.reads(3, 5)))
        [(3, 0), (1, 1)]
        """
        return self._meets(o, n)[1]

    def reads(self, o: int, n: int) -> range:
        """Return the positions that output `o` reads of `n` inputs, a `range`.

        Empty where no tap falls, as between inputs when the stride is larger than the size.
        Raises ValueError when there is no output `o`.

        >>> TransposedWindow(4, stride=2).reads(3, 5)
        range(0, 2)
        """
        return self._meets(o, n)[0]

    def _meets(self, o: int, n: int) -> tuple[range, range]:
        total = place("o", o, self.outputs(n)) + self.before
        return meeting(total, self.stride, self.dilation, n, self.size)

    def readers(self, i: int, n: int) -> range:
        """Return the outputs that read input `i` of `n`, a `range` of step `dilation`.

        Raises ValueError when there is no input `i`.

        >>> list(TransposedWindow(3, stride=2, before=1).readers(0, 5))
        [0, 1]
        """
        n = count("n", n)
        start = place("i", i, n) * self.stride - self.before
        first = max(0, -(start // self.dilation))
        stop = min(self.size, -((start - self.outputs(n)) // self.dilation))
        end = max(first, stop)
        return range(start + first * self.dilation, start + end * self.dilation, self.dilation)

    def unread(self, n: int) -> tuple[int, ...]:
        """Return the positions of `n` inputs that no output reads, in order: all was cut off.

        >>> TransposedWindow(1, stride=2, before=1).unread(3)
        (0,)
        """
        return tuple(i for i in range(count("n", n)) if not self.readers(i, n))


@dataclass(frozen=True, slots=True)
class AdaptiveWindow:
    """The windows of adaptive pooling: `count` outputs share an axis of any length evenly.

    Output `o` of n inputs reads positions floor(o n / count) up to, not including,
    ceil((o + 1) n / count): windows of one or two sizes, overlapping where n is no multiple.

    Raises TypeError for what is no integer, ValueError for a count below 1.

    Source: torch's `AdaptiveAvgPool`; He et al., arXiv 1406.4729, section 2.2 (pyramid bins).

    >>> [list(AdaptiveWindow(3).reads(o, 5)) for o in range(3)]
    [[0, 1], [1, 2, 3], [3, 4]]
    """

    count: int

    def __post_init__(self) -> None:
        count = integer("count", self.count)
        if count < 1:
            raise ValueError(f"`count` (={count}) must be at least 1; use a positive integer")
        object.__setattr__(self, "count", count)

    def outputs(self, n: int) -> int:
        """Return how many outputs an axis of `n` inputs gives: `count`, whatever `n`.

        >>> AdaptiveWindow(7).outputs(14)
        7
        """
        count("n", n)
        return self.count

    def reads(self, o: int, n: int) -> range:
        """Return the positions that output `o` reads of `n` inputs.

        >>> AdaptiveWindow(2).reads(1, 3)
        range(1, 3)
        """
        n, o = count("n", n), place("o", o, self.count)
        return range(o * n // self.count, -(-(o + 1) * n // self.count))


def padded_source(position: int, n: int, mode: str = "zeros") -> int | None:
    """Return which of `n` inputs stands at `position` of the padded axis; None for a zero.

    Positions are counted as in `Window.covers`: 0 to n - 1 is the input itself. "reflect" mirrors
    without repeating the end, "replicate" repeats the end, "circular" goes round; each as often as
    the padding is long. Raises ValueError for another mode.

    Source: `numpy.pad`, modes "constant", "reflect", "edge" and "wrap".

    >>> [padded_source(p, 3, "reflect") for p in range(-2, 5)]
    [2, 1, 0, 1, 2, 1, 0]
    """
    if not is_one_of(mode, PADDING_MODES):
        names = ", ".join(f'"{name}"' for name in PADDING_MODES)
        raise ValueError(f"`mode` (={shown(mode)}) must be one of {names}")
    n, position = count("n", n), integer("position", position)
    if 0 <= position < n:
        return position
    if mode == "zeros":
        return None
    if mode == "replicate":
        return 0 if position < 0 else n - 1
    if mode == "circular":
        return position % n
    around = position % max(2 * n - 2, 1)
    return min(around, 2 * n - 2 - around)


def _check_fields(window: Window | TransposedWindow) -> None:
    """Turn the fields both windows share into plain integers and check them."""
    for name, least in (("size", 1), ("stride", 1), ("dilation", 1), ("before", 0), ("after", 0)):
        value = integer(name, getattr(window, name))
        if value < least:
            rule = "must not be negative" if least == 0 else "must be at least 1"
            cure = "crop the input instead" if least == 0 else "use a positive integer"
            raise ValueError(f"`{name}` (={value}) {rule}; {cure}")
        object.__setattr__(window, name, value)
