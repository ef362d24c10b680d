"""Predict: open a network with its settings, and start it on sources."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypedDict, Unpack

import torch
from torch import nn

from convlens.learn.opening import Opened, open_network, opened_module
from convlens.learn.predicting.predictions import Limits, Prediction
from convlens.learn.predicting.running import Running, Seen
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import arrays_for
from convlens.learn.sentences import first_line
from convlens.learn.sources.reading import read_sources

__all__ = ["Settings", "opened_for", "predict", "run_of", "with_defaults"]


def predict(
    network: str | nn.Module | Opened,
    source: object,
    *,
    batch: int = 8,
    weights: str | Path | None = "DEFAULT",
    threshold: float = 0.5,
    top: int = 5,
    every: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
    device: str | torch.device | None = None,
) -> Iterator[Prediction]:
    """Yield what `network` says of each picture of `source`, in order, as it computes them.

    - `network`: a name or file as `open_network` takes it, with `weights` (None for random ones),
      `size`, `crop` and `normalize`; an `Opened` network; or a torch.nn.Module, which runs in
      evaluation mode and is left as it was found.
    - `source`: as `read_sources` takes it. A TIFF or MPO of several pages gives a prediction for
      each page.
    - `batch`: at most this many pictures of one size run at once. No answer depends on what the
      others show; their number changes only the last digits, about 1e-6 of a score.
    - `top`: the number of categories in a classification; `threshold`: the least score of a box.
    - `every`: a network that reads pictures sees every frame of a clip, or every N-th. One that
      reads clips sees stretches of frames at the rate it learned. The last stretch begins early
      enough to be whole; a clip that is shorter than one is seen as it is.
    - `device`: where the network runs. None leaves a Module where it is, and moves other networks
      to a CUDA device if there is one.

    Threads read and prepare pictures ahead. A picture that cannot be read, or on which the network
    fails, gives a `Prediction` with `error`.

    Raises ValueError or TypeError for what `open_network` and `read_sources` refuse, numbers out of
    range, and a network whose output has none of the forms that `predictions_of` knows.

    >>> from convlens.zoo.weights import DATA
    >>> best = next(predict("digits", DATA / "digit-3.png", top=1))
    >>> print(best)
    digit-3.png (128 x 128)
      100.0 %  3
    """
    run = run_of(
        network,
        batch=batch,
        weights=weights,
        threshold=threshold,
        top=top,
        every=every,
        size=size,
        crop=crop,
        normalize=normalize,
        device=device,
    )
    return _only_predictions(run.over(read_sources(source)))


def _only_predictions(seen: Generator[Seen, None, None]) -> Iterator[Prediction]:
    with closing(seen):
        for one in seen:
            yield one.prediction


class Settings(TypedDict, total=False):
    """The options of `predict`, which explains them."""

    batch: int
    weights: str | Path | None
    threshold: float
    top: int
    every: int
    size: int | tuple[int, int] | None
    crop: int | tuple[int, int] | None
    normalize: str | None
    device: str | torch.device | None


def with_defaults(settings: Settings) -> Settings:
    """Return all settings, with the defaults of `predict` for those that are missing.

    >>> with_defaults({"top": 1})["top"], with_defaults({})["top"]
    (1, 5)
    """
    defaults: Settings = predict.__kwdefaults__  # type: ignore[assignment]
    return {**defaults, **settings}


def run_of(network: str | nn.Module | Opened, **settings: Unpack[Settings]) -> Running:
    """Return a network ready to run with settings of `predict`, which says what is refused.

    >>> run_of("digits", top=1).limits.top
    1
    """
    given = with_defaults(settings)
    limits = Limits(given["threshold"], given["top"])
    opened = opened_for(
        network,
        weights=given["weights"],
        size=given["size"],
        crop=given["crop"],
        normalize=given["normalize"],
    )
    batch, every = (_at_least_one(name, given[name]) for name in ("batch", "every"))
    preparation = _preparation_of(opened)
    device = _device(network, given["device"])
    return Running(opened, preparation, limits, batch, every, device)


def _preparation_of(opened: Opened) -> Preparation:
    """Return the preparation of a network; raise ValueError if it reads no pictures or clips."""
    if opened.preparation is None:
        raise ValueError(
            f"`network` (={opened.name!r}) must read pictures or clips, and its first layer reads "
            f"neither; give it a `preparation`, or `convlens record` it on {arrays_for(opened)}"
        )
    return opened.preparation


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"`{name}` (={value}) must be at least 1; leave it out for the default")
    return value


def opened_for(
    network: str | nn.Module | Opened,
    *,
    weights: str | Path | None = "DEFAULT",
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
) -> Opened:
    """Return the network to predict with; see `predict`. A named one is laid out for speed.

    >>> opened_for("digits").name
    'digits'
    """
    if isinstance(network, Opened):
        return network
    if isinstance(network, nn.Module):
        return opened_module(network, size=size, crop=crop, normalize=normalize)
    asked = "none" if weights is None else weights
    opened = open_network(network, weights=asked, size=size, crop=crop, normalize=normalize)
    _put_channels_last(opened.network)
    return opened


def _put_channels_last(network: nn.Module) -> None:
    """Store channels last: torch's convolutions on CPUs then take down to a third of the time."""
    forms = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
        if not lazy and parameter.ndim in forms and parameter.layout == torch.strided:
            form = forms[parameter.ndim]
            parameter.data = parameter.data.contiguous(memory_format=form)


def _device(
    network: str | nn.Module | Opened, device: str | torch.device | None
) -> torch.device | None:
    """Return the device asked for; else CUDA for a named network, if there is one."""
    if device is None:
        named = isinstance(network, str) and torch.cuda.is_available()
        return torch.device("cuda") if named else None
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"`device` (={str(device)!r}) must be one that torch can use here "
            f"({first_line(error)}); use 'cpu'"
        ) from error
