"""Detectors with drawn weights that find something, quick on small pictures."""

import torch
from torch import nn

from convlens.zoo import NETWORKS
from tests.cases.zoo_weights import drawn, with_weights


def finding(
    name: str = "fasterrcnn_mobilenet_v3_large_fpn",
    classes: int = 5,
    *,
    shifts: float = 0.02,
    scores: float = 0.1,
    size: int = 128,
) -> nn.Module:
    """A detector in evaluation mode; pictures are scaled to a shorter side of `size` pixels.

    `shifts`: how far boxes lie from their anchors; large ones are cut off at the border. `scores`:
    how far apart; large ones are certainties.
    """
    with torch.device("meta"):
        network = NETWORKS[name].build(name, classes)
    table = drawn(network)
    for key, tensor in table.items():
        if key.endswith("bbox_pred.weight"):
            tensor *= shifts
        if key.endswith("cls_score.weight"):
            tensor *= scores
    network = with_weights(network, table).eval()
    network.transform.min_size = (size,)  # type: ignore[union-attr]
    return network
