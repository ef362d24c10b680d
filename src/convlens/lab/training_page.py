"""The page of a training beside the stage: its curves, its layers, and what is wrong with them.

It is written here, without a script, and the browser loads it again every few seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from convlens.files import printed
from convlens.lab.answers.answering import Lab
from convlens.learn.measuring.history import read_history, summary
from convlens.learn.measuring.report import STYLE, history_section
from convlens.learn.opening import open_network
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.health import LayerHealth, read_health, troubles

__all__ = ["TrainingPage"]

SECONDS = 5
"""How often the browser loads the page again."""


class TrainingPage:
    """The page of the training in `folder`; its links open the stage on the newest checkpoint.

    Its address holds the token, as a browser sends no header with it.
    """

    def __init__(self, folder: Path, lab: Callable[[], Lab], token: str) -> None:
        self.run, self.lab, self.token = RunFolder(folder), lab, token
        self._newest = self._checkpoint()
        self._one_at_a_time = threading.Lock()

    def routes(self) -> list[Route]:
        """Return what the server answers beside the stage."""
        return [
            Route(f"/training/{self.token}", self._shown, methods=["GET"]),
            Route(f"/training/{self.token}/stage", self._opened, methods=["GET"]),
            Route("/training.css", self._style, methods=["GET"]),
        ]

    def text(self) -> str:
        """Return the page as it is now."""
        history = read_history(self.run.history)
        epoch, layers = read_health(self.run.layers)
        name = escape(printed(str(self.run.path)))
        said = "".join(f"<li>{_text(one)}</li>" for one in troubles(layers))
        wrong = f"<ul>{said}</ul>" if said else "<p>Nothing is wrong with its layers.</p>"
        parts = [
            f"<h1>{name}</h1>",
            f'<p><a href="{self._stage("")}">Open the newest checkpoint on the stage</a></p>',
            history_section(history),
            f'<div class="wide"><pre>{escape(summary(history))}</pre></div>',
            f"<h2>Layers after epoch {epoch}</h2>{wrong}" if layers else "",
            self._table(layers) if layers else "",
        ]
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="refresh" content="{SECONDS}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{name}: training</title>\n<link rel="stylesheet" href="/training.css">\n'
            "</head>\n<body>\n<main>\n" + "\n".join(filter(None, parts)) + "\n</main>\n</body>\n"
            "</html>\n"
        )

    def _table(self, layers: list[LayerHealth]) -> str:
        rows = "".join(
            f'<tr><th><a href="{self._stage(one.name)}">{_text(one.name or "the network")}</a></th>'
            f"<td>{_text(one.kind)}</td><td>{_number(one.weight)}</td>"
            f"<td>{_number(one.gradient)}</td><td>{_dead(one)}</td></tr>"
            for one in layers
        )
        head = "<th>layer</th><th></th><th>weights</th><th>gradient</th><th>channels at 0</th>"
        says = "Root mean squares; the gradient is that of the last step of the epoch."
        table = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
        return f'<div class="wide"><table class="layers">{table}</table></div><p>{says}</p>'

    def _stage(self, layer: str) -> str:
        place = f"?at={quote(layer, safe='')}" if layer else ""
        return f"/training/{self.token}/stage{place}"

    def _checkpoint(self) -> Path | None:
        found = self.run.checkpoints()
        return found[0] if found else None

    def _renew(self) -> None:
        """Let the stage answer from the newest checkpoint, if there is a newer one."""
        with self._one_at_a_time:
            newest = self._checkpoint()
            if newest is not None and newest != self._newest:
                self.lab().renew(open_network(str(self.run.path), weights="last"))
                self._newest = newest

    def _shown(self, request: Request) -> Response:
        return Response(self.text(), media_type="text/html")

    def _opened(self, request: Request) -> Response:
        self._renew()
        layer = request.query_params.get("at", "")
        place = f"&at={quote(layer, safe='')}" if layer else ""
        return RedirectResponse(f"/#token={self.token}{place}", 303)

    def _style(self, request: Request) -> Response:
        return Response(STYLE.read_bytes(), media_type="text/css")


def _text(text: str) -> str:
    return escape(printed(text))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _dead(one: LayerHealth) -> str:
    return "–" if one.dead is None else f"{one.dead} of {one.channels}"
