"""A compiled network resumes bit for bit; without a C++ compiler a sentence says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from convlens.learn.training.starting import train
from tests.cases.labelled import class_folders
from tests.cases.training_runs import QUICK, end_of, shades, small_network

pytestmark = pytest.mark.slow  # the first compilation takes 20 s on one core of Zen 4


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    recipe = replace(QUICK, compile=True, save=0.0)
    list(train(small_network(), shades(), recipe, tmp_path / "whole"))
    running = train(small_network(), shades(), recipe, tmp_path / "run").steps()
    for _ in range(3):
        next(running)
    running.close()
    list(train(small_network(), shades(), recipe, tmp_path / "run"))
    assert end_of(tmp_path / "run") == end_of(tmp_path / "whole")


@pytest.mark.skipif(os.name == "nt", reason="another compiler")
def test_no_compiler_is_one_sentence(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})
    words = ["train", "shapes_resnet", "photos", "--size", "32", "--epochs", "1", "--compile"]
    ended = subprocess.run(
        [sys.executable, "-m", "convlens", *words],
        cwd=tmp_path,
        env={**os.environ, "CXX": "/nowhere/g++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "c")},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    said = [line for line in ended.stderr.splitlines() if line.startswith("convlens: ")]
    assert len(said) == 1
    assert "`compile` (=True) needs a network and a C++ compiler" in said[0]
    assert "Traceback" not in ended.stderr
