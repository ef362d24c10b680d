"""Flatten the records in the source of kernel functions into numbers: `a.rows` to `a_rows`.

A parameter that is a record becomes one parameter for each of its numbers, and so does a record
argument. Fixed numbers become names of constants. `shape = a.shape` emits no instruction; it only
names a record. A call may construct a record as an argument. A record `InMemory` stays one
parameter, its address, and `a.rows` becomes `word(a, 3)`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Callable, Collection, Iterable, Mapping
from types import FunctionType
from typing import Any, get_type_hints

from convlens.compute.kernels.language import words
from convlens.compute.kernels.records import in_memory, leaves, record_type

__all__ = ["constants_in", "parameters", "reached", "record_of", "source"]

Function = Callable[..., Any]


@functools.cache
def _annotated(function: Function) -> Mapping[str, type | None]:
    """Return a function's parameters by name, with the types of those that are records."""
    names = inspect.unwrap(function).__globals__
    found: dict[str, type | None] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind = parameter.annotation
        kind = names.get(kind) if isinstance(kind, str) else kind
        found[name] = kind if record_type(kind) else None
    return found


@functools.cache
def record_of(function: Function) -> tuple[str, type] | None:
    """Return the name and type of a function's last parameter if it is a record, or None."""
    found = list(_annotated(function).items())
    name, kind = found[-1] if found else ("", None)
    return None if kind is None else (name, kind)


@functools.cache
def parameters(function: Function, constants: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the names of a function's flattened parameters, without those in `constants`."""
    found: list[str] = []
    for name, kind in _annotated(function).items():
        found += [name] if kind is None else _flat(name, kind, fixed=False)
    return tuple(name for name in found if name not in constants)


def _flat(prefix: str, kind: type, *, fixed: bool) -> list[str]:
    """Return the flattened names of a record's numbers; with `fixed`, also of its constants."""
    if in_memory(kind):
        return [prefix]
    return [
        constant or f"{prefix}_{path.replace('.', '_')}"
        for path, constant in leaves(kind)
        if fixed or constant is None
    ]


@functools.cache
def _read(function: Function) -> Mapping[str, Any]:
    """Return the kernel functions and integers that a function reads from its module, by name.

    An attribute with the same name counts, too; the kernel then contains a function it never uses.
    """
    plain = inspect.unwrap(function)
    found = {name: plain.__globals__.get(name) for name in plain.__code__.co_names}
    return {name: value for name, value in found.items() if type(value) is int or _own(value)}


def _own(value: Any) -> bool:
    """Return whether this is a function with its own source, not a word nor a generated one."""
    return (
        isinstance(value, FunctionType)
        and value.__module__ != words.__name__
        and not hasattr(value, "__wrapped__")
    )


def reached(functions: Iterable[Function], written: Collection[str]) -> dict[str, Function]:
    """Return these functions and all that they call, by name, each after those that it calls.

    Those named in `written` are left out. Raises NotImplementedError for two functions of the same
    name.
    """
    found: dict[str, Function] = {}

    def visit(function: Function) -> None:
        name = function.__name__
        if found.get(name) is function or name in written:
            return
        for other in _read(function).values():
            if _own(other):
                visit(other)
        if found.setdefault(name, function) is not function:
            raise NotImplementedError(f"a kernel has two functions called {name}; rename one")

    for function in functions:
        visit(function)
    return found


def constants_in(functions: Iterable[Function], known: Mapping[str, int]) -> dict[str, int]:
    """Return the integers that functions read from their modules and that are not `known`.

    Raises NotImplementedError for two of the same name that differ.
    """
    found: dict[str, int] = {}
    for function in functions:
        for name, value in _read(function).items():
            if type(value) is int and name not in known and found.setdefault(name, value) != value:
                raise NotImplementedError(f"a kernel has two constants called {name}; rename one")
    return found


@functools.cache
def _texts(path: str) -> Mapping[int, str]:
    """Return the functions of a file by first line, much faster than `inspect.getsource`."""
    lines = linecache.getlines(path)
    found = {}
    for node in ast.parse("".join(lines)).body:
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
            found[first] = "".join(lines[first - 1 : node.end_lineno])
    return found


@functools.cache
def source(function: Function, constants: tuple[str, ...] = ()) -> str:
    """Return a function's source, flattened and without types; `constants` are not parameters.

    Raises NotImplementedError for a record used as a number and for a variable named like a
    flattened parameter, TypeError for a record passed as another type.
    """
    taken = {*function.__code__.co_varnames} & {*parameters(function)} - {*_annotated(function)}
    if taken:
        name = function.__name__
        raise NotImplementedError(f"{name} has variables named as parts of a record: {taken}")
    code = function.__code__
    node = ast.parse(_texts(code.co_filename)[code.co_firstlineno]).body[0]
    assert isinstance(node, ast.FunctionDef)
    node.returns = None
    node.args.args = [ast.arg(name) for name in parameters(function, constants)]
    if any(_annotated(function).values()):
        _Flattener(function).visit(node)
    return ast.unparse(node)


class _Flattener(ast.NodeTransformer):
    """A transformer that replaces the records in one function."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.globals = inspect.unwrap(function).__globals__
        self.records: dict[str, tuple[str, type]] = {
            name: (name, kind) for name, kind in _annotated(function).items() if kind is not None
        }

    def refuse(self, node: ast.AST) -> NotImplementedError:
        """Return the error for an expression that has no meaning in kernels."""
        return NotImplementedError(
            f"`{ast.unparse(node)}` in {self.function.__name__} is not supported in kernels"
        )

    def record(self, node: ast.expr) -> tuple[str, type] | None:
        """Return the flattened name and type of a record that an expression denotes, or None."""
        match self.found(node):
            case name, type() as kind:
                return name, kind
        return None

    def found(self, node: ast.expr) -> tuple[str, type | None] | None:
        """Return the flattened name of a record and its type, or of its number and None."""
        match node:
            case ast.Name(name):
                return self.records.get(name)
            case ast.Attribute(whole, name):
                outer = self.record(whole)
                if outer is None or in_memory(outer[1]):
                    return None
                prefix, kind = outer
                for path, constant in leaves(kind):
                    if path == name:
                        return constant or f"{prefix}_{name}", None
                    if path.startswith(f"{name}."):
                        return f"{prefix}_{name}", get_type_hints(kind)[name]
        return None

    def read(self, node: ast.expr) -> ast.expr | None:
        """Return the call that reads a number of a record in memory; None for other expressions."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        name, kind = (self.record(node) if isinstance(node, ast.Name) else None) or ("", object)
        if not in_memory(kind) or not parts:
            return None
        paths = [leaf.path for leaf in leaves(kind)]
        if ".".join(parts) not in paths:
            return None
        place = ast.Constant(paths.index(".".join(parts)))
        return ast.Call(ast.Name("word", ast.Load()), [ast.Name(name, ast.Load()), place], [])

    def made(self, node: ast.expr) -> tuple[type, list[ast.expr]] | None:
        """Return the type and the numbers of a record that an expression constructs, or None."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return None
        kind = self.globals.get(node.func.id)
        if not record_type(kind):
            return None
        given = {one.arg: one.value for one in node.keywords}
        paths = [leaf.path for leaf in leaves(kind)]
        if node.args or set(given) != set(paths) or in_memory(kind):
            raise self.refuse(node)
        return kind, [given[path] for path in paths]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace a number of a record by its flattened name."""
        read = self.read(node)
        if read is not None:
            return read
        found = self.found(node)
        if found is None or found[1] is not None:
            raise self.refuse(node)
        return ast.Name(found[0], ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the name itself; refuse that of a record."""
        if node.id in self.records:
            raise self.refuse(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | None:
        """Remove an assignment that names a record, and remember it; keep any other."""
        names: list[ast.expr] = node.targets[:1]
        values = [node.value]
        if isinstance(names[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            names, values = names[0].elts, node.value.elts
        found = [self.record(value) for value in values]
        if not any(found):
            self.generic_visit(node)
            return node
        for name, one in zip(names, found, strict=True):
            if not isinstance(name, ast.Name) or name.id in self.records or one is None:
                raise self.refuse(node)
            self.records[name.id] = one
        return None

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Replace the record arguments of a call by their numbers."""
        self.check(node)
        arguments: list[ast.expr] = []
        for argument in node.args:
            found, made = self.record(argument), self.made(argument)
            if made is not None:
                arguments += [self.visit(number) for number in made[1]]
            elif found is None:
                arguments.append(self.visit(argument))
            else:
                arguments += [ast.Name(n, ast.Load()) for n in _flat(*found, fixed=False)]
        node.args = arguments
        return node

    def kind(self, argument: ast.expr) -> type | None:
        """Return the type of a record argument, or None."""
        found, made = self.record(argument), self.made(argument)
        return found[1] if found else made[0] if made else None

    def check(self, node: ast.Call) -> None:
        """Raise TypeError unless a call passes the records that the called function takes."""
        called = self.globals.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if not isinstance(called, FunctionType) or called.__module__ == words.__name__:
            return
        wanted = list(_annotated(called).values())
        given = [self.kind(argument) for argument in node.args]
        if wanted != given:
            raise TypeError(
                f"`{ast.unparse(node)}` in {self.function.__name__} does not fit the parameters of "
                f"{called.__name__}"
            )
