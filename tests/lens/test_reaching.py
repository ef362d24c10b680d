"""The way of a number holds exactly what it is made of, and exactly what it reaches."""

import pytest
import torch
from torch import Tensor, nn

from convlens.lens import Mute, Recording, SetNumber, reach, record, region, replay
from tests.cases.networks import build


class Linear(nn.Module):
    """A skip, a dilation, an average, a transposed convolution and a concatenation: all linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.dilated = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.pool = nn.AvgPool2d(2)
        self.up = nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1)
        self.last = nn.Conv2d(6, 1, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.up(self.pool(self.dilated(x) + x))
        out: Tensor = self.last(torch.cat((x, y), 1)).flatten(1)
        return out


def recorded() -> Recording:
    torch.manual_seed(0)
    return record(Linear().double(), torch.randn(2, 2, 10, 8).double())


def moved(seen: Recording, id: int, at: tuple[int, ...]) -> dict[int, Tensor]:
    """Return which numbers of each value a change of one number moves."""
    to = float(seen.values[id].tensor[at]) + 1.0
    new = replay(seen, [SetNumber(id, at, to)])
    pairs = zip(seen.values, new.values, strict=True)
    found = {one.id: one.tensor != other.tensor for one, other in pairs if one is not other}
    return {value: mask for value, mask in found.items() if value != id and mask.any()}


@pytest.mark.parametrize(
    ("name", "at"),
    [("input", (1, 0, 4, 3)), ("stem", (0, 2, 0, 0)), ("pool", (1, 1, 4, 3)), ("up", (0, 1, 9, 0))],
)
def test_what_a_number_reaches_is_what_moves_with_it(name: str, at: tuple[int, ...]) -> None:
    seen = recorded()
    id = seen.made(name)[0]
    way, truth = reach(seen, id, at), moved(seen, id, at)
    assert {r.value.id for r in way.later} == truth.keys()
    for found in way.later:
        theirs = truth[found.value.id]
        assert not found.warning
        assert torch.equal(found.mask, theirs)
        assert found.count == int(theirs.sum())
        places = theirs.nonzero()
        box = [range(int(a.min()), int(a.max()) + 1) for a in places.unbind(1)]
        assert list(found.box) == box


def test_what_a_number_is_made_of_is_what_moves_it() -> None:
    seen = recorded()
    id, at = seen.made("last")[0], (1, 0, 2, 1)
    way = reach(seen, id, at)
    earlier = {found.value.id: found for found in way.earlier}
    assert list(earlier) == sorted(earlier, reverse=True)
    for name in ("input", "stem", "pool", "dilated", "up"):
        value = seen.values[seen.made(name)[0]]
        truth = torch.zeros(value.shape, dtype=torch.bool)
        for position in range(value.tensor.numel()):
            there = tuple(int(i) for i in torch.unravel_index(torch.tensor(position), value.shape))
            if there[0] == 1 and there[1] in (0, value.shape[1] - 1):
                mask = moved(seen, value.id, there).get(id)
                truth[there] = mask is not None and bool(mask[at])
        kept = [0, value.shape[1] - 1]
        assert torch.equal(earlier[value.id].mask[:, kept], truth[:, kept]), name
    assert torch.equal(earlier[seen.inputs[0].id].mask, region(seen, id, at).mask)


@pytest.mark.parametrize("name", ["residual", "depthwise", "in place", "dense", "attention"])
def test_both_ways_agree_and_hold_whatever_moves(name: str) -> None:
    """One number is in the way of another exactly if the other is in the way of the one."""
    network, given = build(name)
    seen = record(network, *given)
    source, at = seen.inputs[0], tuple(n // 2 for n in given[0].shape)
    way = reach(seen, source.id, at).later
    later = {found.value.id: found.mask for found in way}
    assert seen.output is not None
    assert seen.output.id in later
    generator = torch.Generator().manual_seed(0)
    for id, mask in ((r.value.id, r.mask) for r in way if not r.warning):
        for _ in range(3):
            there = tuple(int(torch.randint(n, (), generator=generator)) for n in mask.shape)
            assert bool(mask[there]) == bool(region(seen, id, there).mask[at])
    new = replay(seen, [SetNumber(source.id, at, 4.0)])
    for one, other in zip(seen.values, new.values, strict=True):
        if one is not other and one is not source:
            assert not bool(((one.tensor != other.tensor) & ~later[one.id]).any())


def test_what_no_rule_knows_is_an_upper_bound_and_says_so() -> None:
    seen = record(lambda x: torch.linalg.inv(x + 1) * 2, torch.eye(3))
    inverse = seen.steps[1]
    assert reach(seen, seen.inputs[0].id, (0, 0)).later[0].warning == ""
    later = reach(seen, seen.inputs[0].id, (0, 0)).later[-1]
    assert "`linalg_inv` (step 1) may read fewer" in later.warning
    assert later.count == 9
    earlier = reach(seen, seen.steps[2].outputs[0], (0, 0)).earlier
    assert [bool(found.warning) for found in earlier] == [False, True, True]
    assert earlier[0].value.id == inverse.outputs[0]


def test_a_number_that_a_change_put_is_made_of_nothing() -> None:
    seen = record(nn.Sequential(nn.Conv1d(1, 2, 1), nn.ReLU()), torch.ones(1, 1, 3))
    muted = replay(seen, [Mute("0", 1)])
    assert reach(muted, muted.made("0")[0], (0, 1, 0)).earlier == ()
    last = {r.value.id: r.count for r in reach(muted, muted.inputs[0].id, (0, 0, 1)).later}
    assert last == {muted.made("0")[0]: 1, muted.made("1")[0]: 1}


def test_a_parameter_reaches_what_it_is_a_part_of() -> None:
    seen = recorded()
    (weight,) = (value for value in seen.values if value.name == "stem.weight")
    later = {r.value.id: r.mask for r in reach(seen, weight.id, (1, 0, 0, 0)).later}
    truth = moved(seen, weight.id, (1, 0, 0, 0))
    assert all(torch.equal(later[id], mask) for id, mask in truth.items())
    assert later.keys() == truth.keys()


def test_a_value_or_element_that_is_not_there_is_named() -> None:
    seen = recorded()
    with pytest.raises(ValueError, match="must be a value of this recording"):
        reach(seen, len(seen.values), (0,))
    with pytest.raises(ValueError, match="must have 4 integers"):
        reach(seen, seen.made("stem")[0], (0, 0))
