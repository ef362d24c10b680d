"""Serve the page of a training, and what leads from it to the stage."""

from __future__ import annotations

import asyncio
import hmac
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from convlens.lab.answers.answering import Lab
from convlens.lab.following import FollowedRun
from convlens.lab.guarding import SENTENCES
from convlens.lab.training_page import page_of, style

__all__ = ["training_routes"]

REPORT_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
}
"""The report is one file, whose styles are in it; nothing in it runs."""

Handler = Callable[[Request], Awaitable[Response]]

Done = TypeVar("Done")


def training_routes(
    run: FollowedRun, ready: Callable[[], Lab], token: str, index: bytes, threads: Executor
) -> list[Route]:
    """Return the routes of a lab that follows a training.

    The page, its pictures and its links carry the token in their query, those of the report in
    their path, from which its links go on. `index`: the stage's own page, which puts a newer
    checkpoint on the stage before it is sent.
    """

    async def stage(request: Request) -> Response:
        await _in_thread(threads, lambda: _renew(run, ready()))
        return Response(index, media_type="text/html")

    async def training(request: Request) -> Response:
        page = await _in_thread(threads, lambda: page_of(run, token))
        return Response(page, media_type="text/html")

    async def styled(request: Request) -> Response:
        return Response(style(), media_type="text/css")

    async def picture(request: Request) -> Response:
        path = _sample(run, request)
        if path is None or path.suffix != ".png":
            return PlainTextResponse("the run has no such picture", 404)
        return FileResponse(path, media_type="image/png")

    async def opened(request: Request) -> Response:
        path, at = _sample(run, request), request.query_params.get("at", "")
        await _in_thread(threads, lambda: run.show(ready(), path))
        place = f"&at={quote(at, safe='')}&near=step" if at else "&near=network"
        return RedirectResponse(f"/#token={token}{place}", 303)

    async def report(request: Request) -> Response:
        page = run.folder.report / "index.html"
        if not page.is_file():
            return PlainTextResponse("there is no report yet; convlens val RUN writes it", 404)
        return FileResponse(page, media_type="text/html", headers=REPORT_HEADERS)

    async def reported(request: Request) -> Response:
        path = _beside_report(run, request.path_params["name"])
        if path is None:
            return PlainTextResponse("the report has no such sample", 404)
        await _in_thread(threads, lambda: run.show(ready(), path))
        return RedirectResponse(f"/#token={token}&near=network", 303)

    return [
        Route("/", stage, methods=["GET"]),
        Route("/training.css", styled, methods=["GET"]),
        Route("/training", _guarded(training, token), methods=["GET"]),
        Route("/training/sample", _guarded(picture, token), methods=["GET"]),
        Route("/training/stage", _guarded(opened, token), methods=["GET"]),
        Route("/report/{token}/", _guarded(report, token), methods=["GET"]),
        Route("/report/{token}/{name}", _guarded(reported, token), methods=["GET"]),
    ]


def _guarded(handler: Handler, token: str) -> Handler:
    """Return a handler that answers only who has the token, and errors with their sentence."""

    async def guarded(request: Request) -> Response:
        given = request.path_params.get("token") or request.query_params.get("token", "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            return PlainTextResponse(
                "the token is missing or wrong; open the address printed in the terminal", 401
            )
        try:
            return await handler(request)
        except SENTENCES as error:
            return PlainTextResponse(str(error) or type(error).__name__, 400)

    return guarded


async def _in_thread(threads: Executor, work: Callable[[], Done]) -> Done:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


def _renew(run: FollowedRun, lab: Lab) -> None:
    """Put a newer checkpoint on the stage; one that cannot be read leaves it as it is."""
    try:
        run.renew(lab)
    except SENTENCES as error:
        print(error, file=sys.stderr, flush=True)


def _beside_report(run: FollowedRun, name: str) -> Path | None:
    """Return the file of that name among the samples of the report."""
    try:
        files = {path.name: path for path in run.folder.report.iterdir()}
    except OSError:
        return None
    path = files.get(name)
    return path if path is not None and path.suffix in (".png", ".npy") else None


def _sample(run: FollowedRun, request: Request) -> Path | None:
    """Return the file of the held-out sample of the number that is asked for."""
    number = request.query_params.get("sample", "")
    return {path.stem: path for path in run.folder.examples()}.get(number)
