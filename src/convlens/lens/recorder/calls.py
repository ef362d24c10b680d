"""The calls of modules: their paths, what they are given and return, their parameters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from convlens.lens.recorder.keeping import Keeper, OpenCall

COMPILED = "compiled modules are recorded as they run uncompiled; their last bits may differ"

ACCELERATED = (
    "an accelerated network is recorded by torch's own layers; it computes by packed weights and "
    "plans where that is faster, whose last bits differ"
)


class Calling(Keeper):
    """Keeps which module is running, and every module by one path."""

    def __init__(self, budget: int) -> None:
        super().__init__(budget)
        self.thread = threading.get_ident()
        self.names: dict[Any, str] = {}
        self.aliases: dict[str, str] = {}
        self.call_counts: dict[str, int] = {}
        self.separated: dict[str, None] = {}

    def separate(self, module: nn.Module) -> None:
        """Note that a module is recorded in steps, which a plain run computes as one."""
        within = {self.calls[i].path for i in self.stack[:-1]}
        if not within & self.separated.keys():
            self.separated[self.names[module]] = None

    def adopt(self, network: nn.Module, root: str) -> None:
        """Name a network's modules, and keep their parameters and buffers."""
        for below, module in _modules(network):
            path = f"{root}.{below}" if root and below else root or below
            if "_orig_mod" in module._modules:
                self.warnings[COMPILED] = None
            if "acceleration" in vars(module):
                self.warnings[ACCELERATED] = None
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

    def entering(self, module: nn.Module, args: Any) -> None:
        """A module is called: torch's hook before every forward."""
        if self.depth or threading.get_ident() != self.thread:
            return
        with self.ours:
            parent = self.stack[-1] if self.stack else -1
            if module not in self.names:
                self.adopt(module, self._new_path(module))
            name, path = type(module).__name__, self.names[module]
            if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
                name = (module.cls_to_become or type(module)).__name__
                self._initialize_unseen(module, path)
            nth = self.call_counts[path] = self.call_counts.get(path, 0) + 1
            self.stack.append(len(self.calls))
            inputs = self.known(args[0] if len(args) == 1 else args)
            self.calls.append(OpenCall(path, name, nth, parent, len(self.steps), inputs))

    def leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        """A module returned: torch's hook after every forward, a failed one too."""
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


def _modules(
    module: nn.Module, path: str = "", above: tuple[nn.Module, ...] = ()
) -> Iterator[tuple[str, nn.Module]]:
    """Every path of every module; one that holds a module it lies in ends there."""
    yield path, module
    for name, child in module._modules.items():
        if child is not None and all(child is not each for each in (*above, module)):
            yield from _modules(child, f"{path}.{name}" if path else name, (*above, module))
