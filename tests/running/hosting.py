"""Notebooks that run: JupyterLab and marimo, each serving some cells from a folder of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

PATIENCE = 60
"""The seconds in which a server must answer."""


@contextlib.contextmanager
def jupyterlab(folder: Path, cells: Sequence[str]) -> Iterator[str]:
    """Yield the address of a notebook with these cells, none of which has run yet."""
    _needs("jupyterlab")
    code: dict[str, object] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
    }
    notebook = {
        "cells": [code | {"id": f"cell{i}", "source": cell} for i, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "notebook.ipynb").write_text(json.dumps(notebook))
    kept = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    port = _free_port()
    command = ["jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={folder}"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=token"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    with _running(folder, command, kept, f"http://127.0.0.1:{port}/api?token=token"):
        yield f"http://127.0.0.1:{port}/lab/tree/notebook.ipynb?token=token"


@contextlib.contextmanager
def marimo(folder: Path, cells: Sequence[str]) -> Iterator[str]:
    """Yield the address of an application with these cells, which run when it is opened."""
    _needs("marimo")
    lines = ["import marimo", "app = marimo.App()"]
    for i, cell in enumerate(cells):
        body = "".join(f"    {line}\n" for line in cell.splitlines())
        lines.append(f"@app.cell\ndef _({'convlens' if i else ''}):\n{body}    return (convlens,)")
    (folder / "notebook.py").write_text("\n".join(lines))
    port = _free_port()
    command = ["marimo", "-y", "run", "--headless", "--no-token", f"--port={port}"]
    with _running(folder, [*command, "notebook.py"], {}, f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}/"


def _needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module} (pip install -c constraints.txt {module})")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(folder: Path, command: list[str], kept: dict[str, str], health: str) -> Iterator[None]:
    """Run a module of Python that serves, from its first answer to the end of the block."""
    paths = os.pathsep.join(map(os.path.abspath, sys.path))
    own = os.environ | kept | {"PYTHONPATH": paths, "XDG_CONFIG_HOME": str(folder)}
    with open(folder / "log.txt", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env=own, stdout=log, stderr=log
        )
        try:
            end = time.monotonic() + PATIENCE
            while not _answers(health):
                assert server.poll() is None, (folder / "log.txt").read_text()
                assert time.monotonic() < end, f"{command[0]} does not answer"
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.wait(PATIENCE)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).is_success
    except httpx.TransportError:
        return False
