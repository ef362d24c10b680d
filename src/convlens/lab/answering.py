"""What the page asks of one network on one picture, answered from its recording."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from convlens.lab.arithmetic import explained, lit
from convlens.lab.guarding import StaleRecordingError
from convlens.lab.outline import outline, value_names
from convlens.lab.sheets import exact, largest, layout_in, numbers, sheet
from convlens.learn.opening import Opened, read_inputs
from convlens.lens import Recording, Value, explain_value, record, region
from convlens.lens.terms import plain

SCORES = 10
"""Classes listed beside the picture, best first."""


@dataclass
class Held:
    """One picture in the lab: its recording, the picture as the network sees it, its name."""

    number: int
    recording: Recording
    shown: npt.NDArray[np.uint8] | None
    name: str
    seconds: float
    scale: float | None = field(default=None)


class Lab:
    """One opened network, on one picture at a time.

    Answers are plain dictionaries ready for JSON, or bytes. Every question names the recording it
    is about, so that nothing is ever answered from another picture's numbers. Safe to use from
    several threads: recordings are made one after another, and answering only reads.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._recording = threading.Lock()
        self._settled = threading.Event()
        self._held: Held | None = None
        self._failure = ""

    def look(self, source: bytes | Path, name: str = "") -> int:
        """Run the network on a picture (or `.npy` array) and answer from it from now on.

        Returns the number of the new recording. On an error the previous one stays.

        Raises:
            ValueError: not something the network can be shown; one sentence.
            MemoryError: the recording would need more than half of the free memory; one sentence.
        """
        with self._recording:
            began = time.perf_counter()
            try:
                inputs, shown = read_inputs(self._opened, source)
                recording = record(self._opened.network, inputs)
            except Exception as error:
                if self._held is None:
                    self._failure = str(error) or type(error).__name__
                raise
            finally:
                self._settled.set()
            number = 1 if self._held is None else self._held.number + 1
            seconds = time.perf_counter() - began
            called = name or (source.name if isinstance(source, Path) else "")
            self._held = Held(number, recording, shown, called, seconds)
            self._failure = ""
            return number

    def skip(self) -> None:
        """Begin without a picture: the page then asks for one."""
        self._failure = "drop a picture (or a .npy array) on the page to run the network on it"
        self._settled.set()

    def network(self) -> dict[str, Any]:
        """The outline, the names of all values and the scores; waits for the first recording."""
        self._settled.wait()
        held = self._held
        if held is None:
            return {"recording": 0, "name": self._opened.name, "failure": self._failure}
        recording = held.recording
        names = value_names(recording)
        output = recording.output
        parameters = [v for v in recording.values if v.kind == "parameter"]
        return {
            "recording": held.number,
            "name": self._opened.name,
            "picture": None if held.shown is None else list(held.shown.shape[:2]),
            "picture_name": held.name,
            "seconds": held.seconds,
            "steps": len(recording.steps),
            "parameters": sum(v.tensor.numel() for v in parameters),
            "nodes": outline(recording),
            "values": [
                [v.id, names[v.id], v.kind, list(v.shape), str(v.dtype).removeprefix("torch.")]
                for v in recording.values
            ],
            "inputs": [v.id for v in recording.inputs],
            "output": output.id if output is not None else None,
            "scores": self._scores(output),
            "categories": self._categories(output),
            "warnings": list(recording.warnings),
            "error": recording.error.message if recording.error else None,
        }

    def _categories(self, output: Value | None) -> list[str] | None:
        """The classes' names, where the output has one number for each."""
        categories = self._opened.categories
        if categories is None or output is None or not output.shape:
            return None
        return list(categories) if output.shape[-1] == len(categories) else None

    def _scores(self, output: Value | None) -> list[dict[str, Any]]:
        """The best classes of an output that is one row of scores; none for any other output."""
        if output is None or not output.tensor.is_floating_point():
            return []
        if output.tensor.ndim not in (1, 2) or output.tensor.numel() != output.shape[-1]:
            return []
        scores = output.tensor.reshape(-1)
        categories = self._categories(output)
        if scores.numel() < 2 or (categories is None and scores.numel() < SCORES):
            return []
        best = scores.topk(min(SCORES, scores.numel())).indices.tolist()
        ahead = [0] * (output.tensor.ndim - 1)
        return [
            {
                "index": [*ahead, i],
                "label": categories[i] if categories else f"class {i}",
                "score": plain(float(scores[i])),
            }
            for i in best
        ]

    def sheet(self, recording: int, value: int, first: int = 0) -> bytes:
        """The feature maps of a value, a byte a number (see `convlens.lab.sheets.sheet`)."""
        held = self._at(recording)
        return sheet(held.recording, _value(held, value), first)

    def numbers(self, recording: int, value: int, first: int, number: int) -> bytes:
        """The exact numbers of one map, as float64."""
        held = self._at(recording)
        return exact(held.recording, _value(held, value), first, number)

    def scale(self, recording: int) -> dict[str, Any]:
        """The largest size of a number in any computed value: the network's own colour scale."""
        held = self._at(recording)
        if held.scale is None:
            computed = (v for v in held.recording.values if v.kind == "computed")
            held.scale = max((largest(numbers(v)) for v in computed), default=0.0)
        return {"recording": recording, "largest": held.scale}

    def explain(
        self, recording: int, value: int, index: tuple[int, ...], start: int = 0
    ) -> dict[str, Any]:
        """One number as the sum of its terms (see `convlens.lab.arithmetic.explained`)."""
        held = self._at(recording)
        _check_index(_value(held, value), index)
        explanation = explain_value(held.recording, value, index)
        return {"recording": recording} | explained(held.recording, explanation, start)

    def region(
        self, recording: int, value: int, index: tuple[int, ...], input: int = 0
    ) -> dict[str, Any]:
        """Which positions of an input one number depends on."""
        held = self._at(recording)
        _check_index(_value(held, value), index)
        inputs = held.recording.inputs
        if not 0 <= input < len(inputs):
            raise ValueError(f"`input` (={input}) must be one of the {len(inputs)} inputs")
        found = region(held.recording, value, index, input)
        plan = layout_in(held.recording, inputs[input])
        named = {"row", "column", "frame", "position", "feature"}
        ahead = sum(axis not in named for axis in plan.axes)
        return {"recording": recording} | lit(found, ahead)

    def picture(self, recording: int) -> bytes | None:
        """The picture as the network sees it, as PNG; None where the input is no picture."""
        held = self._at(recording)
        if held.shown is None:
            return None
        file = io.BytesIO()
        Image.fromarray(held.shown).save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _at(self, recording: int) -> Held:
        held = self._held
        if held is None or held.number != recording:
            current = held.number if held else 0
            raise StaleRecordingError(
                f"recording {recording} is gone: another picture was opened; "
                f"ask about recording {current}"
            )
        return held


def _value(held: Held, id: int) -> Value:
    if not 0 <= id < len(held.recording.values):
        raise ValueError(
            f"`value` (={id}) must be one of the recording's {len(held.recording.values)} values"
        )
    return held.recording.values[id]


def _check_index(value: Value, index: tuple[int, ...]) -> None:
    inside = len(index) == len(value.shape) and all(
        0 <= i < n for i, n in zip(index, value.shape, strict=True)
    )
    if not inside:
        raise ValueError(f"`index` (={index}) must lie in the value's shape {value.shape}")
