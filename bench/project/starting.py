"""Measure the time to start: importing convlens, and the help of the command line."""

import subprocess
import sys

from bench.figures import Figure, repeat


def measure() -> list[Figure]:
    def command(*words: str) -> list[float]:
        return repeat(lambda: subprocess.run(words, check=True, capture_output=True), 9)

    bare = min(command(sys.executable, "-c", "pass"))
    importing = [t - bare for t in command(sys.executable, "-c", "import convlens")]
    torch = [t - bare for t in command(sys.executable, "-c", "import torch")]
    helping = command(sys.executable, "-m", "convlens", "--help")
    return [
        Figure.of("import convlens", importing, "s", 0.2, "beyond Python's own start"),
        Figure.of("convlens --help", helping, "s", 0.3),
        Figure.of("import torch", torch, "s", note="what no command with a network can be under"),
    ]
