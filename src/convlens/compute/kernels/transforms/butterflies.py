"""Write butterflies: Fourier transforms of a few vectors, unrolled and with constants folded in.

A *butterfly* of radix R transforms R complex vectors lane by lane: one transform per lane, without
shuffling. A complex number is two vectors, the real and the imaginary part. Exchanging the two
turns the same source into the inverse transform.

Long transforms are passes of butterflies. Forward, the twiddle factors are applied after each
butterfly (decimation in frequency), which leaves the frequencies permuted. Backward, they are
applied before each one (decimation in time), which starts from that order. Nothing is ever sorted.

Source: Cooley & Tukey, *Math. Comp.* 19 (1965); Gentleman & Sande, *AFIPS* 29 (1966); Van Loan,
*Computational Frameworks for the Fast Fourier Transform*, chapters 1 and 2.
"""

from __future__ import annotations

from math import cos, pi, sin

from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated

__all__ = ["ENTRY", "RADICES", "butterflies", "exchange", "exchange_text", "transform"]

RADICES = (2, 3, 4, 5, 8)
"""The radices of the butterflies; a larger one needs too many registers."""
ENTRY = 8
"""The number of integers that describe a pass in a schedule, see `transform`."""


@generated
def transform(
    re: int, im: int, schedule: int, passes: int, count: int, step: int, shift: int, backward: int
) -> None:
    """Transform `count` columns of vectors, `step` elements apart, in place.

    `re` and `im` are the addresses of the real and the imaginary parts. The schedule holds `ENTRY`
    integers for each pass: the radix R; the number of groups of butterflies and their distance;
    the butterflies per group; the distances of the R numbers of one and of neighbours; the address
    of the twiddle factors, and whether there are any. Distances are in elements. Butterfly i has a
    complex factor for each 0 < r < R; `shift` is added to i. To invert the transform, times its
    length, set `backward` and exchange `re` and `im`.
    """


@generated
def exchange(p: int, step: int) -> None:
    """Transpose a square of as many vectors as there are lanes, `step` elements apart."""


Part = tuple[bool, str]
"""A vector's name, with True in front for its negative; a sign costs nothing until it is stored."""
Number = tuple[Part, Part]


class _Writer:
    """The lines of a function, one operation each, with a new name for every result."""

    def __init__(self, indent: int) -> None:
        self.lines: list[str] = []
        self.indent = " " * indent
        self._names = 0

    def put(self, line: str) -> None:
        self.lines.append(self.indent + line)

    def name(self, expression: str) -> str:
        self._names += 1
        self.put(f"t{self._names} = {expression}")
        return f"t{self._names}"

    def plus(self, a: Part, b: Part) -> Part:
        (minus_a, x), (minus_b, y) = a, b
        if minus_a == minus_b:
            return minus_a, self.name(f"add({x}, {y})")
        return False, self.name(f"sub({y}, {x})" if minus_a else f"sub({x}, {y})")

    def weighted(self, terms: list[tuple[float, Part]], start: Part | None = None) -> Part:
        """Return start plus the sum of factor * part."""
        found = None if start is None else self.settled(start)
        for factor, (minus, x) in terms:
            constant = f"splat(number({-factor if minus else factor!r}))"
            product = f"mul({constant}, {x})" if found is None else f"fma({constant}, {x}, {found})"
            found = self.name(product)
        return False, str(found)

    def settled(self, a: Part) -> str:
        """Return the name of a vector in which the sign has been applied."""
        return self.name(f"sub(zero(), {a[1]})") if a[0] else a[1]


def _minus(a: Part) -> Part:
    return not a[0], a[1]


def _sum(writer: _Writer, a: Number, b: Number) -> Number:
    return writer.plus(a[0], b[0]), writer.plus(a[1], b[1])


def _difference(writer: _Writer, a: Number, b: Number) -> Number:
    return _sum(writer, a, (_minus(b[0]), _minus(b[1])))


def _turned(writer: _Writer, a: Number, steps: int, whole: int) -> Number:
    """Multiply by exp(-2 pi i steps / whole)."""
    real, imaginary = a
    steps %= whole
    if 4 * steps >= whole:  # a quarter turn exchanges the parts
        return _turned(writer, (imaginary, _minus(real)), steps * 4 - whole, 4 * whole)
    if steps == 0:
        return a
    angle = 2 * pi * steps / whole
    if 8 * steps == whole:
        both = writer.plus(real, imaginary), writer.plus(imaginary, _minus(real))
        return writer.weighted([(cos(angle), both[0])]), writer.weighted([(cos(angle), both[1])])
    return (
        writer.weighted([(sin(angle), imaginary), (cos(angle), real)]),
        writer.weighted([(-sin(angle), real), (cos(angle), imaginary)]),
    )


def _transform(writer: _Writer, x: list[Number]) -> list[Number]:
    """Return the discrete Fourier transform of numbers."""
    n = len(x)
    if n == 1:
        return x
    if n == 2:
        return [_sum(writer, *x), _difference(writer, *x)]
    if n % 2:
        return _odd_transform(writer, x)
    rows = 4 if n % 4 == 0 and n > 4 else 2
    columns = n // rows
    inner = []
    for b in range(columns):
        column = _transform(writer, x[b::columns])
        inner.append([_turned(writer, value, b * k, n) for k, value in enumerate(column)])
    found = [_transform(writer, [column[k] for column in inner]) for k in range(rows)]
    return [found[k % rows][k // rows] for k in range(n)]


def _odd_transform(writer: _Writer, x: list[Number]) -> list[Number]:
    """Return the transform of an odd number of numbers, computed from the definition."""
    n, half = len(x), range(1, len(x) // 2 + 1)
    sums = [_sum(writer, x[j], x[n - j]) for j in half]
    differences = [_difference(writer, x[j], x[n - j]) for j in half]
    total = x[0]
    for each in sums:
        total = _sum(writer, total, each)
    found = [total] * n
    for k in half:
        cosines = [cos(2 * pi * k * j / n) for j in half]
        sines = [sin(2 * pi * k * j / n) for j in half]
        even = [
            writer.weighted([(c, s[part]) for c, s in zip(cosines, sums, strict=True)], x[0][part])
            for part in (0, 1)
        ]
        odd = [
            writer.weighted([(s, d[part]) for s, d in zip(sines, differences, strict=True)])
            for part in (0, 1)
        ]
        # even - i * odd, and its mirror image even + i * odd
        found[k] = writer.plus(even[0], odd[1]), writer.plus(even[1], _minus(odd[0]))
        found[n - k] = writer.plus(even[0], _minus(odd[1])), writer.plus(even[1], odd[0])
    return found


def butterflies(lanes: int) -> str:
    """Return the source of `transform` and `exchange`.

    >>> "def transform(" in butterflies(4)
    True
    """
    lines = [
        "@apart",
        f"def transform({', '.join(parameters(transform))}):",
        "    for number in range(passes):",
        f"        place = schedule + number * {8 * ENTRY}",
        "        twist = 2",
        "        if backward != 0:",
        f"            place = schedule + (passes - 1 - number) * {8 * ENTRY}",
        "            twist = 1",
        "        twist *= word(place, 7)",
        "        radix = word(place, 0)",
        "        w = word(place, 6) + shift * 2 * (radix - 1) * WIDTH",
    ]
    for radix in RADICES:
        lines += [
            f"        if radix == {radix}:",
            f"            pass_{radix}(re, im, word(place, 1), word(place, 2), word(place, 3),",
            "                word(place, 4), word(place, 5), count, step, w, twist)",
        ]
    passes = "\n".join(_pass(radix) for radix in RADICES)
    return "\n".join([passes, *lines, exchange_text(lanes)])


def exchange_text(lanes: int) -> str:
    """Return the source of `exchange`: log2(lanes) perfect shuffles transpose the square."""
    names = [f"v{i}" for i in range(lanes)]
    lines = [f"def exchange({', '.join(parameters(exchange))}):"]
    lines += [f"    {name} = load(p, {i} * step)" for i, name in enumerate(names)]
    half = lanes // 2
    for turn in range(lanes.bit_length() - 1):
        found = [f"u{turn}_{i}" for i in range(lanes)]
        for i in range(half):
            lines.append(f"    {found[2 * i]} = low({names[i]}, {names[half + i]})")
            lines.append(f"    {found[2 * i + 1]} = high({names[i]}, {names[half + i]})")
        names = found
    lines += [f"    store(p, {i} * step, {name})" for i, name in enumerate(names)]
    return "\n".join(lines) + "\n"


def _pass(radix: int) -> str:
    """Return the source of `pass_<radix>`, one pass of a transform over columns of vectors.

    `twist` is 0 without twiddle factors, 1 to multiply by them before the butterfly, 2 after it.
    """
    names = [f"x{r}" for r in range(radix)]
    head = [
        "@apart",
        f"def pass_{radix}(re, im, groups, leap, span, hop, stride, count, step, twiddles, twist):",
        "    for group in range(groups):",
        "        for i in range(span):",
        f"            w = twiddles + i * {2 * (radix - 1)} * WIDTH",
        "            at = (group * leap + i * stride) * WIDTH",
        "            for n in range(count):",
        "                a = re + at",
        "                b = im + at",
        "                at += step * WIDTH",
    ]
    writer = _Writer(16)
    for r, name in enumerate(names):
        writer.put(f"{name}r = load(a, {r} * hop)")
        writer.put(f"{name}i = load(b, {r} * hop)")
    writer.put("if twist == 1:")
    _twist(writer, names)
    found = _transform(writer, [((False, f"{name}r"), (False, f"{name}i")) for name in names])
    for name, (real, imaginary) in zip(names, found, strict=True):
        writer.put(f"{name}r, {name}i = {writer.settled(real)}, {writer.settled(imaginary)}")
    writer.put("if twist == 2:")
    _twist(writer, names)
    for r, name in enumerate(names):
        writer.put(f"store(a, {r} * hop, {name}r)")
        writer.put(f"store(b, {r} * hop, {name}i)")
    return "\n".join([*head, *writer.lines]) + "\n"


def _twist(writer: _Writer, names: list[str]) -> None:
    """Multiply all numbers but the first by their twiddle factors."""
    for r, x in enumerate(names[1:]):
        writer.put(f"    wr, wi = broadcast(w, {2 * r}), broadcast(w, {2 * r + 1})")
        _multiply(writer, x)


def _multiply(writer: _Writer, x: str) -> None:
    writer.put(f"    s = mul(wi, {x}i)")
    writer.put(f"    {x}i = fma(wr, {x}i, mul(wi, {x}r))")
    writer.put(f"    {x}r = sub(mul(wr, {x}r), s)")
