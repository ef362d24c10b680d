"""Watching torch at work: every call becomes a step, every tensor a kept value."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.lens.keeping import Keeper, OpenCall
from convlens.lens.memory import memory_of
from convlens.lens.names import EXPANDED, QUESTIONS, READS, TENSOR_ATTRIBUTES, op_name
from convlens.lens.sites import raised_in, site
from convlens.lens.steps import Call, Failure, Recording, Ref, Step, replace_tensors, tensors_in

# Our own operators choose how they compute by whether torch watches them.
_OWN = "convlens.compute."

NORMALIZING = ("batch_norm", "instance_norm")
"""Calls that in training write running statistics without saying so in their schema."""


class Fault(BaseException):
    """An error of our own bookkeeping, on its way past the network that it is none of."""


class _Ours:
    """Around bookkeeping: not recorded, and its errors are `Fault`s, which no network handles."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.plain: list[Any] = []

    def __enter__(self) -> None:
        self.recorder.depth += 1
        self.plain.append(torch._C.DisableTorchFunctionSubclass())
        self.plain[-1].__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.plain.pop().__exit__(kind, error, trace)
        self.recorder.depth -= 1
        if isinstance(error, Exception):
            self.recorder.fault = error
            raise Fault from error


@dataclass(slots=True)
class _Given:
    """What a call was given: its tensors, where they lie, their values, and the arguments."""

    tensors: list[Tensor] = field(default_factory=list)
    memory: list[Hashable] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    args: Any = ()
    kwargs: Any = None


class _Guard(TorchDispatchMode):
    """Sees every operator: copies values before they are overwritten, catches uncovered ones."""

    supports_higher_order_operators = True

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
        if writes:
            with recorder.ours:
                for tensor in writes:
                    recorder.before_write(tensor)
        return func(*args, **kwargs)


@functools.cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Position and name of the arguments an operator writes into, by its schema."""
    if not hasattr(func, "_schema"):  # of a higher order, as torch.cond
        return ()
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info and a.alias_info.is_write)


class Recorder(Keeper, TorchFunctionMode):
    """Turns calls into steps."""

    def __init__(self, network: Any, budget: int) -> None:
        super().__init__(budget)
        self.network = network
        self.thread = threading.get_ident()
        self.warnings: dict[str, None] = {}
        self.failed: tuple[int, str, str, tuple[str, int]] | None = None
        self.fault: Exception | None = None
        self.ours = _Ours(self)
        self.names: dict[Any, str] = {}
        self.aliases: dict[str, str] = {}
        self.call_counts: dict[str, int] = {}

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
        del self.guard, self.hooks, self.ours

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
            at = self.failed or (len(self.steps), *raised_in(exception, self.names))
            failure = Failure(*at, exception)
        self.identity.clear()
        values = tuple(
            replace(value, tensor=value.tensor.detach()) if value.tensor.requires_grad else value
            for value in self.values
        )
        seen = Recording(
            tuple(self.steps),
            values,
            calls,
            outputs,
            output_ids,
            tuple(self.warnings),
            failure,
            self.aliases,
        )
        kept_whole = tuple(
            f"{_listed([seen.name_of(id) for id in ids])}: {why}, kept whole and not taken apart"
            for why, ids in self.opaque.items()
        )
        return replace(seen, warnings=seen.warnings + kept_whole)

    # Module calls

    def _adopt(self, network: nn.Module, root: str) -> None:
        """Name a network's modules, and keep their parameters and buffers."""
        for below, module in _modules(network):
            path = f"{root}.{below}" if root and below else root or below
            if module in self.names:
                self.aliases[path] = self.names[module]
                continue
            self.names[module] = path
            self._keep_own(module, path)

    def _keep_own(self, module: nn.Module, path: str) -> None:
        """Keep the parameters and buffers of one module, those that have their sizes."""
        ahead = f"{path}." if path else ""
        for kind, own in (("parameter", module._parameters), ("buffer", module._buffers)):
            for name, tensor in own.items():
                if tensor is not None and not is_lazy(tensor):
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
        with self.ours:
            parent = self.stack[-1] if self.stack else -1
            if module not in self.names:
                self._adopt(module, self._new_path(module))
            name, path = type(module).__name__, self.names[module]
            if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
                name = (module.cls_to_become or type(module)).__name__
                self._initialize_unseen(module, path)
            nth = self.call_counts[path] = self.call_counts.get(path, 0) + 1
            self.stack.append(len(self.calls))
            inputs = self.known(args[0] if len(args) == 1 else args)
            self.calls.append(OpenCall(path, name, nth, parent, len(self.steps), inputs))

    def _leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        if threading.get_ident() != self.thread or self.depth or not self.stack:
            return
        with self.ours:
            call = self.calls[self.stack[-1]]
            call.outputs = self.returned(out)
            call.last = len(self.steps)
            self.stack.pop()

    def _initialize_unseen(self, module: Any, path: str) -> None:
        """Let a lazy module take its sizes from its first input, which is no step of the run."""
        initialize = module.initialize_parameters

        def unseen(*args: Any, **kwargs: Any) -> None:
            del module.initialize_parameters
            self.depth, expanding = self.depth + 1, self.expanding
            self.expanding = ""
            try:
                initialize(*args, **kwargs)
            finally:
                self.depth, self.expanding = self.depth - 1, expanding
            with self.ours:
                self._keep_own(module, path)

        module.initialize_parameters = unseen

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
        name, own = op_name(func), getattr(func, "__module__", None) or ""
        with self.ours:
            given = self._given(name, args, kwargs, writes)
        started = time.perf_counter()
        try:
            with self._unwatched() if own.startswith(_OWN) else contextlib.nullcontext():
                out = func(*args, **kwargs)
        except Exception:
            if self.failed is None:
                self.failed = (len(self.steps), self.place[0], name, site())
            raise
        seconds = time.perf_counter() - started
        with self.ours:
            self._add(func, name, given, args, kwargs, out, seconds, expanding)
        return out

    @contextlib.contextmanager
    def _unwatched(self) -> Iterator[None]:
        """The guard aside, so that what asks torch whether it is watched does as in a plain run."""
        count = torch._C._len_torch_dispatch_stack()
        if not count or torch._C._get_dispatch_stack_at(count - 1) is not self.guard:
            yield
            return
        self.guard.__exit__(None, None, None)
        try:
            yield
        finally:
            self.guard.__enter__()

    def _given(self, name: str, args: Any, kwargs: Any, writes: Any) -> _Given:
        """Keep what a call is given, and copies of what it is about to write."""
        given = _Given()

        def refer(tensor: Tensor) -> Ref:
            given.tensors.append(tensor)
            given.memory.append(memory_of(tensor)[0])
            given.ids.append(self.now(tensor, given.memory[-1]))
            return Ref(given.ids[-1])

        given.args, given.kwargs = replace_tensors((args, kwargs), refer)
        for tensor in writes:
            self.before_write(tensor)
        if name.endswith(NORMALIZING):
            for tensor in _unannounced_writes(name, args, kwargs):
                self.before_write(tensor)
            self.written.clear()  # running statistics are a side effect, not an output
        return given

    def _add(
        self,
        func: Any,
        name: str,
        given: _Given,
        args: Any,
        kwargs: Any,
        out: Any,
        seconds: float,
        expanding: str,
    ) -> None:
        """Add the step that a call was, and keep what it made."""
        if name.endswith(NORMALIZING):
            self.written.clear()
        made = self._made(args, kwargs, given, tensors_in(out))
        if not made and not (name in READS and given.tensors):
            return
        index = len(self.steps)
        outputs = tuple(
            self.keep(t, "computed", index, slot, shared=memory_of(t)[0] in given.memory)
            for slot, t in enumerate(made)
        )
        source = site()
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
                given.args,
                given.kwargs,
                tuple(given.ids),
                outputs,
                *self.place,
                source,
                seconds,
                note,
            )
        )

    def _made(self, args: Any, kwargs: Any, given: _Given, outs: list[Tensor]) -> list[Tensor]:
        """The tensors a call made or changed, what it wrote into first."""
        given_ids = {id(t) for t in given.tensors}
        if not self.written:
            return [t for t in outs if id(t) not in given_ids]
        written = set(self.written)
        changed = [t for t, key in zip(given.tensors, given.memory, strict=True) if key in written]
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


def _listed(names: list[str]) -> str:
    """Names in a sentence: the first three, and how many more."""
    told = ", ".join(f"`{name}`" for name in names[:3])
    return f"{told} and {len(names) - 3} more" if len(names) > 3 else told
