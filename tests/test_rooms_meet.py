"""Rooms that do not know each other agree: `compute` recomputes what `lens` recorded."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convlens.compute import avg_pool, conv, conv_transpose, max_pool
from convlens.lens import Recording, Step, record
from convlens.lens.kinds.convolving import Geometry as Convolution
from convlens.lens.kinds.pooling import Geometry as Pool
from convlens.windows import Window
from convlens.zoo import list_models, model
from networks import NETWORKS, build

EVERY = [*NETWORKS, *list_models()]


def opened(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    if name in NETWORKS:
        return build(name)
    shape = {"digits": (1, 1, 8, 8), "filters": (1, 3, 40, 50)}[name]
    return model(name), (torch.rand(shape, generator=torch.Generator().manual_seed(0)),)


def recomputed(seen: Recording, step: Step) -> np.ndarray | None:
    """The step's output by `compute` from its recorded inputs, in float64; None for other steps."""
    if step.op.startswith("conv"):
        g = Convolution.of(seen, step)
        bias = g.given.tensor("bias").double() if g.given.has("bias") else None
        options: dict[str, Any] = {
            "stride": [w.stride for w in g.windows],
            "padding": [(w.before, w.after) for w in g.windows],
            "dilation": [w.dilation for w in g.windows],
            "groups": g.groups,
        }
        if g.transposed:
            options["output_padding"] = g.given.per_axis("output_padding", g.axes)
        operation = conv_transpose if g.transposed else conv
        return np.asarray(operation(g.x.double(), g.weight.double(), bias, **options))
    if "_pool" in step.op and "adaptive" not in step.op:
        p = Pool.of(seen, step)
        windows = [w for w in p.windows if isinstance(w, Window)]
        pooling: dict[str, Any] = {
            "stride": [w.stride for w in windows],
            "padding": [w.before for w in windows],
            "dilation": [w.dilation for w in windows],
            "ceil_mode": windows[0].ceil,
        }
        size = tuple(w.size for w in windows)
        if p.maximum:
            return np.asarray(max_pool(p.x.double(), size, **pooling))
        counted = bool(p.given["count_include_pad"])
        return np.asarray(avg_pool(p.x.double(), size, count_include_pad=counted, **pooling))
    return None


@pytest.mark.parametrize("name", EVERY)
def test_every_recorded_convolution_and_pooling_is_recomputed(name: str) -> None:
    network, inputs = opened(name)
    seen = record(network, *inputs)
    for step in seen:
        again = recomputed(seen, step)
        if again is None:
            continue
        recorded = seen.values[step.outputs[0]].tensor.numpy()
        assert recorded.shape == again.shape
        scale = np.abs(again).max() + 1
        assert np.abs(recorded - again).max() <= 1e-5 * scale


def test_there_is_much_to_recompute() -> None:
    count = 0
    for name in EVERY:
        network, inputs = opened(name)
        seen = record(network, *inputs)
        count += sum(recomputed(seen, step) is not None for step in seen)
    assert count >= 45


def test_a_weight_off_by_a_thousandth_is_seen() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    step = seen.step("conv1")
    seen.values[step.inputs[1]].tensor.mul_(1.001)
    again = recomputed(seen, step)
    assert again is not None
    recorded = seen.values[step.outputs[0]].tensor.numpy()
    assert np.abs(recorded - again).max() > 1e-5 * (np.abs(again).max() + 1)
