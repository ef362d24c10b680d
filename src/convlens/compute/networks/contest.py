"""Find the fastest way to compute each layer by timing it in its network, on its real inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from convlens.compute.networks.layers import APART, WAYS, Planned

__all__ = ["LayerContest", "Verdict", "distance", "least_seconds"]

Run = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Verdict:
    """The outcome for a layer: the fastest way, its method, and seconds by torch and by it."""

    path: str
    what: str
    way: str
    method: str
    before: float
    after: float


class LayerContest:
    """A contest between the ways of computing each layer, timed in the network on real inputs.

    A way is excluded if the `distance` of its result from that of the separate parts exceeds
    `rtol`. Equal layers on inputs of equal form are timed once. `paths` maps the `id` of a layer to
    its path.
    """

    def __init__(self, rtol: float, paths: dict[int, str]) -> None:
        self.rtol, self.paths = rtol, paths
        self.verdicts: dict[int, Verdict] = {}
        self._known: dict[Any, Verdict] = {}

    def hold(self, planned: Planned, x: Tensor, how: Any, plain: Run) -> None:
        """Measure a layer on `x`, the first time it is called."""
        if id(planned) in self.verdicts:
            return
        planned.place.contest = None  # layers called meanwhile do not take part
        try:
            able = self._able(planned, x, how, plain)
            like = repr(planned.layer), planned.what, x.shape, x.stride(), x.dtype, repr(how)
            key = *like, *((way, planned.method(way, run)) for way, run in able.items())
            if key not in self._known:
                self._known[key] = _timed(planned, x, able)
            path = self.paths.get(id(planned.layer), "")
            verdict = self.verdicts[id(planned)] = replace(self._known[key], path=path)
            planned.way = verdict.way
        finally:
            planned.place.contest = self
            planned.forget()

    def _able(self, planned: Planned, x: Tensor, how: Any, plain: Run) -> dict[str, Run]:
        """Return the ways that are accurate enough; only `APART` if torch's is not one of them."""
        runs = {way: planned.ready(way, x, how) for way in WAYS}
        expected = plain(x)
        able = {
            way: run
            for way, run in runs.items()
            if run is not None and not distance(run(x), expected) > self.rtol
        }
        return able if "torch" in able else {APART: plain}


def _timed(planned: Planned, x: Tensor, able: dict[str, Run]) -> Verdict:
    seconds = least_seconds({way: partial(run, x) for way, run in able.items()})
    best = min(able, key=lambda way: seconds[way])
    method, before = planned.method(best, able[best]), seconds[next(iter(able))]
    return Verdict("", planned.what, best, method, before, seconds[best])


def least_seconds(
    actions: Mapping[str, Callable[[], object]], *, rounds: int = 5, most: float = 1.0
) -> dict[str, float]:
    """Return the least seconds that each action took, within `rounds` rounds or `most` seconds.

    The actions run in turn. Other work on the machine only makes an action slower, so the least
    time is the best estimate.

    >>> 0 <= least_seconds({"nothing": lambda: None})["nothing"] < 1
    True
    """
    least = dict.fromkeys(actions, float("inf"))
    began = time.perf_counter()
    for count in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            least[name] = min(least[name], time.perf_counter() - start)
        if count and time.perf_counter() - began > most:
            break
    return least


def distance(found: Any, expected: Any) -> float:
    """Return the root mean square of the error over that of the expected values.

    Of tuples, lists and dicts it is the largest of the parts. It is infinite if integers or
    booleans differ, or the places of numbers that are not finite.

    >>> round(distance(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])), 3)
    0.092
    """
    found_parts, form = torch.utils._pytree.tree_flatten(found)
    parts, expected_form = torch.utils._pytree.tree_flatten(expected)
    if form != expected_form:
        return float("inf")
    return max((_distance(*pair) for pair in zip(found_parts, parts, strict=True)), default=0.0)


def _distance(found: Any, expected: Any) -> float:
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor):
        return 0.0 if type(found) is type(expected) else float("inf")
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if not (expected.is_floating_point() or expected.is_complex()):
        return 0.0 if torch.equal(found, expected) else float("inf")
    finite = expected.isfinite()
    if not torch.equal(finite, found.isfinite()):
        return float("inf")
    wide = torch.complex128 if expected.is_complex() else torch.float64
    error = torch.linalg.vector_norm((found - expected)[finite].to(wide)).item()
    size = torch.linalg.vector_norm(expected[finite].to(wide)).item()
    return error / size if size else (float("inf") if error else 0.0)
