"""Keep a lab open beside a training, in a process of its own that leaves the training its time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable

__all__ = ["LabBeside", "serve_beside"]

PROGRAM = "from convlens.cli.beside import serve_beside; serve_beside()"


class LabBeside:
    """A lab on the newest checkpoint of a run, which opens once there is one.

    It runs at low priority on one thread, and ends with this process, however that ends. `say` gets
    each line that it prints. Without `wanted` nothing happens.
    """

    def __init__(self, folder: str, *, wanted: bool) -> None:
        self.folder = folder
        self._wanted = wanted
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> LabBeside:
        return self

    def __exit__(self, *_: object) -> None:
        """End the lab."""
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._repeating.join()

    def begin(self, say: Callable[[str], None]) -> None:
        """Start the lab if it is wanted, has not begun, and the run has a checkpoint."""
        if not self._wanted or self._process is not None:
            return
        from convlens.learn.run_folder import RunFolder

        if RunFolder.at(self.folder).last_step() is None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the training, which then ends the lab
        )
        self._repeating = threading.Thread(target=_repeat, args=(self._process, say), daemon=True)
        self._repeating.start()

    def stay(self) -> None:
        """Wait for Ctrl-C with the lab open, if a terminal is there to press it in."""
        if self._process is None or self._process.poll() is not None or not sys.stdout.isatty():
            return
        print("the lab stays open; Ctrl-C closes it", file=sys.stderr)
        with contextlib.suppress(KeyboardInterrupt):
            self._process.wait()


def _repeat(process: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    """Say each line of a process, but for the one on a Ctrl-C that it does not get."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if not line.startswith("Ctrl-C"):
                say(line.rstrip("\n"))


def _end_with_input() -> None:
    """End this process when the one that started it closes its pipe, or dies."""
    sys.stdin.buffer.read()
    os._exit(0)


def serve_beside() -> None:
    """Serve the lab of the run that the first argument names, until the input ends."""
    from convlens.cli import main

    threading.Thread(target=_end_with_input, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(10)
    main(["lab", sys.argv[1], "--weights", "last"])
