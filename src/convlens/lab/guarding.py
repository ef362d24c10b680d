"""The page's door: who may ask, what may come in, what a browser may do with what goes out."""

from __future__ import annotations

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 32 * 2**20
"""Bytes of the largest picture file taken."""

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


class BodyTooLargeError(ValueError):
    """A request whose body goes on past the limit."""

    def __init__(self) -> None:
        super().__init__(
            f"the file is larger than {LARGEST_BODY // 2**20} MiB, the most this page takes; "
            "make it smaller"
        )


class StaleRecordingError(LookupError):
    """A question about a recording that another picture has replaced."""


class Guard:
    """Lets a request through only from this page of this server, and seals every answer.

    `hosts` are the exact values the Host header may have; the Origin header, where there is one,
    must be `http://` and that host (a page of another site, or another name for this machine, is
    neither). Paths under `/api/` need the token as well. Bodies are counted as they come, with or
    without a content-length.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self.app = app
        self.token = token.encode()
        self.hosts = frozenset(host.encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            raise RuntimeError(f"only http is served here, not {scope['type']}")

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                kept = [h for h in message.get("headers", ()) if h[0].decode() not in HEADERS]
                message = {**message, "headers": [*kept, *extra]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, sentence = refusal
            await JSONResponse({"error": sentence}, status)(scope, receive, sealed)
            return
        await self.app(scope, _counted(receive), sealed)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence for a request that may not pass."""
        host = _values(scope, b"host")
        if len(host) != 1 or host[0] not in self.hosts:
            return 403, "the Host header is not this server's address; open the printed address"
        if any(origin != b"http://" + host[0] for origin in _values(scope, b"origin")):
            return 403, "another site's page may not ask this server anything"
        if not scope["path"].startswith("/api/"):
            return None
        token = _values(scope, TOKEN_HEADER.encode())
        if len(token) != 1 or not hmac.compare_digest(token[0], self.token):
            return 401, "the token is missing or wrong; open the address printed in the terminal"
        length = _values(scope, b"content-length")
        if any(_too_long(value) for value in length):
            return 413, str(BodyTooLargeError())
        return None


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _too_long(length: bytes) -> bool:
    return not length.isdigit() or len(length) > 12 or int(length) > LARGEST_BODY


def _counted(receive: Receive) -> Receive:
    """The same messages; raises once their bodies sum to more than the limit."""
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
