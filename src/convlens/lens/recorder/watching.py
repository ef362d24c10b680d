"""Follow torch through a run: each call becomes a step, each tensor a kept value."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from convlens.lens.recorder import caveats
from convlens.lens.recorder.bookkeeping import Bookkeeping
from convlens.lens.recorder.calls import CallStack
from convlens.lens.recorder.guarding import OperatorGuard
from convlens.lens.recorder.keeping import Alias, Keeper
from convlens.lens.recorder.operations import (
    KINDS_OF_TENSORS,
    READS,
    treatment_of,
)
from convlens.lens.recorder.sites import site
from convlens.lens.recording import Failure, Recording, Ref, Step
from convlens.lens.repeating import made_or_changed, unannounced_writes, writes_aside
from convlens.lens.trees import PLAIN, replace_tensors, tensors_in

_AS_IT_IS = contextlib.nullcontext()

_NUMBERS = (bool, int, float, complex, list, tuple)
"""What may hold numbers of a tensor."""


@dataclass(slots=True)
class StartedCall:
    """A call that is about to run: its arguments as they are, and with a `Ref` for each tensor."""

    function: Any
    op: str
    args: Any
    kwargs: Any
    refs: tuple[Any, Any]
    tensors: list[Tensor]
    ids: tuple[int, ...]


class Interference(Protocol):
    """Changes that are made while a network runs; the recording has them."""

    def call(self, index: int, call: StartedCall) -> StartedCall:
        """Return the call of a step, changed or not."""

    def made(
        self, index: int, call: StartedCall, made: list[Tensor], written: list[Tensor]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Return what a step made, changed or not, each with the mask of what was put there."""


class Watcher(TorchFunctionMode):
    """A function mode, a dispatch mode and module hooks, which make the steps of a run.

    The function mode sees each public call of torch, in the user's words; the dispatch mode sees
    the operators beneath, and operators that no public call covers.
    """

    def __init__(self, network: Any, budget: int, interference: Interference | None = None) -> None:
        super().__init__()
        self.network, self.interference = network, interference
        self.keeper, self.calls, self.own = Keeper(budget), CallStack(), Bookkeeping()
        self.steps: list[Step] = []
        self.warnings: dict[str, None] = {}
        self.asked: set[int] = set()  # the values whose sizes the network asked for
        self.taken: set[int] = set()  # those whose numbers it took by a call that is not a step
        self.gradients = torch.is_grad_enabled()  # where the recording was asked for
        self._failed: Failure | None = None
        self._thread = threading.get_ident()
        self._expanding = ""  # the call whose operators are recorded one by one

    # Switched on and off

    def __enter__(self) -> Watcher:
        if isinstance(self.network, nn.Module):
            self._adopt(self.network, "")
        self._hooks = (
            register_module_forward_pre_hook(self._entering),
            register_module_forward_hook(self._leaving, always_call=True),
        )
        self._guard = OperatorGuard(self)
        self._guard.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._guard.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()
        # The two modes and the hooks point at each other: without this, every tensor kept would
        # outlive its recording until the next collection of garbage.
        del self._guard, self._hooks

    @contextlib.contextmanager
    def operators(self) -> Iterator[None]:
        """Watch only operators, to see what a single call is made of."""
        self._guard = OperatorGuard(self)
        try:
            with self._guard:
                yield
        finally:
            del self._guard

    def recording(
        self, outputs: Any, output_ids: tuple[int, ...], exception: Exception | None
    ) -> Recording:
        """Return what was seen, once the watcher is switched off."""
        seen = Recording(
            tuple(self.steps),
            self.keeper.settled(),
            self.calls.calls(),
            outputs,
            output_ids,
            tuple(self.warnings),
            None if exception is None else self._failure(exception),
            self.calls.aliases,
            frozenset(self.asked),
            frozenset(self.taken),
        )
        more = [caveats.of_separated(self.calls.separated)]
        more += [
            caveats.of_opaque(why, map(seen.name_of, ids))
            for why, ids in self.keeper.opaque.items()
        ]
        return replace(seen, warnings=(*seen.warnings, *filter(None, more)))

    def _failure(self, exception: Exception) -> Failure:
        """Return where an error was raised: in a call of torch, or outside all of them."""
        if self._failed is not None and _stems(exception, self._failed.exception):
            return replace(self._failed, exception=exception)
        module, source = self.calls.raised_in(exception)
        return Failure(len(self.steps), module, "", source, exception)

    # Modules

    def _adopt(self, network: nn.Module, root: str) -> None:
        """Give a network's modules their paths, and keep their parameters and buffers."""
        for path, module in self.calls.adopt(network, root):
            if "_orig_mod" in module._modules:
                self.warn(caveats.COMPILED)
            if "acceleration" in vars(module):
                self.warn(caveats.ACCELERATED)
            self._keep_own(module, path)

    def _keep_own(self, module: nn.Module, path: str) -> None:
        """Keep the parameters and buffers of one module that have their sizes already."""
        ahead = f"{path}." if path else ""
        for kind, own in (("parameter", module._parameters), ("buffer", module._buffers)):
            for name, tensor in own.items():
                if tensor is not None and not is_lazy(tensor):
                    self.keeper.leaf(tensor, kind, ahead + name)

    def _entering(self, module: nn.Module, args: Any) -> None:
        """Note that a module is called: torch's hook before every forward."""
        if self.own.depth or threading.get_ident() != self._thread:
            return
        with self.own:
            if module not in self.calls.names:
                self._adopt(module, self.calls.new_path(module))
            given = tensors_in(args[0] if len(args) == 1 else args)
            self.calls.enter(module, len(self.steps), self.keeper.known(given))
            if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
                self._initialize_unseen(module)

    def _leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        """Note what a module returned: torch's hook after every forward, a failed one too."""
        if self.own.depth or threading.get_ident() != self._thread or not self.calls.running:
            return
        with self.own:
            outputs = self.returned(out)
            self.calls.leave(len(self.steps), outputs)

    def _initialize_unseen(self, module: Any) -> None:
        """Let a lazy module take its sizes from its first input without recording how."""
        initialize = module.initialize_parameters

        def unseen(*args: Any, **kwargs: Any) -> None:
            del module.initialize_parameters
            self.own.depth += 1
            try:
                initialize(*args, **kwargs)
            finally:
                self.own.depth -= 1
            with self.own:
                self._keep_own(module, self.calls.names[module])

        module.initialize_parameters = unseen

    # Values

    def refer(self, tensor: Tensor) -> int:
        """Return the value that a tensor is now; an alias is a step, which makes it one."""
        found = self.keeper.refer(tensor)
        return self._alias(tensor, found) if isinstance(found, Alias) else found

    def returned(self, tree: Any) -> tuple[int, ...]:
        """Return the values that the tensors in `tree` are now."""
        return tuple([self.refer(tensor) for tensor in tensors_in(tree) if not is_lazy(tensor)])

    def before_write(self, tensors: Iterable[Tensor]) -> None:
        """Have the values in the memory of these tensors copied before a step writes it."""
        with self.own:
            for tensor in tensors:
                self.keeper.before_write(tensor)

    def _alias(self, tensor: Tensor, alias: Alias) -> int:
        """Add the step by which a tensor shows what was written through other views of it."""
        index = len(self.steps)
        self.steps.append(
            Step(
                index,
                "alias",
                torch.Tensor.as_strided,
                tuple((Ref(id), offset, strides) for id, offset, strides in alias.sources),
                {"offset": alias.offset, "strides": alias.strides},
                tuple(id for id, _, _ in alias.sources),
                (self.keeper.keep(tensor, "computed", index),),
                *self.calls.place,
                ("", 0),
                0.0,
                "the same memory, written through another view",
            )
        )
        return len(self.keeper.values) - 1

    # Steps

    def warn(self, text: str) -> None:
        """Add a warning to the recording, once; none where the text is ""."""
        if text:
            self.warnings[text] = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.own.depth:
            return func(*args, **kwargs)
        if torch._C._functorch.peek_interpreter_stack() is not None:
            return func(*args, **kwargs)  # inside vmap: the guard sees the plain tensors beneath
        treatment = treatment_of(func)
        if treatment.question:
            self.own.depth += 1
            try:
                if treatment.size and threading.get_ident() == self._thread:
                    self.asked.update(self.keeper.known(tensors_in(args)))
                return func(*args, **kwargs)
            finally:
                self.own.depth -= 1
        if treatment.expanded:
            self._expanding = treatment.name
            try:
                return func(*args, **kwargs)
            finally:
                self._expanding = ""
        return self.run(func, args, kwargs)

    def run(self, func: Any, args: Any, kwargs: Any, writes: Iterable[Tensor] = ()) -> Any:
        """Call `func`, and add the step that it is; it announces that it `writes` these tensors."""
        if threading.get_ident() != self._thread:
            return func(*args, **kwargs)
        self.own.depth += 1
        try:
            return self._step(func, args, kwargs, writes)
        finally:
            self.own.depth -= 1

    def _step(self, func: Any, args: Any, kwargs: Any, writes: Iterable[Tensor]) -> Any:
        treatment = treatment_of(func)
        known = treatment.writes(args, kwargs)
        if treatment.alone:
            writes = tensors_in(kwargs.get("out"))  # which no operator of torch writes
        with self.own:
            call = self._given(
                func, treatment.name, args, kwargs, writes if known is None else known
            )
            if self.interference is not None:
                call = self.interference.call(len(self.steps), call)
        if known is not None and PLAIN.issuperset(map(type, call.tensors)):
            watching = self._unseen()
        else:
            watching = self._lifted() if treatment.alone else _AS_IT_IS
        started = time.perf_counter()
        try:
            with watching:
                out = func(*call.args, **call.kwargs)
        except Exception as error:
            if self._failed is None or not _stems(error, self._failed.exception):
                place = len(self.steps), self.calls.place[0], call.op, site()
                self._failed = Failure(*place, error, *call.refs)
            raise
        seconds = time.perf_counter() - started
        with self.own:
            return self._add(call, out, seconds)

    def _unseen(self) -> contextlib.AbstractContextManager[None]:
        """Keep a call that writes nothing unknown from the guard, which takes time."""
        if torch._C._len_torch_dispatch_stack() != 1:  # who else watches goes on watching
            return _AS_IT_IS
        unseen: contextlib.AbstractContextManager[None] = torch._C._DisableTorchDispatch()
        return unseen

    @contextlib.contextmanager
    def _lifted(self) -> Iterator[None]:
        """Lift the guard, so that a call which asks torch for it computes as in a plain run."""
        count = torch._C._len_torch_dispatch_stack()
        if not count or torch._C._get_dispatch_stack_at(count - 1) is not self._guard:
            yield
            return
        self._guard.__exit__(None, None, None)
        try:
            yield
        finally:
            self._guard.__enter__()

    def _given(
        self, func: Any, name: str, args: Any, kwargs: Any, writes: Iterable[Tensor]
    ) -> StartedCall:
        """Keep what a call is given, and copies of what it is about to write."""
        self.keeper.begin()
        tensors: list[Tensor] = []
        ids: list[int] = []

        def refer(tensor: Tensor) -> Ref:
            tensors.append(tensor)
            ids.append(self.refer(tensor))
            return Ref(ids[-1])

        refs = replace_tensors(args, refer), replace_tensors(kwargs, refer) if kwargs else {}
        for tensor in (*writes, *unannounced_writes(name, args, kwargs)):
            self.keeper.before_write(tensor)
        return StartedCall(func, name, args, kwargs, refs, tensors, tuple(ids))

    def _add(self, call: StartedCall, out: Any, seconds: float) -> Any:
        """Add the step that a call was, keep what it made, and return what it returned."""
        if writes_aside(call.op):
            self.keeper.forget_writes()
        written, outs = self.keeper.written_among(call.tensors), tensors_in(out)
        made = made_or_changed(call.args, call.kwargs, call.tensors, written, outs)
        if not made and not (call.op in READS and call.tensors):
            if not outs and isinstance(out, _NUMBERS) and call.op not in KINDS_OF_TENSORS:
                self.taken.update(call.ids)
            return out
        index, source = len(self.steps), site()
        put: list[Tensor | None] = []
        if self.interference is not None:
            made, put, out = _changed(self.interference.made(index, call, made, written), made, out)
        outputs = self.keeper.made(made, index, put)
        self.warn(caveats.of_step(call.op, call.function, call.tensors, self.gradients))
        note = f"inside {self._expanding}" if self._expanding else ""
        if not outputs:
            note = "reads numbers out of torch"
            self.warn(caveats.of_reading(call.op, source))
        args, kwargs = call.refs
        self.steps.append(
            Step(
                index,
                call.op,
                call.function,
                args,
                kwargs,
                call.ids,
                outputs,
                *self.calls.place,
                source,
                seconds,
                note,
                tuple(i for t, i in zip(call.tensors, call.ids, strict=True) if _among(t, written))
                if written
                else (),
            )
        )
        return out


def _changed(
    found: list[tuple[Tensor, Tensor | None]], made: list[Tensor], out: Any
) -> tuple[list[Tensor], list[Tensor | None], Any]:
    """Return changed tensors, the masks of what was put there, and them in what was returned."""
    new = {
        id(old): tensor for old, (tensor, _) in zip(made, found, strict=True) if old is not tensor
    }
    if new:
        out = replace_tensors(out, lambda tensor: new.get(id(tensor), tensor))
    return [tensor for tensor, _ in found], [put for _, put in found], out


def _among(tensor: Tensor, tensors: list[Tensor]) -> bool:
    return any(tensor is each for each in tensors)


def _stems(error: BaseException | None, origin: Exception) -> bool:
    """Return whether an error is another one, or was raised while that one was handled."""
    while error is not None and error is not origin:
        error = error.__cause__ or error.__context__
    return error is origin
