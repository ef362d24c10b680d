"""List what the page may open without a restart: networks and sample pictures, never a path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from convlens.learn.opening import Opened, open_network
from convlens.zoo import NETWORKS
from convlens.zoo.shipped import DATA
from convlens.zoo.weights.downloading import weights_folder


class NetworkChoice(TypedDict):
    """A network that the page may open.

    `weights` says where they are: "shipped" with the package, or "here" in the folder of downloads.
    "random" stands for those that are not downloaded, "own" for what the command line opened.
    `megabytes`: the size of their file, 0 where there is none.
    """

    name: str
    task: str
    weights: str
    megabytes: float


class ChoicesAnswer(TypedDict):
    """The networks and the sample pictures that the page may open by name.

    `beside`: the weights and networks that it may compare with, beside the sample pictures.
    """

    networks: list[NetworkChoice]
    samples: list[str]
    beside: list[str]


class OpenAnswer(TypedDict):
    """The number of the recording that the choice gave."""

    recording: int


def choices(own: Sequence[str], beside: Sequence[str] = ()) -> ChoicesAnswer:
    """Return the choices of the page.

    `own`: the networks that the command line named. `beside`: what else it gave to compare with.

    >>> found = choices(["net.py:Net"])
    >>> found["networks"][0]["weights"], found["networks"][1]["name"]
    ('own', 'digits')
    """
    networks = [_own(name) for name in own if name not in NETWORKS]
    # The shipped ones come first in their task: they answer truly without a download.
    rank = {"shipped": 0, "here": 1, "random": 2}
    listed = [_listed(name) for name in NETWORKS]
    tasks = list(dict.fromkeys(each["task"] for each in listed))
    listed.sort(key=lambda each: (tasks.index(each["task"]), rank[each["weights"]]))
    listed.sort(key=lambda each: each["weights"] != "shipped")
    return {
        "networks": [*networks, *listed],
        "samples": [path.name for path in samples()],
        "beside": list(beside),
    }


def samples() -> list[Path]:
    """Return the pictures that ship with the package."""
    return sorted(path for path in DATA.iterdir() if path.suffix in (".jpg", ".png"))


def sample(name: str) -> Path:
    """Return a sample picture by its file's name.

    Raises ValueError for any other name.

    >>> sample("digit-3.png").name
    'digit-3.png'
    """
    found = next((path for path in samples() if path.name == name), None)
    if found is None:
        known = ", ".join(path.name for path in samples())
        raise ValueError(f"`name` (={name!r}) must be a sample picture; use one of {known}")
    return found


def open_choice(name: str, own: Sequence[str]) -> Opened:
    """Open a network that the page chose, with random weights where none are on this machine.

    Raises ValueError for a name that is not among the choices, and whatever opening it raises.
    """
    if name in NETWORKS:
        return open_network(name, weights="none" if _weights(name) == "random" else None)
    if name not in own:
        raise ValueError(
            f"`name` (={name!r}) must be a network of the zoo or one that the command line named; "
            f"start the lab with it: convlens lab {name}"
        )
    return open_network(name)


def _own(name: str) -> NetworkChoice:
    return {"name": name, "task": "your own", "weights": "own", "megabytes": 0.0}


def _listed(name: str) -> NetworkChoice:
    entry = NETWORKS[name]
    size = entry.weights[0].megabytes if entry.weights else 0.0
    return {
        "name": name,
        "task": entry.task,
        "weights": _weights(name),
        "megabytes": float(size),
    }


def _weights(name: str) -> str:
    """Return where the default weights of a network of the zoo are."""
    entry = NETWORKS[name]
    if entry.shipped is not None or entry.fixed:
        return "shipped"
    if entry.weights and (weights_folder() / entry.weights[0].file).is_file():
        return "here"
    return "random"
