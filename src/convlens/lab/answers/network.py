"""Describe the network on the picture: its steps and values, what it answered, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from convlens.lab.answers.detections import DetectionList
from convlens.lab.answers.door import Door, door_of
from convlens.lab.answers.failing import FaultRow, fault_of
from convlens.lab.answers.looking import Look
from convlens.lab.answers.scores import ClassScore, scores_of
from convlens.lab.answers.segments import SegmentList
from convlens.lab.answers.slots import InputSources
from convlens.lab.answers.steps import CallRow, StepRow, call_rows
from convlens.lens.costs import parameters_of
from convlens.zoo import NETWORKS
from convlens.zoo.weights.drawn import random_parts


class ValueRow(TypedDict):
    """A value of the recording.

    `step` made it as its output `slot`; it is -1 for a value that was given.
    """

    id: int
    name: str
    kind: str
    shape: list[int]
    dtype: str
    step: int
    slot: int


class NetworkAnswer(TypedDict):
    """The network on the picture.

    `recording` is the number that the other questions take, 0 where there is none; `failure` then
    says why, and the rest is empty. `picture`: its rows and columns, and `frames` how many there
    are, None where the input is not a picture. `output`: the id of the value the network returned,
    if it is one. `categories`: the names along its last axis. `doubts`: what the user must know of
    the answer. `error`: the error that the network raised, and `fault` the call that raised it.
    `random`: whether some of its weights are drawn at random. `task`: what it does, in the
    zoo's words, such as "classification"; "" where that is not known. `door`: the number to begin
    with. `slots`: what each input was read
    from, where there are several. `picture_value`: the id of the input that the picture shows.
    """

    recording: int
    name: str
    failure: str
    picture: list[int] | None
    frames: int | None
    picture_name: str
    slots: list[str]
    seconds: float
    task: str
    random: bool
    steps: list[StepRow]
    calls: list[CallRow]
    parameters: int
    values: list[ValueRow]
    inputs: list[int]
    picture_value: int | None
    output: int | None
    door: Door | None
    scores: list[ClassScore]
    categories: list[str] | None
    detections: DetectionList | None
    segments: SegmentList | None
    doubts: list[str]
    warnings: list[str]
    error: str | None
    fault: FaultRow | None


def network_answer(seen: Look, doubts: Sequence[str]) -> NetworkAnswer:
    """Return every step and value of a look, what the network answered, and what is doubtful."""
    recording, pixels, output = seen.recording, seen.pixels, seen.recording.output
    steps, all_doubts = seen.steps, _doubts(seen, doubts)
    opened, points = seen.opened, seen.opened.keypoints or ()
    return {
        "recording": seen.number,
        "name": opened.name,
        "failure": "",
        "picture": None if pixels is None else list(pixels.shape[1:3]),
        "frames": None if pixels is None else len(pixels),
        "picture_name": seen.name,
        "slots": list(seen.source.names) if isinstance(seen.source, InputSources) else [],
        "seconds": seen.seconds,
        "task": _task(seen),
        "random": bool(random_parts(opened.network)),
        "steps": steps,
        "calls": call_rows(recording),
        "parameters": parameters_of(recording),
        "values": _values(seen),
        "inputs": [value.id for value in recording.inputs],
        "picture_value": recording.inputs[0].id if pixels is not None else None,
        "output": output.id if output is not None else None,
        "door": door_of(recording, steps),
        "scores": scores_of(recording, seen.classes, seen.names),
        "categories": _categories(seen),
        "detections": seen.detections.listed(seen.names, points) if seen.detections else None,
        "segments": seen.segments.listed() if seen.segments else None,
        "doubts": all_doubts,
        "warnings": [*all_doubts, *recording.warnings],
        "error": recording.error.message if recording.error else None,
        "fault": fault_of(recording),
    }


def _task(seen: Look) -> str:
    """Return what the network does, by its entry in the zoo or by the form of its answer."""
    if seen.opened.name in NETWORKS:
        return NETWORKS[seen.opened.name].task
    if seen.detections is not None:
        return "detection"
    if seen.segments is not None:
        return "semantic segmentation"
    return "classification" if seen.classes is not None else ""


def _doubts(seen: Look, known: Sequence[str]) -> list[str]:
    """Return what the user must know: random weights, numbers that are not finite."""
    doubts = list(known)
    for found in (seen.classes, seen.segments and seen.segments.doubt()):
        if found:
            doubts += [*filter(None, [found.get("error")]), *found.get("warnings", ())]
    if seen.detections is not None:
        doubts += seen.detections.doubts()
    return [*doubts, *seen.doubts]


def no_network(name: str, failure: str) -> NetworkAnswer:
    """Return the answer of a network that has run on no picture yet."""
    return {
        "recording": 0,
        "name": name,
        "failure": failure,
        "picture": None,
        "frames": None,
        "picture_name": "",
        "slots": [],
        "seconds": 0.0,
        "task": "",
        "random": False,
        "steps": [],
        "calls": [],
        "parameters": 0,
        "values": [],
        "inputs": [],
        "picture_value": None,
        "output": None,
        "door": None,
        "scores": [],
        "categories": None,
        "detections": None,
        "segments": None,
        "doubts": [],
        "warnings": [],
        "error": None,
        "fault": None,
    }


def _values(seen: Look) -> list[ValueRow]:
    names = seen.recording.names
    return [
        {
            "id": value.id,
            "name": names[value.id],
            "kind": value.kind,
            "shape": list(value.shape),
            "dtype": str(value.dtype).removeprefix("torch."),
            "step": value.step,
            "slot": value.slot,
        }
        for value in seen.recording.values
    ]


def _categories(seen: Look) -> list[str] | None:
    """Return the names of the numbers along the output's last axis, if it has one for each."""
    output = seen.recording.output
    if output is None or not output.shape or seen.classes is None:
        return None
    return list(seen.names) if output.shape[-1] == len(seen.names) else None
