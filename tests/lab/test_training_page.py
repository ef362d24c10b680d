"""The page of a training: its curves, its layers, what is wrong, and the way to the stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.learn.opening import open_network
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.health import (
    LayerHealth,
    layer_health,
    read_health,
    troubles,
    write_health,
)
from convlens.learn.training.starting import train
from tests.running.serving import TOKEN, served


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "run <b>"
    running = train("digits", "digits", out=folder, epochs=2, threads=1).steps()
    for progress in running:
        if progress.epoch == 2:
            break
    running.close()
    return folder


@contextmanager
def client_of(run: Path) -> Iterator[httpx.Client]:
    lab = Lab(open_network(str(run), weights="last"))
    lab.look(open_network("digits").example)
    with served(lab) as site, site.client() as client:
        yield client


def test_the_page_has_curves_layers_and_ways_to_the_stage(run: Path) -> None:
    with client_of(run) as client:
        page = client.get(f"/training/{TOKEN}")
        assert page.status_code == 200
        assert "<b>" not in page.text
        assert "run &lt;b&gt;" in page.text
        assert 'http-equiv="refresh"' in page.text
        assert "Layers after epoch 1" in page.text
        assert f'href="/training/{TOKEN}/stage?at=conv1"' in page.text
        assert client.get("/training.css").headers["content-type"].startswith("text/css")
        assert client.get("/training/other").status_code == 404


def test_the_stage_opens_on_the_newest_checkpoint(run: Path) -> None:
    with client_of(run) as client:
        first = client.get("/api/network").content
        list(train("digits", "digits", out=run, epochs=2, threads=1))
        answer = client.get(f"/training/{TOKEN}/stage?at=conv1")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/#token={TOKEN}&at=conv1"
        assert client.get("/api/network").content != first


def test_a_lab_of_a_network_has_no_such_page() -> None:
    lab = Lab(open_network("digits"))
    lab.look(open_network("digits").example)
    assert lab.run_folder() is None
    with served(lab) as site, site.client() as client:
        assert client.get(f"/training/{TOKEN}").status_code == 404


# The state of layers


def planted() -> nn.Module:
    """Return a network of which two channels of four never leave 0."""
    first = nn.Conv2d(1, 4, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([1.0, -1, 1, -1]).view(4, 1, 1, 1))
    return nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def test_dead_channels_are_counted_over_the_batch() -> None:
    network, x = planted(), torch.rand(3, 1, 2, 2) + 0.1
    found = {one.name: one for one in layer_health(network, lambda n, x: n(x), x)}
    assert (found["1"].dead, found["1"].channels) == (2, 4)
    # One picture on which they are alive is enough.
    x[1] *= -1
    found = {one.name: one for one in layer_health(network, lambda n, x: n(x), x)}
    assert found["1"].dead == 0


def test_sizes_are_root_mean_squares() -> None:
    network, x = planted(), torch.rand(3, 1, 2, 2)
    network(x).square().sum().backward()
    layer = network.get_submodule("3")
    found = {one.name: one for one in layer_health(network, lambda n, x: n(x), x)}
    numbers = torch.cat([p.grad.flatten() for p in layer.parameters() if p.grad is not None])
    assert found["3"].gradient == pytest.approx(float(numbers.square().mean().sqrt()))
    assert found["1"].weight is None


def test_a_layer_that_explodes_or_vanishes_is_named_and_a_sound_network_is_not() -> None:
    sound = [
        LayerHealth(name, "Conv2d", 0.1, size) for name, size in zip("abc", (1, 3, 30), strict=True)
    ]
    assert troubles(sound) == []
    assert (
        "a (Conv2d): its gradient is 1,818 times"
        in troubles([LayerHealth("a", "Conv2d", 0.1, 3e4), *sound])[0]
    )
    assert "all but vanished" in troubles([LayerHealth("a", "Conv2d", 0.1, 1e-9), *sound])[0]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = RunFolder(tmp_path).layers
    assert read_health(path) == (0, [])
    layers = [LayerHealth("a", "ReLU", dead=1, channels=2)]
    write_health(path, 3, layers)
    assert read_health(path) == (3, layers)
    path.write_text("[]")
    with pytest.raises(ValueError, match="must be the layers of a training"):
        read_health(path)
