"""The lab beside a training opens with the first checkpoint, and ends with the training."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from convlens.cli import beside
from convlens.cli.beside import LabBeside
from convlens.learn.run_folder import RunFolder

STAND_IN = """
import sys
print("open at", sys.argv[1], flush=True)
print("Ctrl-C closes it.", flush=True)
sys.stdin.read()
"""


def with_checkpoint(folder: Path) -> None:
    path = RunFolder(folder).checkpoint(3)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")


def until(there: object) -> None:
    assert callable(there)
    for _ in range(600):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError("it took too long")


def test_it_begins_with_the_first_checkpoint_and_ends_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "PROGRAM", STAND_IN)
    said: list[str] = []
    children = psutil.Process().children
    before = len(children())
    with LabBeside(str(tmp_path), wanted=True) as lab:
        lab.begin(said.append)
        assert len(children()) == before
        with_checkpoint(tmp_path)
        lab.begin(said.append)
        lab.begin(said.append)
        assert len(children()) == before + 1
        until(lambda: said)
    assert said == [f"open at {tmp_path}"]
    assert len(children()) == before


def test_it_is_not_there_unless_it_is_wanted(tmp_path: Path) -> None:
    with_checkpoint(tmp_path)
    before = len(psutil.Process().children())
    with LabBeside(str(tmp_path), wanted=False) as lab:
        lab.begin(print)
        assert len(psutil.Process().children()) == before
        lab.stay()


@pytest.mark.slow
def test_a_training_with_a_lab_is_served_and_takes_the_lab_with_it(tmp_path: Path) -> None:
    words = ("train", "digits", "--epochs", "4000", "--out", str(tmp_path / "run"), "--lab")
    process = subprocess.Popen(
        [sys.executable, "-m", "convlens", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": ""},
    )
    try:
        assert process.stderr is not None
        found = None
        while found is None:
            found = re.search(r"Its training is at (http://\S+)", process.stderr.readline())
        page = httpx.get(found[1], trust_env=False, timeout=60).text
        assert "digits learns classification from digits" in page
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: refuses(found[1]))
    finally:
        process.kill()
        process.communicate()


def refuses(address: str) -> bool:
    try:
        httpx.get(address, trust_env=False, timeout=5)
    except httpx.TransportError:
        return True
    return False
