"""Run a command line in this process."""

import pytest

from convlens.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command prints; a successful one may raise SystemExit(0)."""
    code: object = None
    try:
        main(list(words))
    except SystemExit as ended:
        code = ended.code
    printed = capsys.readouterr()
    assert not code, printed.err
    return printed.out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 1
    return capsys.readouterr().err
