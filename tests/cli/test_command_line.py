"""Errors are one sentence, closed streams are no error, and help loads no torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from convlens.learn.sources.formats import PICTURES, choice
from convlens.zoo.weights import DATA
from tests.running.commands import refused


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("record", "digitz"), "must be a network of the zoo"),
        (("explain", "digits", "--at", "conv", "--index", "0,0,0,0"), "did you mean"),
        (("explain", "digits", "--at", "conv1", "--index", "0,0,0"), "4 integers"),
        (("explain", "digits", "--at", "3", "--index", "0,0,0,0"), "@3 in text"),
        (("explain", "digits", "--at", "conv1", "--index", "a,b"), "write it like 0,3,5,5"),
        (
            ("explain", "digits", "--at", "conv1"),
            "give --at conv1 --index 0,3,5,5, or --detection 0",
        ),
        (("explain", "digits", "--detection", "0"), "must be of a detector"),
        (("record", "digits", "nowhere.png"), "nowhere.png"),
        (("record", "digits", str(Path(__file__))), choice(PICTURES)),
        (("train", "digits", "--epochs", "0"), "at least 1"),
    ],
)
def test_errors_are_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    said = refused(capsys, *words)
    assert said.startswith("convlens: ")
    assert says in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="no such redirections")
def test_a_closed_output_is_no_error() -> None:
    """Streams closed by `>&-`; no file may get the number of a closed stream."""
    code = "import os, sys; os.close(1); sys.stdout = None; from convlens.cli import main; "
    code += "main(['record', 'digits']); print(os.readlink('/proc/self/fd/1'), file=sys.stderr)"
    if sys.platform != "linux":
        code = code.partition(" print(")[0]
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.strip()) in ((0, "/dev/null"), (0, ""))


def test_a_reader_that_stops_reading_is_no_error() -> None:
    command = [sys.executable, "-m", "convlens", "record", "digits", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("utf-8", marks=pytest.mark.slow)])
def test_names_that_cannot_be_written_are_escaped(tmp_path: Path, encoding: str) -> None:
    names = ["Fuß.png", "Жук.png", "two\nlines.png", "b.png"]
    names += [os.fsdecode(b"\xff.png")] if sys.platform == "linux" else []
    for name in names:
        shutil.copy(DATA / "digit-3.png", tmp_path / name)
    words = ["-m", "convlens", "predict", "digits", str(tmp_path), "--top", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, *words], env=environment, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.decode(encoding).splitlines()[::2]
    assert sorted(line.rpartition(" (")[0] for line in lines) == sorted(
        name.replace("\n", "\\n").encode(encoding, "backslashreplace").decode(encoding)
        for name in names
    )
    # The same holds for an error that names it.
    ended = subprocess.run(
        [sys.executable, *words[:4], str(tmp_path / "nie\nЖ.png")],
        env=environment,
        capture_output=True,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.decode(encoding).splitlines()
    assert "must be an existing picture" in line


def test_help_and_version_load_no_torch() -> None:
    code = (
        "import sys; from convlens.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "Commands" in done.stdout


@pytest.mark.parametrize(
    "options",
    [[], *(pytest.param(o, marks=pytest.mark.slow) for o in (["--json"], ["--out", "seen"]))],
)
def test_a_pipe_without_a_reader_ends_a_command_quietly(tmp_path: Path, options: list[str]) -> None:
    """The output of `convlens predict ... 2>&1 | head -1`."""
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "convlens", "predict", "digits", str(DATA / "digit-3.png")]
    ran = subprocess.run(
        [*command, *options], stdout=writes, stderr=writes, cwd=tmp_path, timeout=100, check=False
    )
    os.close(writes)
    assert ran.returncode == 0
