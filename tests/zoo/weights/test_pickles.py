"""An outline shows what a pickle would make, and calls nothing."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path

from convlens.zoo.weights.pickles import outlined
from tests.cases.weight_files import Calls


def test_outlines_call_nothing(tmp_path: Path) -> None:
    trap = {"a": Calls(Path.mkdir, tmp_path / "sprung"), "b": OrderedDict(c=print)}
    outline = outlined(io.BytesIO(pickle.dumps(trap)))
    assert not (tmp_path / "sprung").exists()
    assert "builtins.print" in outline.globals
