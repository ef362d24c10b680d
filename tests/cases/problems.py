"""Named problems of convolution and pooling: one list that every method and oracle goes through."""

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One problem: the operation, the shapes of its arrays, its options; `size` is of pooling."""

    name: str
    operation: str
    x: Shape
    weight: Shape = ()
    size: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def conv(name: str, x: Shape, weight: Shape, **options: Any) -> Case:
    return Case(name, "conv", x, weight, options=options)


def conv_transpose(name: str, x: Shape, weight: Shape, **options: Any) -> Case:
    return Case(name, "conv_transpose", x, weight, options=options)


def max_pool(name: str, x: Shape, size: Any, **options: Any) -> Case:
    return Case(name, "max_pool", x, size=size, options=options)


def avg_pool(name: str, x: Shape, size: Any, **options: Any) -> Case:
    return Case(name, "avg_pool", x, size=size, options=options)


CASES = [
    conv("three over five", (1, 1, 5), (1, 1, 3)),
    conv("one tap", (2, 3, 4), (5, 3, 1)),
    conv("a signal without batch", (2, 9), (3, 2, 4)),
    conv("edges of an image", (1, 1, 7, 6), (2, 1, 3, 3)),
    conv("a layer", (2, 4, 6, 5), (6, 4, 3, 3), padding=1),
    conv("half padding, even kernel", (1, 2, 6, 7), (2, 2, 4, 2), padding="same"),
    conv("full padding", (1, 2, 4, 3), (1, 2, 3, 2), padding="full"),
    conv("valid by name", (1, 2, 4, 3), (1, 2, 3, 2), padding="valid"),
    conv("stride leaves inputs over", (1, 2, 8, 9), (3, 2, 3, 3), stride=2),
    conv("stride above the size", (1, 1, 11), (1, 1, 2), stride=4),
    conv("dilated", (1, 2, 9, 8), (2, 2, 3, 2), dilation=(2, 3), padding=2),
    conv("dilated, half padding", (1, 1, 10), (1, 1, 4), dilation=3, padding="same"),
    conv("uneven padding", (1, 2, 5, 6), (2, 2, 3, 3), padding=((2, 0), (1, 3)), stride=(2, 1)),
    conv("kernel larger than the input", (1, 1, 2), (1, 1, 5), padding=2),
    conv("depthwise", (2, 3, 6, 6), (3, 1, 3, 3), groups=3, padding=1),
    conv("depthwise, two kernels each", (1, 3, 7), (6, 1, 3), groups=3),
    conv("grouped", (1, 6, 5, 5), (4, 3, 2, 2), groups=2),
    conv("a volume", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), padding=(0, 1, 0), stride=(1, 2, 1)),
    conv("a volume in groups", (2, 2, 3, 4, 3), (4, 1, 2, 2, 3), groups=2, dilation=(1, 2, 1)),
    conv("reflected", (1, 2, 5, 6), (2, 2, 3, 3), padding=(1, 2), padding_mode="reflect"),
    conv("replicated", (1, 1, 4), (1, 1, 3), padding=((6, 1),), padding_mode="replicate"),
    conv("circular", (1, 2, 4, 5), (1, 2, 3, 3), padding=(4, 2), padding_mode="circular"),
    conv("a circular volume", (1, 1, 3, 4, 3), (1, 1, 2, 3, 2), padding=1, padding_mode="circular"),
    conv("reflected more than once", (1, 1, 3), (1, 1, 4), padding=7, padding_mode="reflect"),
    conv("circular more than once", (1, 1, 3), (1, 1, 4), padding=7, padding_mode="circular"),
    conv_transpose("transposed", (1, 2, 4), (2, 3, 3)),
    conv_transpose("doubling", (2, 3, 4, 3), (3, 2, 4, 4), stride=2, padding=1),
    conv_transpose(
        "output padding",
        (1, 2, 3, 4),
        (2, 2, 3, 3),
        stride=(2, 3),
        padding=1,
        output_padding=(1, 2),
    ),
    conv_transpose(
        "output padding by dilation", (1, 1, 4), (1, 1, 2), dilation=3, output_padding=2
    ),
    conv_transpose("transposed with gaps", (1, 1, 4), (1, 1, 2), stride=4),
    conv_transpose("transposed, dilated", (1, 2, 4, 4), (2, 1, 3, 2), dilation=(2, 3), stride=2),
    conv_transpose("transposed in groups", (1, 4, 4, 3), (4, 3, 2, 3), groups=2, stride=2),
    conv_transpose(
        "transposed, uneven", (1, 2, 4), (2, 1, 4), padding=((0, 3),), stride=2, output_padding=1
    ),
    conv_transpose("transposed, cut beyond its taps", (1, 1, 6), (1, 1, 2), padding=3),
    conv_transpose(
        "transposed volume", (1, 2, 2, 3, 2), (2, 2, 2, 3, 2), stride=2, padding=(0, 1, 0)
    ),
    conv_transpose("transposed without batch", (2, 3, 3), (2, 1, 2, 2)),
    max_pool("halving by the largest", (2, 3, 6, 6), 2),
    max_pool("the largest of a signal", (1, 2, 9), 3, stride=2),
    max_pool("the largest, padded", (1, 2, 7, 6), 3, stride=2, padding=1),
    max_pool("the largest, rounded up", (1, 1, 7, 8), (3, 2), stride=3, ceil_mode=True),
    max_pool("the largest, dilated", (1, 2, 8, 7), (2, 3), stride=1, dilation=(3, 2)),
    max_pool("the largest, uneven", (1, 2, 6, 5), 3, stride=2, padding=((0, 1), (1, 0))),
    max_pool("the largest of mostly padding", (1, 1, 4), 2, padding=((5, 3),)),
    max_pool("the largest of a volume", (1, 2, 4, 5, 4), 2, ceil_mode=True),
    max_pool("the largest without batch", (3, 6, 6), (2, 2)),
    avg_pool("halving by the mean", (2, 3, 6, 6), 2),
    avg_pool("the mean of a signal", (1, 2, 9), 3, stride=2, ceil_mode=True),
    avg_pool("the mean, padded", (1, 2, 7, 6), 3, stride=2, padding=1, ceil_mode=True),
    avg_pool(
        "the mean, padding not counted",
        (1, 2, 7, 6),
        (3, 2),
        padding=1,
        count_include_pad=False,
        ceil_mode=True,
    ),
    avg_pool(
        "the mean, uneven", (1, 2, 6, 5), 3, stride=2, padding=((0, 1), (2, 0)), ceil_mode=True
    ),
    avg_pool(
        "the mean, uneven, padding not counted",
        (1, 2, 6),
        3,
        padding=((5, 1),),
        count_include_pad=False,
    ),
    avg_pool("the mean, dilated", (1, 1, 9, 8), 2, stride=(2, 1), dilation=3, padding=1),
    avg_pool("the mean of a volume", (1, 2, 4, 5, 4), (2, 3, 2), padding=(1, 0, 1)),
    avg_pool(
        "the mean of a volume smaller than the window",
        (1, 1, 1, 2, 1),
        (1, 3, 2),
        padding=(0, 1, 1),
    ),
]

BY_NAME = {case.name: case for case in CASES}
