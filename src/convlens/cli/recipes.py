"""The fields of a recipe as flags, under our words and those of other trainers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from cyclopts import Parameter

__all__ = ["AS_THE_TASK", "RecipeFlags", "theirs"]


@Parameter(name="*")
@dataclass(frozen=True)
class RecipeFlags:
    """How to train; what is not given is the task's default for so much data."""

    epochs: Annotated[int | None, Parameter(help="Passes over the training samples.")] = None
    batch: Annotated[int | None, Parameter(help="Samples in a step, over all its parts.")] = None
    rate: Annotated[float | None, Parameter(help="The highest learning rate.")] = None
    optimizer: Annotated[
        Literal["adamw", "sgd", "rmsprop"] | None, Parameter(help="What takes the steps.")
    ] = None
    decay: Annotated[float | None, Parameter(help="Weight decay, of kernels only.")] = None
    momentum: Annotated[float | None, Parameter(help="Momentum, or AdamW's first beta.")] = None
    schedule: Annotated[
        Literal["cosine", "linear", "constant"] | None, Parameter(help="How the rate falls.")
    ] = None
    warmup: Annotated[
        float | None, Parameter(help="The share of all steps in which the rate rises.")
    ] = None
    clip: Annotated[
        float | None, Parameter(help="The most that the gradient's norm may be; 0 for no limit.")
    ] = None
    accumulate: Annotated[int | None, Parameter(help="Compute a step in this many parts.")] = None
    ema: Annotated[
        float | None, Parameter(help="Keep an average of weights, such as 0.999; 0 for none.")
    ] = None
    smooth: Annotated[float | None, Parameter(help="Label smoothing.")] = None
    size: Annotated[int | None, Parameter(help="Pixels of the input's sides.")] = None
    augment: Annotated[float | None, Parameter(help="Strength of augmentations, 0 to 1.")] = None
    augmentations: Annotated[
        tuple[str, ...] | None,
        Parameter(help="One of their names, once for each; see convlens augment.", negative=()),
    ] = None
    balance: Annotated[
        bool | None,
        Parameter(help="Let every category weigh the same in the loss.", negative=()),
    ] = None
    freeze: Annotated[
        int | None,
        Parameter(help="Do not train this many first stages; -1: all but the head."),
    ] = None
    layer_decay: Annotated[
        float | None, Parameter(help="The rate of each stage as a part of the next one's.")
    ] = None
    patience: Annotated[
        int | None, Parameter(help="Stop after this many epochs that are not better; 0: never.")
    ] = None
    precision: Annotated[
        Literal["float32", "bfloat16"] | None, Parameter(help="What products are computed in.")
    ] = None
    compile: Annotated[
        bool | None, Parameter(help="Let torch compile the network.", negative=())
    ] = None
    deterministic: Annotated[
        bool | None, Parameter(help="Add in a fixed order where torch would not.")
    ] = None
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps.")] = None
    threads: Annotated[int | None, Parameter(help="Threads of torch; 0: one for each core.")] = None
    workers: Annotated[int | None, Parameter(help="Processes that read samples.")] = None
    seed: Annotated[int | None, Parameter(help="Seed of all random numbers.")] = None
    save: Annotated[float | None, Parameter(help="The most seconds between checkpoints.")] = None
    keep: Annotated[int | None, Parameter(help="Keep this many checkpoints.")] = None

    def given(self) -> dict[str, Any]:
        """Return the flags that were given, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


AS_THE_TASK = RecipeFlags()
"""No flag given."""

THEIRS = {
    "rate": ("lr", "learning-rate", "lr0"),
    "batch": ("batch-size", "b", "per-device-train-batch-size"),
    "epochs": ("num-train-epochs", "num-epochs"),
    "decay": ("wd", "weight-decay"),
    "optimizer": ("opt",),
    "schedule": ("sched", "lr-scheduler", "cos-lr"),
    "size": ("img-size", "imgsz", "image-size", "crop-size"),
    "classes": ("num-classes", "nc"),
    "weights": ("pretrained",),
    "ema": ("model-ema-decay", "model-ema"),
    "smooth": ("smoothing", "label-smoothing"),
    "clip": ("clip-grad", "max-grad-norm", "clip-grad-norm"),
    "warmup": ("warmup-epochs", "warmup-ratio"),
    "freeze": ("freeze-layers",),
    "out": ("output", "output-dir", "project", "name", "save-dir"),
    "precision": ("amp", "bf16", "fp16"),
    "workers": ("j", "num-workers"),
    "accumulate": ("gradient-accumulation-steps", "grad-accum-steps"),
    "patience": ("early-stopping-patience",),
}
"""Flags of timm, torchvision, ultralytics and Transformers, by ours."""


def theirs(words: Sequence[str]) -> str | None:
    """Return a sentence about the first flag that another trainer calls so; None if there is none.

    >>> theirs(["resnet18", "photos", "--lr=0.1"])
    '`--lr` is called `--rate` here; write --rate'
    """
    for word in words:
        name = word.split("=")[0]
        for ours, known in THEIRS.items():
            if name.startswith("-") and name.lstrip("-").replace("_", "-") in known:
                return f"`{name}` is called `--{ours}` here; write --{ours}"
            if name == "--resume":
                return "`--resume` is not needed; the same command goes on with a stopped run"
    return None
