"""Translate the source of a kernel, in a subset of Python, into LLVM instructions.

The subset is small, so a translation takes milliseconds. It has functions of integers (64 bits, as
addresses are) and vectors; assignments, `if`, `while`, `for` over a `range`; `+ - * // % | & <<
>>`, comparisons, `and`, `or`, `not`, `min`, `max`. Division rounds down, as in Python. A variable
keeps the type of its first value. Words are called like functions and append their own instructions
(see `emitting`). A function marked `@apart` is always called, any other may be inlined. Anything
else is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir

__all__ = ["I1", "I64", "Word", "translated"]

I1, I64 = ir.IntType(1), ir.IntType(64)

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.BitOr: "or_",
    ast.BitAnd: "and_",
    ast.LShift: "shl",
    ast.RShift: "ashr",
}
COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@dataclass(frozen=True)
class Word:
    """A word: the types of its arguments, and the function that appends its instructions.

    `emit(builder, *values)` returns a value or None.
    """

    arguments: tuple[Any, ...]
    emit: Callable[..., Any]


def translated(text: str, words: Mapping[str, Word]) -> ir.Module:
    """Return the LLVM module of a kernel's source, which defines `run(block)`.

    The source holds functions, named integers and aliases of words. Raises NotImplementedError,
    naming function and expression, for anything outside the subset.
    """
    return _Module(text, words).module


class _Module:
    """The functions of one kernel, each translated when it is first called."""

    def __init__(self, text: str, words: Mapping[str, Word]) -> None:
        self.module = ir.Module(name="kernel")
        self.words = dict(words)
        self.constants: dict[str, int] = {}
        self.texts: dict[str, ast.FunctionDef] = {}
        self.functions: dict[tuple[str, tuple[str, ...]], ir.Function] = {}
        for node in ast.parse(text).body:
            match node:
                case ast.FunctionDef(name):
                    self.texts[name] = node
                case ast.Assign([ast.Name(name)], ast.Name(other)):
                    self.words[name] = self.words[other]
                case ast.Assign([ast.Name(name)], value):
                    self.constants[name] = ast.literal_eval(value)
        run = self.function("run", (I64,))
        run.linkage = "external"

    def function(self, name: str, types: tuple[Any, ...]) -> ir.Function:
        """Return a function for arguments of these types."""
        key = name, tuple(str(kind) for kind in types)
        found = self.functions.get(key)
        if found is None:
            node = self.texts[name]
            result: Any = ir.VoidType()
            if any(isinstance(part, ast.Return) and part.value for part in ast.walk(node)):
                result = self._result(node, types)
            label = name if name == "run" else f"{name}.{len(self.functions)}"
            found = ir.Function(self.module, ir.FunctionType(result, types), label)
            found.attributes.add("nounwind")
            if any(ast.unparse(mark) == "apart" for mark in node.decorator_list):
                found.attributes.add("noinline")
            if name != "run":
                found.linkage = "internal"
            self.functions[key] = found
            _Function(self, node, found).translate()
        return found

    def _result(self, node: ast.FunctionDef, types: tuple[Any, ...]) -> Any:
        """Return the type of a function's result, known once the function has been translated."""
        trial = ir.Function(
            self.module, ir.FunctionType(ir.VoidType(), types), f"{node.name}.trial"
        )
        body = _Function(self, node, trial, trial=True)
        body.translate()
        del self.module.globals[trial.name]
        return body.returned


@dataclass
class _Function:
    """A function during its translation."""

    home: _Module
    node: ast.FunctionDef
    function: ir.Function
    trial: bool = False
    returned: Any = None
    places: dict[str, Any] = field(default_factory=dict)
    loops: list[tuple[Any, Any]] = field(default_factory=list)

    def translate(self) -> None:
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        names = [argument.arg for argument in self.node.args.args]
        for name, value in zip(names, self.function.args, strict=True):
            self.assign(name, value)
        self.body(self.node.body)
        if not self.builder.block.is_terminated:
            self.finish(None)

    def refuse(self, node: ast.AST) -> NotImplementedError:
        text = ast.unparse(node)
        return NotImplementedError(f"`{text}` in {self.node.name} is not supported in kernels")

    def body(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value):
                self.value(value)
            case ast.Assign(targets, value):
                result = self.value(value)
                for target in targets:
                    self.assign_to(target, result)
            case ast.AnnAssign(ast.Name() as target, _, value) if value is not None:
                self.assign_to(target, self.value(value))
            case ast.AugAssign(ast.Name(name) as target, operator, value):
                left = self.value(ast.Name(name, ast.Load()))
                self.assign_to(target, self.binary(node, operator, left, self.value(value)))
            case ast.If(test, then, otherwise):
                self.branch(test, then, otherwise)
            case ast.While(test, body, []):
                self.loop(lambda: self.truth(self.value(test)), body, lambda: None)
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"), ends, []), body, []):
                self.count(name, [self.value(end) for end in ends], body)
            case ast.Break():
                self.builder.branch(self.loops[-1][1])
            case ast.Continue():
                self.builder.branch(self.loops[-1][0])
            case ast.Return(value):
                self.finish(None if value is None else self.value(value))
            case _:
                raise self.refuse(node)

    def finish(self, value: Any) -> None:
        """Translate a return of a value, or of several as a structure."""
        if self.trial:
            if value is not None:
                several = isinstance(value, tuple)
                kinds = [part.type for part in value] if several else []
                self.returned = ir.LiteralStructType(kinds) if several else value.type
            self.builder.unreachable()
        elif value is None:
            if isinstance(self.function.function_type.return_type, ir.VoidType):
                self.builder.ret_void()
            else:
                self.builder.unreachable()
        elif isinstance(value, tuple):
            whole = ir.Constant(self.function.function_type.return_type, ir.Undefined)
            for i, part in enumerate(value):
                whole = self.builder.insert_value(whole, part, i)
            self.builder.ret(whole)
        else:
            self.builder.ret(value)

    def assign_to(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.assign(target.id, value)
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple):
            for part, one in zip(target.elts, value, strict=True):
                self.assign_to(part, one)
        else:
            raise self.refuse(target)

    def assign(self, name: str, value: Any) -> None:
        value = self.whole(value)
        if name not in self.places:
            with self.builder.goto_entry_block():
                self.places[name] = self.builder.alloca(value.type, name=name)
        self.builder.store(value, self.places[name])

    def branch(
        self, test: ast.expr, then: Sequence[ast.stmt], otherwise: Sequence[ast.stmt]
    ) -> None:
        value = self.truth(self.value(test))
        if isinstance(value, ir.Constant):  # the branch not taken need not be valid
            self.body(then if value.constant else otherwise)
            return
        yes, no, after = (self.function.append_basic_block() for _ in range(3))
        self.builder.cbranch(value, yes, no)
        for block, statements in ((yes, then), (no, otherwise)):
            self.builder.position_at_end(block)
            self.body(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)

    def loop(
        self, test: Callable[[], Any], body: Sequence[ast.stmt], advance: Callable[[], None]
    ) -> None:
        head, inside, onward, after = (self.function.append_basic_block() for _ in range(4))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(test(), inside, after)
        self.builder.position_at_end(inside)
        self.loops.append((onward, after))
        self.body(body)
        self.loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(onward)
        self.builder.position_at_end(onward)
        advance()
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def count(self, name: str, ends: list[Any], body: Sequence[ast.stmt]) -> None:
        """Translate a loop over a range whose step is not negative."""
        begin, end, step = I64(0), ends[0], I64(1)
        if len(ends) > 1:
            begin, end = ends[:2]
        if len(ends) > 2:
            step = ends[2]
        with self.builder.goto_entry_block():
            counter = self.builder.alloca(I64)
        self.builder.store(begin, counter)

        def test() -> Any:
            return self.builder.icmp_signed("<", self.builder.load(counter), end)

        def advance() -> None:
            self.builder.store(self.builder.add(self.builder.load(counter), step), counter)

        taken = ast.Assign([ast.Name(name, ast.Store())], _Given(counter))
        self.loop(test, [taken, *body], advance)

    def value(self, node: ast.expr) -> Any:
        builder = self.builder
        match node:
            case _Given():
                return builder.load(node.place)
            case ast.Constant(bool() | int() as number):
                return I64(int(number))
            case ast.Constant(float() as number):
                return ir.DoubleType()(number)
            case ast.Name(name):
                if name in self.places:
                    return builder.load(self.places[name])
                if name in self.home.constants:
                    return I64(self.home.constants[name])
                raise self.refuse(node)
            case ast.Tuple(parts):
                return tuple(self.value(part) for part in parts)
            case ast.BinOp(left, operator, right):
                return self.binary(node, operator, self.value(left), self.value(right))
            case ast.UnaryOp(ast.USub(), ast.Constant(float() as number)):
                return ir.DoubleType()(-number)
            case ast.UnaryOp(ast.USub(), operand):
                return self.binary(node, ast.Sub(), I64(0), self.value(operand))
            case ast.UnaryOp(ast.Not(), operand):
                return builder.not_(self.truth(self.value(operand)))
            case ast.Compare(left, operators, rights):
                return self.compared(node, [left, *rights], operators)
            case ast.BoolOp(operator, parts):
                return self.either(isinstance(operator, ast.And), parts)
            case ast.IfExp(test, then, otherwise):
                yes, no = self.whole(self.value(then)), self.whole(self.value(otherwise))
                return builder.select(self.truth(self.value(test)), yes, no)
            case ast.Call(ast.Name(name), arguments, []):
                return self.call(node, name, [self.value(argument) for argument in arguments])
            case _:
                raise self.refuse(node)

    def binary(self, node: ast.AST, operator: ast.operator, left: Any, right: Any) -> Any:
        left, right = self.whole(left), self.whole(right)
        if left.type != I64 or right.type != I64:
            raise self.refuse(node)
        folded = _folded(operator, left, right)
        if folded is not None:
            return I64(folded)
        name = BINARY.get(type(operator))
        if name is not None:
            return getattr(self.builder, name)(left, right)
        if not isinstance(operator, ast.FloorDiv | ast.Mod):
            raise self.refuse(node)
        builder = self.builder
        quotient, rest = builder.sdiv(left, right), builder.srem(left, right)
        apart = builder.icmp_signed("<", builder.xor(left, right), I64(0))
        lower = builder.and_(apart, builder.icmp_signed("!=", rest, I64(0)))
        if isinstance(operator, ast.FloorDiv):
            return builder.sub(quotient, builder.zext(lower, I64))
        return builder.add(rest, builder.select(lower, right, I64(0)))

    def compared(
        self, node: ast.AST, parts: Sequence[ast.expr], operators: Sequence[ast.cmpop]
    ) -> Any:
        values = [self.value(part) for part in parts]
        if any(type(operator) not in COMPARED for operator in operators):
            raise self.refuse(node)
        found = None
        for i, operator in enumerate(operators):
            left, right, sign = values[i], values[i + 1], COMPARED[type(operator)]
            if isinstance(left, ir.Constant) and isinstance(right, ir.Constant):
                one: Any = I1(int(_TRUE[sign](left.constant, right.constant)))
            elif isinstance(left.type, ir.IntType):
                one = self.builder.icmp_signed(sign, left, right)
            else:
                one = self.builder.fcmp_ordered(sign, left, right)
            found = one if found is None else self.builder.and_(found, one)
        return found

    def either(self, all_of_them: bool, parts: Sequence[ast.expr]) -> Any:
        """Translate `and` or `or`, which stop at the first part that decides."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(I1)
        after = self.function.append_basic_block()
        for part in parts:
            value = self.truth(self.value(part))
            self.builder.store(value, place)
            further = self.function.append_basic_block()
            ways = (further, after) if all_of_them else (after, further)
            self.builder.cbranch(value, *ways)
            self.builder.position_at_end(further)
        self.builder.branch(after)
        self.builder.position_at_end(after)
        return self.builder.load(place)

    def truth(self, value: Any) -> Any:
        if value.type == I1:
            return value
        if isinstance(value, ir.Constant):
            return I1(int(value.constant != 0))
        return self.builder.icmp_signed("!=", value, I64(0))

    def whole(self, value: Any) -> Any:
        """Return a boolean as the integer it is in Python."""
        if not isinstance(value, tuple) and value.type == I1:
            return self.builder.zext(value, I64)
        return value

    def call(self, node: ast.AST, name: str, values: list[Any]) -> Any:
        builder = self.builder
        values = [self.whole(value) for value in values]
        if name in ("min", "max"):
            best = values[0]
            for other in values[1:]:
                wins = builder.icmp_signed("<" if name == "min" else ">", other, best)
                best = builder.select(wins, other, best)
            return best
        if name in self.home.texts:
            function = self.home.function(name, tuple(value.type for value in values))
            result = builder.call(function, values)
            kind = function.function_type.return_type
            if isinstance(kind, ir.LiteralStructType):
                return tuple(builder.extract_value(result, i) for i in range(len(kind.elements)))
            return result
        word = self.home.words.get(name)
        if word is None or len(word.arguments) != len(values):
            raise self.refuse(node)
        if any(v.type != kind for v, kind in zip(values, word.arguments, strict=True) if kind):
            raise self.refuse(node)
        return word.emit(builder, *values)


class _Given(ast.expr):
    """A number that is already stored in memory."""

    def __init__(self, place: Any) -> None:
        super().__init__()
        self.place = place


_TRUE: dict[str, Callable[[int, int], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def _folded(operator: ast.operator, left: Any, right: Any) -> int | None:
    """Return the result of an operator on two constants, or None."""
    if not isinstance(left, ir.Constant) or not isinstance(right, ir.Constant):
        return None
    expression = ast.Expression(
        ast.BinOp(ast.Constant(left.constant), operator, ast.Constant(right.constant))
    )
    return int(eval(compile(ast.fix_missing_locations(expression), "constants", "eval")))
