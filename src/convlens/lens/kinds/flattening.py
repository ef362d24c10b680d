"""Flatten sums that operators make one after the other into one sum, of what they were given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlens.lens.kinds import moving, pointwise
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import PADDING, Account, Element, Ints, Origin, Terms, ravel, unravel

if TYPE_CHECKING:
    from convlens.lens.kinds import Kind

_EXPANDED = 1 << 14
"""The most elements that are taken apart on the way to the terms of one sum."""

_BY_ELEMENTS = ("linear", "windowed")
"""Kinds whose weights are elements, not made of them; the products of two tensors are another."""

_NOWHERE: Element = (PADDING, PADDING)


class _NoSumError(Exception):
    """An element on the way is not a sum of what the operators were given, or has too many."""


class Flattening:
    """One element that operators made, as one row of terms of the values they were given.

    `leaves` gives for each of those values the one that stands for it in the recording of the
    operators. `bind` gives the kind and arguments of an operator. `origins` keeps what was found
    of each value.
    """

    def __init__(
        self,
        recording: Recording,
        leaves: Mapping[int, int],
        bind: Callable[[Recording, Step], tuple[Kind, Arguments]],
        origins: dict[int, Origin | None],
    ) -> None:
        self.recording, self.bind, self.origins = recording, bind, origins
        self.outer = {sub: id for id, sub in leaves.items()}
        self.rows: list[tuple[Any, ...]] = []
        self.bias = 0.0
        self.left = _EXPANDED

    def of(self, id: int, index: tuple[int, ...]) -> Account | None:
        """Return how an element is made of the leaves' elements; None if it is not a sum of them.

        Raises StepRefused for an operator that cannot be taken apart.
        """
        position = ravel(index, self.recording.values[id].shape)
        while True:
            found = self._leaf(id, position)
            if found is not None:
                return self._copied(found, self._number(id, position))
            account = self._account(id, position)
            if account.rule != "copy" or float(account.terms.weight[0]) != 1:
                break
            if account.total != float(account.terms.value[0]):
                break  # a cast that rounds
            id, position = int(account.terms.source[0]), int(account.terms.position[0])
        if account.rule != "sum":
            return self._renamed(account)
        try:
            return self._summed(account, self._by_elements(id))
        except _NoSumError:
            return None

    @staticmethod
    def _copied(leaf: Element, number: float) -> Account:
        """Return how an element is made that is a copy of a leaf's, or a constant."""
        if leaf == _NOWHERE:
            return Account("given", Terms.none(), number, exact=True, note="a constant")
        return Account.of_copy(Terms.build([leaf[0]], [leaf[1]], [number]))

    # What is known of a value

    def _account(self, id: int, position: int) -> Account:
        """Return how an operator made an element."""
        value = self.recording.values[id]
        kind, given = self.bind(self.recording, self.recording.steps[value.step])
        if kind.name == "universal":
            raise StepRefused(given.step, "it has no rule")
        return kind.explain(given, value.slot, unravel(position, value.shape))

    def _by_elements(self, id: int) -> bool:
        """Return whether the weights of an element's terms are elements themselves."""
        kind, given = self.bind(
            self.recording, self.recording.steps[self.recording.values[id].step]
        )
        return kind.name in _BY_ELEMENTS or given.step.op in ("mul", "multiply")

    def _number(self, id: int, position: int) -> float:
        value = self.recording.values[id]
        return float(value.tensor[unravel(position, value.shape)])

    def _leaf(self, id: int, position: int) -> Element | None:
        """Return the leaf's element that an element is a copy of; None if it was computed."""
        origin = self._origin(id) if id >= 0 else None
        return None if origin is None else (int(origin[0][position]), int(origin[1][position]))

    def _origin(self, id: int) -> Origin | None:
        """Return for every element of a value the leaf and position it is a copy of, or None."""
        if id not in self.origins:
            self.origins[id] = self._moved(id)
        return self.origins[id]

    def _moved(self, id: int) -> Origin | None:
        value = self.recording.values[id]
        size = math.prod(value.shape)
        if id in self.outer:
            return np.full(size, self.outer[id], np.int64), np.arange(size)
        if value.step < 0:
            return np.full(size, PADDING, np.int64), np.full(size, PADDING, np.int64)
        step = self.recording.steps[value.step]
        if step.op in pointwise.CASTS and "offset" not in step.kwargs:  # not our own alias step
            source = self.recording.values[pointwise.cast_source(step)]
            if source.dtype == value.dtype and source.shape == value.shape:
                return self._origin(source.id)
            return None
        kind, given = self.bind(self.recording, step)
        if not isinstance(kind, moving.Moving):
            return None
        numbers = moving.index_map(given, value.slot).reshape(-1).numpy()
        sources = np.full(size, PADDING, np.int64)
        positions = sources.copy()
        for data, first in moving.data_of(given).items():
            origin = self._origin(data)
            if origin is None:
                return None
            mine = (numbers >= first) & (numbers < first + len(origin[0]))
            sources[mine] = origin[0][numbers[mine] - first]
            positions[mine] = origin[1][numbers[mine] - first]
        return sources, positions

    # A sum of sums

    def _summed(self, account: Account, by_elements: bool) -> Account:
        """Return a sum whose terms are the leaves' elements."""
        self._add(account, 1.0, _NOWHERE, by_elements)
        rows = self.rows or [(np.zeros(0, np.int64),) * 6]
        columns = [np.concatenate([np.atleast_1d(row[c]) for row in rows]) for c in range(6)]
        source, position, value, weight, by, at = columns
        terms = Terms.build(source, position, value, weight, weight_source=by, weight_position=at)
        formula = account.formula or "sum of products"
        count = max(len(terms) + 1, account.count) + _EXPANDED - self.left
        return Account.of_sum(terms, self.bias, count=count, formula=formula)

    def _add(self, account: Account, factor: float, by: Element, by_elements: bool) -> None:
        """Add the terms of a sum, each times `factor`, which is the element `by` or made of it."""
        terms = account.terms
        for source in np.unique(terms.source):
            mine = np.flatnonzero(terms.source == source)
            origin = None if source < 0 else self._origin(int(source))
            if source < 0:
                self._add_rows(terms, mine, (terms.source[mine], terms.position[mine]), factor, by)
            elif origin is not None:
                self._add_products(terms, mine, origin, factor, by, by_elements)
            else:
                for k in mine:
                    weight = (int(terms.weight_source[k]), int(terms.weight_position[k]))
                    inner = self._leaf(*weight) if by_elements else None
                    element = int(source), int(terms.position[k])
                    self._expand(element, factor * terms.weight[k], inner or by)
        if account.bias_source is not None:
            self._expand(account.bias_source, factor, by)
        else:
            self.bias += factor * account.bias

    def _add_products(
        self,
        terms: Terms,
        mine: Ints,
        origin: Origin,
        factor: float,
        by: Element,
        by_elements: bool,
    ) -> None:
        """Add terms whose elements are the leaves'; for a weight that was computed, its terms."""
        weights = terms.weight_source[mine]
        computed = self._computed(weights) if by_elements else np.zeros(len(mine), bool)
        plain = mine[~computed]
        at = terms.position[plain]
        self._add_rows(terms, plain, (origin[0][at], origin[1][at]), factor, by, by_elements)
        for k in mine[computed]:
            position = int(terms.position[k])
            here = int(origin[0][position]), int(origin[1][position])
            weight = int(terms.weight_source[k]), int(terms.weight_position[k])
            self._expand(weight, factor * float(terms.value[k]), here)

    def _computed(self, sources: Ints) -> NDArray[np.bool_]:
        """Return which elements are of values that operators computed, by the ids of the values."""
        computed = np.zeros(len(sources), bool)
        for source in np.unique(sources):
            if source >= 0 and self._origin(int(source)) is None:
                computed |= sources == source
        return computed

    def _add_rows(
        self,
        terms: Terms,
        mine: Ints,
        at: Origin,
        factor: float,
        by: Element,
        by_elements: bool = False,
    ) -> None:
        """Add terms as they are, each with the leaf's element `at` which it is."""
        if not len(mine):
            return
        ids, places = np.full(len(mine), by[0]), np.full(len(mine), by[1])
        if by_elements and by[0] < 0:
            for source in np.unique(terms.weight_source[mine]):
                origin = self._origin(int(source)) if source >= 0 else None
                if origin is not None:
                    these = terms.weight_source[mine] == source
                    there = terms.weight_position[mine][these]
                    ids[these], places[these] = origin[0][there], origin[1][there]
        weights = factor * terms.weight[mine]
        self.rows.append((*at, terms.value[mine], weights, ids, places))

    def _expand(self, element: Element, factor: float, by: Element) -> None:
        """Add an element times `factor`: a leaf's as a term, another's as the sum it is."""
        found = self._leaf(*element)
        if found is not None:
            weight = by if factor != 1 else _NOWHERE
            self.rows.append((*found, self._number(*element), factor, *weight))
            return
        self.left -= 1
        if self.left < 0:
            raise _NoSumError
        account = self._account(*element)
        if account.rule == "copy":
            source = int(account.terms.source[0]), int(account.terms.position[0])
            self._expand(source, factor * float(account.terms.weight[0]), by)
        elif account.rule == "sum":
            self._add(account, factor, by, self._by_elements(element[0]))
        else:
            raise _NoSumError

    # Not a sum

    def _renamed(self, account: Account) -> Account | None:
        """Return a function or choice, if all its elements are the leaves'."""
        terms = account.terms
        if account.rule == "slope":
            return None
        sources, positions = terms.source.copy(), terms.position.copy()
        for source in np.unique(terms.source):
            mine = terms.source == source
            origin = self._origin(int(source)) if source >= 0 else None
            if source >= 0 and origin is None:
                return None
            if origin is not None:
                sources[mine] = origin[0][terms.position[mine]]
                positions[mine] = origin[1][terms.position[mine]]
        renamed = Terms.build(
            sources, positions, terms.value, terms.weight, arrangement=terms.arrangement
        )
        return Account(
            account.rule,
            renamed,
            account.total,
            account.magnitude,
            account.count,
            account.bias,
            None,
            account.formula,
            account.note,
            account.exact,
        )
