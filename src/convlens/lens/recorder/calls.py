"""Follow the calls of modules: which is running, by which path, and what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from convlens.lens.recorder.sites import belongs
from convlens.lens.recording import Call


@dataclass(slots=True)
class OpenCall:
    """A module call that may not have returned yet."""

    path: str
    type: str
    call: int
    parent: int
    first: int
    inputs: tuple[int, ...]
    last: int = 0
    outputs: tuple[int, ...] = ()


class CallStack:
    """The modules that are running, and the one path of every module.

    `names` gives a module's path, `aliases` the other paths of a module that stands at several.

    >>> layer = nn.ReLU()
    >>> stack = CallStack()
    >>> [path for path, _ in stack.adopt(nn.Sequential(layer), "")]
    ['', '0']
    >>> stack.enter(layer, step=0, inputs=(0,))
    >>> stack.place
    ('0', 1)
    """

    def __init__(self) -> None:
        self.names: dict[nn.Module, str] = {}
        self.aliases: dict[str, str] = {}
        # The outermost modules that are recorded in steps, which a plain run computes as one.
        self.separated: dict[str, None] = {}
        self._calls: list[OpenCall] = []
        self._running: list[int] = []
        self._counts: dict[str, int] = {}

    @property
    def running(self) -> bool:
        """Whether a module is running."""
        return bool(self._running)

    @property
    def place(self) -> tuple[str, int]:
        """Path and call of the module that is running; ("", 1) outside all modules."""
        if not self._running:
            return ("", 1)
        call = self._calls[self._running[-1]]
        return (call.path, call.call)

    def adopt(self, network: nn.Module, root: str) -> Iterator[tuple[str, nn.Module]]:
        """Give every module of a network its path, and yield those that had none."""
        for below, module in _modules(network):
            path = f"{root}.{below}" if root and below else root or below
            if module in self.names:
                self.aliases[path] = self.names[module]
                continue
            self.names[module] = path
            yield path, module

    def new_path(self, module: nn.Module) -> str:
        """Return a path for a module that is not part of the network, such as one of a function."""
        above = self.place[0]
        plain = path = f"{above}." * bool(above) + f"<{type(module).__name__}>"
        nth, taken = 1, set(self.names.values())
        while path in taken:
            nth += 1
            path = f"{plain}~{nth}"
        return path

    def enter(self, module: nn.Module, step: int, inputs: tuple[int, ...]) -> None:
        """Note that a module with a path is called, before step `step`, with these values."""
        path = self.names[module]
        nth = self._counts[path] = self._counts.get(path, 0) + 1
        parent = self._running[-1] if self._running else -1
        self._running.append(len(self._calls))
        self._calls.append(OpenCall(path, _type_name(module), nth, parent, step, inputs))

    def leave(self, step: int, outputs: tuple[int, ...]) -> None:
        """Note that the running module returned these values, or raised, before step `step`."""
        call = self._calls[self._running.pop()]
        call.last, call.outputs = step, outputs

    def separate(self, module: nn.Module) -> None:
        """Note that a running module is recorded in steps which a plain run computes as one."""
        within = {self._calls[i].path for i in self._running[:-1]}
        if not within & self.separated.keys():
            self.separated[self.names[module]] = None

    def raised_in(self, exception: Exception) -> tuple[str, tuple[str, int]]:
        """Return the module, and the network's own file and line, that raised an error."""
        module, source = "", ("", 0)
        trace = exception.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            if belongs(frame.f_code.co_filename) == "network":
                source = (frame.f_code.co_filename, trace.tb_lineno)
                owner = frame.f_locals.get("self")
                if isinstance(owner, nn.Module):
                    module = self.names.get(owner, module)
            trace = trace.tb_next
        return module, source

    def calls(self) -> tuple[Call, ...]:
        """Return every call so far, in the order in which they began."""
        return tuple(
            Call(c.path, c.type, c.call, c.parent, c.first, c.last, c.inputs, c.outputs)
            for c in self._calls
        )


def _modules(
    module: nn.Module, path: str = "", above: tuple[nn.Module, ...] = ()
) -> Iterator[tuple[str, nn.Module]]:
    """Yield every path of every module; a path ends at a module that holds one it lies in."""
    yield path, module
    for name, child in module._modules.items():
        if child is not None and all(child is not each for each in (*above, module)):
            yield from _modules(child, f"{path}.{name}" if path else name, (*above, module))


def _type_name(module: nn.Module) -> str:
    """Return the name of a module's class; of a lazy one, of the class it is about to become."""
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        return (module.cls_to_become or type(module)).__name__
    return type(module).__name__
