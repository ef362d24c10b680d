"""Watching torch at work: every call becomes a step, every tensor a kept value."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.lens.names import EXPANDED, QUESTIONS, READS, TENSOR_ATTRIBUTES, op_name
from convlens.lens.steps import (
    Call,
    Failure,
    Recording,
    Ref,
    Step,
    Value,
    replace_tensors,
    tensors_in,
    version_of,
)

_TORCH = os.path.dirname(torch.__file__) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# An alias looks at the latest values of its storage; older ones are covered by these.
_ALIAS_SOURCES = 64
# Stands for the tensors let go once the budget is passed.
_NOTHING = torch.empty(0)


@dataclass(slots=True)
class _OpenCall:
    """A module call that has not returned yet."""

    path: str
    type: str
    call: int
    parent: int
    first: int
    inputs: tuple[int, ...]
    last: int = 0
    outputs: tuple[int, ...] = ()


class _Guard(TorchDispatchMode):
    """Sees every operator: copies values before they are overwritten, catches uncovered ones."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: torch would import its compiler (2 s) to keep it away; `_eager_regions` does."""
        return False

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, recorder = kwargs or {}, self.recorder
        writes: list[Tensor] = []
        for i, name in _written_arguments(func):
            writes += tensors_in(args[i] if i < len(args) else kwargs.get(name))
        if recorder.depth == 0 or recorder.expanding:
            return recorder.run(func, args, kwargs, writes)
        for tensor in writes:
            recorder.before_write(tensor)
        return func(*args, **kwargs)


@functools.cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Position and name of the arguments an operator writes into, by its schema."""
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info and a.alias_info.is_write)


class Recorder(TorchFunctionMode):
    """Turns calls into steps. `depth` > 0 while inside a step or in our own bookkeeping."""

    def __init__(self, network: Any, budget: int) -> None:
        super().__init__()
        self.network, self.budget = network, budget
        self.depth, self.expanding = 0, ""
        self.nbytes, self.over_budget = 0, False
        self.thread = threading.get_ident()
        self.steps: list[Step] = []
        self.values: list[Value] = []
        # Where a copied value lay in its storage: offset and strides.
        self.lain: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.calls: list[_OpenCall] = []
        self.warnings: dict[str, None] = {}
        self.failed: tuple[int, str, str, tuple[str, int]] | None = None
        self.names: dict[Any, str] = {}
        self.aliases: dict[str, str] = {}
        self.call_counts: dict[str, int] = {}
        self.stack: list[int] = []
        # id(tensor) -> the tensor (kept alive, or its id would be reused), value, version
        self.identity: dict[int, tuple[Tensor, int, int]] = {}
        self.living: dict[int, list[int]] = {}  # storage -> values whose tensor lies in it
        self.history: dict[int, list[int]] = {}  # storage -> values that lay in it, before a write
        self.versions: dict[int, int] = {}  # storage -> how often it was written
        self.written: list[int] = []  # storages the running step wrote

    # Lifecycle

    def __enter__(self) -> Recorder:
        if isinstance(self.network, nn.Module):
            self._adopt(self.network, "")
        self.hooks = (
            register_module_forward_pre_hook(self._entering),
            register_module_forward_hook(self._leaving, always_call=True),
        )
        self.guard = _Guard(self)
        self.guard.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self.guard.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        for hook in self.hooks:
            hook.remove()
        # The two modes and the hooks point at each other: without this, every tensor kept would
        # outlive its recording until the next collection of garbage.
        del self.guard, self.hooks

    def recording(
        self, outputs: Any, output_ids: tuple[int, ...], exception: Exception | None
    ) -> Recording:
        """What was seen, as frozen values; called once the modes are off."""
        calls = tuple(
            Call(c.path, c.type, c.call, c.parent, c.first, c.last, c.inputs, c.outputs)
            for c in self.calls
        )
        failure = None
        if exception is not None:
            at = self.failed or (len(self.steps), *_raised_in(exception, self.names))
            failure = Failure(*at, exception)
        self.identity.clear()
        warnings = tuple(self.warnings)
        values = tuple(
            replace(value, tensor=value.tensor.detach()) if value.tensor.requires_grad else value
            for value in self.values
        )
        return Recording(
            tuple(self.steps), values, calls, outputs, output_ids, warnings, failure, self.aliases
        )

    def known(self, tree: Any) -> tuple[int, ...]:
        """The value ids of the tensors in `tree` that were recorded."""
        if isinstance(tree, Tensor):
            entry = self.identity.get(id(tree))
            return () if entry is None else (entry[1],)
        tensors = tensors_in(tree)
        return tuple(self.identity[id(t)][1] for t in tensors if id(t) in self.identity)

    def returned(self, tree: Any) -> tuple[int, ...]:
        """The value ids of the tensors in `tree` as they are now, kept if they were not yet."""
        self.depth += 1
        try:
            return tuple(self._ref(t, t.untyped_storage()._cdata) for t in tensors_in(tree))
        finally:
            self.depth -= 1

    # Module calls

    def _adopt(self, network: nn.Module, root: str) -> None:
        """Name a network's modules, and keep their parameters and buffers."""
        for below, module in _modules(network):
            path = f"{root}.{below}" if root and below else root or below
            if module in self.names:
                self.aliases[path] = self.names[module]
                continue
            self.names[module] = path
            ahead = f"{path}." if path else ""
            for kind, own in (("parameter", module._parameters), ("buffer", module._buffers)):
                for name, tensor in own.items():
                    if tensor is not None:
                        self.leaf(tensor, kind, ahead + name)

    def _new_path(self, module: nn.Module) -> str:
        """A path for a module that is no part of the network, as a function's are not."""
        above = self.stack and self.calls[self.stack[-1]].path
        plain = path = (
            f"{above}.<{type(module).__name__}>" if above else f"<{type(module).__name__}>"
        )
        nth, taken = 1, set(self.names.values())
        while path in taken:
            nth += 1
            path = f"{plain}~{nth}"
        return path

    def _entering(self, module: nn.Module, args: Any) -> None:
        if self.depth or threading.get_ident() != self.thread:
            return
        parent = self.stack[-1] if self.stack else -1
        if module not in self.names:
            self._adopt(module, self._new_path(module))
        path = self.names[module]
        nth = self.call_counts[path] = self.call_counts.get(path, 0) + 1
        self.stack.append(len(self.calls))
        name = type(module).__name__
        inputs = self.known(args[0] if len(args) == 1 else args)
        self.calls.append(_OpenCall(path, name, nth, parent, len(self.steps), inputs))

    def _leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        if threading.get_ident() != self.thread or self.depth or not self.stack:
            return
        call = self.calls[self.stack[-1]]
        call.outputs = self.returned(out)
        call.last = len(self.steps)
        self.stack.pop()

    @property
    def _place(self) -> tuple[str, int]:
        if not self.stack:
            return ("", 1)
        call = self.calls[self.stack[-1]]
        return (call.path, call.call)

    # Values

    def leaf(self, tensor: Tensor, kind: str, name: str = "") -> int:
        """Keep a tensor no step made."""
        if id(tensor) in self.identity:
            return self.identity[id(tensor)][1]
        return self._keep(tensor, kind, name=name)

    def _keep(
        self,
        tensor: Tensor,
        kind: str,
        step: int = -1,
        slot: int = 0,
        name: str = "",
        shared: bool = False,
    ) -> int:
        storage = tensor.untyped_storage()
        key, id_ = storage._cdata, len(self.values)
        if kind == "computed" and not shared and key not in self.living:
            self._count(storage.nbytes())
        held = tensor.detach() if kind == "parameter" else tensor
        if self.over_budget and kind == "computed":
            held = _NOTHING
        else:
            self.identity[id(tensor)] = (tensor, id_, self.versions.get(key, 0))
            self.living.setdefault(key, []).append(id_)
        shape = tuple(tensor.shape)
        version = version_of(held) if kind != "computed" else 0
        self.values.append(Value(id_, kind, held, shape, tensor.dtype, step, slot, name, version))
        return id_

    def _count(self, nbytes: int) -> None:
        """Add to what is kept; past the budget let everything go, and go on only counting."""
        self.nbytes += nbytes
        if self.nbytes > self.budget and not self.over_budget:
            self.over_budget = True
            self.values = [
                replace(value, tensor=_NOTHING) if value.kind == "computed" else value
                for value in self.values
            ]
            self.identity = {
                key: entry
                for key, entry in self.identity.items()
                if self.values[entry[1]].kind != "computed"
            }

    def _lay(self, id_: int) -> tuple[int, tuple[int, ...]]:
        """Offset and strides of a value in its storage; of a copied one, those it had before."""
        tensor = self.values[id_].tensor
        return self.lain.get(id_) or (int(tensor.storage_offset()), tensor.stride())

    def _ref(self, tensor: Tensor, key: int) -> int:
        """The value a tensor is now; `key` is its storage."""
        entry = self.identity.get(id(tensor))
        if entry is None:
            if self.over_budget:
                return 0
            if key in self.living:
                return self._alias(tensor, key)
            return self._keep(tensor, "constant")
        if entry[2] != self.versions.get(key, 0):
            return self._alias(tensor, key)
        return entry[1]

    def _alias(self, tensor: Tensor, key: int) -> int:
        """A tensor whose storage was changed through another: a step that says by whom."""
        lain = [*self.history.get(key, ()), *self.living.get(key, ())]
        sources = tuple((Ref(i), *self._lay(i)) for i in lain[-_ALIAS_SOURCES:])
        index = len(self.steps)
        made = self._keep(tensor, "computed", index)
        self.steps.append(
            Step(
                index,
                "alias",
                torch.Tensor.as_strided,
                sources,
                {"offset": tensor.storage_offset(), "strides": tensor.stride()},
                tuple(ref.id for ref, _, _ in sources),
                (made,),
                *self._place,
                ("", 0),
                0.0,
                "the same memory, written through another view",
            )
        )
        return made

    def before_write(self, tensor: Tensor) -> None:
        """Copy every recorded value that lies in the storage about to be written."""
        key = tensor.untyped_storage()._cdata
        living = self.living.get(key, ())
        if living:
            self.depth, expanding = self.depth + 1, self.expanding
            self.expanding = ""
            for id_ in living:
                value = self.values[id_]
                if value.tensor is not _NOTHING:
                    self.lain[id_] = self._lay(id_)
                    copy = value.tensor.detach().clone()
                    self.values[id_] = replace(value, tensor=copy, version=0)
                    self._count(copy.untyped_storage().nbytes())
            self.history.setdefault(key, []).extend(living)
            self.living[key] = []
            self.depth, self.expanding = self.depth - 1, expanding
        elif self.over_budget:  # the copy that would have been made
            self._count(tensor.untyped_storage().nbytes())
        self.versions[key] = self.versions.get(key, 0) + 1
        self.written.append(key)

    # Steps

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.depth:
            return func(*args, **kwargs)
        if torch._C._functorch.peek_interpreter_stack() is not None:
            return func(*args, **kwargs)  # inside vmap: the guard sees the plain tensors beneath
        name = op_name(func)
        if name in QUESTIONS or (name.startswith("get_") and name not in TENSOR_ATTRIBUTES):
            self.depth += 1
            try:
                return func(*args, **kwargs)
            finally:
                self.depth -= 1
        if name in EXPANDED:
            self.expanding = name
            if name == "multi_head_attention_forward" and torch.backends.mha.get_fastpath_enabled():
                self.warnings[
                    "attention is recorded by its separate steps; the plain forward may take "
                    "torch's fused path, whose last bits differ"
                ] = None
            try:
                return func(*args, **kwargs)
            finally:
                self.expanding = ""
        return self.run(func, args, kwargs)

    def run(self, func: Any, args: Any, kwargs: Any, writes: list[Tensor] | None = None) -> Any:
        """Call `func` and add the step it is."""
        if threading.get_ident() != self.thread:
            return func(*args, **kwargs)
        self.depth, expanding = self.depth + 1, self.expanding
        self.expanding = ""
        outer, self.written = self.written, []
        try:
            return self._step(func, args, kwargs, writes or (), expanding)
        finally:
            self.written = outer + self.written
            self.expanding = expanding
            self.depth -= 1

    def _step(self, func: Any, args: Any, kwargs: Any, writes: Any, expanding: str) -> Any:
        name = op_name(func)
        given: list[Tensor] = []
        storages: list[int] = []
        inputs: list[int] = []

        def refer(tensor: Tensor) -> Ref:
            given.append(tensor)
            storages.append(tensor.untyped_storage()._cdata)
            inputs.append(self._ref(tensor, storages[-1]))
            return Ref(inputs[-1])

        kept_args, kept_kwargs = replace_tensors((args, kwargs), refer)
        for tensor in writes:
            self.before_write(tensor)
        normalizing = name.endswith(("batch_norm", "instance_norm"))
        if normalizing:
            for tensor in _unannounced_writes(name, args, kwargs):
                self.before_write(tensor)
        started = time.perf_counter()
        try:
            out = func(*args, **kwargs)
        except Exception:
            if self.failed is None:
                self.failed = (len(self.steps), self._place[0], name, _site())
            raise
        seconds = time.perf_counter() - started
        if normalizing:
            self.written.clear()  # running statistics are a side effect, not an output
        made = self._made(args, kwargs, given, storages, tensors_in(out))
        if not made and not (name in READS and given):
            return out
        index = len(self.steps)
        outputs = tuple(
            self._keep(t, "computed", index, slot, shared=t.untyped_storage()._cdata in storages)
            for slot, t in enumerate(made)
        )
        source = _site()
        note = f"inside {expanding}" if expanding else ""
        if not outputs:
            note = "reads numbers out of torch"
            if name in ("numpy", "__array__", "tolist"):
                self.warnings[
                    f"`{name}` at {source[0]}:{source[1]} takes numbers out of torch; "
                    "what is computed from them there is not followed"
                ] = None
        self.steps.append(
            Step(
                index,
                name,
                func,
                kept_args,
                kept_kwargs,
                tuple(inputs),
                outputs,
                *self._place,
                source,
                seconds,
                note,
            )
        )
        return out

    def _made(
        self,
        args: Any,
        kwargs: Any,
        given: list[Tensor],
        storages: list[int],
        outs: list[Tensor],
    ) -> list[Tensor]:
        """The tensors a call made or changed, what it wrote into first."""
        given_ids = {id(t) for t in given}
        if not self.written:
            return [t for t in outs if id(t) not in given_ids]
        written = set(self.written)
        changed = [t for t, key in zip(given, storages, strict=True) if key in written]
        target = [t for t in changed if (args and t is args[0]) or t is kwargs.get("out")]
        changed = target or changed
        changed_ids = {id(t) for t in changed}
        fresh = [t for t in outs if id(t) not in given_ids or id(t) in changed_ids]
        return list({id(t): t for t in changed + fresh}.values())


def _modules(
    module: nn.Module, path: str = "", above: tuple[nn.Module, ...] = ()
) -> Iterator[tuple[str, nn.Module]]:
    """Every path of every module; one that holds a module it lies in ends there."""
    yield path, module
    for name, child in module._modules.items():
        if child is not None and all(child is not each for each in (*above, module)):
            yield from _modules(child, f"{path}.{name}" if path else name, (*above, module))


def _unannounced_writes(name: str, args: Any, kwargs: Any) -> list[Tensor]:
    """The running statistics a normalization in training writes without saying so."""
    default = args[5] if len(args) > 5 else "instance" in name
    if not kwargs.get("training", kwargs.get("use_input_stats", default)):
        return []
    statistics = (args[1:5], kwargs.get("running_mean"), kwargs.get("running_var"))
    return [t for t in tensors_in(statistics) if not isinstance(t, nn.Parameter)]


@functools.cache
def _belongs(file: str) -> str:
    """Whose code a file is: torch's, the lens's, or the network's own."""
    if file.startswith((_TORCH, "<")):
        return "torch"
    return "lens" if file.startswith(_HERE) else "network"


def _site() -> tuple[str, int]:
    """File and line of the network's own code: the first frame outside torch and the lens."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        place = _belongs(frame.f_code.co_filename)
        if place == "lens" and frame.f_code.co_name == "record":
            break  # what lies above called the recording, not the network
        if place == "network":
            return (frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ("", 0)


def _raised_in(exception: Exception, names: dict[Any, str]) -> tuple[str, str, tuple[str, int]]:
    """Module path, "" and line of an error raised outside any call of torch."""
    module, source = "", ("", 0)
    trace = exception.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        file = frame.f_code.co_filename
        if _belongs(file) == "network":
            source = (file, trace.tb_lineno)
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module):
                module = names.get(owner, module)
        trace = trace.tb_next
    return module, "", source
