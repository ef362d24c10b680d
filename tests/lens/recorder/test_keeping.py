"""A keeper alone: which tensor is which value, through writes, views, copies and a budget."""

import torch
from torch import Tensor

from convlens.lens.recorder.keeping import _NOTHING, Alias, Keeper

PLENTY = 2**30


def numbers(count: int = 4) -> Tensor:
    return torch.arange(1.0, count + 1)


def write(keeper: Keeper, tensor: Tensor, number: float) -> None:
    keeper.before_write(tensor)
    tensor.fill_(number)


def test_a_tensor_is_one_value_until_it_is_written() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    assert keeper.leaf(x, "input", "input") == keeper.leaf(x, "input") == keeper.refer(x) == 0
    assert keeper.refer(numbers()) == 1  # equal numbers are not the same tensor
    assert [(v.kind, v.name) for v in keeper.values] == [("input", "input"), ("constant", "")]
    assert keeper.known([numbers(), x]) == (0,)


def test_what_is_written_keeps_its_number_of_before() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    keeper.leaf(x, "input")
    keeper.begin()
    assert keeper.refer(x) == 0
    write(keeper, x, 7.0)
    assert keeper.written_among([x, numbers()]) == [x]
    assert keeper.made(keeper.written_among([x]), 0) == (1,)
    assert keeper.values[0].tensor.tolist() == [1, 2, 3, 4]
    assert keeper.values[1].tensor.tolist() == [7, 7, 7, 7]
    assert (keeper.values[1].step, keeper.values[1].slot) == (0, 0)
    assert keeper.refer(x) == 1


def test_without_an_announcement_the_number_of_before_is_lost() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    keeper.leaf(x, "input")
    x.fill_(7.0)
    assert keeper.values[0].tensor.tolist() == [7, 7, 7, 7]


def test_a_tensor_written_through_a_view_is_an_alias_of_what_lies_there() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    keeper.leaf(x, "input")
    view = x[2:]
    keeper.begin()
    keeper.refer(x)
    keeper.made([view], 0)
    keeper.begin()
    keeper.refer(view)
    write(keeper, view, 7.0)
    assert keeper.made([view], 1) == (2,)
    found = keeper.refer(x)
    assert found == Alias(((0, 0, (1,)), (1, 2, (1,)), (2, 2, (1,))), 0, (1,))
    assert keeper.refer(view) == 2


def test_a_view_that_was_not_recorded_is_an_alias_of_its_memory() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    keeper.leaf(x, "input")
    assert keeper.refer(x[1:]) == Alias(((0, 0, (1,)),), 1, (1,))


def test_a_step_forgets_what_the_one_before_was_given_and_wrote() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    keeper.leaf(x, "input")
    keeper.begin()
    write(keeper, x, 7.0)
    keeper.begin()
    assert keeper.written_among([x]) == []
    write(keeper, x, 8.0)
    keeper.forget_writes()
    assert keeper.written_among([x]) == []


def test_bytes_are_counted_once_a_memory_and_a_copy_again() -> None:
    keeper, x = Keeper(PLENTY), numbers()
    keeper.leaf(x, "input")
    assert keeper.nbytes == 0  # the network has it anyway
    keeper.begin()
    keeper.refer(x)
    y = x * 2
    keeper.made([y, y[:2], x[1:]], 0)
    assert keeper.nbytes == 16
    keeper.begin()
    write(keeper, y, 0.0)
    assert keeper.nbytes == 40  # y and its view are copied, each by itself
    assert keeper.values[1].tensor.tolist() == [2, 4, 6, 8]


def test_past_the_budget_all_is_let_go_and_counting_goes_on() -> None:
    keeper, x = Keeper(20), numbers()
    keeper.leaf(x, "input")
    for step in range(3):
        keeper.begin()
        keeper.made([x * 2], step)
        assert keeper.over_budget == (step > 0)
    assert keeper.nbytes == 48
    assert all(value.tensor is _NOTHING for value in keeper.values[1:])
    assert keeper.values[0].tensor is x
    assert keeper.refer(numbers()) == 0  # nothing new is kept


def test_what_cannot_be_read_number_by_number_is_noted() -> None:
    keeper = Keeper(PLENTY)
    sparse = torch.eye(2).to_sparse()
    keeper.leaf(sparse, "input")
    assert keeper.opaque == {"sparse": [0]}
    keeper.before_write(sparse)
    sparse.mul_(2)
    assert keeper.refer(sparse) == 1  # it has no strides to be an alias by


def test_settled_values_have_no_graph_and_know_memory_of_others() -> None:
    keeper = Keeper(PLENTY)
    weight = torch.nn.Parameter(numbers())
    keeper.leaf(weight, "parameter", "weight")
    keeper.begin()
    keeper.refer(weight)
    keeper.made([weight.view(2, 2), weight * 2], 0)
    leaf, view, product = keeper.settled()
    assert not any(value.tensor.requires_grad for value in (leaf, view, product))
    assert (leaf.stale, view.stale, product.version) == (False, False, -1)
    with torch.no_grad():
        weight.add_(1)
    assert (leaf.stale, view.stale, product.stale) == (True, True, False)
    assert keeper.known([weight]) == ()
