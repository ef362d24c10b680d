"""A watcher alone: calls become steps while it is on, through writes, questions and own work."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens.recorder.watching import Watcher

PLENTY = 2**30


def watched(network: object, run: object) -> Watcher:
    """Return the watcher of a run, switched off again."""
    watcher = Watcher(network, PLENTY)
    with torch.no_grad(), watcher:
        run()  # type: ignore[operator]
    return watcher


def ops(watcher: Watcher) -> list[str]:
    return [step.op for step in watcher.steps]


def test_a_call_is_a_step_and_a_question_is_none() -> None:
    x = torch.ones(2, 3)
    watcher = watched(None, lambda: torch.relu(x).sum() if x.shape[0] == x.size(0) else None)
    assert ops(watcher) == ["relu", "sum"]
    relu, total = watcher.steps
    assert (relu.inputs, relu.outputs, total.inputs) == ((0,), (1,), (1,))
    assert [value.kind for value in watcher.keeper.values] == ["constant", "computed", "computed"]
    assert relu.source[0] == __file__


def test_a_write_keeps_what_was_there() -> None:
    x = torch.ones(3)
    watcher = watched(None, lambda: x.mul_(5))
    (step,) = watcher.steps
    before, after = (watcher.keeper.values[id] for id in (*step.inputs, *step.outputs))
    assert (before.tensor.tolist(), after.tensor.tolist()) == ([1, 1, 1], [5, 5, 5])


def test_a_write_through_a_view_is_a_step_of_its_own() -> None:
    x = torch.ones(3)

    def run() -> Tensor:
        whole = x * 2
        whole[1:].mul_(5)
        return whole + 1

    watcher = watched(None, run)
    assert ops(watcher) == ["mul", "getitem", "mul", "alias", "add"]
    alias = watcher.steps[3]
    assert watcher.keeper.values[alias.outputs[0]].tensor.tolist() == [2, 10, 10]
    assert watcher.steps[4].inputs == alias.outputs


def test_operators_that_no_public_call_covers_are_steps_too() -> None:
    x = torch.ones(2, 3)
    watcher = watched(None, lambda: torch.vmap(lambda row: row.exp())(x))
    assert ops(watcher) == ["exp"]
    labelled = watched(None, lambda: torch.einsum("ij,kj->ik", x, x))
    assert {step.note for step in labelled.steps} == {"inside einsum"}


def test_modules_are_followed_and_their_tensors_named() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    x = torch.ones(2, 3)
    watcher = watched(network, lambda: network(x))
    assert [call.label for call in watcher.calls.calls()] == ["", "0", "1"]
    assert [step.module for step in watcher.steps] == ["0", "1"]
    names = [value.name for value in watcher.keeper.values if value.name]
    assert names == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    ]


def test_nothing_of_its_own_work_is_recorded() -> None:
    x = torch.ones(3)
    watcher = Watcher(None, PLENTY)
    with torch.no_grad(), watcher:
        with watcher.own:
            torch.relu(x)
        F.relu(x)
    assert ops(watcher) == ["relu"]


def test_operators_alone_are_watched_beneath_a_call() -> None:
    x = torch.ones(2, 3)
    watcher = Watcher(None, PLENTY)
    with torch.no_grad(), watcher.operators():
        torch.nn.functional.normalize(x)
    assert "norm" in ops(watcher)[0]
    assert torch._C._len_torch_dispatch_stack() == 0


def test_what_was_on_is_off_again_after_an_error() -> None:
    watcher = Watcher(nn.ReLU(), PLENTY)
    try:
        with watcher:
            torch.ones(2) @ torch.ones(3)
    except RuntimeError as error:
        seen = watcher.recording(None, (), error)
    assert torch._C._len_torch_function_stack() == torch._C._len_torch_dispatch_stack() == 0
    assert not nn.modules.module._global_forward_hooks
    assert seen.error is not None
    assert (seen.error.step, seen.error.op) == (2, "matmul")
