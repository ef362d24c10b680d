"""Follow a training in its folder, and put its newest checkpoint on the stage."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from convlens.lab.answers.answering import Lab
from convlens.learn.opening import Opened
from convlens.learn.run_folder import RunFolder

__all__ = ["FollowedRun"]


class FollowedRun:
    """A training, perhaps one that still runs, whose network a lab shows.

    `folder`: of the run. `newest`: whether each new checkpoint replaces the one on the stage; then
    `opening` must open the newest. `step`: after how many steps the weights on the stage were
    written, None if that is unknown. Several threads may use it.
    """

    def __init__(self, folder: RunFolder, opening: Callable[[], Opened], *, newest: bool) -> None:
        self.folder, self.newest = folder, newest
        self.step: int | None = None
        self._opening = opening
        self._name = ""
        self._renewing = threading.Lock()

    def open(self) -> Opened:
        """Open the network; raises whatever `opening` raises."""
        # Asked before: a checkpoint that is written meanwhile is then opened once more.
        step = self.folder.last_step() if self.newest else None
        opened = self._opening()
        self.step, self._name = step, opened.name
        return opened

    def renew(self, lab: Lab) -> None:
        """Put a newer checkpoint on the stage, if there is one and the lab shows this network.

        Raises what `Lab.look` and `open` raise; the stage then stays as it is.
        """
        with self._renewing:
            if self._is_behind() and lab.shows(self._name):
                lab.reopen(self.open())

    def show(self, lab: Lab, picture: Path | None) -> None:
        """Put the network on the stage with its newest checkpoint, on a picture if one is given.

        Raises as `renew` does.
        """
        with self._renewing:
            if self._is_behind() or not lab.shows(self._name):
                lab.reopen(self.open(), picture)
            elif picture is not None:
                lab.look(picture)

    def _is_behind(self) -> bool:
        last = self.folder.last_step() if self.newest else None
        return last is not None and last != self.step
