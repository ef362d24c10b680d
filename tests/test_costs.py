"""Costs against hand counts and the figures the papers' tables were made with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import costs
from convlens.zoo import model


def test_transposed_convolution_counts_its_input() -> None:
    found = costs(nn.ConvTranspose2d(4, 2, 4, 2, 1), torch.ones(1, 4, 16, 16))
    assert found.multiply_adds == 32_768
    assert found.parameters == 4 * 2 * 16 + 2
    assert costs(nn.ConvTranspose2d(8, 4, 2, 2), torch.ones(1, 8, 16, 16)).multiply_adds == 32_768


def test_convolution_functional_subclassed_and_shared() -> None:
    class Own(nn.Conv2d):
        """A subclass the usual counters do not know."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = Own(3, 3, 3, padding=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(self.own(self.own(x)), self.own.weight, padding=1)

    found = costs(Network(), torch.ones(1, 3, 32, 32))
    one = 3 * 3 * 9 * 32 * 32
    assert [row.multiply_adds for row in found.rows] == [one, one, one]
    assert found.parameters == 81
    assert [row.parameters for row in found.rows] == [81, 0, 0]


def test_groups_dimensions_and_linear() -> None:
    assert costs(nn.Conv2d(8, 8, 3, groups=8), torch.ones(1, 8, 5, 5)).multiply_adds == 8 * 9 * 9
    volume = costs(nn.Conv3d(2, 4, (1, 3, 3)), torch.ones(1, 2, 2, 5, 5))
    assert volume.multiply_adds == 2 * 4 * 9 * 2 * 9
    assert costs(nn.Linear(10, 4), torch.ones(3, 10)).multiply_adds == 120
    assert costs(lambda a: a @ a.mT, torch.ones(2, 3, 5)).multiply_adds == 2 * 3 * 3 * 5


def test_pooling_and_bias_are_operations_not_multiply_adds() -> None:
    found = costs(nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(2)), torch.ones(1, 1, 4, 4))
    assert found.multiply_adds == 2 * 16
    assert found.operations == 2 * 16 + 2 * 16
    assert [row.bytes for row in found.rows] == [128, 32]


def test_resnet50_is_the_published_size() -> None:
    found = costs(model("resnet50", weights=None), torch.zeros(1, 3, 224, 224))
    assert found.multiply_adds == 4_089_184_256
    assert found.parameters == 25_557_032
    assert "4,089,184,256" in str(found)
    assert found.to_dict()["multiply_adds"] == 4_089_184_256
