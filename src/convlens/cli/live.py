"""Serve the lab of a training from a process of its own, for as long as it trains."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["lab_beside"]


@contextmanager
def lab_beside(folder: str) -> Iterator[None]:
    """Open the lab on a run once it has a checkpoint, and close it when the block ends.

    Its process computes only when a page asks, and gives way to the training.
    """
    from convlens.learn.run_folder import RunFolder

    words = [sys.executable, "-m", "convlens", "lab", folder, "--weights", "last", "--no-open"]
    ended = threading.Event()
    labs: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        while not (RunFolder.at(folder).checkpoints() and RunFolder.at(folder).best.is_file()):
            if ended.wait(0.5):
                return
        # In a session of its own, where Ctrl-C does not reach it before the training has ended.
        lab = subprocess.Popen(words, start_new_session=True)
        if hasattr(os, "setpriority"):
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, lab.pid, 10)
        labs.append(lab)

    waiting = threading.Thread(target=start, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        ended.set()
        waiting.join()
        for lab in labs:
            lab.terminate()
            lab.wait()
