"""Answer the page's questions about one network on one picture from its recording."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from torch import nn

from convlens.lab.answers.atlas import AtlasAnswer, atlas_of
from convlens.lab.answers.bench.benching import BenchAnswer, bench_of
from convlens.lab.answers.changing import ReplayAnswer, replayed, resized, touched
from convlens.lab.answers.choosing import (
    ChoicesAnswer,
    OpenAnswer,
    choices,
    open_choice,
    sample,
)
from convlens.lab.answers.comparing import CompareAnswer, compare, names_apart
from convlens.lab.answers.envelope import Bytes
from convlens.lab.answers.filmstrip import WalkAnswer
from convlens.lab.answers.kernels import KernelsAnswer, kernels_of
from convlens.lab.answers.looking import Look, look_at, look_beside, look_of
from convlens.lab.answers.looks import Looks
from convlens.lab.answers.marking import Lit
from convlens.lab.answers.network import NetworkAnswer, network_answer, no_network
from convlens.lab.answers.number import NumberAnswer, number_of
from convlens.lab.answers.others import LAST, RANDOM, short_name, with_random_weights
from convlens.lab.answers.reaching import ReachAnswer, reach_of
from convlens.lab.answers.scores import scores_of
from convlens.lab.answers.segments import PixelAnswer, SegmentsAnswer
from convlens.lab.answers.sharing import FigureAnswer, PythonAnswer, command, figure, python
from convlens.lab.answers.sheets import SheetAnswer, sheet_of
from convlens.lab.answers.slots import InputSources
from convlens.lab.answers.together import SheetsAnswer, together
from convlens.learn.opening import Opened
from convlens.learn.own_networks import siblings
from convlens.learn.predicting.reliability import doubts as doubts_of
from convlens.lens import Recording


class PictureAnswer(TypedDict):
    """The picture as the network sees it, as a PNG file; a clip's frames one below the other."""

    png: Bytes


class LookAnswer(TypedDict):
    """The number of the recording that a new picture gave."""

    recording: int


class BesideAnswer(TypedDict):
    """The number of a recording to compare with, and what it is, in words."""

    recording: int
    said: str


class CancelAnswer(TypedDict):
    """Whether a run was under way, which stops at its next step."""

    cancelled: bool


class Lab:
    """One opened network, on one picture at a time, and the last few recordings of it.

    Answers are typed dictionaries; their arrays are NumPy's. Every question names the recording it
    is about, so that no answer ever shows another picture's numbers. Several threads may use a lab:
    it makes recordings one after another, and answering only reads.

    `opened`: the network. `others`: what it may be compared with, by the names that the page lists
    (see `convlens.lab.answers.others.others_of`).
    """

    def __init__(self, opened: Opened, others: Mapping[str, Opened] | None = None) -> None:
        self._opened = opened
        self._others = dict(others or {})
        self._own = tuple(dict.fromkeys((opened.name, *siblings(opened.name))))
        self._siblings = {short_name(own): own for own in self._own[1:]}
        self._held = False
        self._settled = threading.Event()
        self._looks = Looks()
        self._failure = ""

    @classmethod
    def of_recording(
        cls,
        recording: Recording,
        opened: Opened | None = None,
        others: Mapping[str, Opened] | None = None,
    ) -> Lab:
        """Return a lab on a recording that is there already.

        `opened`: the network that ran. Without it, the lab takes no other picture. `others`: as for
        the class itself.
        """
        lab = cls(opened or Opened("recording", nn.Module(), None, None, None), others)
        lab._looks.add(lambda number: look_of(lab._opened, recording, number), show=True)
        lab._held = opened is None
        lab._settled.set()
        return lab

    @property
    def recording(self) -> Recording:
        """The recording that is answered from; ValueError where there is none yet."""
        if self._looks.shown is None:
            raise ValueError("the lab has no recording yet; let it `look` at a picture first")
        return self._looks.shown.recording

    def look(self, source: object, name: str = "", slot: int = 0) -> int:
        """Run the network on a picture (or `.npy` array) and answer from it from now on.

        Returns the number of the new recording. On an error the previous one stays. `slot`: the
        input it is for, of a network that has several; the others stay.

        Raises:
            ValueError: the network cannot be shown this; one sentence.
            MemoryError: the recording would need more than half of the free memory; one sentence.
            CancelledError: the page cancelled the run.
        """
        shown = self._looks.shown
        before = shown.source if shown and shown.opened is self._opened else None
        if isinstance(before, InputSources):
            called = name or (Path(source).name if isinstance(source, str | Path) else "")
            source = before.put(slot, source, called)
        return self._run(self._opened, source, name)

    def shows(self, name: str) -> bool:
        """Return whether the network of this name is the one that is open."""
        return self._opened.name == name

    def reopen(self, opened: Opened, source: object = None) -> int:
        """Open the network with other weights, on `source` or else on the picture that is shown.

        Returns and raises what `look` does.
        """
        shown = self._looks.shown
        if source is None and shown is not None and shown.opened.name == opened.name:
            source = shown.source
        return self._run(opened, opened.example if source is None else source)

    def _run(self, opened: Opened, source: object, name: str = "") -> int:
        if self._held:
            raise ValueError(
                "this page shows a recording, not a network; `convlens.show(network, picture)` "
                "opens one that runs on other pictures"
            )
        try:
            look = self._looks.add(lambda number: look_at(opened, source, name, number), show=True)
            self._opened, self._failure = opened, ""
            return look.number
        except Exception as error:
            if self._looks.shown is None:
                self._failure = str(error) or type(error).__name__
            raise
        finally:
            self._settled.set()  # who waited finds the picture, or why there is none

    def skip(self) -> None:
        """Begin without a picture: the page then asks for one."""
        self._failure = "drop a picture (a clip, a .npy array) on the page to run the network on it"
        self._settled.set()

    def network(self) -> NetworkAnswer:
        """Return every step and value, and the answer; waits for the first recording."""
        self._settled.wait()
        seen = self._looks.shown
        if seen is None:
            return no_network(self._opened.name, self._failure)
        return self._network(seen)

    @staticmethod
    def _network(seen: Look) -> NetworkAnswer:
        return network_answer(seen, doubts_of(seen.opened.network))

    def choices(self) -> ChoicesAnswer:
        """Return the networks and sample pictures that the page may open by name."""
        if self._held:
            return {"networks": [], "samples": [], "beside": []}
        return choices(self._own, list(dict.fromkeys((*self._others, *self._siblings))))

    def open(self, name: str) -> OpenAnswer:
        """Open one of these networks on its own example."""
        opened = open_choice(name, self._own)
        if opened.example is None:
            raise ValueError(f"{name} has no example of its own; open it from the command line")
        return {"recording": self._run(opened, opened.example)}

    def sample(self, name: str, slot: int = 0) -> OpenAnswer:
        """Run the network on one of these sample pictures, in a slot of its inputs."""
        return {"recording": self.look(sample(name), slot=slot)}

    def cancel(self) -> CancelAnswer:
        """Stop the run that is under way."""
        return {"cancelled": self._looks.cancel()}

    def replay(self, recording: int, changes: str) -> ReplayAnswer:
        """Return the recording with changes, as the address writes them."""
        base = self._looks.at(recording)

        def make(number: int) -> Look:
            changed = look_of(self._opened, replayed(base, changes), number, base.pixels)
            return dataclasses.replace(changed, name=base.name, source=base.source)

        seen = self._looks.add(make, show=False)
        other = resized(base.recording, seen.recording)
        return {
            "recording": seen.number,
            "scores": scores_of(seen.recording, seen.classes, seen.names),
            "touched": touched(base.recording, seen.recording),
            "network": self._network(seen) if other else None,
        }

    def beside(self, recording: int, name: str) -> BesideAnswer:
        """Run the network on a sample picture, or another one on its input, to compare with.

        `name`: a sample picture, "last" for the look before, "random" for random weights, or a name
        of `choices` for the weights or the network that was given under it.
        """
        base = self._looks.at(recording)
        if name == LAST:
            before = self._looks.before
            if before is None:
                raise ValueError("there is no picture before this one; open another one first")
            return {"recording": before.number, "said": before.name}
        found = self._looks.add(lambda number: self._beside(base, name, number), show=False)
        return {"recording": found.number, "said": found.name}

    def _beside(self, base: Look, name: str, number: int) -> Look:
        """Return look `number`, at what `name` stands for."""
        if name in self._others:
            return look_beside(base, self._others[name], number)
        if name in self._siblings:
            return look_beside(base, open_choice(self._siblings[name], self._own), number)
        if name == RANDOM:
            return look_beside(base, with_random_weights(base.opened), number)
        if name in self.choices()["samples"]:
            return look_at(base.opened, sample(name), "", number)
        raise ValueError(
            f"`name` (={name!r}) must be something that this lab was given to compare with; "
            "start it again with --beside, from Python with beside="
        )

    def compare(self, recording: int, other: int) -> CompareAnswer:
        """Return how far two recordings of one shape are apart, step by step."""
        one, two = self._looks.at(recording), self._looks.at(other)
        return compare(one.recording, two.recording, names_apart(one, two))

    def number(self, recording: int, value: int, index: tuple[int, ...]) -> NumberAnswer:
        """Return one number: its terms, what it feeds, the input it depends on, its map.

        Args:
            recording: the recording's number.
            value: the id of the value that holds the number.
            index: where the number lies in it.
        """
        return number_of(self._looks.at(recording), value, index)

    def reach(self, recording: int, value: int, index: tuple[int, ...]) -> ReachAnswer:
        """Return the box of every value that a number is made of, or that it reaches."""
        seen = self._looks.at(recording)
        seen.element(value, index)
        return reach_of(seen.recording, value, index)

    def bench(
        self,
        recording: int,
        value: int,
        index: tuple[int, ...],
        channel: int | None = None,
        beside: int | None = None,
    ) -> BenchAnswer:
        """Return one number with the maps, kernels and functions that it is made with.

        Args:
            recording: the recording's number.
            value: the id of the value that holds the number.
            index: where the number lies in it.
            channel: the input map of a convolution to show, instead of the one that adds most.
            beside: the number of a recording whose maps are sent along.
        """
        seen = self._looks.at(recording)
        found = seen.element(value, index)
        standing = seen.standing(value, index)
        other = None if beside is None else self._looks.at(beside).recording
        return bench_of(seen.recording, found, index, channel, standing, other)

    def python(self, recording: int, value: int, index: tuple[int, ...]) -> PythonAnswer:
        """Return lines of Python that compute a number again and explain it."""
        seen = self._looks.at(recording)
        seen.element(value, index)
        return {"text": python(seen, value, index), "command": command(seen, value, index)}

    def figure(
        self,
        recording: int,
        value: int,
        index: tuple[int, ...],
        form: str = "svg",
        dark: bool = False,
    ) -> FigureAnswer:
        """Return the figure of a number as a file, `form` "svg" or "png"."""
        seen = self._looks.at(recording)
        seen.element(value, index)
        return figure(seen, value, index, form, dark)

    def sheet(self, recording: int, value: int, first: int = 0) -> SheetAnswer:
        """Return the feature maps of a value (see `convlens.lab.answers.sheets.sheet_of`)."""
        seen = self._looks.at(recording)
        return sheet_of(seen.recording, seen.value(value), first)

    def sheets(
        self,
        recording: int,
        values: tuple[int, ...],
        firsts: tuple[int, ...],
        made: int | None = None,
        map: int = 0,
    ) -> SheetsAnswer:
        """Return the feature maps of several values, and kernels that made maps, in one answer.

        Args:
            recording: the recording's number.
            values: the ids of the values.
            firsts: the `first` of each sheet, as `sheet` takes it.
            made: the value whose kernels come along, if any.
            map: the map whose kernel is wanted where they are too large to come all.
        """
        return together(self._looks.at(recording), values, firsts, made, map)

    def atlas(self, recording: int) -> AtlasAnswer:
        """Return a thumbnail of every activation (see `convlens.lab.answers.atlas`)."""
        seen = self._looks.at(recording)
        return atlas_of(seen.recording, seen.steps)

    def kernels(self, recording: int, value: int, map: int) -> KernelsAnswer:
        """Return the kernels by which a convolution made a value (see `KernelsAnswer`)."""
        seen = self._looks.at(recording)
        return kernels_of(seen.recording, seen.value(value), map)

    def walk(self, recording: int, detection: int) -> WalkAnswer:
        """Return a detection walked back, station by station."""
        return self._looks.at(recording).walk(detection)

    def mask(self, recording: int, detection: int, map: int = 0) -> Lit:
        """Return the pixels that belong to a detection, by one of its maps."""
        return self._looks.at(recording).found().mask(detection, map)

    def segments(self, recording: int) -> SegmentsAnswer:
        """Return the class of every pixel."""
        return self._looks.at(recording).segmented().map()

    def pixel(self, recording: int, row: int, column: int) -> PixelAnswer:
        """Return the scores of all classes at a pixel of the segments, the best first."""
        return self._looks.at(recording).segmented().pixel(row, column)

    def picture(self, recording: int) -> PictureAnswer:
        """Return the picture as the network sees it."""
        return {"png": self._looks.at(recording).png()}
