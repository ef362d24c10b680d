"""Name every value of a recording, and find the values that a name stands for."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlens.lens.recording import Call, Recording, Value


def value_names(recording: Recording) -> dict[int, tuple[str, ...]]:
    """Return the names of every value, the best first; each stands for one value only.

    A module's output has the module's name ("block.conv", "block.conv#2" for its second call). What
    a step made is named by module and operation ("block.relu"), or outside all modules by operation
    and index ("relu@3"). ":1" is a step's second output, "~2" the second value of a name. No other
    value has a module's name. Another recording of the same network gives the same names.
    """
    # First calls last: a module's own path comes before another's "path#2".
    calls = sorted(recording.calls, key=lambda call: call.call == 1)
    taken = {call.label: call.outputs[0] if call.outputs else -1 for call in calls}
    made = {(call.path, call.call): call.outputs for call in recording.calls if call.path}
    last: dict[str, int] = {}

    def unique(plain: str, id: int) -> str:
        name, nth = plain, last.get(plain, 1)
        while taken.get(name, id) != id:
            nth += 1
            name = f"{plain}~{nth}"
        last[plain], taken[name] = nth, id
        return name

    return {
        value.id: tuple(unique(plain, value.id) for plain in _plain_names(recording, value, made))
        for value in recording.values
    }


def _plain_names(
    recording: Recording, value: Value, made: dict[tuple[str, int], tuple[int, ...]]
) -> list[str]:
    if value.step < 0:
        return [value.name or f"{value.kind} {value.id}"]
    step = recording.steps[value.step]
    slot = f":{value.slot}" if value.slot else ""
    if not step.module:
        return [f"{step.op}@{step.index}{slot}"]
    by_step = f"{step.label}.{step.op}{slot}"
    outputs = made.get((step.module, step.call), ())
    if value.id not in outputs:
        return [by_step]
    return [step.label if outputs[0] == value.id else f"{step.label}{slot}", by_step]


def values_named(recording: Recording, where: str) -> tuple[int, ...]:
    """Return the values that a name stands for: all that a module returned, or one value.

    Raises ValueError for an unknown name, and for a module that returned no tensor.
    """
    calls = calls_named(recording, where)
    if calls:
        return returned(recording, calls[0])
    if not where:
        if not recording.output_ids:
            raise ValueError("`where` (='') is the whole network, which returned no tensor")
        return recording.output_ids
    index = step_named(where)
    if index is not None:
        return recording.step(index).outputs
    for id, names in recording.all_names.items():
        if where in names:
            return (id,)
    raise unknown(recording, where)


def step_named(where: str) -> int | None:
    """Return the index in "@3"; None for other names."""
    number = where.removeprefix("@")
    return int(number) if number != where and number.isascii() and number.isdigit() else None


def calls_named(recording: Recording, where: str) -> list[Call]:
    """Return the calls of a module by its path, or one by "path#2"; [] if no such module ran.

    Raises ValueError for a call after the last.
    """
    path = recording.aliases.get(where, where)
    found = [call for call in recording.calls if call.path == path]
    path, mark, nth = where.rpartition("#")
    if found or not mark or not nth.isdigit():
        return found
    path = recording.aliases.get(path, path)
    ran = [call for call in recording.calls if call.path == path]
    found = [call for call in ran if str(call.call) == nth]
    if ran and not found:
        times = f"{len(ran)} times" if len(ran) > 1 else "once"
        raise ValueError(
            f"`where` (={where!r}) must be a call that was made; `{path}` ran {times}; use "
            f"{ran[0].label!r}" + (f" to {ran[-1].label!r}" if len(ran) > 1 else "")
        )
    return found


def which_call(recording: Recording, path: str, nth: int) -> str:
    """Return which of a module's calls this is, and their names; "" if it ran once."""
    labels = [call.label for call in recording.calls if call.path == path]
    if len(labels) < 2:
        return ""
    to = "and" if len(labels) == 2 else "to"
    return (
        f"call {nth} of {len(labels)} of `{path}`; their names are "
        f"`{labels[0]}` {to} `{labels[-1]}`"
    )


def returned(recording: Recording, call: Call) -> tuple[int, ...]:
    """Return the values that a module call returned, or raise ValueError if it returned none."""
    if call.outputs:
        return call.outputs
    count, stopped = call.last - call.first, call.last == len(recording.steps)
    steps = f"; name a step inside it: @{call.first} to @{call.last - 1}" if count else ""
    if stopped and recording.error is not None:
        raise ValueError(
            f"`where` (={call.label!r}) returned nothing, as the network stopped{steps}"
        )
    raise ValueError(f"`where` (={call.label!r}) is a module that returned no tensor{steps}")


def unknown(recording: Recording, where: str) -> ValueError:
    """Return the error for an unknown name, which says what else may be named."""
    if where.isascii() and where.isdigit():
        return ValueError(
            f"`where` (={where!r}) must be a module that ran, and none has this path; "
            f"for step {int(where)} use the integer {int(where)}, or @{int(where)} in text"
        )
    known = list(dict.fromkeys(call.label for call in recording.calls if call.path))
    known += [name for name in recording.names.values() if name not in known]
    near = difflib.get_close_matches(where, known, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}?"
    else:
        shown = ", ".join(map(repr, known[:12])) + (", ..." if len(known) > 12 else "")
        hint = f"use one of {shown}"
    return ValueError(
        f"`where` (={where!r}) must be a module that ran, the name of a value or a step; {hint}"
    )
