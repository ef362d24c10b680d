"""The folder of a training run: which files it has, and what its run.json says."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from convlens.files import expanded, write_whole
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.zoo.weights import read_weights

__all__ = ["EXAMPLES", "RunFacts", "RunFolder", "from_here", "part"]

RUN = "run.json"

EXAMPLES = 6
"""How many held-out samples a run keeps at most, for the lab."""

_IN_FILE = re.compile(r"(?P<file>.+?\.py)(?P<rest>(:.*)?)", re.DOTALL)
"""A network in a file: `path/file.py:callable`."""


@dataclass(frozen=True)
class RunFacts:
    """What settles a run; a resumed one must agree, or it would not be the same run.

    `network`: its name or file, "" for a module that the caller built. Files are absolute here, and
    in run.json relative to the run, so that a folder with both may be moved. `outputs`: the number
    of its outputs, None for its own. `weights`: what it began from. `task`: by name. `classes`,
    `points`: of the data, and `fingerprint` of what is in it. `preparation`: of pictures.
    `frames`: how many frames of a clip are one input, and how many a second. `threads` of torch,
    its `version` and the `processor`: numbers are the same, bit for bit, only where these are.
    """

    network: str
    outputs: int | None
    weights: str | None
    task: str
    data: str
    classes: tuple[str, ...]
    points: tuple[str, ...]
    fingerprint: str
    recipe: Recipe
    preparation: Preparation | None
    frames: tuple[int, float] | None
    threads: int
    version: str
    processor: str

    def to_json(self) -> str:
        """Return the text of run.json."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str, path: Path) -> RunFacts:
        """Return what a run.json says; raise ValueError for a text of another kind."""
        try:
            said = json.loads(text)
            return _facts(said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"`run` ({path}) must be the {RUN} of a training, and cannot be read as one "
                f"({error}); name the folder of a training, or take another for a new one"
            ) from error


def _facts(said: Mapping[str, Any]) -> RunFacts:
    fields = {field.name for field in dataclasses.fields(RunFacts)}
    kept = {name: said[name] for name in fields}
    recipe = dict(said["recipe"])
    if recipe["augmentations"] is not None:
        recipe["augmentations"] = tuple(recipe["augmentations"])
    kept["recipe"] = Recipe(**recipe)
    for name in ("classes", "points"):
        kept[name] = tuple(str(one) for one in said[name])
    kept["frames"] = None if said["frames"] is None else tuple(said["frames"])
    preparation = said["preparation"]
    if preparation is not None:
        pairs: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in preparation.items()
        }
        kept["preparation"] = Preparation(**pairs)
    for name in ("network", "task", "data", "fingerprint", "version", "processor"):
        if not isinstance(kept[name], str):
            raise TypeError(f"{name} is not a text")
    return RunFacts(**kept)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, below `path`."""

    path: Path

    @staticmethod
    def at(path: str | Path) -> RunFolder:
        """Return the folder of a run at a path, whether there is one or not."""
        return RunFolder(expanded(path))

    @property
    def facts_file(self) -> Path:
        """Return the file that says what settles the run."""
        return self.path / RUN

    @property
    def best(self) -> Path:
        """Return the file of the best weights so far."""
        return self.path / "best.safetensors"

    @property
    def history(self) -> Path:
        """Return the file with a JSON line for each epoch."""
        return self.path / "history.jsonl"

    @property
    def layers(self) -> Path:
        """Return the file with a JSON line for each epoch on what its layers did."""
        return self.path / "layers.jsonl"

    @property
    def report(self) -> Path:
        """Return the folder of the page of its mistakes, `index.html`, and of the samples on it."""
        return self.path / "report"

    def example_at(self, number: int, suffix: str) -> Path:
        """Return the file of one of a few held-out samples, a ".png" picture or a ".npy" array."""
        return self.path / "examples" / f"{number}{suffix}"

    def examples(self) -> list[Path]:
        """Return the files of held-out samples that are there, in their order.

        The lab begins with the first.
        """
        numbered = itertools.product(range(EXAMPLES), (".png", ".npy"))
        paths = (self.example_at(number, suffix) for number, suffix in numbered)
        return [path for path in paths if path.is_file()]

    def is_run(self) -> bool:
        """Return whether a training has begun in the folder."""
        try:
            return '"recipe"' in self.facts_file.read_text()
        except (OSError, ValueError):
            return False

    def facts(self) -> RunFacts:
        """Return what settles the run; raise ValueError if there is none."""
        try:
            text = self.facts_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"`run` (={str(self.path)!r}) must be the folder of a training, and its {RUN} "
                f"cannot be read ({error}); name the folder given as --out"
            ) from error
        folder = os.path.realpath(self.path)
        return _placed(RunFacts.from_json(text, self.facts_file), folder, os.path.normpath)

    def write_facts(self, facts: RunFacts) -> None:
        """Write what settles the run."""
        folder = os.path.realpath(self.path)
        write_whole(self.facts_file, _placed(facts, "", lambda p: _from(p, folder)).to_json())

    def checkpoint(self, step: int) -> Path:
        """Return the file of the checkpoint after a number of steps."""
        return self.path / "checkpoints" / f"step-{step:08}.safetensors"

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints that are there, the newest first."""
        return sorted((self.path / "checkpoints").glob("step-*.safetensors"), reverse=True)

    def last_step(self) -> int | None:
        """Return after how many steps the newest checkpoint was written; None if there is none."""
        for path in self.checkpoints():
            digits = path.stem.removeprefix("step-")
            if digits.isdecimal():
                return int(digits)
        return None

    def last_tensors(self) -> dict[str, Tensor] | None:
        """Return the tensors of the newest checkpoint that is whole; None if there is none.

        It warns, in a sentence, of each one that is damaged, and leaves it out.
        """
        for path in self.checkpoints():
            try:
                return read_weights(path)
            except (ValueError, OSError) as error:
                warnings.warn(
                    f"the checkpoint {path.name} is left out, as it is damaged: {error}",
                    UserWarning,
                    stacklevel=3,
                )
        return None

    def last_weights(self) -> dict[str, Tensor]:
        """Return the weights in the newest checkpoint, their average if it has one.

        Raises ValueError if there is none.
        """
        tensors = self.last_tensors()
        if tensors is None:
            raise ValueError(
                f"`run` (={str(self.path)!r}) must have a checkpoint, and has none yet; wait for "
                "the first"
            )
        return part(tensors, "ema") or part(tensors, "weights")


def from_here(facts: RunFacts) -> RunFacts:
    """Return facts whose files are absolute; they were given from the working folder."""
    return _placed(facts, "", os.path.realpath)


def _placed(facts: RunFacts, start: str, place: Callable[[str], str]) -> RunFacts:
    """Return facts whose files, given from the folder `start`, are replaced by their `place`.

    Other texts are names of the zoo, of released weights or of data that is made.
    """

    def file(path: str) -> str:
        return Path(place(os.path.join(start, str(expanded(path))))).as_posix()

    def known(name: str | None) -> str | None:
        if name and (os.path.exists(os.path.join(start, expanded(name))) or name[:3] == "../"):
            return file(name)
        return name

    found = _IN_FILE.fullmatch(facts.network)
    network = file(found["file"]) + found["rest"] if found else facts.network
    data, weights = known(facts.data) or "", known(facts.weights)
    return dataclasses.replace(facts, network=network, data=data, weights=weights)


def _from(path: str, folder: str) -> str:
    """Return a path from a folder, absolute on another drive."""
    try:
        return os.path.relpath(os.path.realpath(path), folder)
    except ValueError:
        return os.path.realpath(path)


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `name/`, without that.

    >>> part({"ema/a": 1, "weights/a": 2}, "ema")
    {'a': 1}
    """
    start = f"{name}/"
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
