"""A window that slides along an axis: its outputs, and which inputs each of them reads."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from convlens.integers import integer, is_one_of, shown
from convlens.windows.checks import check_fields, count, place
from convlens.windows.meeting import meet
from convlens.windows.padding import PADDINGS, split_evenly
from convlens.windows.transposed import TransposedWindow

__all__ = ["Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A window of `size` taps that slides along an axis of n inputs, with an output at each stop.

    Output `o` reads, for every tap `t`, the input at position `o * stride - before + t * dilation`;
    positions outside 0 to n - 1 are padding. `before` and `after` count the padded positions.
    With `ceil`, a last window may hang over the end of the padded axis. It must start inside the
    input or the padding before it (the rule of torch's pooling).

    Raises TypeError for a field that is not an integer, ValueError for a size, stride or dilation
    below 1 and for a negative padding.

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
        check_fields(self)
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
        - "same_upper" gives ceil(n / stride) outputs of `n` inputs, and pads only what they
          need: max((outputs - 1) * stride + extent - n, 0), the odd one after the input. It is
          ONNX's SAME_UPPER, and the "SAME" of TensorFlow and JAX.
        - "same_lower" is the same with the odd one before the input: ONNX's SAME_LOWER.
        - "full" gives every window that touches the input.

        "same_upper" and "same_lower" need `n`; the window returned is for inputs of that length.
        Raises ValueError without it, for another name, and for "same" with a stride.

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
        total = max(self.span(outputs) - n, 0)
        return Window(self.size, self.stride, self.dilation, *split_evenly(padding, total))

    @property
    def extent(self) -> int:
        """Return how many positions the window spans from its first tap to its last.

        >>> Window(3, dilation=2).extent
        5
        """
        return self.dilation * (self.size - 1) + 1

    @property
    def room_after(self) -> int:
        """Return how many positions after the input windows may cover: `after`, more with `ceil`.

        `ceil` only gives more room. The number of outputs is rounded up, so the last window may
        hang over by up to stride - 1 positions. It must start inside the input or the padding
        before it, so it covers at most extent - 1 positions after the input.

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

    def span(self, outputs: int) -> int:
        """Return how many inputs, padding included, some consecutive outputs cover together.

        >>> Window(3, stride=2).span(4)
        9
        """
        return (count("outputs", outputs) - 1) * self.stride + self.extent

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
        `padded`, taps on padding count too, but not those that hang over because of `ceil`: their
        number is the divisor of an average that includes the padding. Raises ValueError when
        there is no output `o`.

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

        It is empty when the whole window lies in the padding. Raises ValueError when there is no
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

        It is exact even with a dilation: every (dilation / gcd(stride, dilation))-th output between
        two ends solves `o * stride + t * dilation = i + before`. The tap is
        `(i + before - o * stride) // dilation`. Raises ValueError when there is no input `i`.

        >>> list(Window(3, stride=2, dilation=3).readers(6, 20))
        [0, 3]
        """
        n = count("n", n)
        total = place("i", i, n) + self.before
        return meet(total, self.stride, self.dilation, self.outputs(n), self.size)[0]

    def unread(self, n: int) -> tuple[int, ...]:
        """Return the positions of `n` inputs that no output reads, in order.

        They lie between windows, or after the last one.

        >>> Window(2, stride=3).unread(9)
        (2, 5, 8)
        """
        return tuple(i for i in range(count("n", n)) if not self.readers(i, n))

    def then(self, following: Window) -> Window:
        """Return the one window that stands for a stack of this window and the `following` one.

        It keeps exactly: the number of outputs, for every n that this window accepts; how far
        outputs lie apart (`stride`, the *jump*); where the first begins (`before`, the *offset*);
        the span of one (`extent`, the *receptive field*). `ceil` becomes room in `after`, which is
        equivalent (see `room_after`).

        It may have more taps than the stack reads. Dilations 2 and 3, for example, leave holes that
        no single window has, so the window returned gets their greatest common divisor. At the
        borders, too, it may read more: outputs of the first window beyond its end are padding for
        the second, and one window cannot know that.

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
        """Return the window of the transposed convolution, which swaps readers and inputs.

        Up to `stride` numbers of inputs give this window the same number of outputs;
        `output_padding` chooses among them. Raises ValueError with `ceil`, and for an
        `output_padding` that is not below the larger of stride and dilation.

        Source: arXiv 1603.07285, chapter 4, relations 8 to 14.

        >>> Window(4, stride=2, before=1, after=1).transposed().outputs(16)
        32
        """
        if self.ceil:
            raise ValueError("`ceil` (=True) has no transpose; set ceil=False")
        return TransposedWindow(
            self.size, self.stride, self.dilation, self.before, self.after, output_padding
        )
