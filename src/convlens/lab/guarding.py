"""Guard the page: who may ask, what may come in, and what a browser may do with the answers."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
from collections.abc import Iterable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 32 * 2**20
"""The bytes of the largest picture file that the server reads."""

LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
"""The names that always mean this machine, so that no attacker's page can be loaded from them."""

TOKEN_HEADER = "x-convlens-token"

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


SENTENCES = (ValueError, TypeError, OSError, MemoryError, ArithmeticError, RuntimeError)
"""The errors whose text is a sentence for the user, such as weights that cannot be loaded."""


class BodyTooLargeError(ValueError):
    """A request whose body is longer than the limit."""

    def __init__(self) -> None:
        super().__init__(
            f"the file is larger than {LARGEST_BODY // 2**20} MiB, the most this page takes; "
            "make it smaller"
        )


class StaleRecordingError(LookupError):
    """A question about a recording that another picture has replaced."""


class PageGuard:
    """A gate around the application: only the page of this server may ask it anything.

    The Host header must be a name of `LOOPBACK` or of `hosts`; any port will do, because the near
    end of a tunnel has its own. This stops DNS rebinding, where a foreign name leads to this
    machine. An Origin header must be `http://` and that host, or one of `hosts` on any port,
    because a proxy may have written another Host. Paths under `/api/` need the token as well.
    Bodies are counted as they arrive, with or without a content-length.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self.app = app
        self.token = token.encode()
        self.hosts = {_name(host.encode()) for host in hosts} - LOOPBACK
        self.names = LOOPBACK | self.hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            raise RuntimeError(f"the lab serves only http, not {scope['type']}")

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _sealed(message.get("headers", ()))}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, sentence = refusal
            await JSONResponse({"error": sentence}, status)(scope, receive, sealed)
            return
        # Closing the server cancels requests whose client it has dropped: no answer is due.
        with contextlib.suppress(asyncio.CancelledError):
            await self.app(scope, _counted(receive), sealed)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the status and sentence for a request that may not pass, else None."""
        host = _values(scope, b"host")
        name = _name(host[0]) if len(host) == 1 else None
        if name not in self.names:
            return 403, (
                "the Host header must be localhost, 127.0.0.1 or [::1], on any port; open the "
                "printed address under one of them, or start the lab with --host and this name"
            )
        own = b"http://" + host[0].lower()
        origins = [origin for origin in _values(scope, b"origin") if origin != own]
        if any(_name_of(origin) not in self.hosts for origin in origins):
            return 403, (
                "the page of another site may not ask this server anything; if it is this page "
                "behind a proxy, start the lab with --host and the proxy's name"
            )
        if not scope["path"].startswith("/"):
            return 403, "this server answers paths such as /api/network, not whole addresses"
        if not scope["path"].startswith("/api/"):
            return None
        token = _values(scope, TOKEN_HEADER.encode())
        if len(token) != 1 or not hmac.compare_digest(token[0], self.token):
            return 401, "the token is missing or wrong; open the address printed in the terminal"
        length = _values(scope, b"content-length")
        if any(_too_long(value) for value in length):
            return 413, str(BodyTooLargeError())
        return None


def _sealed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with the guard's own; a page may have a policy of its own."""
    given = list(headers)
    ours = {name.encode(): value.encode() for name, value in HEADERS.items()}
    if any(name == b"content-security-policy" for name, _ in given):
        del ours[b"content-security-policy"]
    return [*((name, value) for name, value in given if name not in ours), *ours.items()]


def _name(host: bytes) -> str | None:
    """Return the name in a Host header, NAME or NAME:PORT; None for anything else."""
    found = re.fullmatch(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", host.lower())
    return found[1].decode() if found else None


def _name_of(origin: bytes) -> str | None:
    """Return the name in an Origin header of http or https; None for anything else."""
    scheme, _, host = origin.partition(b"://")
    return _name(host) if scheme in (b"http", b"https") else None


def checked_host(host: str) -> str:
    """Return a name that browsers may call this server by.

    Raises ValueError for any other text.

    >>> checked_host("lab.example:8443")
    'lab.example:8443'
    """
    if not host.isascii() or _name(host.encode()) is None:
        raise ValueError(
            f"`host` (={host!r}) must be the name browsers will use, with or without a port; write "
            "it like lab.example"
        )
    return host


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _too_long(length: bytes) -> bool:
    return not length.isdigit() or len(length) > 12 or int(length) > LARGEST_BODY


def _counted(receive: Receive) -> Receive:
    """Return a receiver of the same messages that raises once their bodies exceed the limit."""
    total = 0

    async def counting() -> Message:
        nonlocal total
        message = await receive()
        if message["type"] == "http.request":
            total += len(message.get("body", b""))
            if total > LARGEST_BODY:
                raise BodyTooLargeError
        return message

    return counting
