"""Read weights from a file into a network, whole and checked, or refuse in one sentence."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

__all__ = ["DATA", "SHIPPED", "load_weights", "metadata", "read_weights"]

DATA = Path(__file__).parent / "data"
"""The folder of the files shipped with the package; `LICENSES.md` in it says whose they are."""

SHIPPED: dict[str, Path] = {"digits": DATA / "digits.safetensors"}
"""The trained weights of each network of the zoo that has some."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of a weights file, on the CPU.

    `.safetensors` is read as such; `.pt` and `.pth` with `torch.load(weights_only=True)`, which
    runs no code from the file. A file that one reader refuses is never tried with another.

    Raises ValueError for a missing file, another suffix, a truncated or damaged file, a pickle
    that holds more than tensors, and a file that is no flat table of names and tensors.

    >>> sorted(read_weights(SHIPPED["digits"]))[:2]
    ['conv1.bias', 'conv1.weight']
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise ValueError(
            f"`weights` (={str(path)!r}) must be a .safetensors, .pt or .pth file; "
            "save them with safetensors.torch.save_file(network.state_dict(), path)"
        )
    if not path.is_file():
        raise ValueError(
            f"`weights` (={str(path)!r}) must name an existing file; there is none, check the path"
        )
    table = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(table, Mapping) or not all(isinstance(t, Tensor) for t in table.values()):
        raise ValueError(
            f"`weights` (={str(path)!r}) must hold a flat table of names and tensors, "
            f"not {_described(table)}; save network.state_dict() itself"
        )
    return dict(table)


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Copy the weights in `path` into `network`, in place.

    Every name and shape is checked before the first number is copied: after an exception the
    network is what it was.

    Raises ValueError for what `read_weights` refuses, and where the file was made for another
    network: names missing, names too many, a tensor of another shape.

    >>> network = nn.Conv2d(1, 2, 3)
    >>> load_weights(network, SHIPPED["digits"])
    Traceback (most recent call last):
        ...
    ValueError: `weights` (digits.safetensors) must fit the network Conv2d: it lacks bias, weight \
and holds unknown conv1.bias, conv1.weight, conv2.bias and 3 more; use the file made for this \
network
    """
    path = Path(path)
    table = read_weights(path)
    misfits = _misfits(network, table)
    if misfits:
        raise ValueError(
            f"`weights` ({path.name}) must fit the network {type(network).__name__}: "
            f"it {' and '.join(misfits)}; use the file made for this network"
        )
    network.load_state_dict(table)


def metadata(path: str | Path) -> dict[str, str]:
    """Return the texts stored beside the tensors of a safetensors file.

    Raises ValueError where the file is missing, truncated or no safetensors file.

    >>> metadata(SHIPPED["digits"])["network"]
    'Digits'
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"`path` (={str(path)!r}) must be a whole .safetensors file ({error}); "
            "copy or make it again"
        ) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"`weights` (={str(path)!r}) must be a whole .safetensors file ({error}); "
            "copy or download it again"
        ) from error


def _read_torch(path: Path) -> object:
    try:
        # torch warns before it refuses a TorchScript archive; the refusal below says it once.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"`weights` (={str(path)!r}) must hold tensors only, and this pickle is damaged or "
            "would run code when opened; save network.state_dict() as .safetensors"
        ) from error
    except Exception as error:
        # A damaged file fails anywhere in torch's readers, with any exception.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"`weights` (={str(path)!r}) must be a whole file of tensors saved by torch.save "
            f"({reason}); copy or download it again"
        ) from error


def _misfits(network: nn.Module, table: Mapping[str, Tensor]) -> list[str]:
    own = network.state_dict()
    missing = sorted(own.keys() - table.keys())
    unknown = sorted(table.keys() - own.keys())
    shapes = [
        f"{name} {tuple(table[name].shape)} where the network has {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in table and table[name].shape != tensor.shape
    ]
    found = (("lacks", missing), ("holds unknown", unknown), ("holds", shapes))
    return [f"{verb} {_listed(names)}" for verb, names in found if names]


def _listed(names: list[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _described(table: object) -> str:
    if isinstance(table, Mapping):
        others = [str(name) for name, value in table.items() if not isinstance(value, Tensor)]
        return f"one with {_listed(others)} of other types"
    return f"a {type(table).__name__}"
