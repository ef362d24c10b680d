"""The peers that are called array by array: torch, SciPy, NumPy, OpenCV."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.compute.cases import Case
from bench.compute.contenders import Contender, as_it_is, threads
from bench.compute.truth import Floats, Inputs, by_torch

PATIENT = 15.0  # seconds, for the one peer that every case is compared with


def with_torch(given: Inputs) -> Iterator[Contender]:
    """Call torch as it is, and on images and volumes that are given channels last."""
    case, x = given.case, torch.from_numpy(given.x)
    weight = None if given.weight is None else torch.from_numpy(given.weight)
    run = partial(by_torch, case, x, weight)
    yield Contender("torch", run, as_it_is, torch.inference_mode, PATIENT)
    layouts = {2: torch.channels_last, 3: torch.channels_last_3d}
    layout = layouts.get(len(case.space))
    if layout is None:
        return
    last = x.contiguous(memory_format=layout)
    weight = None if weight is None else weight.contiguous(memory_format=layout)
    run = partial(by_torch, case, last, weight)
    yield Contender("torch channels last", run, as_it_is, torch.inference_mode, PATIENT)


def padding_word(case: Case) -> str | None:
    """Return SciPy's word for the padding of a filter, None if it has none."""
    if case.group != "filters" or {*case.stride, *case.dilation} != {1} or case.x[0] != 1:
        return None
    pairs = list(zip(case.size, case.padding, strict=True))
    if all(2 * p == k - 1 for k, p in pairs):
        return "same"
    if all(p == 0 for _, p in pairs):
        return "valid"
    return "full" if all(p == k - 1 for k, p in pairs) else None


def filters(given: Inputs) -> Floats:
    """Return the filters of a case: (c, *size), or (1, *size) if all channels share one."""
    if given.weight is None:
        raise TypeError("a pooling has no filters")
    return given.weight[:1, 0] if given.case.one_filter else given.weight[:, 0]


def channelwise(function: Callable[..., Floats], x: Floats, weight: Floats) -> Floats:
    """Apply a function of a channel and its filter to each channel."""
    each = np.broadcast_to(weight, (len(x), *weight.shape[1:]))
    return np.stack([function(a, w) for a, w in zip(x, each, strict=True)])


def as_batch(y: Any) -> Floats:
    return np.asarray(y)[None]


def with_scipy(given: Inputs) -> Iterator[Contender]:
    """Call both transforms with our threads, ndimage, also axis by axis, and the definition."""
    word = padding_word(given.case)
    if word is None:
        return
    fft, signal, ndimage = (importlib.import_module(f"scipy.{m}") for m in SCIPY)
    x, weight = given.x[0], filters(given)
    axes = tuple(range(1, x.ndim))
    flipped = np.ascontiguousarray(np.flip(weight, axes))
    workers = partial(fft.set_workers, threads())
    for name in ("fftconvolve", "oaconvolve"):
        run = partial(getattr(signal, name), x, flipped, word, axes)
        yield Contender(f"scipy {name}", run, as_batch, workers)
    direct = partial(signal.correlate, mode=word, method="direct")
    yield Contender("scipy direct", partial(channelwise, direct, x, weight), as_batch)
    if word != "same":
        return
    correlate = partial(ndimage.correlate, mode="constant")
    if len(weight) > 1:
        correlate = partial(channelwise, correlate)
    yield Contender("scipy ndimage", partial(correlate, x, weight), as_batch)
    factors = given.factors or ((weight[0],) if weight.shape[0] == 1 and x.ndim == 2 else ())
    if factors:
        run = partial(axis_by_axis, ndimage.correlate1d, x, factors)
        yield Contender("scipy ndimage by axis", run, as_batch)


SCIPY = ("fft", "signal", "ndimage")


def axis_by_axis(correlate: Callable[..., Floats], x: Floats, factors: tuple[Floats, ...]) -> Any:
    for axis, factor in enumerate(factors, start=1):
        x = correlate(x, factor, axis, mode="constant")
    return x


def with_numpy(given: Inputs) -> Iterator[Contender]:
    """Call NumPy on a signal of one channel."""
    word = padding_word(given.case)
    if word is None or given.case.x[1] != 1 or len(given.case.space) != 1:
        return
    flipped = filters(given)[0, ::-1].copy()
    run = partial(np.convolve, given.x[0, 0], flipped, word)
    yield Contender("numpy", run, lambda y: as_batch(as_batch(y)))


def with_opencv(given: Inputs) -> Iterator[Contender]:
    """Call OpenCV on images, or signals as one row: channel by channel, and channels last."""
    case = given.case
    if padding_word(case) != "same" or len(case.space) > 2:
        return
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(threads())
    x = given.x.reshape(case.x[1], -1, case.space[-1])
    weight = filters(given)
    weight = weight.reshape(len(weight), -1, case.size[-1])

    def filtered(image: Floats, kernel: Floats) -> Floats:
        return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_CONSTANT))

    def channels_first(y: Any) -> Floats:
        return np.moveaxis(np.atleast_3d(np.asarray(y)), -1, 0).reshape(case.y)

    def planes(y: Any) -> Floats:
        return np.asarray(y).reshape(case.y)

    if len(x) == 1:
        yield Contender("opencv", partial(filtered, x[0], weight[0]), planes)
    else:
        yield Contender("opencv", partial(channelwise, filtered, x, weight), planes)
    together = np.ascontiguousarray(np.moveaxis(x, 0, -1)).squeeze(-1 if len(x) == 1 else ())
    if len(weight) == 1 < len(x):
        run = partial(filtered, together, weight[0])
        yield Contender("opencv channels last", run, channels_first)
    if given.factors:
        down, across = given.factors
        run = partial(cv2.sepFilter2D, together, -1, across, down, borderType=cv2.BORDER_CONSTANT)
        yield Contender("opencv sepFilter2D", run, channels_first)
