"""A small detector for the tests of this folder."""

import pytest

from convlens.zoo.detection import Detector
from tests.cases.compared_detectors import SMALL, ours


@pytest.fixture(scope="module")
def network() -> Detector:
    return ours(SMALL).eval()
