"""A call stack alone: paths, calls, nesting, and where an error was raised."""

from pathlib import Path

import pytest
from torch import Tensor, nn

from convlens.lens.recorder.calls import CallStack


class Twin(nn.Module):
    """One layer that stands at two paths."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(1, 1)
        self.second = self.first


def stack_of(network: nn.Module) -> CallStack:
    stack = CallStack()
    list(stack.adopt(network, ""))
    return stack


def test_every_module_has_one_path_and_others_are_aliases() -> None:
    network = Twin()
    stack = CallStack()
    assert list(stack.adopt(network, "")) == [("", network), ("first", network.first)]
    assert stack.aliases == {"second": "first"}
    assert list(stack.adopt(network, "again")) == []
    assert stack.aliases["again.second"] == "first"


def test_calls_nest_and_are_numbered() -> None:
    network = nn.Sequential(nn.ReLU())
    stack = stack_of(network)
    assert (stack.running, stack.place) == (False, ("", 1))
    stack.enter(network, 0, (0,))
    for nth in (1, 2):
        stack.enter(network[0], nth, (nth,))
        assert stack.place == ("0", nth)
        stack.leave(nth + 1, (nth + 1,))
    assert (stack.running, stack.place) == (True, ("", 1))
    stack.leave(3, (3,))
    assert not stack.running
    outer, first, second = stack.calls()
    assert (outer.path, outer.type, outer.parent, outer.first, outer.last) == (
        "",
        "Sequential",
        -1,
        0,
        3,
    )
    assert (first.label, second.label) == ("0", "0#2")
    assert (second.parent, second.first, second.last) == (0, 2, 3)
    assert (second.inputs, second.outputs) == ((2,), (3,))


def test_a_call_that_has_not_returned_is_one_too() -> None:
    network = nn.ReLU()
    stack = stack_of(network)
    stack.enter(network, 5, ())
    (call,) = stack.calls()
    assert (call.first, call.last, call.outputs) == (5, 0, ())


def test_a_module_outside_the_network_has_a_path_of_its_own() -> None:
    network, inside = nn.Sequential(), [nn.ReLU(), nn.ReLU()]
    stack = stack_of(network)
    assert stack.new_path(inside[0]) == "<ReLU>"
    list(stack.adopt(inside[0], stack.new_path(inside[0])))
    assert stack.new_path(inside[1]) == "<ReLU>~2"
    stack.enter(inside[0], 0, ())
    assert stack.new_path(inside[1]) == "<ReLU>.<ReLU>"


def test_a_module_that_holds_itself_has_no_endless_path() -> None:
    network = nn.Sequential(nn.ReLU())
    network[0].add_module("above", network)
    assert [path for path, _ in CallStack().adopt(network, "")] == ["", "0"]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_module_has_the_type_it_is_about_to_have() -> None:
    network = nn.LazyLinear(2)
    stack = stack_of(network)
    stack.enter(network, 0, ())
    assert stack.calls()[0].type == "Linear"


def test_only_the_outermost_separated_module_is_noted() -> None:
    network = nn.Sequential(nn.Sequential(nn.ReLU()))
    stack = stack_of(network)
    stack.enter(network, 0, ())
    stack.enter(network[0], 0, ())
    stack.separate(network[0])
    stack.enter(network[0][0], 0, ())  # type: ignore[index]
    stack.separate(network[0][0])  # type: ignore[index]
    assert list(stack.separated) == ["0"]


def test_an_error_is_placed_in_the_innermost_module_of_the_network() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("no such thing")

    network = nn.Sequential(Inner())
    stack = stack_of(network)
    with pytest.raises(KeyError) as caught:
        network(None)
    module, (file, line) = stack.raised_in(caught.value)
    assert module == "0"
    assert file == __file__
    assert 'raise KeyError("no such thing")' in Path(file).read_text().splitlines()[line - 1]
