"""The page's windows are `convlens.windows`: every small one, answer by answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from convlens.windows import AdaptiveWindow, TransposedWindow, Window
from tests.lab.web.modules import in_node, needs_node

AnyWindow = Window | TransposedWindow | AdaptiveWindow
Axis = dict[str, int | bool]

SCRIPT = """
const { taps, readers, span, spread, extent, around } = page;
const along = (n, f) => Array.from({ length: n }, (_, i) => f(i));
const boxes = (n, f) => along(n, (a) => along(n - a, (b) => f(a, a + b + 1)));
const answer = (a) => ({
  taps: along(a.outputs, (o) => taps(a, o).map(({ k, i }) => [k, i])),
  readers: along(a.inputs, (i) => readers(a, i).map(({ k, o }) => [k, o])),
  spans: boxes(a.outputs, (from, to) => span(a, from, to)),
  spreads: boxes(a.inputs, (from, to) => spread(a, from, to)),
  extent: extent(a), around: along(a.inputs, (i) => around(a, i)),
});
return given.map(answer);
"""


def windows() -> Iterator[tuple[AnyWindow, int]]:
    """Every small window that accepts `n` inputs, with `n`."""
    sizes, lengths = range(1, 5), range(1, 10)
    for size, stride, dilation, pad in itertools.product(sizes, sizes, range(1, 4), range(4)):
        window = Window(size, stride, dilation, pad, max(0, pad - 1), ceil=pad == 2)
        across = TransposedWindow(size, stride, dilation, pad, pad // 2, stride - 1)
        yield from ((window, n) for n in lengths if window.extent <= n + pad + window.room_after)
        yield from ((across, n) for n in lengths if n * stride + across.extent - 1 > pad + pad // 2)
    yield from ((AdaptiveWindow(m), n) for m, n in itertools.product(lengths, range(1, 30)))


def axis_of(window: AnyWindow, n: int) -> Axis:
    kind = {"transposed": isinstance(window, TransposedWindow), "inputs": n}
    kind |= {"outputs": window.outputs(n), "adaptive": isinstance(window, AdaptiveWindow)}
    fields = ("size", "stride", "dilation", "before")
    return kind | {name: getattr(window, name, 1) for name in fields}


def pairs_of(window: AnyWindow, o: int, n: int) -> list[tuple[int, int | None]]:
    """The taps of an output with the inputs they lie on, None on the border."""
    reads = window.reads(o, n)
    if isinstance(window, AdaptiveWindow):
        return list(enumerate(reads))
    inside = dict(zip(window.taps(o, n), reads, strict=True))
    if isinstance(window, TransposedWindow):
        return sorted(inside.items())
    return [(k, inside.get(k)) for k in range(window.size)]


def hulls(places: list[set[int]]) -> list[list[list[int] | None]]:
    """The least [low, high) around some neighbours' places, for every run of neighbours."""
    found: list[list[list[int] | None]] = []
    for start in range(len(places)):
        union: set[int] = set()
        found.append([])
        for more in places[start:]:
            union |= more
            found[-1].append([min(union), max(union) + 1] if union else None)
    return found


def expected(window: AnyWindow, n: int) -> dict[str, object]:
    pairs = [pairs_of(window, o, n) for o in range(window.outputs(n))]
    readers = [
        [(k, o) for o, row in enumerate(pairs) for k, at in row if at == i] for i in range(n)
    ]
    if not isinstance(window, AdaptiveWindow):
        assert [[o for _, o in row] for row in readers] == [
            list(window.readers(i, n)) for i in range(n)
        ]
    return {
        "taps": pairs,
        "readers": readers,
        "spans": hulls([{i for _, i in row if i is not None} for row in pairs]),
        "spreads": hulls([{o for _, o in row} for row in readers]),
        "extent": max(map(len, pairs)) if isinstance(window, AdaptiveWindow) else window.extent,
    }


def distance(window: AnyWindow, o: int, i: int, n: int) -> float:
    """How far input `i` is from the middle of output `o`'s window (transposed: the reverse)."""
    if isinstance(window, AdaptiveWindow):
        return round(abs((o + 0.5) * n / window.count - 0.5 - i), 9)
    one, other = (i, o) if isinstance(window, TransposedWindow) else (o, i)
    return abs(one * window.stride - window.before + (window.extent - 1) / 2 - other)


@needs_node
def test_every_small_window_is_pythons() -> None:
    cases = list(windows())
    assert len(cases) > 3000
    given = [axis_of(window, n) for window, n in cases]
    answers = in_node("parts/windows.js", SCRIPT, given)
    for (window, n), answer in zip(cases, answers, strict=True):
        middles = answer.pop("around")
        assert answer == json.loads(json.dumps(expected(window, n))), (window, n)
        for i, o in enumerate(middles):
            far = [distance(window, each, i, n) for each in range(window.outputs(n))]
            assert far[o] == min(far), (window, n, i)
