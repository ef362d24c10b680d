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
import torch
from PIL import Image

from convlens.lab.arithmetic import explained, lit
from convlens.lab.findings import Findings, findings_of, name_of
from convlens.lab.guarding import StaleRecordingError
from convlens.lab.outline import outline
from convlens.lab.segments import Segments, segments_of
from convlens.lab.sheets import exact, largest, layout_in, numbers, sheet
from convlens.learn.opening import Opened, read_inputs, remark
from convlens.learn.predicting.forms import (
    KEEPING,
    SIGMOIDS,
    classified,
    fitting_names,
    outputs_of,
    rows_of,
)
from convlens.learn.predicting.predictions import Limits, score_text
from convlens.learn.predicting.reliability import doubts
from convlens.lens import Recording, Value, explain_value, record, region
from convlens.lens.costs import parameters_of
from convlens.lens.terms import plain

SCORES = 10
"""Classes listed beside the picture, best first."""


@dataclass
class Held:
    """One picture in the lab: its recording, the picture as the network sees it, its name.

    `shown`: (t, h, w, 3), more than one frame of a clip, None where the input is no picture.
    """

    number: int
    recording: Recording
    shown: npt.NDArray[np.uint8] | None
    name: str
    seconds: float
    findings: Findings | None
    segments: Segments | None
    classes: dict[str, Any] | None = None
    names: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    scale: float | None = field(default=None)
    walks: dict[int, dict[str, Any]] = field(default_factory=dict)


class Lab:
    """One opened network, on one picture at a time.

    Answers are plain dictionaries ready for JSON, or bytes. Every question names the recording it
    is about, so that nothing is ever answered from another picture's numbers. Safe to use from
    several threads: recordings are made one after another, and answering only reads.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._doubts = doubts(opened.network)
        self._recording = threading.Lock()
        self._settled = threading.Event()
        self._held: Held | None = None
        self._failure = ""

    def look(self, source: bytes | str | Path, name: str = "") -> int:
        """Run the network on a picture (or `.npy` array) and answer from it from now on.

        Returns the number of the new recording. On an error the previous one stays.

        Raises:
            ValueError: not something the network can be shown; one sentence.
            MemoryError: the recording would need more than half of the free memory; one sentence.
        """
        with self._recording:
            try:
                held = self._looked(source, name)
                self._held, self._failure = held, ""
            except Exception as error:
                if self._held is None:
                    self._failure = str(error) or type(error).__name__
                raise
            finally:
                self._settled.set()  # whoever waited finds the picture, or why there is none
            return held.number

    def _looked(self, source: bytes | str | Path, name: str) -> Held:
        began = time.perf_counter()
        inputs, shown = read_inputs(self._opened, source)
        recording = record(self._opened.network, inputs)
        frames = None if shown is None else self._frames(inputs, shown)
        number = 1 if self._held is None else self._held.number + 1
        seconds = time.perf_counter() - began
        called = name or (Path(source).name if isinstance(source, str | Path) else "")
        called = ", ".join(part for part in (called, remark(self._opened, source)) if part)
        findings = findings_of(recording)
        names, unnamed = self._names(recording, findings)
        segments = segments_of(recording, names)
        classes = None
        if findings is None and segments is None:
            classes = _classes(recording)
        answers = (findings, segments, classes, names, unnamed)
        return Held(number, recording, frames, called, seconds, *answers)

    def skip(self) -> None:
        """Begin without a picture: the page then asks for one."""
        self._failure = "drop a picture (a clip, a .npy array) on the page to run the network on it"
        self._settled.set()

    def network(self) -> dict[str, Any]:
        """The outline, the names of all values and the scores; waits for the first recording."""
        self._settled.wait()
        held = self._held
        if held is None:
            return {"recording": 0, "name": self._opened.name, "failure": self._failure}
        recording = held.recording
        names, said = recording.names, self._said(held)
        output = recording.output
        opened = self._opened
        return {
            "recording": held.number,
            "name": self._opened.name,
            "picture": None if held.shown is None else list(held.shown.shape[1:3]),
            "frames": None if held.shown is None else len(held.shown),
            "picture_name": held.name,
            "seconds": held.seconds,
            "steps": len(recording.steps),
            "parameters": parameters_of(recording),
            "nodes": outline(recording),
            "values": [
                [v.id, names[v.id], v.kind, list(v.shape), str(v.dtype).removeprefix("torch.")]
                for v in recording.values
            ],
            "inputs": [v.id for v in recording.inputs],
            "output": output.id if output is not None else None,
            "scores": self._scores(held),
            "said": said,
            "categories": self._categories(held),
            "found": held.findings and held.findings.told(held.names, opened.keypoints or ()),
            "segments": held.segments and held.segments.told(),
            "warnings": [*said, *recording.warnings],
            "error": recording.error.message if recording.error else None,
        }

    def _frames(self, inputs: torch.Tensor, shown: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The pixels of all frames, (t, h, w, 3), of which `shown` is the first."""
        preparation = self._opened.preparation
        if preparation is None or inputs.ndim != 5:
            return shown[None]
        pixels = inputs[0].detach().cpu().permute(1, 2, 3, 0)  # (1, c, t, h, w) -> (t, h, w, c)
        if preparation.std is not None:
            pixels = pixels * torch.tensor(preparation.std)
        if preparation.mean is not None:
            pixels = pixels + torch.tensor(preparation.mean)
        bytes_ = (pixels * 255).round().clamp(0, 255).to(torch.uint8)
        return bytes_.expand(*bytes_.shape[:3], 3).numpy()

    def _names(
        self, recording: Recording, findings: Findings | None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the outputs are called, and what must be known of that."""
        if findings is not None:
            outputs, labels = None, findings.part("labels").tolist()
        else:
            outputs, labels = outputs_of(recording.outputs, 1), []
        return fitting_names(self._opened.categories or (), outputs, labels)

    def _categories(self, held: Held) -> list[str] | None:
        """The names of the numbers along the output's last axis, where it has one for each."""
        output = held.recording.output
        if output is None or not output.shape or held.classes is None:
            return None
        return list(held.names) if output.shape[-1] == len(held.names) else None

    def _scores(self, held: Held) -> list[dict[str, Any]]:
        """The best classes of an output that is one row of scores; none for any other output.

        `score` is the number recorded, `told` what `predict` tells of it, `share` that as a part of
        1, None where it is no probability.
        """
        output, told = held.recording.output, held.classes
        if output is None or told is None or "error" in told:
            return []
        places = np.unravel_index(told["labels"], output.shape)
        recorded = output.tensor.detach().reshape(-1)[told["labels"]].tolist()
        are_chances = told["probabilities"]
        return [
            {
                "index": [int(place) for place in index],
                "label": name_of(label, held.names),
                "score": plain(float(number)),
                "told": score_text(score, are_chances),
                "share": score if are_chances else None,
            }
            for index, label, number, score in zip(
                zip(*places, strict=True),
                told["labels"].tolist(),
                recorded,
                told["scores"].tolist(),
                strict=True,
            )
        ]

    def _said(self, held: Held) -> list[str]:
        """What must be known of the answer: random weights, numbers that are not finite."""
        said = list(self._doubts)
        for told in (held.classes, held.segments and held.segments.doubt()):
            if told:
                said += [*filter(None, [told.get("error")]), *told.get("warnings", ())]
        if held.findings is not None:
            said += held.findings.doubts()
        return [*said, *held.doubts]

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
            values = held.recording.values
            computed = (v for v in values if v.kind == "computed" and not v.opaque)
            held.scale = max((largest(numbers(v)) for v in computed), default=0.0)
        return {"recording": recording, "largest": held.scale}

    def explain(
        self, recording: int, value: int, index: tuple[int, ...], start: int = 0
    ) -> dict[str, Any]:
        """One number as the sum of its terms (see `convlens.lab.arithmetic.explained`)."""
        held = self._at(recording)
        _check_index(_value(held, value), index)
        explanation = explain_value(held.recording, value, index)
        told = {"recording": recording} | explained(held.recording, explanation, start)
        if held.segments is not None and held.segments.value.id == value:
            told["standing"] = held.segments.standing(index)
        return told

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

    def walk(self, recording: int, detection: int) -> dict[str, Any]:
        """A detection walked back, station by station (see `convlens.learn.tracing.trace`)."""
        held = self._at(recording)
        known = held.walks.get(detection)
        if known is None:
            known = held.walks[detection] = _findings(held).walk(detection)
        return {"recording": recording} | known

    def mask(self, recording: int, detection: int) -> dict[str, Any]:
        """The pixels that belong to a detection (see `convlens.lab.findings.Findings.mask`)."""
        return {"recording": recording} | _findings(self._at(recording)).mask(detection)

    def segments(self, recording: int) -> bytes:
        """The class of every pixel, a byte each, row by row."""
        held = self._at(recording)
        if held.segments is None:
            raise ValueError("`recording` has no segments: this network gives pixels no classes")
        return held.segments.map()

    def picture(self, recording: int) -> bytes | None:
        """The picture as the network sees it, as PNG; None where the input is no picture.

        Frames of a clip are one below the other.
        """
        held = self._at(recording)
        if held.shown is None:
            return None
        file = io.BytesIO()
        Image.fromarray(held.shown.reshape(-1, *held.shown.shape[2:])).save(
            file, "PNG", compress_level=1
        )
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


def _classes(recording: Recording) -> dict[str, Any] | None:
    """What `predict` tells of an output that is one row of scores; None for another."""
    output = recording.output
    if output is None or output.opaque or not output.tensor.is_floating_point():
        return None
    rows = rows_of(output.tensor.detach(), 1) if output.shape else None
    if rows is None:
        return None
    inside = bool(((rows >= 0) & (rows <= 1)).all())
    by_sigmoid = inside and _made_by_sigmoid(recording, output.id, {})
    (told,) = classified(rows, Limits(top=SCORES), by_sigmoid=by_sigmoid)
    return told


def _made_by_sigmoid(recording: Recording, id: int, known: dict[int, bool]) -> bool:
    """Whether a value is made of nothing but sigmoids' numbers, as `Sigmoids` sees it."""
    if id not in known:
        known[id] = False
        made = recording.values[id].step
        step = None if made < 0 else recording.steps[made]
        if step is not None and step.op in SIGMOIDS:
            known[id] = True
        elif step is not None and (step.op in KEEPING or step.op in _VIEWS):
            read = [recording.values[number] for number in step.inputs]
            read = [v for v in read if v.shape and not v.opaque and v.tensor.is_floating_point()]
            every = all(_made_by_sigmoid(recording, value.id, known) for value in read)
            known[id] = bool(read) and every
    return known[id]


_VIEWS = frozenset(
    """flatten unflatten view reshape squeeze unsqueeze contiguous float half double bfloat16 to
    expand getitem unbind chunk split select narrow transpose permute t mT T movedim
    interpolate""".split()
)
"""What leaves the numbers that a sigmoid made as they are, in the names of the steps."""


def _value(held: Held, id: int) -> Value:
    if not 0 <= id < len(held.recording.values):
        raise ValueError(
            f"`value` (={id}) must be one of the recording's {len(held.recording.values)} values"
        )
    return held.recording.values[id]


def _findings(held: Held) -> Findings:
    if held.findings is None:
        raise ValueError("`recording` has no detections: its network is no detector")
    return held.findings


def _check_index(value: Value, index: tuple[int, ...]) -> None:
    inside = len(index) == len(value.shape) and all(
        0 <= i < n for i, n in zip(index, value.shape, strict=True)
    )
    if not inside:
        raise ValueError(f"`index` (={index}) must lie in the value's shape {value.shape}")
