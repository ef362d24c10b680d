"""Keep the looks that the page may ask about: the one on show, and a few beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from convlens.lab.answers.cancelling import Cancelling
from convlens.lab.answers.looking import Look
from convlens.lab.guarding import StaleRecordingError

MOST = 4
"""The most looks that are kept."""

ROOM = 2**31
"""The most bytes that the looks beside the one on show may hold."""


class Looks:
    """Looks by their numbers, from 1 on. One is on show; of the others the last asked about stay.

    Several threads may use them: looks are made one after another, and the others are read
    meanwhile.
    """

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._changing = threading.Lock()
        self._kept: dict[int, Look] = {}  # the last asked about at the end
        self._shown: Look | None = None
        self._before = 0  # the number of the look on show before this one
        self._last = 0
        self._cancelling = Cancelling()

    @property
    def shown(self) -> Look | None:
        """The look on show, None before the first."""
        return self._shown

    @property
    def before(self) -> Look | None:
        """The look that was on show before this one, None if it is not kept any more."""
        with self._changing:
            return self._kept.get(self._before)

    def cancel(self) -> bool:
        """Stop the run that is under way at its next step; return whether there was one."""
        return self._cancelling.cancel()

    def add(self, make: Callable[[int], Look], *, show: bool) -> Look:
        """Return the look that `make` makes for its number, and put it on show if asked to.

        Whatever `make` raises is raised here, and CancelledError after `cancel`; the looks then
        stay as they are.
        """
        with self._making:
            with self._cancelling.run():
                look = make(self._last + 1)
            with self._changing:
                self._last = look.number
                self._kept[look.number] = look
                if show or self._shown is None:
                    self._before = self._shown.number if self._shown else 0
                    self._shown = look
                self._let_go(look)
        return look

    def at(self, number: int) -> Look:
        """Return a look by its number.

        Raises StaleRecordingError if it is not kept any more.
        """
        with self._changing:
            look = self._kept.pop(number, None)
            if look is not None:
                self._kept[number] = look
                return look
        shown = self._shown.number if self._shown else 0
        raise StaleRecordingError(
            f"recording {number} is gone: another picture was opened; ask about recording {shown}"
        )

    def _let_go(self, made: Look) -> None:
        """Drop the looks that were not asked about for longest, down to what may be kept."""
        for look in list(self._kept.values()):
            beside = [each for each in self._kept.values() if each is not self._shown]
            held = sum(each.recording.nbytes for each in beside)
            if len(beside) < MOST and held <= ROOM:
                return
            if look is not self._shown and look is not made:
                del self._kept[look.number]
