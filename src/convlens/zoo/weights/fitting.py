"""Match the tensors of a file with a network's by name, shape, type and ties."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlens.files import printed

__all__ = ["fitted", "listed"]

Names = Mapping[str, Tensor]

_WRAPPERS = {
    "module": "DataParallel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FullyShardedDataParallel",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "_forward_module": "DeepSpeed",
    "model": "Lightning",
    "ema_model": "a moving average",
    "ema": "a moving average",
}
"""The prefixes that wrappers put before every name, and who puts them there."""


def fitted(
    network: nn.Module,
    table: Names,
    file: str,
    *,
    fresh: tuple[str, ...] = (),
    twins: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Return the tensors of `table` under the names `network` has for them.

    A prefix that a wrapper put before all names is removed, with a warning. Names of torchvision
    before 0.13 become today's. Counts of batches seen are left out if only one of the two has them:
    frozen norms, and files from before torch 0.4.1, have none.

    A name may be missing if the network also holds its tensor under another name. So may one that
    `twins` maps to another, as safetensors' `save_model` writes tied tensors once. `file`: the name
    for errors. `fresh`: as in `load_weights`.

    Raises ValueError if the table does not fit the network: if names are missing or unknown, a
    tensor has another shape or kind of number, or tied tensors differ.

    >>> sorted(fitted(nn.Linear(2, 1), nn.Linear(2, 1).state_dict(), "my.pth"))
    ['bias', 'weight']
    """
    own: Names = network.state_dict(keep_vars=True)
    bare = _bare(own, table, file)
    renamed = {_current(name, own, bare): tensor for name, tensor in bare.items()}
    kept = {name: tensor for name, tensor in renamed.items() if name in own or not _counts(name)}
    drawn = {
        name
        for name, tensor in own.items()
        if name.startswith(fresh) and (name not in kept or _shape(kept[name]) != _shape(tensor))
    }
    kept = {name: tensor for name, tensor in kept.items() if name not in drawn}
    for name, twin in (twins or {}).items():
        if name in own and name not in kept and twin in kept:
            kept[name] = kept[twin]
    absent = own.keys() - kept.keys() - drawn
    absent -= {n for names in _tied(own) if kept.keys() & set(names) for n in names}
    misfits = _misfits(own, kept, absent)
    if misfits:
        raise ValueError(
            f"`weights` ({file}) must fit the network {type(network).__name__}: "
            f"it {' and '.join(misfits)}; {_cure(own, kept, bare, misfits)}"
        )
    _check_tied(own, kept, file)
    return kept


def _bare(own: Names, table: Names, file: str) -> Names:
    """Return the table without the prefix of a wrapper, or with the network's own prefix.

    The prefix is changed only if more names then fit the network.
    """
    counted = {name: t for name, t in table.items() if name != "n_averaged" or name in own}
    ours, theirs = _common(own), _common(counted)
    best, taken = table, ""
    for prefix in theirs:
        cut = {name.removeprefix(prefix): tensor for name, tensor in counted.items()}
        if len(cut.keys() & own.keys()) > len(best.keys() & own.keys()):
            best, taken = cut, f"{prefix!r}, which {_author(prefix)} put before all, was taken off"
    for prefix in ours:
        if not set(prefix.rstrip(".").split(".")) <= _WRAPPERS.keys():
            break
        put = {prefix + name: tensor for name, tensor in table.items()}
        if len(put.keys() & own.keys()) > len(best.keys() & own.keys()):
            best, taken = put, f"{prefix!r}, which the network has before all, was put before them"
    if taken:
        said = f"`weights` ({file}) calls a tensor {next(iter(counted))!r}: of its names {taken}"
        warnings.warn(said, UserWarning, stacklevel=4)
    return best


def _common(names: Iterable[str]) -> list[str]:
    """Return the prefixes that all names share: "module.", "module._orig_mod."."""
    parts = [name.split(".")[:-1] for name in names]
    found: list[str] = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        found.append((found[-1] if found else "") + column[0] + ".")
    return found


def _author(prefix: str) -> str:
    known = [_WRAPPERS[part] for part in prefix.split(".") if part in _WRAPPERS]
    return " and ".join(known) or "a module around the network"


# Names in the files of detectors released before torchvision 0.13, and their names today.
_RENAMED: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"(.*fpn\.(?:inner|layer)_blocks\.\d+)\.(\w+)", lambda old: f"{old[1]}.0.{old[2]}"),
    (r"(.*rpn\.head\.conv)\.(\w+)", lambda old: f"{old[1]}.0.0.{old[2]}"),
    (
        r"(.*mask_head)\.mask_fcn(\d+)\.(\w+)",
        lambda old: f"{old[1]}.{int(old[2]) - 1}.0.{old[3]}",
    ),
)


def _current(name: str, own: Names, table: Names) -> str:
    """Return today's name of a tensor, if the network has it and the file only the old one."""
    for pattern, renamed in _RENAMED:
        old = re.fullmatch(pattern, name)
        if old and name not in own and renamed(old) in own.keys() - table.keys():
            return renamed(old)
    return name


def _counts(name: str) -> bool:
    return name.rpartition(".")[2] == "num_batches_tracked"


def _tied(own: Names) -> list[list[str]]:
    """Return the groups of names that share one tensor of the network."""
    names: dict[int, list[str]] = {}
    for name, tensor in own.items():
        names.setdefault(id(tensor), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _check_tied(own: Names, kept: Names, file: str) -> None:
    for group in _tied(own):
        first, *others = [name for name in group if name in kept] or group[:1]
        for name in others:
            if not torch.equal(kept[first], kept[name]):
                raise ValueError(
                    f"`weights` ({file}) must fit the network: {first} and {name} are one tensor "
                    "in it, and hold different numbers; untie them in the network, or save it again"
                )


def _misfits(own: Names, table: Names, absent: set[str]) -> list[str]:
    missing = sorted(name for name in absent if not _counts(name))
    unknown = sorted(table.keys() - own.keys())
    both = [(name, table[name], tensor) for name, tensor in own.items() if name in table]
    shapes = [
        f"{name} {tuple(given.shape)} where the network has {_shape(tensor)}"
        for name, given, tensor in both
        if _shape(tensor) is not None and tuple(given.shape) != _shape(tensor)
    ]
    kinds = [
        f"{name} as {_kind(given)} where the network has {_kind(tensor)}"
        for name, given, tensor in both
        if not shapes and not _takes(tensor.dtype, given)
    ]
    found = (("lacks", missing), ("holds unknown", unknown), ("holds", shapes), ("holds", kinds))
    return [f"{verb} {listed(names)}" for verb, names in found if names]


def _takes(dtype: torch.dtype, given: Tensor) -> bool:
    """Return whether numbers fit `dtype`: they may be rounded, but not change kind or overflow."""
    if given.dtype == dtype or given.is_meta:
        return True
    if dtype.is_floating_point:
        if not given.is_floating_point():
            return False
        if torch.finfo(given.dtype).max <= torch.finfo(dtype).max:
            return True
        return bool((given.to(dtype).isinf() == given.isinf()).all())
    if dtype.is_complex or given.is_complex():
        return dtype.is_complex
    return torch.equal(given.to(dtype).to(given.dtype), given)


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _shape(tensor: Tensor) -> tuple[int, ...] | None:
    # A lazy parameter takes the shape of what is loaded.
    return None if is_lazy(tensor) else tuple(tensor.shape)


def _cure(own: Names, kept: Names, table: Names, misfits: list[str]) -> str:
    count = _classes(own, kept) if len(misfits) == 1 else None
    if count:
        return (
            f"it is for {count} classes: build it with classes={count}, or use the file made for "
            "this network"
        )
    for wrapper, author in _WRAPPERS.items():
        wrapped = sum(f".{wrapper}." in f".{name}" for name in table)
        ours = any(f".{wrapper}." in f".{name}" for name in own)
        if ours and not wrapped and wrapper.startswith("_"):  # such a name comes from a wrapper
            return (
                f"'{wrapper}.', as {author} puts it there, is in names of the network and in none "
                "of the file's: load it before a part is wrapped, or use the file made for this "
                "network"
            )
        if wrapped and not ours:
            return (
                f"'{wrapper}.', as {author} puts it there, is in {wrapped} of its {len(table)} "
                "names: take it off and save it again, or use the file made for this network"
            )
    return "use the file made for this network"


def _classes(own: Names, table: Names) -> int | None:
    """Return the number of classes of the table, if it differs from the network in nothing else."""
    pairs = [
        (tuple(table[name].shape), shape)
        for name, tensor in own.items()
        if name in table and (shape := _shape(tensor)) not in (None, tuple(table[name].shape))
    ]
    if not pairs or any(not a or not b or a[1:] != b[1:] for a, b in pairs):
        return None
    # A detector's boxes have four outputs a class, its scores one.
    theirs, ours = min(a[0] for a, _ in pairs), min(b[0] for _, b in pairs if b)
    return theirs if theirs and all(a[0] * ours == b[0] * theirs for a, b in pairs if b) else None


def listed(names: list[str], most: int = 3) -> str:
    """Return the first `most` names joined by commas, and the number of the others.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(printed, names[:most])) + rest
