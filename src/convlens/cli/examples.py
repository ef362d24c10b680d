"""The commands in the order of use, each with lines that one can type."""

from __future__ import annotations

from convlens.tables import table

__all__ = ["EXAMPLES", "examples_of", "first_examples"]

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "lab": (
        ("convlens lab", "a network on a digit"),
        ("convlens lab mine.py:Net photo.jpg", "your network, your photo"),
    ),
    "show": (
        ("convlens show digits --at conv1 --index 0,5,6,4", "one number"),
        ("convlens show digits --at conv1 --index 0,5,6,4 --out number.svg", "a figure"),
    ),
    "predict": (
        ("convlens predict resnet18 photo.jpg", "what a photo shows"),
        ("convlens predict maskrcnn_resnet50_fpn photos --out seen", "a folder, drawn"),
    ),
    "explain": (
        ("convlens explain digits --at conv1 --index 0,5,6,4", "a number's terms"),
        ("convlens explain digits --at @8 --index 0,3 --json", "step 8, for machines"),
    ),
    "record": (
        ("convlens record digits", "its steps and times"),
        ("convlens record mine.py:Net photo.jpg", "also where a network fails"),
    ),
    "costs": (
        ("convlens costs digits", "parameters and multiply-adds"),
        ("convlens costs resnet50 --weights none", "without its weights"),
    ),
    "models": (
        ("convlens models", "every network of the zoo"),
        ("convlens models 'resnet*' --count", "counted here"),
    ),
    "data": (
        ("convlens data check pictures", "what is there, and wrong"),
        ("convlens data check train.json --sheet labels.png", "draw labels"),
    ),
    "augment": (
        ("convlens augment", "what augmentations do to figures"),
        ("convlens augment photo.jpg --out seen.png", "to a photo of yours"),
    ),
    "train": (
        ("convlens train resnet18 photos --out run", "on photos in folders, one a category"),
        ("convlens train digits", "a shipped network, by its recipe"),
    ),
    "val": (
        ("convlens val run", "how good it is, and its mistakes"),
        ("convlens val run other-photos --json", "on other data, for machines"),
    ),
    "convert": (
        ("convlens convert resnet18", "released weights"),
        ("convlens convert mine.pth --out mine.safetensors", "a file of yours"),
    ),
}
"""What to type, and what comes of it, by command, in the order of use."""


def examples_of(command: str) -> str:
    """Return the lines with which a command's help begins."""
    return _lines(EXAMPLES[command])


def first_examples() -> str:
    """Return the lines with which `convlens --help` begins: one a command, and two of the first."""
    first, *others = EXAMPLES
    return _lines((*EXAMPLES[first], *(EXAMPLES[name][0] for name in others[:4])))


def _lines(examples: tuple[tuple[str, str], ...]) -> str:
    return table([("  " + line, says) for line, says in examples])
