"""A recording has the outputs of the plain forward bit for bit, and every value at its moment."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.lens import Recording, record
from convlens.lens.kinds import bound
from convlens.lens.recorder.keeping import Keeper
from convlens.lens.recording import Value
from convlens.lens.trees import replace_refs, tensors_in
from tests.cases.networks import NETWORKS, Raises, build

BOTH_MODES = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
EACH_NETWORK = pytest.mark.parametrize("name", NETWORKS)


def flat(outputs: object) -> list[Tensor]:
    return tensors_in(outputs)


def copied(value: Value) -> Tensor:
    """Return a copy that requires a gradient if a parameter did: torch may fold products then."""
    copy = value.tensor.clone()
    return copy.requires_grad_(value.kind == "parameter" and copy.is_floating_point())


def replayed_wrongly(seen: Recording) -> list[int]:
    """Return the steps whose recorded inputs, run again, do not give their recorded outputs."""
    wrong = []
    for step in seen:
        if step.op == "alias" or not step.outputs:
            continue
        args, kwargs = replace_refs(
            (step.args, step.kwargs), lambda ref: copied(seen.values[ref.id])
        )
        with torch.no_grad():
            made = step.function(*args, **kwargs)
        # A call in place changes its first argument, which is the step's first output.
        results = tensors_in(args[:1] if made is None else made)
        for id, result in zip(step.outputs, results, strict=False):
            if not torch.equal(seen.values[id].tensor, result):
                wrong.append(step.index)
    return wrong


@EACH_NETWORK
@BOTH_MODES
def test_outputs_are_bitwise_those_of_the_plain_forward(
    name: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch takes no fused attention while a function mode is on; a warning says so.
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
    network, inputs = build(name, training)
    with torch.no_grad():
        plain = network(*inputs)
    network, inputs = build(name, training)
    seen = record(network, *inputs)
    assert seen.error is None
    assert len(flat(plain)) == len(flat(seen.outputs)) > 0
    for a, b in zip(flat(plain), flat(seen.outputs), strict=True):
        assert torch.equal(a, b)
    for id, b in zip(seen.output_ids, flat(seen.outputs), strict=True):
        assert torch.equal(seen.values[id].tensor, b)


@EACH_NETWORK
@BOTH_MODES
def test_every_step_run_again_on_its_recorded_inputs_gives_its_recorded_outputs(
    name: str, training: bool
) -> None:
    network, inputs = build(name, training)
    seen = record(network, *inputs)
    assert replayed_wrongly(seen) == []


def test_without_copy_on_write_the_replay_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "before_write", lambda self, tensor: None)
    network, inputs = build("in place")
    assert replayed_wrongly(record(network, *inputs)) != []


def test_running_statistics_are_those_before_the_step() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3)).train()
    x = torch.randn(2, 3, 4, 4) + 5
    seen = record(network, x)
    before = [v for v in seen.values if v.name == "0.running_mean"]
    assert torch.equal(before[0].tensor, torch.zeros(3))
    mean = network[0].running_mean
    assert isinstance(mean, Tensor)
    assert float(mean.abs().sum()) > 0


def test_inputs_are_left_alone() -> None:
    for name in NETWORKS:
        network, inputs = build(name)
        copies = [x.clone() for x in inputs]
        record(network, *inputs)
        assert all(torch.equal(a, b) for a, b in zip(inputs, copies, strict=True))


def test_a_network_that_raises_gives_the_steps_that_ran_and_the_error_at_its_step() -> None:
    seen = record(Raises(), torch.ones(1, 3, 8, 8))
    assert [step.op for step in seen] == ["conv2d", "relu", "flatten"]
    assert seen.error is not None
    assert (seen.error.step, seen.error.module, seen.error.op) == (3, "head", "linear")
    assert "mat1 and mat2" in seen.error.message
    assert "stopped: step 3, module `head` in `linear`" in str(seen)


def test_an_error_of_the_users_own_code_names_its_module() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("no such thing")

    seen = record(nn.Sequential(nn.Conv1d(1, 1, 1), Inner()), torch.ones(1, 1, 3))
    assert seen.error is not None
    assert (seen.error.step, seen.error.module) == (1, "1")
    assert "no such thing" in seen.error.message


def test_control_c_is_not_swallowed() -> None:
    class Stopped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(Stopped(), torch.ones(1))
    assert [step.op for step in record(nn.ReLU(), torch.ones(1))] == ["relu"]


def test_source_lines_are_the_users() -> None:
    network, inputs = build("residual")
    file, line = record(network, *inputs).step("conv2").source
    assert file.endswith("networks.py")
    assert "self.conv2(y)" in Path(file).read_text().splitlines()[line - 1]


def test_a_plain_function_and_keyword_inputs() -> None:
    seen = record(lambda a, b: a @ b, torch.ones(2, 3), b=torch.ones(3, 2))
    assert [step.op for step in seen] == ["matmul"]
    assert [value.name for value in seen.inputs] == ["input", "input1"]
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module or a callable"):
        record("resnet", torch.ones(1))


def test_reading_numbers_out_is_said() -> None:
    seen = record(lambda x: torch.from_numpy(x.numpy() * 2), torch.ones(3))
    assert any("takes numbers out of torch" in text for text in seen.warnings)


def test_over_budget_says_what_it_would_need() -> None:
    network, _ = build("residual")
    big = torch.randn(1, 3, 256, 256)
    needed = record(network, big).nbytes
    with pytest.raises(MemoryError, match=r"1x3x256x256 would keep \d+\.\d MiB; the budget is 97"):
        record(network, big, budget=100_000)
    assert len(record(network, big, budget=needed * 2)) > 10
    with pytest.raises(ValueError, match="positive number of bytes"):
        record(network, big, budget=0)


def test_what_it_would_need_is_what_it_would_have_kept() -> None:
    network, inputs = build("residual")
    kept = record(network, *inputs).nbytes
    with pytest.raises(MemoryError) as caught:
        record(network, *inputs, budget=1)
    said = float(str(caught.value).split("would keep ")[1].split(" KiB")[0])
    assert said == pytest.approx(kept / 2**10, abs=0.06)


def test_every_step_of_the_networks_has_a_kind_of_its_own() -> None:
    """The universal kind is for unknown operations; the networks here have none."""
    unknown = set()
    for name in NETWORKS:
        network, inputs = build(name)
        seen = record(network, *inputs)
        unknown |= {s.op for s in seen if bound(seen, s)[0].name == "universal"}
    assert unknown == set()


def test_inside_vmap_the_plain_operators_are_recorded() -> None:
    def network(x: Tensor) -> Tensor:
        found: Tensor = torch.func.vmap(lambda line: torch.relu(line * 2).sum())(x) + 1
        return found

    x = torch.randn(4, 5)
    seen = record(network, x)
    assert seen.error is None
    assert torch.equal(seen.outputs, network(x))
    assert [step.op for step in seen] == ["mul", "relu", "sum", "add"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_network_is_recorded_eagerly() -> None:
    network = torch.compile(nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()))
    seen = record(network, torch.randn(1, 1, 6))
    assert [(step.op, step.module) for step in seen] == [("conv1d", "0"), ("relu", "1")]
    assert "recorded as they run uncompiled" in seen.warnings[0]
    whole: Any = nn.Sequential(nn.Tanh())
    whole.append(network)
    within = record(whole, torch.randn(1, 1, 6))
    assert "recorded as they run uncompiled" in within.warnings[0]


def test_a_lazy_module_is_initialized_first() -> None:
    network = nn.Sequential(nn.LazyConv1d(2, 3), nn.ReLU())
    seen = record(network, torch.ones(1, 4, 6))
    assert seen.error is None
    assert [step.op for step in seen] == ["conv1d", "relu"]
    assert "0.weight" in [value.name for value in seen.values]
    assert isinstance(network[0], nn.Conv1d)


def test_a_cast_by_type_is_a_step_and_a_question_is_none() -> None:
    seen = record(lambda x: x.type(torch.float64) if x.type() else x, torch.ones(2))
    assert [step.op for step in seen] == ["type"]
    assert seen.steps[0].inputs == (seen.inputs[0].id,)


def test_hooks_and_modes_are_gone_afterwards() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    count = len(seen.steps)
    network(*inputs)
    assert len(seen.steps) == count
    assert not torch.nn.modules.module._global_forward_hooks
    assert torch._C._len_torch_function_stack() == 0


def test_a_network_without_code_of_its_own_has_no_source_lines() -> None:
    seen = record(nn.Sequential(nn.Conv1d(1, 1, 3), nn.ReLU()), torch.ones(1, 1, 5))
    assert {step.source for step in seen} == {("", 0)}
