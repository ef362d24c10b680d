"""Compile kernels once per machine, and keep them in memory and in the user's cache."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlens.compute.kernels.language import flattening
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import fixed
from convlens.files import cache_folder, write_cached

__all__ = ["Kernel", "address", "at_hand", "fixed_in"]

HEAD = 6
"""The words of an argument block that `launching` fills in, before the kernel's own."""

DIGEST = hashlib.sha256().digest_size
"""The number of bytes of a digest."""

_compiled: dict[Kernel, Any] = {}
"""The LLVM engines, one for each kernel."""

_lock = threading.RLock()

# A fork while another thread compiles would leave the compiler locked in the child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


@dataclass(frozen=True)
class Kernel:
    """A program that a thread runs for one task after another.

    `drive(task, scratch, ...)` is written in `words` and computes one task. `scratch` is the
    address of memory that belongs to the thread. Further parameters are integers or addresses; the
    last may be a record. It may call functions of the source `blocks` and other functions, which
    are found by name; `uses` are those that only `blocks` calls. Integers of their modules are also
    found by name, unless `constants` has them.
    """

    name: str
    dtype: str
    drive: Callable[..., None]
    uses: tuple[Callable[..., Any], ...] = ()
    blocks: str = ""
    constants: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        dtype: str,
        drive: Callable[..., None],
        record: object,
        *,
        uses: tuple[Callable[..., Any], ...] = (),
        blocks: str = "",
    ) -> Kernel:
        """Return the kernel for a record, whose fixed numbers become the constants.

        Raises TypeError unless the record has the type that `drive` takes.
        """
        return cls(name, dtype, drive, uses, blocks, fixed_in(drive, record))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters of `drive` after the task and the scratch memory.

        A record is flattened, without its fixed numbers.
        """
        return flattening.parameters(self.drive, self._names)[2:]

    @property
    def _names(self) -> tuple[str, ...]:
        """The names of the constants."""
        return tuple(name for name, _ in self.constants)

    def text(self) -> str:
        """Return the source to compile: the functions of the kernel, and `run(block)`."""
        here, known = machine(), dict(self.constants)
        written = re.findall(r"^def (\w+)", self.blocks, re.MULTILINE)
        functions = flattening.reached((*self.uses, self.drive), written).values()
        known |= flattening.constants_in(functions, known)
        lines = [
            f"LANES = {here.lanes(self.dtype)}",
            f"WIDTH = {WIDTHS[self.dtype]}",
            *(f"{name} = {value}" for name, value in known.items()),
            self.blocks,
            *(flattening.source(one) for one in functions if one is not self.drive),
            flattening.source(self.drive, self._names),
            "def run(block):",
            "    scratch = word(block, 3) + take(block + 16) * word(block, 4)",
            *(f"    {name} = word(block, {HEAD + i})" for i, name in enumerate(self.parameters)),
            "    _size = word(block, 5)",
            "    _share = take(block) * _size",
            "    while _share < word(block, 1):",
            "        for task in range(_share, min(_share + _size, word(block, 1))):",
            f"            {self.drive.__name__}(task, scratch, {', '.join(self.parameters)})",
            "        _share = take(block) * _size",
        ]
        return "\n".join(lines) + "\n"


def fixed_in(drive: Callable[..., None], record: object) -> tuple[tuple[str, int], ...]:
    """Return the constants of a kernel for a record.

    Raises TypeError unless the record has the type that `drive` takes.
    """
    match flattening.record_of(drive):
        case name, kind if kind is type(record):
            return fixed(record, name)
    raise TypeError(f"{drive.__name__} of {drive.__module__} takes no {type(record).__name__}")


def address(kernel: Kernel) -> int:
    """Return the address of the compiled kernel; compile it first if needed, in up to a second."""
    found = _compiled.get(kernel)
    if found is None:
        with _lock:
            found = _compiled.get(kernel) or _load(_code(kernel))
            _compiled[kernel] = found
    return int(found.get_function_address("run"))


def at_hand(kernel: Kernel) -> bool:
    """Return whether a kernel has been compiled, in memory or on disk: `address` takes some ms."""
    if kernel in _compiled:
        return True
    folder = cache_folder()
    return folder is not None and _file(folder, kernel).exists()


def _code(kernel: Kernel) -> bytes:
    """Return the machine code of a kernel as an object file, from the cache or newly compiled.

    A file in the cache starts with the digest of the rest, so that a damaged one is not loaded.
    """
    folder = cache_folder()
    path = None if folder is None else _file(folder, kernel)
    if path is not None:
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        if content[:DIGEST] == hashlib.sha256(content[DIGEST:]).digest():
            return content[DIGEST:]
    made = _make(kernel)
    if path is not None:
        write_cached(path, hashlib.sha256(made).digest() + made)
    return made


def _file(folder: Path, kernel: Kernel) -> Path:
    described = f"{kernel.dtype} {kernel.text()} {_versions()} {machine()!r}"
    digest = hashlib.sha256(described.encode()).hexdigest()[:24]
    return folder / "kernels" / f"{kernel.name}-{digest}.o"


@functools.cache
def _versions() -> str:
    """Return what compiled code depends on besides its source."""
    import llvmlite

    here = Path(__file__)
    sources = [here.with_name(name).read_text() for name in ("emitting.py", "translating.py")]
    return f"{llvmlite.__version__} {_features()} {sources}"


@functools.cache
def _features() -> str:
    """Return the instruction set extensions of this machine, in LLVM's notation."""
    import llvmlite.binding as llvm

    return str(llvm.get_host_cpu_features().flatten())


def _target() -> Any:
    """Return LLVM's description of this machine as a target."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True, codemodel="jitdefault"
    )


def _make(kernel: Kernel) -> bytes:
    """Return the object file of a kernel, compiled by LLVM."""
    import llvmlite.binding as llvm

    from convlens.compute.kernels.language.emitting import vocabulary
    from convlens.compute.kernels.language.translating import translated

    here = machine()
    words = vocabulary(kernel.dtype, here.vector, here.fused)
    target = _target()
    module = llvm.parse_assembly(str(translated(kernel.text(), words)))
    module.verify()
    # Kernels are written in vectors, so LLVM need not vectorise loops.
    options = llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = options.slp_vectorization = False
    passes = llvm.create_pass_builder(target, options)
    passes.getModulePassManager().run(module, passes)
    return bytes(target.emit_object(module))


def _load(code: bytes) -> Any:
    """Return an LLVM engine with the code of an object file in executable memory."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine
