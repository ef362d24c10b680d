"""The page served on this machine's own loopback address: routes, static files, the browser."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from convlens.lab.guarding import BodyTooLargeError, Guard, StaleRecordingError, checked_host

if TYPE_CHECKING:
    from convlens.lab.answering import Lab
    from convlens.learn.opening import Opened

ADDRESS = "127.0.0.1"

SENTENCES = (ValueError, TypeError, OSError, MemoryError, ArithmeticError, RuntimeError)
"""What is raised with a sentence for the user: of weights that cannot be had, for one."""

# Of our own: asyncio and anyio wait at their end until what they run in theirs is done.
_THREADS = ThreadPoolExecutor(32, thread_name_prefix="convlens-lab")

# Every file the page is made of; nothing else is ever read for a browser.
FILES = {
    "/": ("index.html", "text/html"),
    "/main.js": ("main.js", "text/javascript"),
    "/lab.js": ("lab.js", "text/javascript"),
    "/state.js": ("state.js", "text/javascript"),
    "/asking.js": ("asking.js", "text/javascript"),
    "/axes.js": ("axes.js", "text/javascript"),
    "/tiling.js": ("tiling.js", "text/javascript"),
    "/frame.js": ("frame.js", "text/javascript"),
    "/grids.js": ("grids.js", "text/javascript"),
    "/controls.js": ("controls.js", "text/javascript"),
    "/questions.js": ("questions.js", "text/javascript"),
    "/outline.js": ("outline.js", "text/javascript"),
    "/answering.js": ("answering.js", "text/javascript"),
    "/answer.js": ("answer.js", "text/javascript"),
    "/walk.js": ("walk.js", "text/javascript"),
    "/sheet.js": ("sheet.js", "text/javascript"),
    "/painting.js": ("painting.js", "text/javascript"),
    "/bars.js": ("bars.js", "text/javascript"),
    "/arithmetic.js": ("arithmetic.js", "text/javascript"),
    "/picture.js": ("picture.js", "text/javascript"),
    "/frames.js": ("frames.js", "text/javascript"),
    "/overlay.js": ("overlay.js", "text/javascript"),
    "/tints.js": ("tints.js", "text/javascript"),
    "/colours.js": ("colours.js", "text/javascript"),
    "/numbers.js": ("numbers.js", "text/javascript"),
    "/keys.js": ("keys.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/vendor/lit-html.js": ("vendor/lit-html.js", "text/javascript"),
}


def application(lab: Lab | Future[Lab], token: str, hosts: frozenset[str]) -> ASGIApp:
    """The page and its questions as an ASGI application.

    Args:
        lab: answers the questions; they wait for one that is still to come.
        token: what the page must send with each of them.
        hosts: names the Host header may have beside those of this machine itself.
    """
    ready = lab.result if isinstance(lab, Future) else lambda: lab
    web = files("convlens.lab") / "web"
    static = [
        _static_route(path, (web / name).read_bytes(), media)
        for path, (name, media) in FILES.items()
    ]
    api = [
        Route("/api/picture", _picture_taker(ready), methods=["POST"]),
        *(
            Route(f"/api/{name}", _question(ready, answer), methods=["GET"])
            for name, answer in QUESTIONS.items()
        ),
    ]
    return Guard(Starlette(routes=[*static, *api]), token, hosts)


def _static_route(path: str, content: bytes, media: str) -> Route:
    async def static(request: Request) -> Response:
        return Response(content, media_type=media)

    return Route(path, static, methods=["GET"])


def _whole(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError(f"`{name}` (={text!r}) must be a whole number")
    return int(text)


def _index(request: Request) -> tuple[int, ...]:
    text = request.query_params.get("index", "")
    parts = text.split(",") if text else []
    if len(text) > 400 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError("`index` must be whole numbers joined by commas, one for each axis")
    return tuple(int(part) for part in parts)


def _picture(lab: Lab, request: Request) -> Response:
    png = lab.picture(_whole(request, "recording"))
    if png is None:
        return JSONResponse({"error": "this network's input is no picture"}, 404)
    return Response(png, media_type="image/png")


# What may be asked with GET, each answered in a worker thread.
QUESTIONS: dict[str, Callable[[Lab, Request], Any]] = {
    "network": lambda lab, request: lab.network(),
    "sheet": lambda lab, request: lab.sheet(
        _whole(request, "recording"), _whole(request, "value"), _whole(request, "first", 0)
    ),
    "numbers": lambda lab, request: lab.numbers(
        _whole(request, "recording"),
        _whole(request, "value"),
        _whole(request, "first", 0),
        _whole(request, "map", 0),
    ),
    "scale": lambda lab, request: lab.scale(_whole(request, "recording")),
    "explain": lambda lab, request: lab.explain(
        _whole(request, "recording"),
        _whole(request, "value"),
        _index(request),
        _whole(request, "start", 0),
    ),
    "region": lambda lab, request: lab.region(
        _whole(request, "recording"),
        _whole(request, "value"),
        _index(request),
        _whole(request, "input", 0),
    ),
    "trace": lambda lab, request: lab.walk(
        _whole(request, "recording"), _whole(request, "detection")
    ),
    "mask": lambda lab, request: lab.mask(
        _whole(request, "recording"), _whole(request, "detection")
    ),
    "segments": lambda lab, request: lab.segments(_whole(request, "recording")),
    "picture.png": _picture,
}


def _question(
    ready: Callable[[], Lab], answer: Callable[[Lab, Request], Any]
) -> Callable[[Request], Any]:
    async def asked(request: Request) -> Response:
        return await _answered(lambda: answer(ready(), request))

    return asked


def _picture_taker(ready: Callable[[], Lab]) -> Callable[[Request], Any]:
    async def taken(request: Request) -> Response:
        try:
            body = await request.body()
        except BodyTooLargeError as error:
            return JSONResponse({"error": str(error)}, 413, {"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        name = unquote(request.headers.get("x-convlens-name", ""))[:200]
        if not body:
            return JSONResponse({"error": "the file is empty; choose a picture"}, 422)
        return await _answered(lambda: {"recording": ready().look(body, name)}, refused=422)

    return taken


async def _answered(answer: Callable[[], Any], refused: int = 400) -> Response:
    """What `answer` gives, or the sentence of what it raised."""
    try:
        given = await asyncio.get_running_loop().run_in_executor(_THREADS, answer)
    except StaleRecordingError as error:
        return JSONResponse({"error": str(error)}, 409)
    except SENTENCES as error:
        return JSONResponse({"error": str(error) or type(error).__name__}, refused)
    if isinstance(given, Response):
        return given
    if isinstance(given, bytes):
        return Response(given, media_type="application/octet-stream")
    content = json.dumps(given, separators=(",", ":"), allow_nan=False)
    return Response(content, media_type="application/json")


def serve(
    opened: Opened | Callable[[], Opened],
    picture: bytes | str | Path | None = None,
    *,
    port: int = 0,
    open_browser: bool = True,
    host: str | None = None,
) -> None:
    """Serve the page on a network and a picture until interrupted.

    What is computed then goes on in threads of their own, which Python waits for at its end.

    Listens on 127.0.0.1 only. Once the port is taken, the network open and the picture read, prints
    the address and opens it in the browser where there is one; the network runs while that starts.
    The address carries, in its fragment
    (which browsers keep to themselves), the token without which nothing is answered.

    Args:
        opened: the network, from `convlens.learn.opening.open_network`, or a function that opens
            it, called once the port is taken.
        picture: a picture's or `.npy` array's bytes or path; the network's example when None.
        port: the port; any free one when 0.
        open_browser: whether to open the browser.
        host: another name that browsers may call the lab by, such as a proxy's.

    Raises:
        OSError: the port is taken.
        ValueError: no name is `host`; the picture cannot be read.
        Exception: whatever `opened` raises.
    """
    hosts = frozenset(() if host is None else (checked_host(host),))
    with listen(port) as listening:
        port = listening.getsockname()[1]
        with _no_collecting():
            from convlens.lab.answering import Lab
            from convlens.learn.opening import read_inputs

        network = opened() if callable(opened) else opened
        lab = Lab(network)
        source = network.example if picture is None else picture
        if source is not None:
            read_inputs(network, source)
        token = secrets.token_urlsafe(24)
        address = f"http://{ADDRESS}:{port}/#token={token}"
        server = _server(application(lab, token, hosts))
        # Flushed, for a terminal behind a pipe waits for this line.
        print(f"The lab is open at {address}\nCtrl-C closes it.", flush=True)
        if open_browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        threading.Thread(target=_look, args=(lab, source), daemon=True).start()
        # uvicorn closes in good order on Ctrl-C, then raises it again.
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def _look(lab: Lab, source: bytes | str | Path | None) -> None:
    """Run the network on the first picture."""
    if source is None:
        lab.skip()
        return
    try:
        lab.look(source)
    except SENTENCES as error:
        # The page shows the sentence too; it may be the terminal that is looked at.
        print(error, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Importing torch makes a million objects that stay: looking for garbage costs 0.2 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def listen(port: int) -> socket.socket:
    """A socket that listens on a port of the loopback address, any free one when 0.

    Raises:
        OSError: the port is taken.
    """
    # The protocol is named because asyncio switches off Nagle's algorithm only where it is: with
    # it, every answer of more than one write waits 40 ms for the browser's acknowledgement.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ADDRESS, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or "ports end at 65535"
        raise OSError(
            f"`port` (={port}) cannot be used ({reason}); use another, or 0 for a free one"
        ) from error
    return listening


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app, log_level="error", lifespan="off", ws="none", server_header=False, access_log=False
    )
    return _Server(config)


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of whoever is connected: uploads may not go on, and answers take long."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()
        await super().shutdown(sockets)


def _has_screen() -> bool:
    """Whether a browser would have a screen; one of the terminal's own would take it over."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
