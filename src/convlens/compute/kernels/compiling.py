"""The text of a kernel, compiled once a machine: in memory, and in a folder of the user's cache."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import textwrap
import threading
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlens.compute.kernels.machine import machine

__all__ = ["Kernel", "address", "at_hand", "cache_folder", "write_beside"]

HEAD = 5
"""The words of an argument block that `launching` fills in, before those of the kernel."""

_compiled: dict[Kernel, Any] = {}
_lock = threading.RLock()

# A fork while another thread compiles would leave the compiler locked in the child for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


@dataclass(frozen=True)
class Kernel:
    """What one thread does with one task after another.

    `drive(task, scratch, ...)` is written in `words` and does task number `task`, with `scratch`,
    the address of memory of the thread's own; its further parameters are integers or addresses.
    It may call the functions in `uses`, those in the text `blocks`, and read `constants`.
    """

    name: str
    dtype: str
    drive: Callable[..., None]
    uses: tuple[Callable[..., Any], ...] = ()
    blocks: str = ""
    constants: tuple[tuple[str, int], ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of what `drive` takes beside the task and the scratch memory."""
        return tuple(inspect.signature(self.drive).parameters)[2:]

    def text(self) -> str:
        """Return the module in which the kernel is compiled."""
        here = machine()
        made = f"vocabulary({self.dtype!r}, {here.vector}, {here.fused})"
        lines = [
            f'"""{self.name}, {self.dtype}, for {here.name}."""',
            "import numba",
            "from convlens.compute.kernels.emitting import vocabulary",
            "compiled = numba.njit(boundscheck=False, error_model='numpy')",
            f"globals().update({made})",
            *(f"{name} = {value}" for name, value in self.constants),
            self.blocks,
            *(f"@compiled\n{_source(function)}" for function in (*self.uses, self.drive)),
            "@numba.cfunc('void(intp)', cache=True, boundscheck=False, error_model='numpy')",
            "def run(block):",
            "    scratch = word(block, 3) + take(block + 16) * word(block, 4)",
            *(f"    {name} = word(block, {HEAD + i})" for i, name in enumerate(self.parameters)),
            "    task = take(block)",
            "    while task < word(block, 1):",
            f"        {self.drive.__name__}(task, scratch, {', '.join(self.parameters)})",
            "        task = take(block)",
        ]
        return "\n".join(lines) + "\n"


def address(kernel: Kernel) -> int:
    """Return where the compiled kernel starts, after compiling it if need be: 1 to 4 seconds."""
    found = _compiled.get(kernel)
    if found is None:
        with _lock:
            found = _compiled.get(kernel) or _compile(kernel)
            _compiled[kernel] = found
    return int(found.address)


def at_hand(kernel: Kernel) -> bool:
    """Tell whether `address` answers in some milliseconds: compiled before, here or on disk."""
    if kernel in _compiled:
        return True
    folder = cache_folder()
    return folder is not None and any(_file(folder, kernel).parent.glob("__pycache__/*.nbi"))


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder of ours in the user's cache, or None where it cannot be written.

    It holds compiled kernels and measurements; deleting it costs only their time.
    """
    if sys.platform == "win32":
        above = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        above = os.path.expanduser("~/Library/Caches")
    else:
        above = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(above) / "convlens"
    if not folder.is_absolute():
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def write_beside(path: Path, text: str) -> None:
    """Write a file of the cache whole or not at all; an unwritable or full disk loses it only."""
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_text(text)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)


def _file(folder: Path, kernel: Kernel) -> Path:
    digest = hashlib.sha256((kernel.text() + _versions()).encode()).hexdigest()[:16]
    return folder / "kernels" / f"{kernel.name}-{digest}" / "kernel.py"


@functools.cache
def _versions() -> str:
    """Return what compiled code depends on beside its text."""
    import llvmlite
    import numba

    words = Path(__file__).with_name("emitting.py").read_text()
    return f"{numba.__version__} {llvmlite.__version__} {sys.version} {words}"


def _compile(kernel: Kernel) -> Any:
    """Import the kernel's module from the cache, or where that fails, from a folder that passes."""
    folder = cache_folder()
    if folder is not None:
        path = _file(folder, kernel)
        try:
            return _import(path, kernel)
        except Exception:  # whatever a damaged or full cache raises, the kernel is right without
            _forget(path.parent)
    with tempfile.TemporaryDirectory(prefix="convlens-") as passing:
        return _import(Path(passing) / kernel.name / "kernel.py", kernel)


def _import(path: Path, kernel: Kernel) -> Any:
    text = kernel.text()
    if not path.exists() or path.read_text(errors="replace") != text:
        _forget(path.parent)
        write_beside(path, text)
    name = f"convlens_kernel_{path.parent.name.replace('-', '_')}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"no module at {path}")
    module = importlib.util.module_from_spec(specification)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a cache that cannot be written
        sys.modules[name] = module  # Numba finds its globals again by this name
        specification.loader.exec_module(module)
    return module.run


def _forget(folder: Path) -> None:
    """Remove what the cache holds of one kernel."""
    for path in sorted(folder.glob("**/*"), reverse=True):
        try:
            path.rmdir() if path.is_dir() else path.unlink()
        except OSError:
            return


@functools.cache
def _source(function: Callable[..., Any]) -> str:
    """Return a function's text without its types, which are Python's and not the compiler's."""
    import ast

    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    return ast.unparse(tree)
