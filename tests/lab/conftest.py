"""What the tests of the lab share: a file of networks, labs, and some of them served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from convlens.lab import Lab
from convlens.learn.opening import Opened
from convlens.learn.reading_inputs import read_inputs
from convlens.lens import Recording, record
from convlens.zoo.weights import DATA
from tests.cases.detectors import few_masks
from tests.cases.lab_networks import SOURCE, lab_of, noise, photo
from tests.running.serving import Served, served


@pytest.fixture(scope="package")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of `tests.cases.lab_networks`, as a user would write it."""
    path = tmp_path_factory.mktemp("networks") / "nets.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def residual(networks: Path) -> Lab:
    return lab_of(f"{networks}:Residual", noise(), 24, "noise.png")


@pytest.fixture(scope="module")
def digits() -> Lab:
    return lab_of("digits", DATA / "digit-3.png")


@pytest.fixture(scope="module")
def site(digits: Lab) -> Iterator[Served]:
    with served(digits) as site:
        yield site


@pytest.fixture
def client(site: Served) -> Iterator[httpx.Client]:
    with site.client() as client:
        yield client


@pytest.fixture(scope="package")
def detector() -> Opened:
    return few_masks()


@pytest.fixture(scope="package")
def recording(detector: Opened) -> Recording:
    """The detector on the same picture, recorded by the test itself."""
    return record(detector.network, read_inputs(detector, photo())[0])


@pytest.fixture(scope="package")
def detector_lab(detector: Opened) -> Lab:
    lab = Lab(detector)
    lab.look(photo(), "cat.png")
    return lab


@pytest.fixture(scope="package")
def detector_site(detector_lab: Lab) -> Iterator[Served]:
    with served(detector_lab) as site:
        yield site
