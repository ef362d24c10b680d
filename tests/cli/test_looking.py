"""The commands print what the library returns."""

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlens
from convlens.cli import main
from convlens.lab import serving
from convlens.zoo.weights import DATA, DIGITS
from tests.running.commands import refused, run

OWN = """
import torch

class Broken(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.head = torch.nn.Linear(7, 2)

    def forward(self, x):
        return self.head(self.conv(x))

def signal():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.ReLU())
"""


def test_record_prints_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "record", "digits")
    assert text.splitlines()[0].split() == ["step", "module", "operation", "output", "ms"]
    assert "conv2d" in text
    content = json.loads(run(capsys, "record", "digits", "--json"))
    assert [step["op"] for step in content["steps"]][:2] == ["conv2d", "relu"]


def test_explain_gives_the_numbers_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explain", "digits", "--at", "conv2", "--index", "0,3,1,-1")
    content = json.loads(run(capsys, *words, "--json", "--terms", "5"))
    opened = convlens.open_network("digits")
    assert opened.example is not None
    inputs, _ = convlens.read_inputs(opened, opened.example)
    explanation = convlens.explain(convlens.record(opened.network, inputs), "conv2", (0, 3, 1, 3))
    assert content["recorded"] == explanation.recorded
    assert content["total"] == explanation.total
    assert content["index"] == [0, 3, 1, 3]
    assert len(content["terms"]) == 5
    closed = sum(row["product"] for row in content["terms"]) + content["others"] + content["bias"]
    assert closed == pytest.approx(content["recorded"], abs=content["bound"])
    region = explanation.pixels()
    assert content["pixels"]["count"] == region.count
    text = run(capsys, *words)
    assert text.splitlines()[0] == f"conv2[0,3,1,3] = {explanation.recorded!r}"
    assert f"made from {region.count:,} elements of input" in text


def test_random_weights_are_said_of_numbers_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["record", "digits"],
        ["explain", "digits", "--at", "conv1", "--index", "0,0,0,0"],
    ):
        for weights, said in (
            ("none", ["digits: weights drawn at random: the answer means nothing"]),
            ("DEFAULT", []),
        ):
            with contextlib.suppress(SystemExit):
                main([*words, "--weights", weights])
            assert capsys.readouterr().err.splitlines() == said


def test_costs(capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(run(capsys, "costs", "digits", "--json"))
    assert content["multiply_adds"] == sum(row["multiply_adds"] for row in content["rows"])
    assert f"{content['multiply_adds']:,}" in run(capsys, "costs", "digits")


def test_own_network_on_an_array(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    np.save(tmp_path / "x.npy", np.ones((1, 2, 9), np.float32))
    text = run(capsys, "record", f"{tmp_path}/own.py:signal", f"{tmp_path}/x.npy")
    assert "conv1d" in text
    assert "1x3x7" in text


def test_a_network_that_raises_prints_what_ran(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(SystemExit) as ended:
        main(["record", f"{tmp_path}/own.py:Broken", "--size", "12"])
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert "conv2d" in printed.out
    assert "stopped: step 1, module `head` in `linear`" in printed.out
    assert "the network stopped at" in refused(
        capsys, "costs", f"{tmp_path}/own.py:Broken", "--size", "12"
    )


def test_explain_walks_a_detection_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("from tests.cases.detectors import finding")
    words = ("explain", f"{own}:finding", str(DATA / "cat.jpg"), "--detection", "1")
    lines = run(capsys, *words).splitlines()
    assert lines[0].startswith("detection 1: class")
    assert [line.split()[1] for line in lines[1:]][-2:] == ["cells", "pixels"]
    content = json.loads(run(capsys, *words, "--json"))
    assert content["stations"][0]["text"] in lines[1]


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "convlens", "lab", *words, "--no-open"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_lab_compares_with_all_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr("convlens.lab.serve", lambda *_, beside, **__: given.append(beside))
    monkeypatch.setattr("os._exit", lambda status: None)
    for asked in ([], ["photo.jpg", "--beside", "a.pt", "--beside=net.py:Net(width=8)"]):
        with pytest.raises(SystemExit):
            main(["lab", "digits", *asked])
    assert given == [(), ("a.pt", "net.py:Net(width=8)")]


def test_lab_on_a_taken_port_is_refused_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = lab("digits", "--port", port)
    assert done.returncode == 1
    assert f"`port` (={port}) cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("digitz",), "did you mean 'digits'?"),
        (("digits", "absent.png"), "must name an existing file"),
        (("digits", "--weights", "absent.pth"), "`weights`"),
        (("digits", "--size", "0"), "`size` (=0)"),
        (("digits", "--host", "a b"), "`host` (='a b')"),
        (("digits", "--port", "65536"), "ports end at 65535"),
        (("digits", "--beside", "absent.pt"), "`beside` (='absent.pt') must name an existing file"),
        (("digits", "--beside", "filterz"), "did you mean 'filters'?"),
        (("resnet18", "--weights=none", "--beside", str(DIGITS)), "must fit the network ResNet"),
    ],
)
def test_lab_checks_everything_before_it_prints_an_address(
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(serving, "_has_screen", lambda: True)
    monkeypatch.setattr("webbrowser.open", opened.append)
    with pytest.raises(SystemExit) as ended:
        main(["lab", *words])
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert says in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
    assert not opened
