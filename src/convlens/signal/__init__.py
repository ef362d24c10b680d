"""Replace the convolutions of scipy.signal, and in `signal.ndimage` the filters of scipy.ndimage.

>>> from convlens import signal
>>> signal.convolve([1, 2, 3], [0, 1, 0.5])
array([0. , 1. , 2.5, 4. , 1.5])
"""

from convlens.signal import ndimage
from convlens.signal.convolving import (
    convolve,
    convolve2d,
    correlate,
    correlate2d,
    fftconvolve,
    oaconvolve,
    sepfir2d,
)

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fftconvolve",
    "ndimage",
    "oaconvolve",
    "sepfir2d",
]
