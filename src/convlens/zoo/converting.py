"""Rewrite a released or saved file of weights as safetensors."""

from __future__ import annotations

import re
from pathlib import Path

from convlens.files import expanded
from convlens.zoo.building import built_on_meta
from convlens.zoo.networks import NETWORKS, weights
from convlens.zoo.weights.digests import sha256_of
from convlens.zoo.weights.downloading import fetch
from convlens.zoo.weights.fitting import fitted
from convlens.zoo.weights.loading import mapped_weights
from convlens.zoo.weights.released import Weights, released_file
from convlens.zoo.weights.saving import check_destination, save_tensors

__all__ = ["convert"]


def convert(source: str | Path, name: str | None = None, out: str | Path | None = None) -> Path:
    """Write the weights of `source` to a .safetensors file, atomically, and return its path.

    `source`: a network of the zoo, whose weights called `name` ("DEFAULT" when None) are downloaded
    if need be; or a .pt or .pth file. A file that torchvision released is checked against its
    network, and its tensors get the names that the network uses today. Other files keep their names
    and tensors. `out`: by default a file in the working folder, named after the network and the
    weights, or after the source without its digits.

    The file also holds the texts `source` and `sha256` of the file read, and `network`, `weights`
    and `licence` if they are known.

    Raises ValueError for an invalid `source`, `name` or `out`, and whatever `fetch` and
    `read_weights` raise.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"a": torch.ones(2)}, f"{folder}/mine.pth")
    ...     convert(f"{folder}/mine.pth", out=f"{folder}/ours.safetensors").name
    'ours.safetensors'
    """
    entry = _released(source, name)
    destination = check_destination(_default(expanded(source), entry) if out is None else out)
    path = fetch(entry) if entry is not None and str(source) in NETWORKS else expanded(source)
    table = mapped_weights(path)
    metadata = {"source": path.name, "sha256": sha256_of(path)}
    if entry is not None:
        table = fitted(built_on_meta(entry.network), table, entry.file)
        metadata |= {"network": entry.network, "weights": entry.name, "licence": entry.licence}
    save_tensors(table, destination, metadata)
    return destination


def _released(source: str | Path, name: str | None) -> Weights | None:
    """Return what is known of a network's weights, or of a file with a released file's name."""
    if str(source) in NETWORKS:
        return weights(str(source), name or "DEFAULT")
    path = expanded(source)
    if not (path.suffix in (".pt", ".pth") or (path.suffix != ".safetensors" and path.is_file())):
        if not path.suffix:
            weights(str(source))  # refuses, and says which network may be meant
        raise ValueError(
            f"`source` (={str(source)!r}) must be a network of the zoo or a .pt or .pth file; "
            "name one"
        )
    if name is not None:
        raise ValueError(
            f"`weights` (={name!r}) names released weights of a network, and {str(source)!r} is a "
            "file; leave it out"
        )
    return released_file(path.name)


def _default(source: Path, entry: Weights | None) -> str:
    if entry is not None:
        return f"{entry.network}-{entry.name}.safetensors"
    # Digits of the old file's sha256 at the end of its name do not fit the new file.
    digits = re.search(r"-([0-9a-f]{8})$", source.stem)
    is_sum = digits and source.is_file() and sha256_of(source).startswith(digits[1])
    return (source.stem[:-9] if is_sum else source.stem) + ".safetensors"
