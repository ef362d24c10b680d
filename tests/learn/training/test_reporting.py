"""The report of a run: its samples open as what was measured."""

from __future__ import annotations

import re
import shlex
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convlens.draw.sheets import labelled
from convlens.learn.data.shapes.shapes import shapes_data
from convlens.learn.measuring.pairing import overlaps
from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.tasks import TASKS
from convlens.learn.training.loading import to_network
from convlens.learn.training.reporting import write_report
from convlens.learn.training.starting import train
from convlens.learn.training.validation import Validation, validate
from convlens.zoo import NETWORKS
from tests.cases.labelled import class_folders


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "run"
    list(train("digits", "digits", out=folder, epochs=1, threads=1))
    return folder


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command on a page."""
    found = re.findall(r'<code class="command">(.*?)</code>', page.read_text())
    return [shlex.split(unescape(one)) for one in found]


def assert_opens_as_measured(validation: Validation, page: Path, most: float) -> None:
    opened = open_network(str(validation.folder.path))
    said = commands(page)
    assert said
    for _, verb, run, file in said:
        assert (verb, run) == ("lab", str(validation.folder.path))
        number = int(re.split(r"[-.]", Path(file).name)[0])
        batch = validation.reading.batch(np.array([number]), None)
        expected = to_network(batch, validation.reading.preparation, torch.device("cpu"))
        assert (read_inputs(opened, file)[0] - expected).abs().max() <= most


def test_digits_open_with_the_ink_that_was_measured(digits_run: Path) -> None:
    validation = validate(digits_run)
    assert_opens_as_measured(validation, write_report(validation), 0.0)


def test_photographs_open_as_the_network_read_them(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})
    list(train("resnet18", tmp_path / "photos", out=tmp_path / "run", epochs=1, size=32, threads=1))
    validation = validate(tmp_path / "run")
    assert_opens_as_measured(validation, write_report(validation), 1e-6)


def shapes_run(name: str, folder: Path) -> Validation:
    """Return the measurement of a short run, with the weights that ship for its network."""
    task = TASKS[NETWORKS[name].task]
    few = shapes_data(task.shapes, 8, 4)
    list(train(name, few, out=folder, epochs=1, batch=4, threads=1))
    return validate(folder, few, weights=NETWORKS[name].shipped)


def both(validation: Validation, number: int) -> tuple[Any, Any]:
    """A sample with its labels, and with the network's."""
    found = validation.answered(number)
    assert found is not None
    return found


def test_boxes_masks_and_points_that_were_said_are_drawn_beside_the_truth(tmp_path: Path) -> None:
    validation = shapes_run("shapes_masks", tmp_path / "masks")
    shares = []
    for number in range(4):
        true, said = both(validation, number)
        near = overlaps(said.boxes.numpy(), true.boxes.numpy(), true.crowd.numpy())
        shares += near.max(1).tolist()
        shared = said.masks & true.masks[near.argmax(1)]
        either = said.masks | true.masks[near.argmax(1)]
        shares += (shared.sum((1, 2)) / either.sum((1, 2))).tolist()
    assert np.mean(np.array(shares) > 0.5) > 0.8
    page = write_report(validation, pen=labelled).read_text()
    assert page.count('alt="said: ') == page.count('alt="truth: ') == 4
    true, said = both(shapes_run("shapes_keypoints", tmp_path / "points"), 0)
    near = overlaps(said.boxes.numpy(), true.boxes.numpy(), true.crowd.numpy()).argmax(1)
    off = (said.points - true.points[near])[..., :2].norm(dim=-1)[true.points[near][..., 2] > 0]
    assert off.median() < 6
    assert (said.points[..., 2] == 2).all()


def test_a_map_that_was_said_is_drawn_beside_the_truth(tmp_path: Path) -> None:
    validation = shapes_run("shapes_unet", tmp_path / "run")
    true, said = both(validation, 1)
    assert said.map.dtype == torch.uint8
    assert (said.map == true.map).float().mean() > 0.9
    assert (said.map != true.map).any()


def test_every_link_names_a_file_beside_the_page(digits_run: Path) -> None:
    page = write_report(validate(digits_run))
    links = re.findall(r'href="([^"]*)"', page.read_text())
    assert len(links) == 2 * len(commands(page))  # of the picture and of its name
    assert all((page.parent / link).is_file() for link in links)
