"""Read the changes of an address, and replay a recording with them."""

from __future__ import annotations

import re
from typing import TypedDict
from urllib.parse import unquote

from convlens.lab.answers.looking import Look
from convlens.lab.answers.network import NetworkAnswer
from convlens.lab.answers.scores import ClassScore
from convlens.learn.modes import mode
from convlens.lens import Mute, Recording, SetArgument, SetNumber, Value, replay, rerun
from convlens.lens.changing import Change
from convlens.lens.replaying import ReplayRefused, same_bits

MOST = 4096
"""The most changes of one replay."""

_CHANGE = re.compile(r"(?P<at>[^!]+)!(?P<where>[^:]*):(?P<to>[^:]+)")
_ARGUMENTS = ("stride", "padding", "dilation")


class ReplayAnswer(TypedDict):
    """The number of the changed recording, and what the network answers now.

    `touched`: the values that have other numbers now. `network` describes it again where sizes have
    changed, or where it fails now.
    """

    recording: int
    scores: list[ClassScore]
    touched: list[int]
    network: NetworkAnswer | None


def changes_of(text: str) -> list[Change]:
    """Return the changes that an address names.

    Raises ValueError, one sentence, for text that is not in this form.

    >>> changes_of("conv1.weight!5,0,2,2:-1.5;conv1!5:mute;conv1!stride:2")
    [SetNumber(value='conv1.weight', index=(5, 0, 2, 2), to=-1.5), Mute(value='conv1', channel=5), \
SetArgument(step='conv1', name='stride', to=2)]
    """
    parts = [part for part in text.split(";") if part]
    if len(parts) > MOST:
        raise ValueError(f"`changes` holds {len(parts)} changes; make at most {MOST}")
    return [_change(part) for part in parts]


def replayed(look: Look, changes: str) -> Recording:
    """Return the recording of a look with the changes of an address.

    The network runs as a whole where a replay of its steps could go another way than it.

    Raises ValueError, one sentence, for changes that cannot be read or made.
    """
    recording, wanted = look.recording, changes_of(changes)
    try:
        return replay(recording, wanted)
    except ReplayRefused:
        network, inputs = look.opened.network, [value.tensor for value in recording.inputs]
        with mode(network, training=False):
            return rerun(network, recording, wanted, *inputs)


def resized(one: Recording, other: Recording) -> bool:
    """Return whether a replay has other sizes than what it replays, or stopped early."""
    if len(one.values) != len(other.values) or other.error is not None:
        return True
    return any(a.shape != b.shape for a, b in zip(one.values, other.values, strict=True))


def touched(one: Recording, other: Recording) -> list[int]:
    """Return the values that have other numbers in a recording with changes; none of other steps.

    >>> from convlens.lens import record
    >>> import torch
    >>> one = record(torch.nn.ReLU(), torch.tensor([-1.0, 2.0]))
    >>> touched(one, replay(one, changes_of("input!0:-3")))
    [0]
    """
    if len(one.values) != len(other.values):
        return []
    pairs = zip(one.values, other.values, strict=True)
    return [a.id for a, b in pairs if a is not b and not _alike(a, b)]


def _alike(one: Value, other: Value) -> bool:
    if one.opaque or other.opaque:
        return one.tensor is other.tensor
    return same_bits(one.tensor, other.tensor)


def _change(part: str) -> Change:
    found = _CHANGE.fullmatch(part)
    if found is None:
        raise ValueError(
            f"`changes` must name numbers like conv1.weight!5,0,2,2:-1.5, not {part[:80]!r}"
        )
    at, where, to = unquote(found["at"]), found["where"], found["to"]
    if where in _ARGUMENTS:
        return SetArgument(at, where, int(_number(part, to)))
    index = _index(part, where)
    if to == "mute" and len(index) == 1:
        return Mute(at, index[0])
    return SetNumber(at, index, _number(part, to))


def _index(part: str, text: str) -> tuple[int, ...]:
    parts = text.split(",") if text else []
    if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in parts):
        raise ValueError(f"`changes` has an index that is not whole numbers: {part[:80]!r}")
    return tuple(int(each) for each in parts)


def _number(part: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`changes` must set numbers, and this is none: {part[:80]!r}") from None
