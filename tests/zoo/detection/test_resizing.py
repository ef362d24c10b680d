"""A picture is resized to the sizes that a detector was trained at."""

from __future__ import annotations

import torch

from convlens.zoo.detection import detector


def test_a_training_picture_is_resized_to_one_of_the_sizes_at_random() -> None:
    with torch.device("meta"):
        transform = detector("keypointrcnn_resnet50_fpn").transform
    image = [torch.zeros(3, 8, 9)]
    torch.manual_seed(0)
    seen = {transform(image)[1][0][0] for _ in range(40)}
    assert seen == {640, 672, 704, 736, 768, 800}
    transform.eval()
    assert transform(image)[1] == [(800, 900)]
    # The longer side is at most 1333 pixels.
    assert transform([torch.zeros(3, 10, 40)])[1] == [(333, 1333)]
