"""Serve the page on this machine's loopback address until Ctrl-C, and open the browser on it."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from convlens.lab.guarding import SENTENCES, checked_host

if TYPE_CHECKING:
    from convlens.lab.answers.answering import Lab
    from convlens.lab.answers.others import Beside
    from convlens.lab.following import FollowedRun
    from convlens.learn.opening import Opened

ADDRESS = "127.0.0.1"


def serve(
    opened: Opened | Callable[[], Opened],
    picture: bytes | str | Path | tuple[str | Path, ...] | None = None,
    *,
    port: int = 0,
    open_browser: bool = True,
    host: str | None = None,
    place: str = "",
    beside: Beside = None,
    run: FollowedRun | None = None,
) -> None:
    """Serve the page on a network and a picture until interrupted.

    Listens on 127.0.0.1 only. It takes the port, opens the network and reads the picture. Then it
    prints the address and opens it in the browser, if there is one. The network runs while the
    browser starts. The fragment of the address, which browsers keep to themselves, carries the
    token: without it the server answers no question. Threads of the lab may still compute after an
    interrupt; Python waits for them at its end.

    Args:
        opened: the network, from `convlens.learn.opening.open_network`, or a function that opens
            it, called once the port is taken.
        picture: a picture's or `.npy` array's bytes or path, or the paths for each input of a
            network that has several; the network's example when None.
        port: the port; any free one when 0.
        open_browser: whether to open the browser.
        host: another name that browsers may call the lab by, such as a proxy's.
        place: where the page opens, as its address says it: "at=conv1&index=0,5,6,4".
        beside: what the page may compare the network with: other weights, other networks.
        run: the training that the network comes from; its page is served and its address printed.

    Raises:
        OSError: the port is taken.
        ValueError: `host` is not a name; the picture, or what `beside` names, cannot be read.
        Exception: whatever `opened` raises.
    """
    hosts = frozenset(() if host is None else (checked_host(host),))
    with listen(port) as listening:
        with _no_collecting():
            from convlens.lab import server  # noqa: F401 - loaded here, while nothing is collected
            from convlens.lab.answers.answering import Lab
            from convlens.lab.answers.others import others_of
            from convlens.learn.reading_inputs import read_inputs

        network = opened() if callable(opened) else opened
        lab = Lab(network, others_of(network, beside))
        source: object = network.example if picture is None else picture
        for each in source if isinstance(source, tuple) else () if source is None else (source,):
            read_inputs(network, each)
        start = threading.Thread(target=_look, args=(lab, source), daemon=True).start
        _run(lab, listening, hosts, place, open_browser, start, run)


def serve_lab(lab: Lab, place: str = "", *, open_browser: bool = True) -> None:
    """Serve the page on a lab that has its recording, as `serve` does, on any free port.

    Args:
        lab: answers the questions.
        place: where the page opens, as its address says it: "at=conv1&index=0,5,6,4".
        open_browser: whether to open the browser.
    """
    with listen(0) as listening:
        _run(lab, listening, frozenset(), place, open_browser)


def _run(
    lab: Lab,
    listening: socket.socket,
    hosts: frozenset[str],
    place: str,
    open_browser: bool,
    start: Callable[[], None] | None = None,
    run: FollowedRun | None = None,
) -> None:
    """Serve a lab until interrupted; call `start` once the address has been printed."""
    from convlens.lab.server import application

    token = secrets.token_urlsafe(24)
    server = _server(application(lab, token, hosts, run))
    site = f"http://{ADDRESS}:{listening.getsockname()[1]}"
    address = f"{site}/#token={token}" + (f"&{place}" if place else "")
    _announce(address, open_browser, f"{site}/training?token={token}" if run else "")
    if start is not None:
        start()
    # uvicorn closes in good order on Ctrl-C, then raises it again.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _announce(address: str, open_browser: bool, training: str) -> None:
    """Print the addresses, and open the first in the browser if wanted and possible."""
    also = f"Its training is at {training}\n" if training else ""
    # Flushed, because a terminal behind a pipe waits for this line.
    print(f"The lab is open at {address}\n{also}Ctrl-C closes it.", flush=True)
    if open_browser and _has_screen():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _look(lab: Lab, source: object) -> None:
    """Run the network on the first picture."""
    if source is None:
        lab.skip()
        return
    try:
        lab.look(source)
    except SENTENCES as error:
        # The page shows this sentence too, but the user may be looking at the terminal.
        print(error, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Collect no garbage meanwhile: torch makes a million lasting objects, which costs 0.2 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of the loopback address, any free one when 0.

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
    return _LabServer(config)


class _LabServer(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop every connection, because uploads may never end and answers may take long."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()
        await super().shutdown(sockets)


def _has_screen() -> bool:
    """Return whether a browser has a screen; a browser in the terminal would take it over."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
