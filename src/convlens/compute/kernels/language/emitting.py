"""Emit the LLVM instructions of the words of kernels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from convlens.compute.kernels.language.translating import I1, I64, Word
from convlens.compute.kernels.machine import WIDTHS

__all__ = ["vocabulary"]

I32 = ir.IntType(32)
LLVM = {"float32": ir.FloatType(), "float64": ir.DoubleType(), "int32": I32, "int64": I64}
SUFFIX = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64"}

Emit = Callable[..., Any]
Table = dict[str, tuple[tuple[Any, ...], Emit]]
"""Words, each with the types of its arguments and the function that appends its instructions."""


@functools.cache
def vocabulary(dtype: str, vector: int, fused: bool) -> dict[str, Word]:
    """Return every word for an element type and vectors of `vector` bytes."""
    kind = _Vector(dtype, vector)
    table = (
        _memory(kind)
        | _masks(kind)
        | _scalars(kind)
        | _arithmetic(kind, fused)
        | _comparisons(kind)
        | _fractions(kind)
        | _shuffles(kind)
        | _integers(kind)
    )
    return {name: Word(parts, emit) for name, (parts, emit) in table.items()}


class _Vector:
    """Vectors of one element type, and the operations on them that several words share."""

    def __init__(self, dtype: str, vector: int) -> None:
        self.dtype, self.width = dtype, WIDTHS[dtype]
        self.lanes = vector // self.width
        self.floating = dtype.startswith("float")
        self.element = LLVM[dtype]
        self.whole = ir.VectorType(self.element, self.lanes)
        self.one, self.two, self.three = ((self.whole,) * n for n in (1, 2, 3))

    def at(self, builder: Any, p: Any, i: Any, target: Any = None) -> Any:
        """Return a pointer to an element."""
        return builder.gep(builder.inttoptr(p, (target or self.element).as_pointer()), [i])

    def vector_at(self, builder: Any, p: Any, i: Any) -> Any:
        """Return a pointer to the vector at an element."""
        return builder.bitcast(self.at(builder, p, i), self.whole.as_pointer())

    def nothing(self) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(self.whole, [ir.Constant(self.element, 0)] * self.lanes)

    def spread(self, builder: Any, s: Any) -> Any:
        """Return a vector with a scalar in every lane."""
        undefined = ir.Constant(self.whole, ir.Undefined)
        one = builder.insert_element(undefined, s, ir.Constant(I32, 0))
        return _shuffle(builder, one, undefined, [0] * self.lanes)

    def before(self, builder: Any, n: Any) -> Any:
        """Return a mask of the lanes before lane n; n may be below 0 or beyond the last lane."""
        for sign, end in ((">", I64(self.lanes)), ("<", I64(0))):
            n = builder.select(builder.icmp_signed(sign, n, end), end, n)
        numbers = ir.VectorType(I32, self.lanes)
        undefined = ir.Constant(numbers, ir.Undefined)
        one = builder.insert_element(undefined, builder.trunc(n, I32), ir.Constant(I32, 0))
        counts = _shuffle(builder, one, undefined, [0] * self.lanes)
        return builder.icmp_signed(">", counts, ir.Constant(numbers, list(range(self.lanes))))

    def intrinsic(self, builder: Any, name: str, result: Any, *parts: Any) -> Any:
        """Call an LLVM intrinsic, with the type of the vectors in place of "*" in its name."""
        signature = ir.FunctionType(result, [part.type for part in parts])
        name = name.replace("*", f"v{self.lanes}{SUFFIX[self.dtype]}")
        return builder.call(_declared(builder.module, signature, name), parts)

    def bits(self, builder: Any, truths: Any) -> Any:
        """Return an integer with a bit for every lane."""
        return builder.zext(builder.bitcast(truths, ir.IntType(self.lanes)), I64)

    def lanewise(self, of_floats: str, of_integers: str) -> Emit:
        """Return a function that appends one instruction of two operands."""
        name = of_floats if self.floating else of_integers
        return lambda builder, a, b: getattr(builder, name)(a, b)


def _shuffle(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(order)), order))


def _declared(module: ir.Module, signature: ir.FunctionType, name: str) -> ir.Function:
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, signature, name)


def _memory(kind: _Vector) -> Table:
    """Return the words that load and store whole vectors, or fill all lanes with one value."""
    width = kind.width
    return {
        "load": (
            (I64, I64),
            lambda b, p, i: b.load(kind.vector_at(b, p, i), align=width),
        ),
        "store": (
            (I64, I64, kind.whole),
            lambda b, p, i, v: b.store(v, kind.vector_at(b, p, i), align=width),
        ),
        "broadcast": ((I64, I64), lambda b, p, i: kind.spread(b, b.load(kind.at(b, p, i)))),
        "splat": ((kind.element,), kind.spread),
        "zero": ((), lambda b: kind.nothing()),
    }


def _masks(kind: _Vector) -> Table:
    """Return the words that load and store some of the lanes."""
    width = ir.Constant(I32, kind.width)

    def between(builder: Any, low: Any, high: Any) -> Any:
        return builder.and_(kind.before(builder, high), builder.not_(kind.before(builder, low)))

    def load_lanes(builder: Any, p: Any, i: Any, mask: Any, others: Any) -> Any:
        place = kind.vector_at(builder, p, i)
        name = "llvm.masked.load.*.p0"
        return kind.intrinsic(builder, name, kind.whole, place, width, mask, others)

    def store_some(builder: Any, p: Any, i: Any, v: Any, n: Any) -> Any:
        place, mask = kind.vector_at(builder, p, i), kind.before(builder, n)
        name = "llvm.masked.store.*.p0"
        return kind.intrinsic(builder, name, ir.VoidType(), v, place, width, mask)

    return {
        "load_some": (
            (I64, I64, I64),
            lambda b, p, i, n: load_lanes(b, p, i, kind.before(b, n), kind.nothing()),
        ),
        "lanes": ((I64, I64), between),
        "load_lanes": ((I64, I64, ir.VectorType(I1, kind.lanes), kind.whole), load_lanes),
        "store_some": ((I64, I64, kind.whole, I64), store_some),
    }


def _scalars(kind: _Vector) -> Table:
    """Return the words for single elements."""
    element, plus = kind.element, kind.lanewise("fadd", "add")

    def number(builder: Any, s: Any) -> Any:
        if s.type == element:
            return s
        if isinstance(s.type, ir.IntType):
            return builder.sitofp(s, element) if kind.floating else builder.trunc(s, element)
        return builder.fptrunc(s, element)

    def total(builder: Any, v: Any) -> Any:
        count = kind.lanes
        while count > 1:
            count //= 2
            halves = (_shuffle(builder, v, v, list(range(at, at + count))) for at in (0, count))
            v = plus(builder, *halves)
        return builder.extract_element(v, ir.Constant(I32, 0))

    return {
        "number": ((None,), number),
        "get": ((I64, I64), lambda b, p, i: b.load(kind.at(b, p, i))),
        "put": ((I64, I64, element), lambda b, p, i, s: b.store(s, kind.at(b, p, i))),
        "plus": ((element, element), plus),
        "total": (kind.one, total),
    }


def _arithmetic(kind: _Vector, fused: bool) -> Table:
    """Return the words for arithmetic, lane by lane."""

    def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
        if not kind.floating:
            return builder.add(builder.mul(a, b), c)
        if not fused:
            return builder.fadd(builder.fmul(a, b), c)
        return kind.intrinsic(builder, "llvm.fma.*", kind.whole, a, b, c)

    return {
        "add": (kind.two, kind.lanewise("fadd", "add")),
        "sub": (kind.two, kind.lanewise("fsub", "sub")),
        "mul": (kind.two, kind.lanewise("fmul", "mul")),
        "div": (kind.two, kind.lanewise("fdiv", "sdiv")),
        "fma": (kind.three, fma),
    }


def _comparisons(kind: _Vector) -> Table:
    """Return the words that compare numbers of any type; NaN wins."""

    def extreme(sign: str) -> Emit:
        def emit(builder: Any, a: Any, b: Any) -> Any:
            if not kind.floating:
                return builder.select(builder.icmp_signed(sign, a, b), a, b)
            # If b is NaN, the comparison is false and selects it. If a is NaN, so is a + b. LLVM
            # would merge selecting a itself with the comparison, which loses the NaN.
            best = builder.select(builder.fcmp_ordered(sign, a, b), a, b)
            return builder.select(builder.fcmp_unordered("uno", a, a), builder.fadd(a, b), best)

        return emit

    def missing(builder: Any, a: Any, b: Any) -> Any:
        if not kind.floating:
            return ir.Constant(I64, 0)
        return kind.bits(builder, builder.fcmp_unordered("uno", a, b))

    return {
        "maximum": (kind.two, extreme(">")),
        "minimum": (kind.two, extreme("<")),
        "missing": (kind.two, missing),
    }


def _fractions(kind: _Vector) -> Table:
    """Return the words for floating-point numbers only."""

    def of_one(name: str) -> Emit:
        return lambda builder, v: kind.intrinsic(builder, f"llvm.{name}.*", kind.whole, v)

    def chosen(sign: str) -> Emit:
        return lambda b, x, y: b.select(b.fcmp_ordered(sign, x, y), x, y)

    def rough_root(builder: Any, v: Any) -> Any:
        # Halve the exponent and the fraction with it: linear between powers of 4. Rounding up makes
        # the root of the least subnormal number differ from that of 0.
        bits = ir.IntType(8 * kind.width)
        numbers = ir.VectorType(bits, kind.lanes)
        one = {"float32": 127 << 23, "float64": 1023 << 52}[kind.dtype]

        def all_of(n: int) -> Any:
            return ir.Constant(numbers, [ir.Constant(bits, n)] * kind.lanes)

        unsigned = builder.and_(builder.bitcast(v, numbers), all_of((1 << bits.width - 1) - 1))
        doubled = builder.add(unsigned, all_of(one + 1))
        return builder.bitcast(builder.lshr(doubled, all_of(1)), kind.whole)

    return {
        "magnitude": (kind.one, of_one("fabs")),
        "root": (kind.one, of_one("sqrt")),
        "rough_root": (kind.one, rough_root),
        "larger": (kind.two, chosen(">")),
        "smaller": (kind.two, chosen("<")),
        "below": (kind.two, lambda b, x, y: kind.bits(b, b.fcmp_unordered("<", x, y))),
    }


def _shuffles(kind: _Vector) -> Table:
    """Return the words that rearrange the lanes of two vectors."""
    lanes = kind.lanes
    half = range(lanes // 2)
    orders = {
        "evens": list(range(0, 2 * lanes, 2)),
        "odds": list(range(1, 2 * lanes, 2)),
        "low": [j for i in half for j in (i, lanes + i)],
        "high": [j for i in half for j in (lanes // 2 + i, lanes + lanes // 2 + i)],
    }

    def picked(order: list[int]) -> Emit:
        return lambda builder, a, b: _shuffle(builder, a, b, order)

    return {name: (kind.two, picked(order)) for name, order in orders.items()}


def _integers(kind: _Vector) -> Table:
    """Return the words for integers of 64 bits in memory."""
    return {
        "word": ((I64, I64), lambda b, p, i: b.load(kind.at(b, p, i, I64))),
        "put_word": ((I64, I64, I64), lambda b, p, i, n: b.store(n, kind.at(b, p, i, I64))),
        "take": (
            (I64,),
            lambda b, p: b.atomic_rmw(
                "add", b.inttoptr(p, I64.as_pointer()), ir.Constant(I64, 1), "monotonic"
            ),
        ),
    }
