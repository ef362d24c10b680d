"""Read the tensors of a file of torch.save, after outlining what opening it would make."""

from __future__ import annotations

import io
import mmap
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from convlens.zoo.weights.pickles import Made, Outline, Table, outlined

__all__ = ["read_torch", "table_of"]

MOST, LEAST = 64, 2**28
"""Tensors may claim up to `MOST` times the bytes of their file, and always `LEAST` (256 MiB)."""

_ITS_WEIGHTS = "save its weights: torch.save({}, 'weights.pth')"

# The names under which programs keep a network's weights among other things.
_KEPT = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"),
    *("weights", "params", "state"),
)


class Refused(Exception):
    """The reason why a file is not read, beginning with a verb, and the cure."""


def read_torch(path: Path, *, legacy: bool = False, check: bool = True) -> object:
    """Return what a file of torch.save holds, tensors and plain values, on the CPU.

    `legacy`: whether it has the format from before torch 1.6, instead of an archive. `check`:
    compare the sums of its records (CRC-32) with those in the archive. No code of the file runs. No
    memory is reserved for tensors until the file is known to have about the bytes they claim.

    Raises `Refused`.
    """
    if legacy:
        outline, mapped = _legacy_outline(path), False
    else:
        outline, mapped = _archive_outline(path, check)
    _check_claims(outline, path.stat().st_size)
    return _loaded(path, outline, mapped)


def table_of(content: object) -> tuple[object, str]:
    """Return the table of weights in what a file holds, and a remark on others that it holds.

    Training programs keep the weights among other things. The table under a usual name is taken, or
    else the only table of tensors. The remark is "" if there are no others.

    >>> table_of({"epoch": 3, "state_dict": {"a": torch.ones(1)}})
    ({'a': tensor([1.])}, '')
    """
    if not isinstance(content, Mapping) or any(isinstance(v, Tensor) for v in content.values()):
        return content, ""
    found = {path: table for path, table in _tables(content) if "optim" not in str(path)}
    usual = [path for path in found if all(key in _KEPT for key in path)]
    usual.sort(key=lambda path: _KEPT.index(path[0]))
    if not usual and len(found) != 1:
        return content, ""
    taken = usual[0] if usual else next(iter(found))
    others = [".".join(path) for path in found if path != taken]
    said = f"took {'.'.join(taken)!r}, and it holds {', '.join(others[:3])} too" if others else ""
    return found[taken], said


def _tables(
    content: Mapping[object, object], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[object, object]]]:
    """Yield the tables of tensors in nested tables, after the keys that lead to each."""
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Mapping) or not value:
            continue
        path = (*above, key)
        if all(isinstance(tensor, Tensor) for tensor in value.values()):
            yield path, value
        elif len(path) < 3:
            yield from _tables(value, path)


def _checked_archive(archive: zipfile.ZipFile, path: Path) -> bool:
    """Return whether the records can be mapped; refuse what torch would not read correctly."""
    records = archive.infolist()
    names = [record.filename for record in records]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"holds the record {twice!r} twice", "save it again")
    if any(record.flag_bits & 1 for record in records):
        raise Refused("is protected by a password", "unpack it with the password first")
    _check_compression(records)
    size, whole = path.stat().st_size, sum(record.file_size for record in records)
    if whole > MOST * size + LEAST:
        raise Refused(
            f"has {size:,} bytes and unpacks to {whole:,}", "take a file from someone you trust"
        )
    for record in records:
        # torch can leave the sums out and then writes 0; without a sum, zipfile compares nothing.
        record.CRC = record.CRC or None  # type: ignore[assignment]
    # torch would take the bytes of a compressed record that is mapped for the numbers themselves.
    return all(record.compress_type == zipfile.ZIP_STORED for record in records)


def _check_compression(records: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse records that are compressed by a method which torch does not read."""
    odd = {record.compress_type for record in records} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if odd:
        name = zipfile.compressor_names.get(odd.pop(), "a method")  # type: ignore[attr-defined]
        raise Refused(f"is compressed by {name}, which torch does not read", "unpack and save it")


def _pickle_of(archive: zipfile.ZipFile) -> str:
    # torch expects all records in the folder of the first.
    name = f"{archive.namelist()[0].split('/')[0]}/data.pkl"
    if name not in archive.namelist():
        cure = "pack the folder that holds data.pkl, alone, or save it again"
        raise Refused(f"has no {name}, which its first record leads to", cure)
    return name


def _outline(file: io.BytesIO | mmap.mmap, pickles: int) -> Outline:
    try:
        return outlined(file, pickles)  # type: ignore[arg-type]
    except Exception as error:
        # On damaged bytes, Python's unpickler may raise any exception.
        reason = str(error) or type(error).__name__
        raise Refused(f"is damaged ({reason})", "copy or download it again") from error


def _legacy_outline(path: Path) -> Outline:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return _outline(mapped, 4)  # a number, a version, facts of the machine, the content


def _archive_outline(path: Path, check: bool) -> tuple[Outline, bool]:
    """Return the outline of a checked archive, and whether its records can be mapped."""
    try:
        with zipfile.ZipFile(path) as archive:
            mapped = _checked_archive(archive, path)
            outline = _outline(io.BytesIO(archive.read(_pickle_of(archive))), 1)
            _check_records(archive, outline)
            if check:
                _check_sums(archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise Refused(f"is damaged ({error})", "copy or download it again") from error
    return outline, mapped


def _check_records(archive: zipfile.ZipFile, outline: Outline) -> None:
    folder = archive.namelist()[0].split("/")[0]
    sizes = {record.filename: record.file_size for record in archive.infolist()}
    for storage in outline.storages.values():
        there = sizes.get(f"{folder}/data/{storage.key}")
        if there is None or there < storage.bytes:
            raise Refused(
                f"is damaged: of the record data/{storage.key} it needs {storage.bytes:,} bytes "
                f"and has {there or 0:,}",
                "copy or download it again",
            )


def _check_sums(archive: zipfile.ZipFile) -> None:
    """Read all records, so that zipfile compares their sums; it raises BadZipFile."""
    for record in archive.infolist():
        with archive.open(record) as file:
            while file.read(2**20):
                pass


def _check_claims(outline: Outline, size: int) -> None:
    held = sum(storage.bytes for storage in outline.storages.values())
    claimed = max(outline.claimed, held)
    if claimed > MOST * size + LEAST:
        raise Refused(
            f"has {size:,} bytes, and its tensors claim {claimed:,}",
            "save tensors of their own, with .contiguous()",
        )
    if isinstance(outline.content, Table) and outline.content.twice:
        raise Refused(f"holds {outline.content.twice[0]!r} twice", "save it again")


def _loaded(path: Path, outline: Outline, mapped: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch refuses what it warns of
            # A mapped file is read from the disk while it is copied, and needs no memory.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise _as_code(outline) from error
    except Exception as error:
        # On a damaged file, torch's readers may raise any exception.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Refused(f"is damaged ({reason})", "copy or download it again") from error


def _as_code(outline: Outline) -> Refused:
    """Return the refusal of a file that torch did not open, as it holds more than tensors."""
    top = outline.content
    if isinstance(top, Made):
        cure = _ITS_WEIGHTS.format("torch.load(path, weights_only=False).state_dict()")
        said = f"holds a whole {top.of}, which would run code when opened"
        return Refused(said, f"where you trust it, {cure}")
    foreign = [
        name for name in outline.globals if not name.startswith(("torch._", "torch.storage"))
    ]
    foreign = [n for n in foreign if not n.startswith("torch.") or n.startswith("torch.nn.modules")]
    cure = _ITS_WEIGHTS.format("network.state_dict()")
    if not foreign and outline.protocol > 2:
        said = f"is pickled by protocol {outline.protocol}, of which torch reads only 2 safely"
        return Refused(said, "save it again, without `pickle_protocol`")
    if not foreign:
        return Refused("is damaged, or would run code when opened", cure)
    said = f"holds {foreign[0]} besides tensors, which would run code when opened"
    return Refused(said, f"from the network alone {cure}")
