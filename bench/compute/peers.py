"""Peers by name: the packages that each needs, and its contenders for a case."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator

from bench.compute.compilers import with_jax, with_onnxruntime, with_openvino
from bench.compute.contenders import Contender
from bench.compute.libraries import with_numpy, with_opencv, with_scipy, with_torch
from bench.compute.truth import Inputs

PEERS: dict[str, tuple[tuple[str, ...], Callable[[Inputs], Iterator[Contender]]]] = {
    "torch": (("torch",), with_torch),
    "scipy": (("scipy",), with_scipy),
    "numpy": (("numpy",), with_numpy),
    "opencv": (("opencv-python-headless",), with_opencv),
    "jax": (("jax", "jaxlib"), with_jax),
    "onnxruntime": (("onnxruntime", "onnx"), with_onnxruntime),
    "openvino": (("openvino", "onnx"), with_openvino),
}


def version(package: str) -> str | None:
    """Return the version of an installed package, None if it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def installed() -> tuple[list[str], dict[str, str]]:
    """Return the installed peers, and for each other peer a package that it lacks."""
    missing = {
        name: package
        for name, (packages, _) in PEERS.items()
        for package in packages
        if version(package) is None
    }
    return [name for name in PEERS if name not in missing], missing
