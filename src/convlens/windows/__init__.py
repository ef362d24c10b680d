"""Which input positions an output position of a sliding window reads: integers along one axis.

A convolution, a pooling, a transposed convolution and a stack of them differ in what they do with
the numbers. Which numbers they read is decided here and nowhere else. An operation over several
axes has one window for each. Positions come back as `range` objects, so that nothing grows with
the numbers: a dilation of 2**62 costs what a dilation of 1 costs.

The terms are those of Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*
(arXiv 1603.07285).
"""

from convlens.windows.adaptive import AdaptiveWindow
from convlens.windows.padding import PADDING_MODES, PADDINGS, padded_source
from convlens.windows.sliding import Window
from convlens.windows.transposed import TransposedWindow

__all__ = [
    "PADDINGS",
    "PADDING_MODES",
    "AdaptiveWindow",
    "TransposedWindow",
    "Window",
    "padded_source",
]
