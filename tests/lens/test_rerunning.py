"""A network that runs again with changes is the changed network, whatever way it goes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import (
    Change,
    Mute,
    Recording,
    SetArgument,
    SetNumber,
    explain_value,
    record,
    replay,
    rerun,
)
from convlens.lens.replaying import same_bits
from tests.cases.networks import NETWORKS, build
from tests.lens.test_whole_networks import PICTURES, SMALL, small


def differences(one: Recording, other: Recording) -> list[str]:
    ways = [[(step.op, step.inputs, step.outputs) for step in seen] for seen in (one, other)]
    assert ways[0] == ways[1]
    pairs = zip(one.values, other.values, strict=True)
    return [one.name_of(a.id) for a, b in pairs if not same_bits(a.tensor, b.tensor)]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_gives_what_a_replay_gives(name: str) -> None:
    network, given = build(name)
    seen = record(network, *given)
    parameter = next(value for value in seen.values if value.kind == "parameter")
    middle = seen.values[seen.steps[1].outputs[0]]
    changes: list[Change] = [
        SetNumber(parameter.id, (0,) * len(parameter.shape), 2.0),
        SetNumber("input", (0,) * given[0].dim(), -1.0),
    ]
    before = [tensor.clone() for tensor in (*given, *network.parameters())]
    assert differences(rerun(network, seen, changes, *given), replay(seen, changes)) == []
    assert all(map(torch.equal, before, (*given, *network.parameters())))
    if name == "in place":  # a change of memory that others see is refused by both
        return
    changes.append(SetNumber(middle.id, (0,) * len(middle.shape), 5.0))
    assert differences(rerun(network, seen, changes, *given), replay(seen, changes)) == []


class Asking(nn.Module):
    """It asks for sizes, chooses its way by a number, and activates in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.conv(x)))
        y = F.interpolate(y, size=(y.size(2) * 2, y.size(3)))
        out: Tensor = self.last(y) if y.mean() > 0.1 else y
        return out


def test_sizes_and_ways_follow_the_changes() -> None:
    torch.manual_seed(0)
    network, x = Asking().eval(), torch.randn(1, 1, 8, 8)
    seen = record(network, x)
    changes: list[Change] = [SetArgument("conv", "stride", 2), SetNumber("conv.bias", (1,), 3.0)]
    with pytest.raises(ValueError, match="asked for its sizes"):
        replay(seen, changes)
    changed = copy.deepcopy(network)
    changed.conv.stride = (2, 2)
    with torch.no_grad():
        torch.nn.init.constant_(changed.conv.bias[1:2], 3.0)  # type: ignore[index]
    again = rerun(network, seen, changes, x)
    assert differences(again, record(changed, x)) == []
    assert network.conv.stride == (1, 1)
    silent = rerun(network, seen, [Mute("act", channel) for channel in range(4)], x)
    assert [step.op for step in silent][-1] == "__bool__"
    assert silent.output is not None
    assert not silent.output.tensor.any()
    id = silent.made("act")[0]
    assert explain_value(silent, id, (0, 1, 2, 2)).rule == "given"


def test_a_change_whose_step_is_not_reached_is_refused() -> None:
    torch.manual_seed(0)
    network, x = Asking().eval(), torch.randn(1, 1, 8, 8)
    seen = record(network, x)
    changes: list[Change] = [Mute("act", channel) for channel in range(4)]
    with pytest.raises(ValueError, match=r"step 7 \(`conv2d`.*was not reached"):
        rerun(network, seen, [*changes, SetNumber("last", (0, 0, 0, 0), 1.0)], x)
    with pytest.raises(ValueError, match="use 0 to 3"):
        rerun(network, seen, [Mute("act", 4)], x)


def test_a_named_result_of_torch_stays_one() -> None:
    def best(x: Tensor) -> Tensor:
        found = (x * 2).topk(2)
        return found.values + found.indices

    x = torch.tensor([1.0, 5.0, 3.0])
    seen = record(best, x)
    again = rerun(best, seen, [SetNumber("topk@1", (0,), 0.0)], x)
    assert again.output is not None
    assert again.output.tensor.tolist() == [1.0, 8.0]


def test_a_detector_runs_again_with_another_pixel_and_a_muted_map() -> None:
    network, pictures = small(SMALL[0]), [PICTURES[0].clone()]
    seen = record(network, pictures)
    at = (1, 40, 50)
    changed = [pictures[0].clone()]
    changed[0][at] = 5.0
    again = rerun(network, seen, [SetNumber("input", at, 5.0)], pictures)
    truth = record(network, changed)  # memory that is not filled yet has any numbers
    assert {name.split(".")[-1] for name in differences(again, truth)} <= {"new_empty", "permute"}
    assert len(again.output_ids) == 3
    for one, other in zip(again.output_ids, truth.output_ids, strict=True):
        assert same_bits(again.values[one].tensor, truth.values[other].tensor)
    muted = rerun(network, seen, [Mute("backbone.body.0.0", 3)], pictures)
    value = muted.values[muted.made("backbone.body.0.0")[0]]
    assert not value.tensor[:, 3].any()
    assert muted.error is None
