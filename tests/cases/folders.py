"""Runs into a folder, and what they left there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from convlens import draw
from convlens.learn.predicting.folder import predict_into
from convlens.learn.preparing import Preparation


class Grey(nn.Module):
    """A score for dark and one for bright; it fails on a white picture."""

    preparation = Preparation(None, crop=False)
    categories = ("dark", "bright")

    def forward(self, x: Tensor) -> Tensor:
        if (x == 1).all():
            raise RuntimeError("too bright")
        return torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)


class GreyMaps(Grey):
    """A map of these two scores."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-x[:, :1], x[:, :1]], 1)


def ran(source: object, out: Path, network: nn.Module | None = None, **settings: Any) -> Any:
    job = predict_into(network or Grey(), source, out, **{"pen": draw, **settings})
    return job, list(job)


def save(path: Path, size: tuple[int, int], kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path, kind)
    return path


def picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
