"""Take a number of a recording apart into its terms, and each term again, down to the pixels."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from convlens.lens.bounds import agree, bound_note, rounding_bound
from convlens.lens.fields import Region, region
from convlens.lens.kinds import bound
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.naming import calls_named, which_call
from convlens.lens.recording import Recording, Step, Value
from convlens.lens.terms import Account, Ints, Terms, plain, unravel
from convlens.tables import html_table


@dataclass(frozen=True)
class Contribution:
    """A part of a sum, with its name: one term, one channel of a window, or all others."""

    label: str
    product: float
    terms: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one recorded number is made of.

    `recorded` is the tensor's number, and `total` is what the terms give in float64. They agree
    within `bound`, or no `Explanation` is made. `rule` says how the terms make the number:

    - "sum": products + bias;
    - "copy": one element, unchanged;
    - "chosen": one of the terms;
    - "function": a function of the terms, whose weights are slopes;
    - "slope": the universal rule, which gives slopes and no arithmetic;
    - "given": an input, a parameter or a constant, which is made of nothing.

    `call` says which call of its module made the number, if the module ran more than once.
    """

    recording: Recording = field(repr=False)
    step: Step | None
    value: Value
    index: tuple[int, ...]
    recorded: float
    kind: str
    rule: str
    terms: Terms = field(repr=False)
    total: float
    bias: float
    bias_source: tuple[int, int] | None
    bound: float
    formula: str
    note: str
    call: str = ""

    def open(self, term: int, *, weight: bool = False) -> Explanation:
        """Explain the element that a term reads, or with `weight` the one its weight comes from.

        The weight of a number taken from a box on a map comes from that box; that of a number
        chosen by an index or a mask comes from the index or the mask.

        Raises:
            ValueError: there is no such term, it reads padding, or its weight was computed.
        """
        if not 0 <= term < len(self.terms):
            raise ValueError(
                f"`term` (={term}) must be one of the {len(self.terms)} terms; "
                f"use 0 to {len(self.terms) - 1}"
            )
        source = self.terms.weight_source if weight else self.terms.source
        position = self.terms.weight_position if weight else self.terms.position
        if source[term] < 0:
            what = "its weight is computed, not an element" if weight else "it reads padding"
            raise ValueError(f"`term` (={term}) leads nowhere: {what}; open another term")
        value = self.recording.values[int(source[term])]
        return explain_value(self.recording, value.id, unravel(int(position[term]), value.shape))

    def pixels(self, input: int = 0) -> Region:
        """Return the region of an input of the network that this number was made from.

        Raises:
            ValueError: the network has no such input.
        """
        return region(self.recording, self.value.id, self.index, input)

    def contributions(self, limit: int = 10, by: str = "term") -> tuple[Contribution, ...]:
        """Return the parts of the sum, largest first, and past `limit` one part "all others".

        Args:
            limit: how many parts to name.
            by: "term", or "channel" to add up the terms of one channel of a window.
        """
        if by not in ("term", "channel"):
            raise ValueError(f'`by` (={by!r}) must be "term" or "channel"; use one of them')
        groups = self._groups(by)
        count = int(groups[-1]) + 1 if len(groups) else 0
        sums = np.bincount(groups, self.terms.product, minlength=count)
        order = np.argsort(-np.abs(sums), kind="stable")
        parts = []
        for group in order[:limit]:
            members = tuple(int(i) for i in np.flatnonzero(groups == group))
            label = self.label(members[0]) if by == "term" else f"channel {self._channel(members)}"
            parts.append(Contribution(label, float(sums[group]), members))
        if count > limit:
            rest = tuple(int(i) for i in np.flatnonzero(np.isin(groups, order[limit:])))
            parts.append(Contribution("all others", float(sums[order[limit:]].sum()), rest))
        return tuple(parts)

    def _groups(self, by: str) -> Ints:
        """Return for each term the number of the part that it belongs to."""
        terms = np.arange(len(self.terms))
        if by == "channel" and len(terms):
            return terms // max(math.prod(self.terms.arrangement[1:]), 1)
        return terms

    def label(self, term: int) -> str:
        """Return the name and index of the element that a term reads."""
        if self.terms.source[term] < 0:
            return "padding"
        value = self.recording.values[int(self.terms.source[term])]
        at = ",".join(map(str, self.terms.index(term, self.recording)))
        return f"{self.recording.name_of(value.id)}[{at}]"

    def _channel(self, members: tuple[int, ...]) -> int:
        """Return the channel of the input in which a window's terms lie."""
        axes = len(self.terms.arrangement) - 1
        for term in members:
            index = self.terms.index(term, self.recording)
            if index:
                return index[-axes - 1] if axes else index[-1]
        return members[0] // max(math.prod(self.terms.arrangement[1:]), 1)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Return it ready for JSON; with `limit`, only the largest terms and the sum of the others.

        Numbers that are not finite become text ("NaN", "Infinity", "-Infinity").
        """
        order = np.argsort(-np.abs(self.terms.product), kind="stable")
        shown = order if limit is None else order[:limit]
        t = self.terms
        rows = [
            {
                "term": int(k),
                "label": self.label(int(k)),
                "source": int(t.source[k]),
                "index": list(t.index(int(k), self.recording)),
                "value": plain(t.value[k]),
                "weight": plain(t.weight[k]),
                "product": plain(t.product[k]),
            }
            for k in shown
        ]
        step = self.step
        return {
            "step": None if step is None else step.index,
            "op": None if step is None else step.op,
            "module": None if step is None else step.module,
            "call": self.call,
            "source": None if step is None else list(step.source),
            "value": self.value.id,
            "index": list(self.index),
            "recorded": plain(self.recorded),
            "kind": self.kind,
            "rule": self.rule,
            "formula": self.formula,
            "note": self.note,
            "terms": rows,
            "others": plain(float(t.product[order[len(shown) :]].sum())),
            "count": len(t),
            "bias": plain(self.bias),
            "total": plain(self.total),
            "bound": plain(self.bound),
        }

    @property
    def _place(self) -> str:
        """The name of the value, and the index in it."""
        return f"{self.recording.name_of(self.value.id)}[{','.join(map(str, self.index))}]"

    def __repr__(self) -> str:
        made = f"{self.rule} of {len(self.terms)} terms" if len(self.terms) else self.rule
        return f"<Explanation of {self._place} = {self.recorded:.7g}: {made}>"

    def _repr_html_(self) -> str:
        """Return the largest terms as a table for a notebook."""
        sums = self.rule == "sum"
        rows = [("element", "value", "weight" if sums else "slope", "product" if sums else "")]
        for part in self.contributions(12):
            k, product = part.terms[0], f"{part.product:.7g}" if sums else ""
            pair = (f"{self.terms.value[k]:.7g}", f"{self.terms.weight[k]:.7g}")
            others = part.label == "all others"
            rows.append((part.label, *(("", "") if others else pair), product))
        if self.bias:
            rows.append(("bias", "", "", f"{self.bias:.7g}"))
        above, *_ = lines = str(self).splitlines()
        return html_table(rows, right=(1, 2, 3), above=above, below=[lines[1], lines[-1]])

    def __str__(self) -> str:
        lines = [f"{self._place} = {self.recorded!r}"]
        if self.rule == "given":
            return "\n".join([*lines, f"  {self.note or self.formula or self.kind}"])
        lines.append(f"  {self.kind}, {self.rule}" + (f": {self.formula}" if self.formula else ""))
        if self.call:
            lines.append(f"  {self.call}")
        if self.note:
            lines.append(f"  {self.note}")
        lines += self._lines(12)
        if self.bias:
            lines.append(f"  {self.bias:+14.7g}  bias")
        if self.bound:
            gap = abs(self.recorded - self.total)
            made = "total" if self.rule == "sum" else "computed again"
            lines.append(f"  {self.total:14.9g}  {made}, {gap:.1e} off (bound {self.bound:.1e})")
        else:
            lines.append(f"  {self.total:14.9g}  the same, bit for bit")
        return "\n".join(lines)

    def _lines(self, limit: int) -> list[str]:
        """Return the terms as lines of text, in the form that suits the rule."""
        lines = []
        for part in self.contributions(limit):
            k = part.terms[0]
            value, weight = self.terms.value[k], self.terms.weight[k]
            if part.label == "all others":
                count = f"all {len(part.terms)} others"
                sum_of_rest = f"{part.product:+14.7g}" if self.rule == "sum" else " " * 14
                lines.append(f"  {sum_of_rest}  {count}")
            elif self.rule == "sum":
                pair = f"{value:.7g} × {weight:.7g}"
                lines.append(f"  {part.product:+14.7g}  = {pair}   {part.label}")
            elif self.rule == "chosen":
                lines.append(f"  {value:14.7g}  {part.label}" + ("   taken" if weight else ""))
            elif self.rule == "copy":
                lines.append(f"  {value:14.7g}  {part.label}")
            else:
                lines.append(f"  {value:14.7g}  {part.label}   slope {weight:.4g}")
        return lines


def explain(
    recording: Recording, where: Step | int | str, index: Sequence[int], *, slot: int = 0
) -> Explanation:
    """Take one number of an output apart into the terms it is made of.

    Args:
        recording: what `record` returned.
        where: a step, its index, or a name. A name may be the path of a module: "layer1.conv",
            "layer1.conv#2" for its second call, "" for the whole network. It may be the name of a
            value in `recording.names`, or "@3" for step 3. A path stays a path even if it is a
            number.
        index: one integer for each axis of the output; negative ones count from the end.
        slot: which output, of a step or module with several.

    Raises:
        ValueError: there is no such step, name, output or element.
        NotImplementedError: the step cannot be taken apart; the message says why.
        ArithmeticError: the terms do not give the recorded number within the bound.

    >>> import torch
    >>> from convlens.lens import record
    >>> network = torch.nn.Conv1d(1, 1, 2, bias=False)
    >>> network.weight.data[:] = torch.tensor([2.0, -1.0])
    >>> recording = record(network, torch.tensor([[[3.0, 4.0, 5.0]]]))
    >>> explanation = explain(recording, 0, (0, 0, 1))
    >>> explanation.recorded, explanation.terms.product.tolist()
    (3.0, [8.0, -5.0])
    """
    ids = recording.made(where)
    slot = operator.index(slot)
    if not 0 <= slot < len(ids):
        raise ValueError(
            f"`slot` (={slot}) must be one of the {len(ids)} outputs of {where!r}; "
            + (f"use 0 to {len(ids) - 1}" if ids else "it made none")
        )
    explanation = explain_value(recording, ids[slot], index)
    calls = calls_named(recording, where) if isinstance(where, str) else []
    if not calls:
        return explanation
    return replace(explanation, call=which_call(recording, calls[0].path, calls[0].call))


def explain_value(recording: Recording, id: int, index: Sequence[int]) -> Explanation:
    """Explain an element of any value, such as an input or a parameter, as `explain` does.

    Raises:
        ValueError: there is no such value or element.
        NotImplementedError, ArithmeticError: as `explain`.
    """
    if not 0 <= id < len(recording.values):
        raise ValueError(
            f"`id` (={id}) must be a value of this recording; use 0 to {len(recording.values) - 1}"
        )
    value = recording.values[id]
    step = recording.steps[value.step] if value.step >= 0 else None
    check_readable(recording, value, step)
    at = checked_index(index, value)
    if step is None or (value.put is not None and bool(value.put[at])):
        return _explanation(recording, value, at, value.kind, _given(value, at))
    kind, given = bound(recording, step)
    with np.errstate(invalid="ignore"):  # what is not finite makes NaN, as it did in the run
        account = kind.explain(given, value.slot, at)
    return _explanation(recording, value, at, kind.name, account)


def _given(value: Value, at: tuple[int, ...]) -> Account:
    """Return the account of an element that no step made, or that a change put there."""
    note = "made outside the recording" if value.kind == "constant" else ""
    note = "put here by a change" if value.step >= 0 else note
    return Account("given", Terms.none(), float(value.tensor[at]), exact=True, note=note)


def check_readable(recording: Recording, value: Value, step: Step | None) -> None:
    """Raise unless a value, and all that its step read, are real, dense and as they were."""
    for id in (value.id, *(step.inputs if step else ())):
        each = recording.values[id]
        if each.dtype.is_complex:
            raise NotImplementedError(
                f"{recording.name_of(value.id)} is made of complex numbers; only real ones are "
                "taken apart"
            )
        if each.opaque:
            of = "" if each is value else f"is made of `{recording.name_of(id)}`, which "
            raise NotImplementedError(
                f"`{recording.name_of(value.id)}` {of}is {each.opaque}; only dense numbers are "
                "taken apart"
            )
        if each.stale:
            raise ValueError(
                f"`{recording.name_of(id)}` was changed in place after it was recorded; "
                "record again"
            )


def checked_index(index: Sequence[int], value: Value) -> tuple[int, ...]:
    """Return an index counted from the front, or raise for one that is not in the value."""
    shape = "x".join(map(str, value.shape)) or "a single number"
    if len(index) != len(value.shape):
        raise ValueError(
            f"`index` (={tuple(index)}) must have {len(value.shape)} integers, one for each axis "
            f"of {shape}; give {len(value.shape)}"
        )
    at = []
    for axis, (i, n) in enumerate(zip(index, value.shape, strict=True)):
        i = operator.index(i)
        if not -n <= i < n:
            raise ValueError(
                f"`index` (={tuple(index)}) has {i} on axis {axis}, which has {n} elements "
                f"(shape {shape}); use {-n} to {n - 1}"
            )
        at.append(i % n)
    return tuple(at)


def _explanation(
    recording: Recording, value: Value, index: tuple[int, ...], kind: str, account: Account
) -> Explanation:
    """Return the explanation of an account, or raise if its terms do not give the number."""
    step = recording.steps[value.step] if value.step >= 0 else None
    recorded = float(value.tensor[index])
    limit = rounding_bound(account, value)
    if not agree(recorded, account.total, limit, value):
        raise _disagreement(step, index, recorded, account, limit)
    note, more = account.note, bound_note(account)
    return Explanation(
        recording,
        step,
        value,
        index,
        recorded,
        kind,
        account.rule,
        account.terms,
        account.total,
        account.bias,
        account.bias_source,
        limit,
        account.formula,
        f"{note}; {more}" if note and more else note or more,
        "" if step is None else which_call(recording, step.module, step.call),
    )


def _disagreement(
    step: Step | None, index: tuple[int, ...], recorded: float, account: Account, limit: float
) -> Exception:
    """Return the error for terms that do not give the recorded number."""
    if step is not None and account.rule == "slope":  # torch's rule, not one of a kind
        return StepRefused(
            step,
            f"run again in float64 it gives {account.total!r}, where {recorded!r} was recorded; "
            "it draws random numbers, or rounds more than its slopes show",
        )
    where = "given" if step is None else f"step {step.index} (`{step.op}`, `{step.module}`)"
    return ArithmeticError(
        f"{where} at {index}: the terms give {account.total!r}, the recorded value is "
        f"{recorded!r}; they differ by {abs(recorded - account.total):.3g}, more than the "
        f"bound {limit:.3g}"
    )
