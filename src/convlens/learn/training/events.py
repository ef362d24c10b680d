"""Write the progress of a training as events for TensorBoard, beside its history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convlens.learn.training.progress import Progress

__all__ = ["EventLog"]


class EventLog:
    """A context that writes event files into a folder: the loss, rate and gradient of every step.

    The measures of an epoch come with its last step. A resumed training begins another file, which
    takes back the steps after the checkpoint, so that TensorBoard shows each step once.

    Raises ImportError, before anything is written, if tensorboard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "`tensorboard` (=True) needs the package tensorboard, which cannot be imported "
                f"({error}); pip install 'convlens[tensorboard]'"
            ) from error
        self.folder = Path(folder)
        self._open = SummaryWriter
        self._writer: Any = None

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, progress: Progress) -> None:
        """Write the events of a step; those of a whole epoch reach the file at once."""
        if self._writer is None:
            self._writer = self._open(str(self.folder), purge_step=progress.step, flush_secs=10)
        found = {"loss": progress.loss, "rate": progress.rate, "gradient": progress.norm}
        if len(progress.losses) > 1:
            found |= {f"losses/{name}": loss for name, loss in progress.losses.items()}
        found |= {f"measures/{name}": value for name, value in progress.values.items()}
        for name, value in found.items():
            self._writer.add_scalar(name, value, progress.step)
        if progress.values:
            self._writer.flush()
