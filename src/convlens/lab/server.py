"""The page as an ASGI application: its files, its questions, and the picture that is sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from convlens.lab.answers.answering import Lab
from convlens.lab.answers.envelope import pack
from convlens.lab.following import FollowedRun
from convlens.lab.guarding import SENTENCES, BodyTooLargeError, PageGuard, StaleRecordingError
from convlens.lab.questions import QUESTIONS, Question
from convlens.lab.training_routes import training_routes

WEB = files("convlens.lab") / "web"
"""The folder of the page's files."""

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""The files that belong to the page, by their suffix, and what a browser takes them for."""

# Threads of the lab itself: asyncio and anyio would wait at their end for what theirs still run.
_THREADS = ThreadPoolExecutor(32, thread_name_prefix="convlens-lab")


def application(
    lab: Lab | Future[Lab],
    token: str,
    hosts: frozenset[str],
    run: FollowedRun | None = None,
) -> ASGIApp:
    """Return the page and its questions as an ASGI application.

    Args:
        lab: answers the questions; they wait for a future one.
        token: the token that the page must send with each question.
        hosts: names the Host header may have beside those of this machine itself.
        run: the training whose network the lab shows, which then has a page of its own.
    """
    ready = lab.result if isinstance(lab, Future) else lambda: lab
    own = page_files(WEB)
    static = [_static_route(path, *content) for path, content in own.items()]
    training = [] if run is None else training_routes(run, ready, token, own["/"][0], _THREADS)
    asked = [
        Route(f"/api/{question.name}", _asked(ready, question), methods=["GET"])
        for question in QUESTIONS.values()
    ]
    look = Route("/api/look", _looked(ready), methods=["POST"])
    return PageGuard(Starlette(routes=[*training, *static, *asked, look]), token, hosts)


def page_files(folder: Traversable, path: str = "/") -> dict[str, tuple[bytes, str]]:
    """Return the content and media type of every file of the page, by its path on the server."""
    found: dict[str, tuple[bytes, str]] = {}
    for entry in folder.iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if entry.is_dir():
            found |= page_files(entry, f"{path}{entry.name}/")
        elif suffix in MEDIA_TYPES:
            name = "" if entry.name == "index.html" else entry.name
            found[path + name] = entry.read_bytes(), MEDIA_TYPES[suffix]
    return found


def page_texts() -> dict[str, str]:
    """Return the texts of the page's files by their paths, for a page without a server."""
    files_of = page_files(WEB)
    return {path[1:] or "index.html": text.decode() for path, (text, _) in files_of.items()}


def _static_route(path: str, content: bytes, media: str) -> Route:
    async def static(request: Request) -> Response:
        return Response(content, media_type=media)

    return Route(path, static, methods=["GET"])


def _asked(ready: Callable[[], Lab], question: Question) -> Callable[[Request], Any]:
    async def asked(request: Request) -> Response:
        return await _answered(lambda: question.ask(ready(), request.query_params))

    return asked


def _looked(ready: Callable[[], Lab]) -> Callable[[Request], Any]:
    """Return the handler of a picture: its bytes are the body, its name a header."""

    async def looked(request: Request) -> Response:
        try:
            body = await request.body()
        except BodyTooLargeError as error:
            return JSONResponse({"error": str(error)}, 413, {"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)  # the client that would read it has gone
        name = unquote(request.headers.get("x-convlens-name", ""))[:200]
        slot = request.headers.get("x-convlens-slot", "0")
        if not body:
            return JSONResponse({"error": "the file is empty; choose a picture"}, 422)
        if not slot.isascii() or not slot.isdigit() or len(slot) > 3:
            return JSONResponse({"error": "x-convlens-slot must be the number of an input"}, 422)
        return await _answered(
            lambda: {"recording": ready().look(body, name, int(slot))}, refused=422
        )

    return looked


async def _answered(answer: Callable[[], Mapping[str, object]], refused: int = 400) -> Response:
    """Return the envelope of an answer, or the sentence of the error it raised."""
    try:
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(_THREADS, lambda: pack(answer()))
    except StaleRecordingError as error:
        return JSONResponse({"error": str(error)}, 409)
    except SENTENCES as error:
        return JSONResponse({"error": str(error) or type(error).__name__}, refused)
    return Response(content, media_type="application/octet-stream")
