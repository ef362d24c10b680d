"""Help begins with lines that can be typed, and lists the commands in the order of use."""

import re
import shlex

import pytest

from convlens.cli import COMMANDS, app
from convlens.cli.examples import EXAMPLES
from tests.running.commands import run

NAMES = [command.__name__ for command in COMMANDS]
LINES = [line for examples in EXAMPLES.values() for line, _ in examples]


def examples_in(help: str) -> list[str]:
    """The lines above the usage, without what they say."""
    above = help.partition("Usage:")[0]
    return [re.split(r" {2,}", line.strip())[0] for line in above.splitlines() if line.strip()]


@pytest.mark.parametrize("line", LINES)
def test_an_example_is_a_command_with_its_options(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "convlens"
    command, bound, unused, _ = app.parse_known_args(words)
    assert command.__name__ == words[0]
    assert not unused
    assert bound.arguments or len(words) == 1


def test_help_begins_with_examples_and_lists_the_commands_in_the_order_of_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    help = run(capsys, "--help")
    assert examples_in(help) == [LINES[0], LINES[1], *(EXAMPLES[name][0][0] for name in NAMES[1:5])]
    assert re.findall(r"^│ (\w+) ", help, re.M) == NAMES == list(EXAMPLES)
    assert NAMES[:5] == ["lab", "show", "predict", "explain", "record"]


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_begins_with_its_examples(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    given = [line for line, _ in EXAMPLES[name]]
    assert examples_in(run(capsys, name, "--help")) == given
    assert 1 <= len(given) <= 2
