"""Build a user's own network, named by its package or its file."""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import nn

from convlens.files import expanded
from convlens.zoo import NETWORKS
from convlens.zoo.weights.sniffing import in_place_of_a_network

__all__ = ["own_network", "siblings", "unknown_network"]

_SPELLINGS = "a network of the zoo, package.module:callable or path/file.py:callable"

_CALL = re.compile(r"(?P<place>.+?):(?P<name>[^\W\d]\w*)(?P<call>\(.*\))", re.DOTALL)
"""A spelling whose callable is called with arguments: `path/file.py:Net(width=8)`."""


@dataclass(frozen=True)
class _Spelling:
    """A spelling in its parts; a file alone has no `name`, and `arguments` are None without ()."""

    place: str
    name: str
    arguments: tuple[list[object], dict[str, object]] | None = None


def unknown_network(spec: str) -> str:
    """Return the error for a name that is neither in the zoo nor the place of a callable.

    >>> unknown_network("digit").rpartition("; ")[2]
    "did you mean 'digits'?"
    """
    near = difflib.get_close_matches(spec, NETWORKS, n=1)
    cure = f"did you mean {near[0]!r}?" if near else "convlens.list_models() lists the zoo's"
    cure = in_place_of_a_network(spec) or cure
    return f"`network` (={spec!r}) must be {_SPELLINGS}; {cure}"


def own_network(spec: str) -> nn.Module:
    """Return the network `spec` names: `package.module:callable` or `path/file.py:callable`.

    Arguments may follow the callable as literals: `path/file.py:Net(width=8)`. A file alone stands
    for the one callable in it that needs no arguments.

    Raises ValueError or TypeError if it cannot be found or built, or is not a Module.

    >>> type(own_network("convlens.zoo.small:digits")).__name__
    'Digits'
    >>> own_network("torch.nn:Conv2d(1, 4, kernel_size=3)")
    Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
    """
    spelling = _spelling(spec)
    place = spelling.place
    # While its code runs, it can import its neighbours in the file's or the working folder.
    is_file = place.endswith(".py")
    folder = expanded(place).resolve().parent if is_file else Path.cwd()
    with _importing_from(folder):
        module = _from_file(expanded(place), spec) if is_file else _from_package(place, spec)
        name = spelling.name or _only_callable(module, spec)
        return _built(_found(module, name, spec), name, spelling.arguments, spec)


def _spelling(spec: str) -> _Spelling:
    called = _CALL.fullmatch(spec)
    if called:
        return _Spelling(called["place"], called["name"], _literals(called["call"], spec))
    if spec.endswith(".py"):
        return _Spelling(spec, "")
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise ValueError(f"`network` (={spec!r}) must be {_SPELLINGS}; write both sides of the :")
    return _Spelling(place, name)


def _literals(call: str, spec: str) -> tuple[list[object], dict[str, object]]:
    """Return the arguments of a call, each a literal of Python; nothing in it is run."""
    try:
        tree = ast.parse(f"_{call}", mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError(call)
        named = {part.arg or "": ast.literal_eval(part.value) for part in tree.keywords}
        given = [ast.literal_eval(part) for part in tree.args]
        if "" in named:  # **more
            raise ValueError(call)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(
            f"`network` (={spec!r}) must give its arguments as literals, and {call} has something "
            "else; write numbers, texts, True, None, lists, as in (width=8, name='a')"
        ) from error
    return given, named


def _only_callable(module: ModuleType, spec: str) -> str:
    """Return the name of the one thing in a file that can be opened without arguments."""
    own = [name for name, thing in vars(module).items() if _is_own(name, thing, module)]
    ready = [name for name in own if not _wanted(vars(module)[name])]
    if len(ready) == 1:
        return ready[0]
    if ready:
        cure = f"it has {', '.join(ready)}; write {spec}:{ready[-1]}"
    elif own:
        cure = f"{own[-1]} wants arguments; write {spec}:{own[-1]}(...)"
    else:
        cure = "it has none; define a function that returns the network"
    raise ValueError(f"`network` (={spec!r}) must say which callable of the file; {cure}")


def siblings(spec: str) -> tuple[str, ...]:
    """Return the networks that stand in the file of an opened one, as specs; () for other places.

    >>> siblings("convlens.zoo.small:digits")
    ()
    """
    place = _spelling(spec).place if ".py" in spec else ""
    module = sys.modules.get(_module_name(expanded(place))) if place.endswith(".py") else None
    if module is None:
        return ()
    own = [name for name, thing in vars(module).items() if _is_own(name, thing, module)]
    return tuple(f"{place}:{name}" for name in own if not _wanted(vars(module)[name]))


def _is_own(name: str, thing: object, module: ModuleType) -> bool:
    """Return whether something was made in a file, to be opened: a network or a callable."""
    if name.startswith("_"):
        return False
    here = getattr(thing, "__module__", "") == module.__name__
    return isinstance(thing, nn.Module) or (here and callable(thing))


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _from_file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"`network` (={spec!r}) must name an existing file; there is no {path}")
    name = _module_name(path)
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ValueError(f"`network` (={spec!r}) must name a Python file, and {path} is not one")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(_failed(spec, f"running {path.name}", error)) from error
    return module


def _module_name(path: Path) -> str:
    """Return the name of a file's module, whose digest keeps it apart from installed ones."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    return f"{path.stem}_{digest}"


def _from_package(place: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise ValueError(_failed(spec, f"importing {place}", error)) from error
        raise ValueError(
            f"`network` (={spec!r}) must name a module Python can import, and there is no "
            f"{error.name}; install it, or write path/file.py:{spec.rpartition(':')[2]}"
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(spec, f"importing {place}", error)) from error


def _found(module: ModuleType, name: str, spec: str) -> object:
    if hasattr(module, name):
        return getattr(module, name)
    public = [other for other, value in vars(module).items() if callable(value)]
    near = difflib.get_close_matches(name, public, n=1)
    own = [o for o in public if getattr(vars(module)[o], "__module__", "") == module.__name__]
    cure = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(own) or 'no callable'}"
    raise ValueError(f"`network` (={spec!r}) must name a callable of the module; {cure}")


def _built(
    made: object, name: str, arguments: tuple[list[object], dict[str, object]] | None, spec: str
) -> nn.Module:
    if isinstance(made, nn.Module):
        if arguments is not None:
            raise TypeError(
                f"`network` (={spec!r}) must have no arguments, as {name} is a network that is "
                "already built; leave them out"
            )
        return made
    if not callable(made):
        raise TypeError(
            f"`network` (={spec!r}) must be a torch.nn.Module or a callable that returns one, and "
            f"{name} is of type {type(made).__name__}; name another"
        )
    given, named = arguments or ([], {})
    _check_arguments(made, name, given, named, spec)
    try:
        network = made(*given, **named)
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(spec, f"{name}()", error)) from error
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"`network` (={spec!r}) must return a torch.nn.Module, and {name}() returned "
            f"{type(network).__name__}; return the network itself"
        )
    return network


def _check_arguments(
    made: object, name: str, given: list[object], named: dict[str, object], spec: str
) -> None:
    """Raise TypeError unless a callable takes these arguments."""
    wanted = _wanted(made)
    if wanted and not given and not named:
        raise TypeError(
            f"`network` (={spec!r}) must give the arguments that {name} wants: "
            f"{', '.join(wanted)}; write {name}({', '.join(f'{one}=...' for one in wanted)}), "
            "or give them defaults"
        )
    signature = _signature(made)
    if signature is None:
        return
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        raise TypeError(
            f"`network` (={spec!r}) must give arguments that {name}{signature} takes ({error}); "
            "change them"
        ) from error


def _signature(made: object) -> inspect.Signature | None:
    """Return the signature of a callable; some that are written in C have none."""
    try:
        return inspect.signature(made)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _wanted(made: object) -> list[str]:
    """Return the arguments that a callable cannot be called without; a network wants none."""
    signature = None if isinstance(made, nn.Module) else _signature(made)
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in (signature.parameters.values() if signature else ())
        if parameter.default is parameter.empty and parameter.kind not in open_ended
    ]


def _failed(spec: str, what: str, error: BaseException) -> str:
    said = (str(error) or "no message").strip().splitlines()[0]
    return (
        f"`network` (={spec!r}) could not be opened: {what} raised {type(error).__name__}: {said}"
    )
