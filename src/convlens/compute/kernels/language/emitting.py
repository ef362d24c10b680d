"""What instructions of LLVM the words of a kernel become."""

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


@functools.cache
def vocabulary(dtype: str, vector: int, fused: bool) -> dict[str, Word]:
    """Return every word for an element type and a vector of so many bytes."""
    lanes = vector // WIDTHS[dtype]
    floating = dtype.startswith("float")
    element = LLVM[dtype]
    whole = ir.VectorType(element, lanes)
    suffix = SUFFIX[dtype]

    def at(builder: Any, p: Any, i: Any, target: Any = element) -> Any:
        return builder.gep(builder.inttoptr(p, target.as_pointer()), [i])

    def vector_at(builder: Any, p: Any, i: Any) -> Any:
        return builder.bitcast(at(builder, p, i), whole.as_pointer())

    def nothing() -> Any:
        return ir.Constant(whole, [ir.Constant(element, 0)] * lanes)

    def shuffle(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(order)), order))

    def spread(builder: Any, s: Any) -> Any:
        undefined = ir.Constant(whole, ir.Undefined)
        one = builder.insert_element(undefined, s, ir.Constant(I32, 0))
        return shuffle(builder, one, undefined, [0] * lanes)

    numbers = ir.VectorType(I32, lanes)
    order = ir.Constant(numbers, list(range(lanes)))

    def before(builder: Any, n: Any) -> Any:
        """Return a mask of the lanes before number n, an integer of any size."""
        for sign, end in ((">", I64(lanes)), ("<", I64(0))):
            n = builder.select(builder.icmp_signed(sign, n, end), end, n)
        undefined = ir.Constant(numbers, ir.Undefined)
        one = builder.insert_element(undefined, builder.trunc(n, I32), ir.Constant(I32, 0))
        counts = shuffle(builder, one, undefined, [0] * lanes)
        return builder.icmp_signed(">", counts, order)

    def between(builder: Any, low: Any, high: Any) -> Any:
        return builder.and_(before(builder, high), builder.not_(before(builder, low)))

    def intrinsic_of(builder: Any, name: str, result: Any, *parts: Any) -> Any:
        signature = ir.FunctionType(result, [part.type for part in parts])
        function = _declared(builder.module, signature, name)
        return builder.call(function, parts)

    width = ir.Constant(I32, WIDTHS[dtype])

    def load_lanes(builder: Any, p: Any, i: Any, mask: Any, others: Any) -> Any:
        name = f"llvm.masked.load.v{lanes}{suffix}.p0"
        return intrinsic_of(builder, name, whole, vector_at(builder, p, i), width, mask, others)

    def store_some(builder: Any, p: Any, i: Any, v: Any, n: Any) -> Any:
        name = f"llvm.masked.store.v{lanes}{suffix}.p0"
        place, mask = vector_at(builder, p, i), before(builder, n)
        return intrinsic_of(builder, name, ir.VoidType(), v, place, width, mask)

    def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
        if not floating:
            return builder.add(builder.mul(a, b), c)
        if not fused:
            return builder.fadd(builder.fmul(a, b), c)
        return intrinsic_of(builder, f"llvm.fma.v{lanes}{suffix}", whole, a, b, c)

    def extreme(sign: str) -> Emit:
        def emit(builder: Any, a: Any, b: Any) -> Any:
            if not floating:
                return builder.select(builder.icmp_signed(sign, a, b), a, b)
            # Where b is not a number the comparison is false and takes it; where a is none, neither
            # is a + b. To take a itself would be merged with the comparison, and be no maximum.
            best = builder.select(builder.fcmp_ordered(sign, a, b), a, b)
            return builder.select(builder.fcmp_unordered("uno", a, a), builder.fadd(a, b), best)

        return emit

    def larger(builder: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    def smaller(builder: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", a, b), a, b)

    def below(builder: Any, a: Any, b: Any) -> Any:
        found = builder.bitcast(builder.fcmp_unordered("<", a, b), ir.IntType(lanes))
        return builder.zext(found, I64)

    def of_one(name: str) -> Emit:
        return lambda builder, v: intrinsic_of(builder, f"llvm.{name}.v{lanes}{suffix}", whole, v)

    def rough_root(builder: Any, v: Any) -> Any:
        # Half the exponent, and the fraction halved with it: linear between powers of 4. Rounded
        # up, the least subnormal number is more than nothing.
        bits = ir.IntType(8 * WIDTHS[dtype])
        one = {"float32": 127 << 23, "float64": 1023 << 52}[dtype]

        def all_of(n: int) -> Any:
            return ir.Constant(ir.VectorType(bits, lanes), [ir.Constant(bits, n)] * lanes)

        unsigned = builder.and_(
            builder.bitcast(v, ir.VectorType(bits, lanes)), all_of((1 << bits.width - 1) - 1)
        )
        doubled = builder.add(unsigned, all_of(one + 1))
        return builder.bitcast(builder.lshr(doubled, all_of(1)), whole)

    def missing(builder: Any, a: Any, b: Any) -> Any:
        if not floating:
            return ir.Constant(I64, 0)
        found = builder.bitcast(builder.fcmp_unordered("uno", a, b), ir.IntType(lanes))
        return builder.zext(found, I64)

    def lanewise(of_floats: str, of_integers: str) -> Emit:
        name = of_floats if floating else of_integers
        return lambda builder, a, b: getattr(builder, name)(a, b)

    def picked(order: list[int]) -> Emit:
        return lambda builder, a, b: shuffle(builder, a, b, order)

    def number(builder: Any, s: Any) -> Any:
        if s.type == element:
            return s
        if isinstance(s.type, ir.IntType):
            return builder.sitofp(s, element) if floating else builder.trunc(s, element)
        return builder.fptrunc(s, element)

    plus = lanewise("fadd", "add")

    def total(builder: Any, v: Any) -> Any:
        count = lanes
        while count > 1:
            count //= 2
            halves = (shuffle(builder, v, v, list(range(at, at + count))) for at in (0, count))
            v = plus(builder, *halves)
        return builder.extract_element(v, ir.Constant(I32, 0))

    half = range(lanes // 2)
    index, two, three = I64, (whole, whole), (whole, whole, whole)
    table: list[tuple[str, tuple[Any, ...], Emit]] = [
        ("load", (index, index),
         lambda b, p, i: b.load(vector_at(b, p, i), align=WIDTHS[dtype])),
        ("store", (index, index, whole),
         lambda b, p, i, v: b.store(v, vector_at(b, p, i), align=WIDTHS[dtype])),
        ("load_some", (index, index, index),
         lambda b, p, i, n: load_lanes(b, p, i, before(b, n), nothing())),
        ("lanes", (index, index), between),
        ("load_lanes", (index, index, ir.VectorType(I1, lanes), whole), load_lanes),
        ("store_some", (index, index, whole, index), store_some),
        ("broadcast", (index, index), lambda b, p, i: spread(b, b.load(at(b, p, i)))),
        ("splat", (element,), spread),
        ("zero", (), lambda b: nothing()),
        ("number", (None,), number),
        ("get", (index, index), lambda b, p, i: b.load(at(b, p, i))),
        ("put", (index, index, element),
         lambda b, p, i, s: b.store(s, at(b, p, i))),
        ("plus", (element, element), plus),
        ("total", (whole,), total),
        ("add", two, plus),
        ("sub", two, lanewise("fsub", "sub")),
        ("mul", two, lanewise("fmul", "mul")),
        ("div", two, lanewise("fdiv", "sdiv")),
        ("fma", three, fma),
        ("maximum", two, extreme(">")),
        ("minimum", two, extreme("<")),
        ("missing", two, missing),
        ("magnitude", (whole,), of_one("fabs")),
        ("root", (whole,), of_one("sqrt")),
        ("rough_root", (whole,), rough_root),
        ("larger", two, larger),
        ("smaller", two, smaller),
        ("below", two, below),
        ("evens", two, picked(list(range(0, 2 * lanes, 2)))),
        ("odds", two, picked(list(range(1, 2 * lanes, 2)))),
        ("low", two, picked([j for i in half for j in (i, lanes + i)])),
        ("high", two,
         picked([j for i in half for j in (lanes // 2 + i, lanes + lanes // 2 + i)])),
        ("word", (index, index), lambda b, p, i: b.load(at(b, p, i, I64))),
        ("put_word", (index, index, index),
         lambda b, p, i, n: b.store(n, at(b, p, i, I64))),
        ("take", (index,),
         lambda b, p: b.atomic_rmw(
             "add", b.inttoptr(p, I64.as_pointer()), ir.Constant(I64, 1), "monotonic")),
    ]  # fmt: skip
    return {name: Word(parts, emit) for name, parts, emit in table}


def _declared(module: ir.Module, signature: ir.FunctionType, name: str) -> ir.Function:
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, signature, name)
