"""Rewrite methods of modules so that calls in them can be joined or taken over.

The source of the calling method shows which code reads a convolution's result. In
`self.norm(self.conv(x))` only the norm does, and so in `y = self.conv(x)` followed by
`y = self.norm(y)`. The method is compiled again with such calls passed to a function that may join
them; the rest stays as it is. To be sure that the source is the method's, it is first compiled
unchanged, which must give the same code.
"""

from __future__ import annotations
import __future__

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from types import CellType, CodeType, FunctionType
from typing import Any

__all__ = ["joining", "taking_over"]

ROW, FIND, SITE, RAW, LEFT, FOUND = (
    f"__convlens_{name}__" for name in ("row", "find", "site", "raw", "left", "found")
)
"""The names in the new source: of the functions passed in, and of two variables."""

MOST = 3
"""The most calls that are joined: a convolution, a norm and an activation."""

DESCRIBING = {"shape", "size", "dim", "ndim", "dtype", "device", "numel", "is_floating_point"}
"""The attributes of a weight that can be read without keeping a reference to it."""


def joining(function: Any, row: Callable[..., Any], find: Callable[..., Any]) -> Any:
    """Return a method with nested calls passed to `row` and successive ones to `find`, or None.

    `row(f, g, h)` returns a callable for f(g(h(...))). `find(f, g, h)` returns a callable for
    h(g(f(...))) or g(f(...)), whose `count` says how many it joins, or None if it joins none.
    """
    return _rebuilt(function, _Joining, {ROW: row, FIND: find})


def taking_over(function: Any, site: Callable[..., Any], raw: Callable[..., Any]) -> Any:
    """Return a convolution's `forward` that returns what `site` computes, or None.

    Every path through the method must end by returning a convolution f(x, ...) with the layer's
    weight and bias. `site(f, x, ...)` replaces it, with strings in place of weight and bias. Where
    the method only reads their shape, `raw(self, name)` supplies them.
    """
    return _rebuilt(function, _TakingOver, {SITE: site, RAW: raw})


def _rebuilt(function: Any, how: Any, given: dict[str, Any]) -> Any:
    found = _rewritten(function, how)
    if found is None:
        return None
    names = function.__code__.co_freevars
    cells = dict(zip(names, function.__closure__ or (), strict=True))
    cells |= {name: CellType(value) for name, value in given.items()}
    closure = tuple(cells[name] for name in found.co_freevars)
    new = FunctionType(
        found, function.__globals__, function.__name__, function.__defaults__, closure
    )
    new.__kwdefaults__, new.__qualname__ = function.__kwdefaults__, function.__qualname__
    return new


@functools.lru_cache(1024)
def _rewritten(function: Any, how: Any) -> CodeType | None:
    """Return the new code of a method, or None if nothing changes or the source proves nothing."""
    if type(function) is not FunctionType:
        return None
    code = function.__code__
    special = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    if code.co_flags & special or not code.co_argcount:
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        return None
    ast.increment_lineno(tree, code.co_firstlineno - 1)
    text = tree.body[0]
    if any(name.startswith("__") and not name.endswith("__") for name in _names(text)):
        return None  # the class mangles such names
    imports = _imports("".join(inspect.findsource(function)[0]))
    same = _compiled(text, code, (), imports)
    if same is None or not _same(same, code):
        return None
    rewriter = how(code)
    new = rewriter.visit(text)
    if not rewriter.fits():
        return None
    return _compiled(ast.fix_missing_locations(new), code, rewriter.given, imports)


@functools.lru_cache(64)
def _imports(source: str) -> tuple[str, ...]:
    """Return the names that a file imports; calls of their attributes compile to other code."""
    found: list[str] = []
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return tuple(name for name in found if name.isidentifier())


def _compiled(
    text: ast.FunctionDef, code: CodeType, given: tuple[str, ...], imports: tuple[str, ...]
) -> CodeType | None:
    """Compile a function within the same free variables and imports, and the `given` names."""
    around = ast.parse(f"def around({', '.join((*code.co_freevars, *given))}): pass").body[0]
    if not isinstance(around, ast.FunctionDef):
        return None
    text.decorator_list = []
    around.body = [text]
    ast.copy_location(around, text)
    imported: list[ast.stmt] = [ast.Import([ast.alias(name)]) for name in imports]
    module = ast.fix_missing_locations(ast.Module([*imported, around], []))
    flags = code.co_flags & functools.reduce(
        int.__or__,
        (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names),
    )
    try:
        whole = compile(module, code.co_filename, "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    outer = next(const for const in whole.co_consts if isinstance(const, CodeType))
    found = [c for c in outer.co_consts if isinstance(c, CodeType) and c.co_name == code.co_name]
    return found[0] if len(found) == 1 else None


def _same(one: CodeType, other: CodeType) -> bool:
    """Return whether two code objects do the same, whatever their position in the source."""
    names = "code names varnames freevars cellvars argcount posonlyargcount kwonlyargcount"
    attributes = [f"co_{name}" for name in (*names.split(), "exceptiontable")]
    if any(getattr(one, name) != getattr(other, name) for name in attributes):
        return False
    pairs = list(zip(one.co_consts, other.co_consts, strict=False))
    return len(one.co_consts) == len(other.co_consts) and all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else _equal(a, b)
        for a, b in pairs
    )


def _equal(one: object, other: object) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def _names(tree: ast.AST) -> list[str]:
    found = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return found + [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]


class _Rewriter(ast.NodeTransformer):
    """A change to the source of a method, which leaves nested functions alone."""

    given: tuple[str, ...] = ()

    def __init__(self, code: CodeType) -> None:
        self.code, self.me, self.changed = code, code.co_varnames[0], 0
        self.locals = {*code.co_varnames} - {*code.co_cellvars}
        self.depth = 0

    def fits(self) -> bool:
        return self.changed > 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if self.depth:
            return node
        self.depth = 1
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return node

    def rooted(self, node: ast.expr) -> bool:
        """Return whether this is an attribute of the module itself, at any depth."""
        while isinstance(node, ast.Attribute):
            node = node.value
            if isinstance(node, ast.Name):
                return node.id == self.me and self.me in self.locals
        return False


class _Joining(_Rewriter):
    """A rewriter that passes nested and successive calls on to be joined."""

    given = (ROW, FIND)

    def visit_Call(self, node: ast.Call) -> Any:
        callees = [node.func]
        inner: ast.expr = node
        while isinstance(inner, ast.Call) and len(inner.args) == 1 and not inner.keywords:
            (inner,) = inner.args
            if not isinstance(inner, ast.Call) or not self.own(inner.func):
                break
            callees.append(inner.func)
            last = inner
        if len(callees) == 1:
            return self.generic_visit(node)
        self.changed += 1
        whole = ast.Call(ast.Name(ROW, ast.Load()), callees, [])
        arguments = [self.visit(argument) for argument in last.args]
        keywords = [self.visit(keyword) for keyword in last.keywords]
        return ast.copy_location(ast.Call(whole, arguments, keywords), node)

    def own(self, node: ast.expr) -> bool:
        """Return whether a callable comes from a variable of the method, not from a library."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.code.co_varnames

    def visit_Try(self, node: ast.Try) -> Any:
        return node  # after a failed statement, later code may read the intermediate result

    def visit_TryStar(self, node: Any) -> Any:
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(block, list) and self.depth:
                setattr(node, name, self.in_turn(block))
        return node

    def in_turn(self, block: list[Any]) -> list[Any]:
        """Join successive statements that each replace a variable by a call of its value."""
        new: list[Any] = []
        at = 0
        while at < len(block):
            end = at + 1
            first = self.call(block[at])
            while first and end < len(block) and self.call(block[end], first[0]):
                end += 1
            new += block[at:end] if end == at + 1 else self.joined(first[0], block[at:end])
            at = end
        return new

    def call(self, statement: ast.stmt, read: str | None = None) -> Any:
        """Return the variable and the call of `y = self.f(...)`, or last of `return self.f(y)`.

        With `read`, the call must have only this variable as argument, and replace it.
        """
        value = getattr(statement, "value", None)
        if not isinstance(value, ast.Call) or not self.rooted(value.func):
            return None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: Any = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign) and statement.simple:
            target = statement.target
        elif isinstance(statement, ast.Return) and read is not None:
            target = ast.Name(read, ast.Store())
        else:
            return None
        if not isinstance(target, ast.Name) or target.id not in self.locals:
            return None
        if read is None:
            return (target.id, value) if target.id != self.me else None
        alone = len(value.args) == 1 and not value.keywords and isinstance(value.args[0], ast.Name)
        if not alone or value.args[0].id != read or target.id != read:  # type: ignore[attr-defined]
            return None
        return target.id, value

    def joined(self, name: str, block: list[Any]) -> list[Any]:
        """Return statements that skip those a joined call has already done, by counting them."""
        self.changed += 1
        new: list[Any] = [_statement(f"{LEFT} = 0")]
        for at, statement in enumerate(block):
            following = block[at : at + MOST]
            if len(following) == 1:
                done: ast.stmt = _statement(f"{LEFT} -= 1")
                if isinstance(statement, ast.Return):
                    done = _statement(f"return {name}")
                test = _statement(f"if {LEFT}:\n    pass\nelse:\n    pass")
                test.body, test.orelse = [done], [statement]  # type: ignore[attr-defined]
                new.append(ast.copy_location(test, statement))
                continue
            test = _statement(
                f"if {LEFT}:\n    {LEFT} -= 1\n"
                f"elif ({FOUND} := {FIND}()) is None:\n    pass\n"
                f"else:\n    {name} = {FOUND}()\n    {LEFT} = {FOUND}.count - 1"
            )
            within: Any = test.orelse[0]  # type: ignore[attr-defined]
            within.test.left.value.args = [_looked_up(s.value.func) for s in following]
            within.body = [statement]
            within.orelse[0].value.args = statement.value.args
            within.orelse[0].value.keywords = statement.value.keywords
            new.append(ast.copy_location(test, statement))
        return new


class _TakingOver(_Rewriter):
    """A rewriter that replaces the convolutions which a forward returns."""

    given = (SITE, RAW)

    def __init__(self, code: CodeType) -> None:
        super().__init__(code)
        self.strange = 0

    def fits(self) -> bool:
        return self.changed > 0 and not self.strange

    def visit_Return(self, node: ast.Return) -> Any:
        value = node.value
        if not isinstance(value, ast.Call) or not self.convolves(value.func):
            self.strange += 1
            return self.generic_visit(node)
        self.changed += 1
        parts = [self.part(argument) for argument in value.args]
        keywords = [ast.keyword(k.arg, self.part(k.value)) for k in value.keywords]
        function = self.visit(value.func)
        node.value = ast.Call(ast.Name(SITE, ast.Load()), [function, *parts], keywords)
        return node

    def convolves(self, function: ast.expr) -> bool:
        """Return whether this names a convolution of torch, or a forward of the layer's class."""
        if isinstance(function, ast.Attribute):
            value = function.value
            if isinstance(value, ast.Call):
                above = isinstance(value.func, ast.Name) and value.func.id == "super"
                return above and function.attr in ("forward", "_conv_forward")
            return function.attr in ("conv1d", "conv2d", "conv3d", "_conv_forward")
        return isinstance(function, ast.Name) and function.id in ("conv1d", "conv2d", "conv3d")

    def part(self, node: ast.expr) -> ast.expr:
        """Return a string in place of the layer's weight or bias."""
        name = self.weight_or_bias(node)
        found: ast.expr = ast.Constant(f"{RAW}{name}") if name else self.visit(node)
        return found

    def within(self, node: ast.AST) -> Any:
        """Give up on a method with nested functions, which may act at any later time."""
        self.strange += 1
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return self.within(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return self.within(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self.within(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self.within(node) if self.depth else super().visit_FunctionDef(node)

    def weight_or_bias(self, node: ast.expr) -> str | None:
        mine = isinstance(node, ast.Attribute) and node.attr in ("weight", "bias")
        return node.attr if mine and self.rooted(node) and node.value.id == self.me else None  # type: ignore[attr-defined]

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        name = self.weight_or_bias(node.value) if node.attr in DESCRIBING else None
        if name is not None:
            node.value = _statement(f"{RAW}({self.me}, {name!r})").value  # type: ignore[attr-defined]
            return node
        if self.weight_or_bias(node) is not None:
            self.strange += 1
        return self.generic_visit(node)


def _statement(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


def _looked_up(function: ast.expr) -> ast.expr:
    """Return an expression for a callable that gives None if the attribute does not exist yet."""
    if not isinstance(function, ast.Attribute):
        return ast.Name(function.id, ast.Load())  # type: ignore[attr-defined]
    look: Any = _statement("getattr(0, '', None)").value  # type: ignore[attr-defined]
    look.args[:2] = [_looked_up(function.value), ast.Constant(function.attr)]
    return look  # type: ignore[no-any-return]
