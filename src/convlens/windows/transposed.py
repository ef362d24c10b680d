"""The window of a transposed convolution, which slides along the outputs."""

from __future__ import annotations

from dataclasses import dataclass

from convlens.integers import integer, is_one_of, shown
from convlens.windows.checks import check_fields, count, place
from convlens.windows.meeting import meet
from convlens.windows.padding import split_evenly

__all__ = ["TransposedWindow"]


@dataclass(frozen=True, slots=True)
class TransposedWindow:
    """A window that slides along the outputs, by `stride` for every input, and writes to them.

    Input `i` adds, through every tap `t`, to the output at position
    `i * stride - before + t * dilation`; `before` and `after` count the positions cut off the
    ends, `output_padding` those added at the far end again. It has the methods of `Window`.

    Raises TypeError for a field that is not an integer. Raises ValueError for a size, stride or
    dilation below 1, for a negative padding, and for an `output_padding` that is not below the
    larger of stride and dilation.

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
        check_fields(self)
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

        With "same_upper" and "same_lower" it cuts off extent + output_padding - stride positions,
        the odd one at the end or at the start. If the window is shorter than its stride, zeros
        follow it instead. It transposes the `Window` of that name. Raises ValueError for another
        name.

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
        ends = split_evenly(padding, total)
        return cls(window.size, window.stride, window.dilation, *ends, window.output_padding)

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

        It is empty where no tap falls, such as between inputs when the stride is larger than the
        size. Raises ValueError when there is no output `o`.

        >>> TransposedWindow(4, stride=2).reads(3, 5)
        range(0, 2)
        """
        return self._meets(o, n)[0]

    def _meets(self, o: int, n: int) -> tuple[range, range]:
        total = place("o", o, self.outputs(n)) + self.before
        return meet(total, self.stride, self.dilation, n, self.size)

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
        """Return the positions of `n` inputs that no output reads, in order.

        Everything that they write is cut off.

        >>> TransposedWindow(1, stride=2, before=1).unread(3)
        (0,)
        """
        return tuple(i for i in range(count("n", n)) if not self.readers(i, n))
