"""Watching torch at work: every call becomes a step, every tensor a kept value."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
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
)

_TORCH = os.path.dirname(torch.__file__) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# An alias looks at the latest values of its storage; older ones are covered by these.
_ALIAS_SOURCES = 64


@dataclass(slots=True)
class _Kept:
    """A value while the network still runs; its tensor is replaced by a copy before a write."""

    tensor: Tensor | None
    kind: str
    step: int
    slot: int
    name: str
    storage: int
    offset: int
    strides: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(slots=True)
class _OpenCall:
    """A module call that has not returned yet."""

    path: str
    type: str
    call: int
    parent: int
    first: int
    inputs: tuple[int, ...]
    last: int = -1
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
        if func._schema.is_mutable:
            for i, argument in enumerate(func._schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    tree = args[i] if i < len(args) else kwargs.get(argument.name)
                    writes += tensors_in(tree)
        if recorder.depth == 0 or recorder.expanding:
            return recorder.run(func, args, kwargs, writes)
        for tensor in writes:
            recorder.before_write(tensor)
        return func(*args, **kwargs)


class Recorder(TorchFunctionMode):
    """Turns calls into steps. `depth` > 0 while inside a step or in our own bookkeeping."""

    def __init__(self, network: Any, budget: int) -> None:
        super().__init__()
        self.network, self.budget = network, budget
        self.depth, self.expanding = 0, ""
        self.nbytes, self.over_budget = 0, False
        self.thread = threading.get_ident()
        self.steps: list[Step] = []
        self.kept: list[_Kept] = []
        self.calls: list[_OpenCall] = []
        self.warnings: dict[str, None] = {}
        self.failed: tuple[int, str, str, tuple[str, int]] | None = None
        self.names: dict[Any, str] = {}
        self.call_counts: dict[str, int] = {}
        self.stack: list[int] = []
        # id(tensor) -> the tensor (kept alive, or its id would be reused), value, version
        self.identity: dict[int, tuple[Tensor, int, int]] = {}
        self.living: dict[int, list[int]] = {}  # storage -> values whose tensor lies in it
        self.history: dict[int, list[int]] = {}  # storage -> every value that ever lay in it
        self.versions: dict[int, int] = {}  # storage -> how often it was written
        self.written: list[int] = []  # storages the running step wrote

    # Lifecycle

    def __enter__(self) -> Recorder:
        if isinstance(self.network, nn.Module):
            for name, module in self.network.named_modules():
                self.names[module] = name
            for name, parameter in self.network.named_parameters():
                self.leaf(parameter, "parameter", name)
            for name, buffer in self.network.named_buffers():
                self.leaf(buffer, "buffer", name)
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

    def recording(
        self, outputs: Any, output_ids: tuple[int, ...], exception: Exception | None
    ) -> Recording:
        """What was seen, as frozen values; called once the modes are off."""
        values = tuple(
            Value(i, k.kind, k.tensor.detach(), k.shape, k.dtype, k.step, k.slot, k.name)
            for i, k in enumerate(self.kept)
            if k.tensor is not None
        )
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
        return Recording(tuple(self.steps), values, calls, outputs, output_ids, warnings, failure)

    def known(self, tree: Any) -> tuple[int, ...]:
        """The value ids of the tensors in `tree` that were recorded."""
        tensors = tensors_in(tree)
        return tuple(self.identity[id(t)][1] for t in tensors if id(t) in self.identity)

    # Module calls

    def _entering(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() != self.thread or self.depth:
            return
        self.depth += 1
        parent = self.stack[-1] if self.stack else -1
        path = self.names.get(module)
        if path is None:
            above = self.calls[parent].path if parent >= 0 else ""
            path = f"{above}.<{type(module).__name__}>".lstrip(".")
        nth = self.call_counts[path] = self.call_counts.get(path, 0) + 1
        self.stack.append(len(self.calls))
        name = type(module).__name__
        inputs = self.known(args)
        self.calls.append(_OpenCall(path, name, nth, parent, len(self.steps), inputs))
        self.depth -= 1

    def _leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        if threading.get_ident() != self.thread or self.depth or not self.stack:
            return
        call = self.calls[self.stack.pop()]
        call.last, call.outputs = len(self.steps), self.known(out)

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
        key, id_ = storage._cdata, len(self.kept)
        if kind == "computed" and not shared and key not in self.living:
            self._count(storage.nbytes())
        held = None if self.over_budget and kind == "computed" else tensor
        self.kept.append(
            _Kept(
                held,
                kind,
                step,
                slot,
                name,
                key,
                int(tensor.storage_offset()),
                tensor.stride(),
                tuple(tensor.shape),
                tensor.dtype,
            )
        )
        if held is not None:
            self.identity[id(tensor)] = (tensor, id_, self.versions.get(key, 0))
            self.living.setdefault(key, []).append(id_)
            self.history.setdefault(key, []).append(id_)
        return id_

    def _count(self, nbytes: int) -> None:
        """Add to what is kept; past the budget let everything go, and go on only counting."""
        self.nbytes += nbytes
        if self.nbytes > self.budget and not self.over_budget:
            self.over_budget = True
            for kept in self.kept:
                if kept.kind == "computed":
                    kept.tensor = None
            self.identity = {
                key: entry
                for key, entry in self.identity.items()
                if self.kept[entry[1]].tensor is not None
            }

    def _ref(self, tensor: Tensor) -> int:
        entry = self.identity.get(id(tensor))
        key = tensor.untyped_storage()._cdata
        if entry is None:
            if self.over_budget:
                return 0
            if self.history.get(key):
                return self._alias(tensor, key)
            return self._keep(tensor, "constant")
        if entry[2] != self.versions.get(key, 0):
            return self._alias(tensor, key)
        return entry[1]

    def _alias(self, tensor: Tensor, key: int) -> int:
        """A tensor whose storage was changed through another: a step that says by whom."""
        sources = tuple(
            (Ref(i), self.kept[i].offset, self.kept[i].strides)
            for i in self.history[key][-_ALIAS_SOURCES:]
        )
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
                kept = self.kept[id_]
                if kept.tensor is not None:
                    kept.tensor = kept.tensor.detach().clone()
                    self._count(kept.tensor.untyped_storage().nbytes())
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
        given = tensors_in((args, kwargs))
        storages = [tensor.untyped_storage()._cdata for tensor in given]
        inputs: list[int] = []

        def refer(tensor: Tensor) -> Ref:
            inputs.append(self._ref(tensor))
            return Ref(inputs[-1])

        kept_args, kept_kwargs = replace_tensors((args, kwargs), refer)
        for tensor in writes:
            self.before_write(tensor)
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
        if name.endswith(("batch_norm", "instance_norm")):
            self.written.clear()  # running statistics are a side effect, not an output
        made = self._made(name, args, kwargs, given, storages, tensors_in(out))
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
        name: str,
        args: Any,
        kwargs: Any,
        given: list[Tensor],
        storages: list[int],
        outs: list[Tensor],
    ) -> list[Tensor]:
        """The tensors a call made or changed, what it wrote into first."""
        written = set(self.written)
        changed = [t for t, key in zip(given, storages, strict=True) if key in written]
        target = [t for t in changed if (args and t is args[0]) or t is kwargs.get("out")]
        changed = target or changed
        given_ids = {id(t) for t in given}
        changed_ids = {id(t) for t in changed}
        fresh = [t for t in outs if id(t) not in given_ids or id(t) in changed_ids]
        return list({id(t): t for t in changed + fresh}.values())


def _unannounced_writes(name: str, args: Any, kwargs: Any) -> list[Tensor]:
    """The running statistics a normalization in training writes without saying so."""
    if "batch_norm" not in name and "instance_norm" not in name:
        return []
    default = args[5] if len(args) > 5 else "instance" in name
    if not kwargs.get("training", kwargs.get("use_input_stats", default)):
        return []
    statistics = (args[1:5], kwargs.get("running_mean"), kwargs.get("running_var"))
    return [t for t in tensors_in(statistics) if not isinstance(t, nn.Parameter)]


def _site() -> tuple[str, int]:
    """File and line of the network's own code: the first frame outside torch and the lens."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_HERE) and frame.f_code.co_name == "record":
            break  # what lies above called the recording, not the network
        if not file.startswith(_TORCH) and not file.startswith(_HERE) and not file.startswith("<"):
            return (file, frame.f_lineno)
        frame = frame.f_back
    return ("", 0)


def _raised_in(exception: Exception, names: dict[Any, str]) -> tuple[str, str, tuple[str, int]]:
    """Module path, "" and line of an error raised outside any call of torch."""
    module, source = "", ("", 0)
    trace = exception.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        file = frame.f_code.co_filename
        if not file.startswith(_TORCH) and not file.startswith(_HERE):
            source = (file, trace.tb_lineno)
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module):
                module = names.get(owner, module)
        trace = trace.tb_next
    return module, "", source
