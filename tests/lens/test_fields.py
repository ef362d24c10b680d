"""The region that a number was made from is where autograd's gradient is not zero."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import explain_value, record, region
from tests.cases.networks import NETWORKS, build


def depends(network: object, x: Tensor, index: tuple[int, ...]) -> Tensor:
    """Return where the gradient of an output element is not zero, as an oracle."""
    leaf = x.double().requires_grad_()
    out = network(leaf)  # type: ignore[operator]
    (grad,) = torch.autograd.grad(out[index], leaf)
    found: Tensor = grad != 0
    return found


class Linear(nn.Module):
    """A network of linear steps only, so that no gradient vanishes by a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(2, 4, 3, 2, 2, dilation=2, groups=2)
        self.two = nn.Conv2d(4, 3, (1, 3), padding="same")
        self.up = nn.ConvTranspose2d(3, 6, 3, 3, 1, groups=3)
        self.out = nn.Conv2d(6, 2, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool2d(self.one(F.pad(x, (1, 2, 0, 1), mode="reflect")), 2, 1, 1)
        y = self.up(self.two(y))[:, :, 1:]
        y = torch.cat((y, y.flip(-1)), 2)
        y = F.interpolate(y, scale_factor=0.5, mode="bilinear", align_corners=False)
        out: Tensor = self.out(y)
        return out


def test_equal_to_autograd_through_linear_steps() -> None:
    torch.manual_seed(0)
    network = Linear()
    x = torch.randn(2, 2, 13, 12)
    seen = record(network, x)
    double = Linear().double()
    double.load_state_dict({k: v.double() for k, v in network.state_dict().items()})
    assert seen.output is not None
    n, k, h, w = seen.output.shape
    compared = 0
    for index in [(0, 0, 0, 0), (n - 1, k - 1, h - 1, w - 1), (0, 1, h // 2, w // 2), (1, 0, 2, 1)]:
        mine = region(seen, seen.output.id, index)
        truth = depends(double, x, index)
        assert torch.equal(mine.mask, truth)
        assert mine.count == int(truth.sum())
        compared += 1
        axes = truth.nonzero()
        for axis, span in enumerate(mine.box):
            assert (span.start, span.stop) == (
                int(axes[:, axis].min()),
                int(axes[:, axis].max()) + 1,
            )
    assert compared == 4


def test_the_oracle_can_fail() -> None:
    torch.manual_seed(0)
    network = Linear()
    x = torch.randn(1, 2, 13, 12)
    seen = record(network, x)
    assert seen.output is not None
    mine = region(seen, seen.output.id, (0, 0, 0, 0))
    assert not torch.equal(mine.mask, depends(network.double(), x, (0, 0, 0, 1)))


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "in place"])
def test_nothing_that_matters_is_outside(name: str) -> None:
    network, inputs = build(name)
    seen = record(network, *inputs)
    assert seen.output is not None
    index = tuple(n // 2 for n in seen.output.shape)
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = network(*(leaf * 1 for leaf in leaves))
    first = out if isinstance(out, Tensor) else out[0]
    grads = torch.autograd.grad(first[index], leaves, materialize_grads=True)
    for i, grad in enumerate(grads):
        mask = explain_value(seen, seen.output.id, index).pixels(i).mask
        assert mask[grad != 0].all()
        assert mask.any()
        # The pictures of a batch are independent: nothing of another one is read.
        if grad.shape[0] > 1:
            assert not mask[1 - index[0]].any()


def test_through_writes_in_place_every_pixel_that_changes_the_number_is_inside() -> None:
    """autograd refuses such a network, so each pixel is changed in turn."""
    network, (x,) = build("in place")
    seen = record(network, x)
    assert seen.output is not None
    for index in [(0, 1, 2, 3), (1, 3, 0, 0), (0, 2, 5, 6)]:
        changes = torch.zeros(x.shape, dtype=torch.bool)
        with torch.no_grad():
            for position in range(x.numel()):
                other = x.clone()
                other.view(-1)[position] += 0.37
                changed = network(other)[index] != seen.output.tensor[index]
                changes.view(-1)[position] = changed
        mask = region(seen, seen.output.id, index).mask
        assert mask[changes].all()
        assert int(mask.sum()) <= 2 * 2 * 9  # at most a window of each of two channels


def test_holes_of_dilated_stacks_are_kept() -> None:
    stack = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=2, dilation=2), nn.Conv2d(1, 1, 3, padding=6, dilation=6)
    )
    seen = record(stack, torch.randn(1, 1, 40, 40))
    assert seen.output is not None
    found = region(seen, seen.output.id, (0, 0, 20, 20))
    assert found.count == 81
    assert [len(span) for span in found.box[2:]] == [17, 17]


def test_a_pixel_is_itself() -> None:
    seen = record(nn.ReLU(), torch.randn(1, 1, 4, 4))
    found = region(seen, seen.inputs[0].id, (0, 0, 1, 2))
    assert found.count == 1
    assert found.mask[0, 0, 1, 2]
    with pytest.raises(ValueError, match="use 0 to 0"):
        region(seen, seen.inputs[0].id, (0, 0, 1, 2), 1)


def test_a_cast_to_the_dtype_of_another_reads_nothing_of_the_other() -> None:
    x, other = torch.arange(20), torch.zeros(3, 4)
    recording = record(lambda x, other: x.to(other) + other.sum(), x, other)
    cast = recording.steps[0]
    assert cast.op == "to"
    found = region(recording, cast.outputs[0], (7,))
    assert found.mask.nonzero().tolist() == [[7]]
    assert region(recording, cast.outputs[0], (7,), input=1).count == 0
