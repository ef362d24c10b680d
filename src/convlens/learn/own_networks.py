"""Build a user's own network, named by its package or its file."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torch import nn

from convlens.files import expanded
from convlens.zoo import NETWORKS
from convlens.zoo.weights.sniffing import in_place_of_a_network

__all__ = ["own_network", "unknown_network"]

_SPELLINGS = "a network of the zoo, package.module:callable or path/file.py:callable"


def unknown_network(spec: str) -> str:
    """Return the error for a name that is neither in the zoo nor the place of a callable.

    >>> unknown_network("digit").rpartition("; ")[2]
    "did you mean 'digits'?"
    """
    if spec.endswith(".py"):
        return f"`network` (={spec!r}) must say which callable of the file; write {spec}:NAME"
    near = difflib.get_close_matches(spec, NETWORKS, n=1)
    cure = f"did you mean {near[0]!r}?" if near else "convlens.list_models() lists the zoo's"
    cure = in_place_of_a_network(spec) or cure
    return f"`network` (={spec!r}) must be {_SPELLINGS}; {cure}"


def own_network(spec: str) -> nn.Module:
    """Return the network `spec` names: `package.module:callable` or `path/file.py:callable`.

    Raises ValueError or TypeError if it cannot be found or built, or is not a Module.

    >>> type(own_network("convlens.zoo.small:digits")).__name__
    'Digits'
    """
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise ValueError(f"`network` (={spec!r}) must be {_SPELLINGS}; write both sides of the :")
    # While its code runs, it can import its neighbours in the file's or the working folder.
    is_file = place.endswith(".py")
    folder = expanded(place).resolve().parent if is_file else Path.cwd()
    with _importing_from(folder):
        module = _from_file(expanded(place), spec) if is_file else _from_package(place, spec)
        return _built(_found(module, name, spec), name, spec)


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
    # The digest keeps a file that is called like an installed module from replacing it.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"{path.stem}_{digest}"
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


def _built(made: object, name: str, spec: str) -> nn.Module:
    if isinstance(made, nn.Module):
        return made
    if not callable(made):
        raise TypeError(
            f"`network` (={spec!r}) must be a torch.nn.Module or a callable that returns one, and "
            f"{name} is of type {type(made).__name__}; name another"
        )
    _check_no_arguments(made, name, spec)
    try:
        network = made()
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(spec, f"{name}()", error)) from error
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"`network` (={spec!r}) must return a torch.nn.Module, and {name}() returned "
            f"{type(network).__name__}; return the network itself"
        )
    return network


def _check_no_arguments(made: object, name: str, spec: str) -> None:
    try:
        signature = inspect.signature(made)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return  # Some callables written in C have no signature; calling them will fail.
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in open_ended
    ]
    if wanted:
        raise TypeError(
            f"`network` (={spec!r}) must be callable without arguments, and {name} wants "
            f"{', '.join(wanted)}; give them defaults or name a function that calls it"
        )


def _failed(spec: str, what: str, error: BaseException) -> str:
    said = (str(error) or "no message").strip().splitlines()[0]
    return (
        f"`network` (={spec!r}) could not be opened: {what} raised {type(error).__name__}: {said}"
    )
