"""Open a network someone names, with what its pictures need, and read its input."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from convlens.learn.arrays import is_array, read_array
from convlens.learn.pictures import read_picture
from convlens.learn.preparing import IMAGENET, Preparation
from convlens.zoo import NETWORKS, list_models, model
from convlens.zoo.weights import DATA, load_weights

__all__ = ["Opened", "open_network", "read_inputs"]

_SPELLINGS = "a network of the zoo, package.module:callable or path/file.py:callable"

_ZOO_PREPARATIONS: dict[str, Preparation] = {
    "digits": Preparation(size=8, channels=1, ink=True),
    "filters": Preparation(size=300, crop=False),
}

_ZOO_EXAMPLES: dict[str, Path] = {"digits": DATA / "digit-3.png", "filters": DATA / "cat.jpg"}


@dataclass(frozen=True)
class Opened:
    """A network ready to be looked at.

    `name`: as it was asked for. `network`: in evaluation mode. `preparation`: what a picture goes
    through, None where the network reads arrays only. `categories`: the names of its outputs,
    if it says them. `example`: a picture to begin with, None where it reads arrays only.
    """

    name: str
    network: nn.Module
    preparation: Preparation | None
    categories: tuple[str, ...] | None
    example: Path | None


def open_network(
    spec: str,
    *,
    weights: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    normalize: str | None = None,
) -> Opened:
    """Build the network `spec` names and settle how a picture becomes its input.

    `spec`: a name of the zoo, `package.module:callable` or `path/file.py:callable`; the callable
    takes no arguments and returns a torch.nn.Module, or is one. Opening a network of one's own
    runs its code. `weights`: a .safetensors, .pt or .pth file to load into it. `size`: pixels,
    as in `Preparation`. `normalize`: "imagenet" for ImageNet's mean and deviation.

    A network of one's own may carry `preparation` (a `Preparation`) and `categories` (names).
    Without, its first convolution says grey (1 channel) or colour (3), the shorter side is scaled
    to 224 pixels, the middle cut out, and values are 0 to 1; other networks read arrays.

    Raises ValueError or TypeError where it cannot be found, built, or is no Module.

    >>> open_network("digits").categories[:3]
    ('0', '1', '2')
    """
    if normalize not in (None, "imagenet"):
        raise ValueError(f"`normalize` (={normalize!r}) must be 'imagenet' or None; use one")
    if ":" in spec:
        network = _own(spec)
        if weights is not None:
            load_weights(network, weights)
        preparation = _own_preparation(network, spec)
        example = None if preparation is None else DATA / "cat.jpg"
    elif spec in NETWORKS:
        network = model(spec, "DEFAULT" if weights is None else weights)
        preparation, example = _ZOO_PREPARATIONS[spec], _ZOO_EXAMPLES[spec]
    else:
        raise ValueError(_unknown(spec))
    preparation = _adjusted(preparation, size, normalize, spec)
    return Opened(spec, network.eval(), preparation, _categories(network, spec), example)


def read_inputs(
    opened: Opened, source: bytes | str | Path | None = None
) -> tuple[Tensor, NDArray[np.uint8] | None]:
    """Return the input tensor for a picture or array, and the pixels the network sees of it.

    `source`: the bytes or path of a picture, prepared as `opened` says, giving (1, c, h, w) and
    uint8 pixels (h, w, 3) row for row; or of a .npy array (n, c, *space) or (c, *space), giving
    the array and None; None for the network's own example. In the network's float type, on its
    device.

    Raises ValueError for what is neither, and where the network reads arrays only.

    >>> x, shown = read_inputs(open_network("digits"))
    >>> tuple(x.shape), shown.shape
    ((1, 1, 8, 8), (8, 8, 3))
    """
    if source is None:
        if opened.example is None:
            raise ValueError(_wants_array(opened))
        source = opened.example
    if is_array(source):
        return _placed(read_array(source, _first_window(opened.network)), opened.network), None
    if opened.preparation is None:
        raise ValueError(_wants_array(opened))
    shown = opened.preparation.shown(read_picture(source))
    return _placed(opened.preparation.normalized(shown), opened.network), shown


def _unknown(spec: str) -> str:
    if spec.endswith(".py"):
        return f"`network` (={spec!r}) must say which callable of the file; write {spec}:NAME"
    near = difflib.get_close_matches(spec, NETWORKS, n=1)
    cure = f"did you mean {near[0]!r}?" if near else f"the zoo has {', '.join(list_models())}"
    return f"`network` (={spec!r}) must be {_SPELLINGS}; {cure}"


def _own(spec: str) -> nn.Module:
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise ValueError(f"`network` (={spec!r}) must be {_SPELLINGS}; write both sides of the :")
    # While its code runs, it finds its neighbours: those of the file, or of the working folder.
    is_file = place.endswith(".py")
    folder = Path(place).resolve().parent if is_file else Path.cwd()
    with _importing_from(folder):
        module = _from_file(Path(place), spec) if is_file else _from_package(place, spec)
        return _built(_found(module, name, spec), name, spec)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _from_file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"`network` (={spec!r}) must name an existing file; there is no {path}")
    # A name of its own: a file called like an installed module must not take its place.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"{path.stem}_{digest}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ValueError(f"`network` (={spec!r}) must name a Python file; {path} is none")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(_failed(spec, f"running {path.name}", error)) from error
    return module


def _from_package(place: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise ValueError(_failed(spec, f"importing {place}", error)) from error
        raise ValueError(
            f"`network` (={spec!r}) must name a module Python can import, and there is no "
            f"{error.name}; install it, or write path/file.py:{spec.rpartition(':')[2]}"
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(spec, f"importing {place}", error)) from error


def _found(module: ModuleType, name: str, spec: str) -> object:
    if hasattr(module, name):
        return getattr(module, name)
    public = [other for other, value in vars(module).items() if callable(value)]
    near = difflib.get_close_matches(name, public, n=1)
    own = [o for o in public if getattr(vars(module)[o], "__module__", "") == module.__name__]
    cure = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(own) or 'no callable'}"
    raise ValueError(f"`network` (={spec!r}) must name a callable of the module; {cure}")


def _built(made: object, name: str, spec: str) -> nn.Module:
    if isinstance(made, nn.Module):
        return made
    if not callable(made):
        raise TypeError(
            f"`network` (={spec!r}) must be a torch.nn.Module or a callable that returns one, and "
            f"{name} is of type {type(made).__name__}; name another"
        )
    _check_no_arguments(made, name, spec)
    try:
        network = made()
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(spec, f"{name}()", error)) from error
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"`network` (={spec!r}) must return a torch.nn.Module, and {name}() returned "
            f"{type(network).__name__}; return the network itself"
        )
    return network


def _check_no_arguments(made: object, name: str, spec: str) -> None:
    try:
        signature = inspect.signature(made)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return  # Some callables written in C do not tell; calling them will.
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in open_ended
    ]
    if wanted:
        raise TypeError(
            f"`network` (={spec!r}) must be callable without arguments, and {name} wants "
            f"{', '.join(wanted)}; give them defaults or name a function that calls it"
        )


def _failed(spec: str, what: str, error: BaseException) -> str:
    said = (str(error) or "no message").strip().splitlines()[0]
    return (
        f"`network` (={spec!r}) could not be opened: {what} raised {type(error).__name__}: {said}"
    )


def _own_preparation(network: nn.Module, spec: str) -> Preparation | None:
    own = getattr(network, "preparation", None)
    if own is not None and not isinstance(own, Preparation):
        raise TypeError(
            f"`preparation` of {spec!r} (of type {type(own).__name__}) must be a "
            "convlens.learn.preparing.Preparation; make one"
        )
    if own is not None:
        return own
    window = _first_window(network)
    if window is None:
        return Preparation()
    channels, dimensions = window
    return Preparation(channels=channels) if dimensions == 2 and channels in (1, 3) else None


def _first_window(network: nn.Module) -> tuple[int, int] | None:
    """The channels read and the space dimensions of the first convolution; None without one."""
    for module in network.modules():
        channels, size = getattr(module, "in_channels", 0), getattr(module, "kernel_size", None)
        if channels and isinstance(size, tuple):
            return int(channels), len(size)
    for parameter in network.parameters():
        # A lazy parameter has no shape before the first input.
        lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
        if not lazy and parameter.ndim >= 3:
            return int(parameter.shape[1]), parameter.ndim - 2
    return None


def _adjusted(
    preparation: Preparation | None,
    size: int | tuple[int, int] | None,
    normalize: str | None,
    spec: str,
) -> Preparation | None:
    if preparation is None:
        if size is not None or normalize is not None:
            raise ValueError(
                f"`size` (={size}) and `normalize` (={normalize!r}) are for pictures, and {spec!r} "
                "reads arrays; leave them out"
            )
        return None
    if size is not None:
        preparation = dataclasses.replace(preparation, size=size)
    if normalize is not None:
        mean, std = IMAGENET
        if preparation.channels != 3:
            raise ValueError(
                f"`normalize` (={normalize!r}) needs 3 channels, and {spec!r} reads "
                f"{preparation.channels}; leave it out"
            )
        preparation = dataclasses.replace(preparation, mean=mean, std=std)
    return preparation


def _categories(network: nn.Module, spec: str) -> tuple[str, ...] | None:
    own = getattr(network, "categories", None)
    if own is None:
        return None
    if isinstance(own, (str, bytes)) or not hasattr(own, "__iter__"):
        raise TypeError(
            f"`categories` of {spec!r} (={own!r}) must be a list or tuple of names; "
            "give one name an output"
        )
    return tuple(str(name) for name in own)


def _wants_array(opened: Opened) -> str:
    channels, dimensions = _first_window(opened.network) or (3, 2)
    space = {1: "length", 2: "h, w", 3: "depth, h, w"}.get(dimensions, "*space")
    return (
        f"`picture` must be an array for {opened.name!r}, which reads (n, {channels}, {space}) and "
        "no pictures; numpy.save one and give the .npy file"
    )


def _placed(x: Tensor, network: nn.Module) -> Tensor:
    """In the float type and on the device of the network's parameters."""
    own = next((p for p in network.parameters() if p.is_floating_point()), None)
    return x if own is None else x.to(own.device, own.dtype)
