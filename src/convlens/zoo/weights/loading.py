"""Read weights from a file into a network, whole and checked, or refuse it in one sentence."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from convlens.files import expanded
from convlens.zoo.weights.digests import DIGEST, digest_of, is_dense, metadata, sha256_of
from convlens.zoo.weights.fitting import fitted, listed
from convlens.zoo.weights.released import AT_RANDOM, Weights, released_file
from convlens.zoo.weights.sniffing import Found, sniffed
from convlens.zoo.weights.torch_files import Refused, read_torch, table_of

__all__ = ["load_weights", "mapped_weights", "read_weights"]

_AGAIN = "copy or download it again"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of a weights file, on the CPU.

    The bytes decide what the file is: safetensors, or a file of `torch.save`, which is read with
    `torch.load(weights_only=True)`, so that none of its code runs. From a training program's file,
    which holds other things too, only the weights are returned. A name that ends in `.safetensors`
    promises that nothing is unpickled, so the file must have that format; `.pt` and `.pth` must
    not have it. Checksums must agree: the sha256 of a file with the name of a released one, the
    digest that `save_tensors` writes, and the sums in an archive of `torch.save`.

    Raises ValueError for a missing file, and for one that is truncated, damaged, or something else,
    which is then named. Raises it also for a file that claims more numbers than it has, a pickle of
    more than tensors, and anything but a flat table of names and dense tensors.

    >>> from convlens.zoo.shipped import DIGITS
    >>> sorted(read_weights(DIGITS))[:2]
    ['conv1.bias', 'conv1.weight']
    """
    return {name: tensor.clone() for name, tensor in mapped_weights(path).items()}


def mapped_weights(path: str | Path) -> dict[str, Tensor]:
    """Return what `read_weights` does, as tensors that may be read from the disk on first use.

    Copy them at once: if the file is overwritten in the meantime, the process ends.
    """
    path = expanded(path)
    _check_there(path)
    released = released_file(path.name)
    if released is not None:
        _check_sha256(path, released)
    content, other = table_of(_content(path, _checked(path), check=released is None))
    if other:
        warnings.warn(f"`weights` ({path.name}): {other}", UserWarning, stacklevel=2)
    return _flat(content, path)


def load_weights(network: nn.Module, path: str | Path, *, fresh: tuple[str, ...] = ()) -> None:
    """Copy the weights in `path` into `network`, in place.

    Every name and shape is checked before the first number is copied, so that an exception leaves
    the network as it was. `fresh`: the prefixes of names that may be missing or of another shape;
    those keep their numbers, as a new last layer for other classes does. It warns of a prefix that
    it removed from the names (see `fitted`), and of weights that are not finite.

    Raises ValueError for what `read_weights` and `fitted` refuse.

    >>> from convlens.zoo.shipped import DIGITS
    >>> network = nn.Conv2d(1, 2, 3)
    >>> load_weights(network, DIGITS)
    Traceback (most recent call last):
        ...
    ValueError: `weights` (digits.safetensors) must fit the network Conv2d: it lacks bias, weight \
and holds unknown conv1.bias, conv1.weight, conv2.bias and 3 more; use the file made for this \
network
    """
    path = expanded(path)
    read = mapped_weights(path)
    twins = metadata(path) if sniffed(path).kind == "safetensors" else {}
    table = fitted(network, read, path.name, fresh=fresh, twins=twins)
    learned = {name for name, _ in network.named_parameters()}  # others may well be infinite
    broken = [
        name
        for name, tensor in table.items()
        if tensor.isnan().any() or (name in learned and tensor.isinf().any())
    ]
    if broken:
        warnings.warn(
            f"`weights` ({path.name}) holds NaN or infinity in "
            f"{listed(broken)}: what the network answers may mean nothing",
            UserWarning,
            stacklevel=2,
        )
    network.load_state_dict(table, strict=False)


def _refused(path: Path, rule: str, said: str, cure: str) -> ValueError:
    return ValueError(f"`weights` (={str(path)!r}) {rule}, and {said}; {cure}, {AT_RANDOM}")


def _check_there(path: Path) -> None:
    rule = "must be a file of weights"
    if not path.name:
        raise _refused(path, rule, "names none", "write its path")
    if path.is_dir():
        inside = sorted(
            p.name for p in path.iterdir() if p.suffix in (".safetensors", ".pth", ".pt")
        )
        cure = f"name a file in it, such as {inside[0]}" if inside else "name a file of weights"
        raise _refused(path, rule, "is a folder", cure)
    if not path.is_file():
        what = "is a device or a pipe" if path.exists() else "there is none"
        raise _refused(path, "must name an existing file", what, "check the path")


def _checked(path: Path) -> Found:
    """Return what the file is; raise if it is not read here, or its name promises another."""
    found = sniffed(path)
    if path.suffix == ".safetensors" and found.kind in ("archive", "legacy"):
        cure = f"rename it to {path.with_suffix('.pth').name!r}"
        raise _refused(path, "must be what its name says", "is a file of torch.save", cure)
    if path.suffix in (".pt", ".pth") and found.kind == "safetensors":
        cure = f"rename it to {path.with_suffix('.safetensors').name!r}"
        raise _refused(path, "must be what its name says", "is a safetensors file", cure)
    if not found.kind:
        raise _refused(path, "must be a file of weights", found.said, found.cure)
    return found


def _content(path: Path, found: Found, *, check: bool) -> object:
    """Return what a file holds, with its sums compared if `check`; raise if it is damaged."""
    try:
        if found.kind == "safetensors":
            return _read_safetensors(path)
        return read_torch(path, legacy=found.kind == "legacy", check=check)
    except Refused as error:
        said, cure = error.args
        raise _refused(path, "must be a whole file of tensors", said, cure) from error.__cause__


def _check_sha256(path: Path, released: Weights) -> None:
    found = sha256_of(path)
    if not found.startswith(released.digest):
        raise ValueError(
            f"`weights` (={str(path)!r}) must have a sha256 that begins with {released.digest}, as "
            f"its name says, and it begins with {found[:8]}: it is damaged or another file; delete "
            f"and download it again, or rename it where it is another, {AT_RANDOM}"
        )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        table = safetensors.torch.load_file(path)
        texts = metadata(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise Refused(f"is not a whole .safetensors file ({error})", _AGAIN) from error
    twice = _named_twice(path)
    if twice is not None:
        raise Refused(f"holds {twice!r} twice", "save it again")
    if DIGEST in texts and texts[DIGEST] != digest_of(table):
        raise Refused(
            "holds other numbers than it was saved with: it is damaged, or a program changed them "
            f"and left {DIGEST} as it was",
            "copy it again, or save it without that text",
        )
    return table


def _named_twice(path: Path) -> str | None:
    """Return a name that the header has twice; a reader would silently keep one of the contents."""
    twice: list[str] = []

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        counts = Counter(name for name, _ in pairs)
        twice.extend(name for name, count in counts.items() if count > 1)
        return dict(pairs)

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        json.loads(file.read(length), object_pairs_hook=table)
    return twice[0] if twice else None


def _flat(table: object, path: Path) -> dict[str, Tensor]:
    """Return the table if it holds names and dense tensors; raise ValueError otherwise."""
    is_flat = isinstance(table, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in table.items()
    )
    if not isinstance(table, Mapping) or not is_flat:
        raise ValueError(
            f"`weights` (={str(path)!r}) must hold a flat table of names and tensors, "
            f"not {_described(table)}; save network.state_dict() itself"
        )
    odd = [name for name, tensor in table.items() if not is_dense(tensor)]
    if odd:
        raise ValueError(
            f"`weights` (={str(path)!r}) must hold dense tensors with numbers in them, and "
            f"{listed(odd)} is sparse, nested, quantized or empty of any; save them as plain ones"
        )
    return dict(table)


def _described(table: object) -> str:
    if isinstance(table, Mapping):
        others = [
            str(name)
            for name, value in table.items()
            if not isinstance(name, str) or not isinstance(value, Tensor)
        ]
        return f"one with {listed(others)} of other types"
    return f"a {type(table).__name__}"
