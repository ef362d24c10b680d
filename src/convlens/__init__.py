"""Convolution and convolutional networks: compute, see, build, train and run.

>>> import convlens
>>> list(convlens.Window(3, stride=2).reads(1, 9))
[2, 3, 4]

The public names are loaded on first use (PEP 562), so that importing convlens loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from convlens.compute import Plan, avg_pool, conv, conv_transpose, max_pool, plan
    from convlens.compute.networks.accelerating import accelerate
    from convlens.lab.showing import show
    from convlens.learn.opening import Opened, open_network
    from convlens.learn.predicting.predictions import Prediction
    from convlens.learn.predicting.starting import predict
    from convlens.learn.preparing import Preparation
    from convlens.learn.reading_inputs import read_inputs
    from convlens.learn.recipe import Recipe
    from convlens.learn.sources.pictures.decoding import read_picture
    from convlens.learn.sources.pictures.picture import Picture
    from convlens.learn.tracing import Trace, trace
    from convlens.learn.training.progress import Progress
    from convlens.learn.training.starting import train
    from convlens.lens import Costs, Explanation, Recording, costs, explain, record
    from convlens.windows import AdaptiveWindow, TransposedWindow, Window
    from convlens.zoo import Weights, list_models, model, weights

_HOME = {
    "AdaptiveWindow": "windows",
    "Costs": "lens",
    "Explanation": "lens",
    "Opened": "learn.opening",
    "Picture": "learn.sources.pictures.picture",
    "Plan": "compute",
    "Prediction": "learn.predicting.predictions",
    "Preparation": "learn.preparing",
    "Progress": "learn.training.progress",
    "Recipe": "learn.recipe",
    "Recording": "lens",
    "Trace": "learn.tracing",
    "TransposedWindow": "windows",
    "Weights": "zoo",
    "Window": "windows",
    "accelerate": "compute.networks.accelerating",
    "avg_pool": "compute",
    "conv": "compute",
    "conv_transpose": "compute",
    "costs": "lens",
    "explain": "lens",
    "list_models": "zoo",
    "max_pool": "compute",
    "model": "zoo",
    "open_network": "learn.opening",
    "plan": "compute",
    "predict": "learn.predicting.starting",
    "read_inputs": "learn.reading_inputs",
    "read_picture": "learn.sources.pictures.decoding",
    "record": "lens",
    "show": "lab.showing",
    "trace": "learn.tracing",
    "train": "learn.training.starting",
    "weights": "zoo",
}

__all__ = [
    "AdaptiveWindow",
    "Costs",
    "Explanation",
    "Opened",
    "Picture",
    "Plan",
    "Prediction",
    "Preparation",
    "Progress",
    "Recipe",
    "Recording",
    "Trace",
    "TransposedWindow",
    "Weights",
    "Window",
    "accelerate",
    "avg_pool",
    "conv",
    "conv_transpose",
    "costs",
    "explain",
    "list_models",
    "max_pool",
    "model",
    "open_network",
    "plan",
    "predict",
    "read_inputs",
    "read_picture",
    "record",
    "show",
    "trace",
    "train",
    "weights",
]


def __getattr__(name: str) -> Any:
    if name in ("functional", "signal"):
        return importlib.import_module(f"convlens.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'convlens' has no attribute {name!r}")
    return getattr(importlib.import_module(f"convlens.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
