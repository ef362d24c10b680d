"""Watching torch at work: every call becomes a step, every tensor a kept value."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from convlens.lens.memory import memory_of, version_of
from convlens.lens.recorder.calls import Calling
from convlens.lens.recorder.guarding import Guard
from convlens.lens.recorder.operations import (
    ASKING,
    EXPANDED,
    QUESTIONS,
    READS,
    TENSOR_ATTRIBUTES,
    op_name,
)
from convlens.lens.recorder.sites import raised_in, site
from convlens.lens.recording import Call, Failure, Recording, Ref, Step, Value
from convlens.lens.repeating import made_or_changed, writes_aside
from convlens.lens.trees import replace_tensors, tensors_in

# Our own operators choose how they compute by whether torch watches them.
_OWN = "convlens.compute.", "convlens.functional."


@dataclass(slots=True)
class _Given:
    """What a call was given: its tensors, where they lie, their values, and the arguments."""

    tensors: list[Tensor] = field(default_factory=list)
    memory: list[Hashable] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    args: Any = ()
    kwargs: Any = None


class Recorder(Calling, TorchFunctionMode):
    """Turns calls into steps."""

    def __init__(self, network: Any, budget: int) -> None:
        super().__init__(budget)
        self.network = network
        self.gradients = torch.is_grad_enabled()  # where the recording was asked for
        self.failed: tuple[int, str, str, tuple[str, int]] | None = None

    # Lifecycle

    def __enter__(self) -> Recorder:
        if isinstance(self.network, nn.Module):
            self.adopt(self.network, "")
        self.hooks = (
            register_module_forward_pre_hook(self.entering),
            register_module_forward_hook(self.leaving, always_call=True),
        )
        self.guard = Guard(self)
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
        values = tuple(map(self._settled, self.values))
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
        separately = [f"`{path}`" if path else "the network" for path in self.separated]
        if separately:
            separately = [
                f"{_listed(separately)}: recorded by separate steps, where a plain run computes by "
                "one fused operator, whose last bits differ"
            ]
        kept_whole = tuple(
            f"{_listed([f'`{seen.name_of(id)}`' for id in ids])}: {why}, kept whole, "
            "not taken apart"
            for why, ids in self.opaque.items()
        )
        return replace(seen, warnings=(*seen.warnings, *separately, *kept_whole))

    def _settled(self, value: Value) -> Value:
        """A value as the recording keeps it: without a graph, watched where others may write it."""
        version = value.version
        if value.kind == "computed" and memory_of(value.tensor)[0] in self.outside:
            version = version_of(value.tensor)
        if version == value.version and not value.tensor.requires_grad:
            return value
        return replace(value, tensor=value.tensor.detach(), version=version)

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
        alone = name in ASKING or (getattr(func, "__module__", None) or "").startswith(_OWN)
        if alone:
            writes = tensors_in(kwargs.get("out"))  # which no operator of torch writes
        with self.ours:
            given = self._given(name, args, kwargs, writes)
        started = time.perf_counter()
        try:
            with self._unwatched() if alone else contextlib.nullcontext():
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
        if writes_aside(name):
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
        if writes_aside(name):
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
        if name == "lstm" and self.gradients and any(t.requires_grad for t in given.tensors):
            self.warnings[
                "`lstm` is recorded as it runs without gradients; with them torch computes it "
                "another way, whose last bits differ"
            ] = None
        settled = getattr(func, "settled", getattr(func, "namespace", "") != "convlens")
        if not settled and "pool" not in name:
            self.warnings[
                f"`{name}` chooses how it computes: a call before or after its plan was ready may "
                'differ in the last bits; a plan, or method="direct", always gives the same'
            ] = None
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
        memory = zip(given.tensors, given.memory, strict=True)
        written = [t for t, key in memory if key in self.written] if self.written else []
        return made_or_changed(args, kwargs, given.tensors, written, outs)


def _unannounced_writes(name: str, args: Any, kwargs: Any) -> list[Tensor]:
    """The running statistics a normalization in training writes without saying so."""
    default = args[5] if len(args) > 5 else "instance" in name
    if not kwargs.get("training", kwargs.get("use_input_stats", default)):
        return []
    statistics = (args[1:5], kwargs.get("running_mean"), kwargs.get("running_var"))
    return [t for t in tensors_in(statistics) if not isinstance(t, nn.Parameter)]


def _listed(names: list[str]) -> str:
    """Names in a sentence: the first three, and how many more."""
    told = ", ".join(names[:3])
    return f"{told} and {len(names) - 3} more" if len(names) > 3 else told
