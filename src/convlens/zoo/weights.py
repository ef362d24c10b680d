"""Read weights from a file into a network, whole and checked, or refuse in one sentence."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Set
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from convlens.files import expanded

__all__ = [
    *("DATA", "SHIPPED", "fitted", "load_weights", "metadata", "read_weights", "sha256_of"),
]

DATA = Path(__file__).parent / "data"
"""The folder of the files shipped with the package; `LICENSES.md` in it says whose they are."""

SHIPPED: dict[str, Path] = {"digits": DATA / "digits.safetensors"}
"""The trained weights of each network of the zoo that has some."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of a weights file, on the CPU.

    `.safetensors` is read as such; `.pt` and `.pth` with `torch.load(weights_only=True)`, which
    runs no code from the file. A file that one reader refuses is never tried with another. Where 8
    hexadecimal digits end the name (`resnet18-f37072fd.pth`), its sha256 must begin with them.

    Raises ValueError for a missing file, another suffix, a file that is not what its name says,
    truncated or damaged, a pickle that holds more than tensors, and a file that is no flat table
    of names and dense tensors.

    >>> sorted(read_weights(SHIPPED["digits"]))[:2]
    ['conv1.bias', 'conv1.weight']
    """
    path = expanded(path)
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise ValueError(
            f"`weights` (={str(path)!r}) must be a .safetensors, .pt or .pth file; "
            "save them with safetensors.torch.save_file(network.state_dict(), path)"
        )
    if not path.is_file():
        raise ValueError(
            f"`weights` (={str(path)!r}) must name an existing file; there is none, check the path"
        )
    _check_digest(path)
    table = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(table, Mapping) or not all(isinstance(t, Tensor) for t in table.values()):
        raise ValueError(
            f"`weights` (={str(path)!r}) must hold a flat table of names and tensors, "
            f"not {_described(table)}; save network.state_dict() itself"
        )
    odd = [name for name, tensor in table.items() if not _is_dense(tensor)]
    if odd:
        raise ValueError(
            f"`weights` (={str(path)!r}) must hold dense tensors with numbers in them, and "
            f"{_listed(odd)} is sparse, quantized or empty of any; save them as plain ones"
        )
    return dict(table)


def load_weights(network: nn.Module, path: str | Path, *, fresh: tuple[str, ...] = ()) -> None:
    """Copy the weights in `path` into `network`, in place.

    Every name and shape is checked before the first number is copied: after an exception the
    network is what it was. `fresh`: how the names begin that may be missing or of another shape;
    those keep the numbers they have, as a new last layer for other classes does.

    Raises ValueError for what `read_weights` and `fitted` refuse.

    >>> network = nn.Conv2d(1, 2, 3)
    >>> load_weights(network, SHIPPED["digits"])
    Traceback (most recent call last):
        ...
    ValueError: `weights` (digits.safetensors) must fit the network Conv2d: it lacks bias, weight \
and holds unknown conv1.bias, conv1.weight, conv2.bias and 3 more; use the file made for this \
network
    """
    path = expanded(path)
    table = fitted(network, read_weights(path), path.name, fresh=fresh)
    network.load_state_dict(table, strict=False)


def fitted(
    network: nn.Module, table: Mapping[str, Tensor], file: str, *, fresh: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Return the tensors of `table` under the names `network` has for them.

    Names of torchvision before 0.13 become today's. Counts of batches seen are left out where one
    of the two has none: frozen norms and files from before torch 0.4.1. `file`: named in errors;
    `fresh`: as in `load_weights`.

    Raises ValueError where the table was made for another network: names missing, names too many,
    a tensor of another shape.

    >>> sorted(fitted(nn.Linear(2, 1), nn.Linear(2, 1).state_dict(), "my.pth"))
    ['bias', 'weight']
    """
    own = network.state_dict()
    renamed = {_current(name, own, table): tensor for name, tensor in table.items()}
    kept = {name: tensor for name, tensor in renamed.items() if name in own or not _counts(name)}
    drawn = {
        name
        for name, tensor in own.items()
        if name.startswith(fresh) and (name not in kept or kept[name].shape != tensor.shape)
    }
    kept = {name: tensor for name, tensor in kept.items() if name not in drawn}
    misfits = _misfits(own, kept, drawn)
    if misfits:
        count = _classes(own, kept) if len(misfits) == 1 else None
        cure = f"build it with classes={count}, or " if count else ""
        raise ValueError(
            f"`weights` ({file}) must fit the network {type(network).__name__}: "
            f"it {' and '.join(misfits)}; {cure}use the file made for this network"
        )
    return kept


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in 64 hexadecimal digits; OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def metadata(path: str | Path) -> dict[str, str]:
    """Return the texts stored beside the tensors of a safetensors file.

    Raises ValueError where the file is missing, truncated or no safetensors file.

    >>> metadata(SHIPPED["digits"])["network"]
    'Digits'
    """
    try:
        with safetensors.safe_open(str(expanded(path)), framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"`path` (={str(path)!r}) must be a whole .safetensors file ({error}); "
            "copy or make it again"
        ) from error


def _check_digest(path: Path) -> None:
    digits = re.search(r"-([0-9a-f]{8})\.\w+$", path.name)
    if digits is None:
        return
    found = sha256_of(path)
    if not found.startswith(digits[1]):
        raise ValueError(
            f"`weights` (={str(path)!r}) must have a sha256 that begins with {digits[1]}, as its "
            f"name says, and it begins with {found[:8]}: it is damaged or another file; delete and "
            "download it again, or rename it where these digits are no sha256"
        )


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
            # A file in torch's format before 1.6 is no archive and cannot be mapped; what can is
            # read from the disk as it is copied, and needs no memory of its own.
            mapped = zipfile.is_zipfile(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
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


# Names in the files of detectors released before torchvision 0.13, and what they are called now.
_RENAMED: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"(.*fpn\.(?:inner|layer)_blocks\.\d+)\.(\w+)", lambda old: f"{old[1]}.0.{old[2]}"),
    (r"(.*rpn\.head\.conv)\.(\w+)", lambda old: f"{old[1]}.0.0.{old[2]}"),
    (
        r"(.*mask_head)\.mask_fcn(\d+)\.(\w+)",
        lambda old: f"{old[1]}.{int(old[2]) - 1}.0.{old[3]}",
    ),
)


def _current(name: str, own: Mapping[str, Tensor], table: Mapping[str, Tensor]) -> str:
    """Today's name of a tensor, where the network has that one and the file the old one alone."""
    for pattern, renamed in _RENAMED:
        old = re.fullmatch(pattern, name)
        if old and name not in own and renamed(old) in own.keys() - table.keys():
            return renamed(old)
    return name


def _counts(name: str) -> bool:
    return name.rpartition(".")[2] == "num_batches_tracked"


def _misfits(own: Mapping[str, Tensor], table: Mapping[str, Tensor], drawn: Set[str]) -> list[str]:
    missing = sorted(name for name in own.keys() - table.keys() - drawn if not _counts(name))
    unknown = sorted(table.keys() - own.keys())
    shapes = [
        f"{name} {tuple(table[name].shape)} where the network has {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in table and table[name].shape != tensor.shape
    ]
    found = (("lacks", missing), ("holds unknown", unknown), ("holds", shapes))
    return [f"{verb} {_listed(names)}" for verb, names in found if names]


def _classes(own: Mapping[str, Tensor], table: Mapping[str, Tensor]) -> int | None:
    """How many classes the table is for, if it differs from the network in nothing else."""
    pairs = [
        (table[name].shape, tensor.shape)
        for name, tensor in own.items()
        if name in table and table[name].shape != tensor.shape
    ]
    if not pairs or any(not a or not b or a[1:] != b[1:] for a, b in pairs):
        return None
    # A detector's boxes have four outputs a class, its scores one.
    theirs, ours = min(a[0] for a, _ in pairs), min(b[0] for _, b in pairs)
    return theirs if theirs and all(a[0] * ours == b[0] * theirs for a, b in pairs) else None


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta


def _listed(names: list[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _described(table: object) -> str:
    if isinstance(table, Mapping):
        others = [str(name) for name, value in table.items() if not isinstance(value, Tensor)]
        return f"one with {_listed(others)} of other types"
    return f"a {type(table).__name__}"
