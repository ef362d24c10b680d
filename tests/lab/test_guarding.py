"""Who may ask the lab, what may come in, and what a browser may do with the answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from convlens.lab import Lab, application
from convlens.lab.guarding import LARGEST_BODY, checked_host
from convlens.lab.questions import QUESTIONS
from tests.cases.lab_networks import noise
from tests.running.serving import TOKEN, Served


@pytest.mark.parametrize("question", sorted(QUESTIONS))
def test_every_question_needs_the_token(site: Served, question: str) -> None:
    path = f"/api/{question}?recording=1&value=0"
    for token in (None, "", TOKEN[:-1] + "x", TOKEN + "x"):
        with site.client(token) as client:
            answer = client.get(path)
        assert answer.status_code == 401, token
        assert "token" in answer.json()["error"]
    with site.client() as client:
        assert client.get(path).status_code != 401


def test_a_picture_needs_the_token(site: Served) -> None:
    before = site.lab.network()["recording"]
    with site.client(None) as client:
        assert client.post("/api/look", content=noise()).status_code == 401
    assert site.lab.network()["recording"] == before


def test_two_tokens_are_none(site: Served) -> None:
    with site.client(None) as client:
        twice = [("x-convlens-token", TOKEN), ("x-convlens-token", TOKEN)]
        assert client.get("/api/network", headers=twice).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{port}", "localhost.:{port}", "{host}.evil.example", ""),
        *(
            "localhost.evil.example",
            "127.0.0.1.nip.io:{port}",
            "127.0.0.2:{port}",
            "0.0.0.0:{port}",
        ),
        *(
            "localhost:{port}@evil.example",
            "evil.example@localhost:{port}",
            "localhost:",
            "[::1",
            "::1",
        ),
        *(
            "localhost:123456",
            "localhost:80:80",
            "localhost/",
            "127.1",
            "[::2]:{port}",
            "localhost,x",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/", "/stage.js", "/api/network"])
def test_other_hosts_are_refused(site: Served, client: httpx.Client, host: str, path: str) -> None:
    wrong = host.format(port=site.port, host=site.host)
    assert client.get(path, headers={"host": wrong}).status_code == 403
    assert client.get(path, headers={"host": f"localhost:{site.port}"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost:9999", "127.0.0.1", "127.0.0.1:1", "[::1]:8443", "[::1]", "LOCALHOST:9999"]
)
def test_a_tunnel_may_have_its_near_end_anywhere(site: Served, host: str) -> None:
    with site.client() as client:
        for path in ("/", "/api/network"):
            assert client.get(path, headers={"host": host}).status_code == 200
        there = {"host": host, "origin": f"http://{host.lower()}"}
        assert client.get("/api/network", headers=there).status_code == 200
        # The page of another port of this machine is another site.
        other = {"host": host, "origin": "http://localhost:3000"}
        assert client.get("/api/network", headers=other).status_code == 403


def _raw(port: int, request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(request.encode())
        return line.recv(4096)


def test_strange_requests_are_refused(site: Served) -> None:
    ends = f"x-convlens-token: {TOKEN}\r\nconnection: close\r\n\r\n"
    known = f"host: localhost:{site.port}\r\n"
    for target, hosts in (
        ("/api/network", ""),  # none
        ("/api/network", known + "host: evil.example\r\n"),
        ("/api/network", known + known),
        (f"http://localhost:{site.port}/api/network", known),  # an absolute address
        ("http://evil.example/api/network", known),
        ("*", known),
    ):
        answer = _raw(site.port, f"GET {target} HTTP/1.1\r\n{hosts}{ends}")
        assert answer.split()[1] in (b"400", b"403"), (target, hosts, answer)
    assert _raw(site.port, f"GET / HTTP/1.1\r\n{known}{ends}").split()[1] == b"200"


def test_a_name_that_is_said_is_let_in(digits: Lab) -> None:
    app: Any = application(digits, TOKEN, frozenset((checked_host("Lab.Example"),)))

    async def ask(host: str, origin: str) -> int:
        transport = httpx.ASGITransport(app)
        headers = {"x-convlens-token": TOKEN, "host": host, "origin": origin}
        async with httpx.AsyncClient(transport=transport, base_url="http://any") as client:
            return (await client.get("/api/network", headers=headers)).status_code

    assert asyncio.run(ask("lab.example:8443", "https://lab.example:8443")) == 200
    assert asyncio.run(ask("lab.example", "http://lab.example")) == 200
    assert asyncio.run(ask("lab.example", "https://evil.example")) == 403
    assert asyncio.run(ask("lab.example.evil", "https://lab.example.evil")) == 403
    assert asyncio.run(ask("localhost:1", "https://localhost:1")) == 403
    # A proxy may leave its port away, or ask under the name of this machine.
    assert asyncio.run(ask("lab.example", "https://lab.example:8443")) == 200
    assert asyncio.run(ask("lab.example:443", "https://lab.example")) == 200
    assert asyncio.run(ask("localhost:8000", "https://lab.example")) == 200
    for origin in (
        "ftp://lab.example",
        "lab.example",
        "https://lab.example/",
        "http://localhost:2",
    ):
        assert asyncio.run(ask("localhost:8000", origin)) == 403
    for host in ("", "*", "a b", "http://lab.example", "lab.example/", "läb"):
        with pytest.raises(ValueError, match="must be the name browsers will use"):
            checked_host(host)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "https://{host}",
        "http://{host}.evil.example",
        "http://{host}/",
        "http://localhost:{port}",
    ],
)
def test_other_origins_are_refused(site: Served, client: httpx.Client, origin: str) -> None:
    wrong = origin.format(port=site.port, host=site.host)
    assert client.get("/api/network", headers={"origin": wrong}).status_code == 403
    right = {"origin": f"http://{site.host}"}
    assert client.get("/api/network", headers=right).status_code == 200


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/network", "/nothing", "/api/nothing"])
def test_every_answer_is_sealed(client: httpx.Client, path: str) -> None:
    for answer in (client.get(path), client.delete(path), client.get(path, headers={"host": "x"})):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


# Bodies


def _large(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(2**20)


@pytest.mark.parametrize("counted", [True, False])
def test_33_mebibytes_are_refused(client: httpx.Client, counted: bool) -> None:
    content: Any = bytes(33 * 2**20) if counted else _large(33)
    answer = client.post("/api/look", content=content)
    assert answer.status_code == 413
    assert answer.json()["error"].count(".") == 0
    assert "32 MiB" in answer.json()["error"]


def test_32_mebibytes_are_read(client: httpx.Client) -> None:
    answer = client.post("/api/look", content=_large(LARGEST_BODY // 2**20))
    assert answer.status_code == 422  # read, and found to be no picture


@pytest.mark.parametrize("length", ["-1", "1e9", "33554433", "99999999999999999999", "+5"])
def test_strange_lengths_are_refused(site: Served, length: str) -> None:
    request = (
        f"POST /api/look HTTP/1.1\r\nhost: {site.host}\r\nx-convlens-token: {TOKEN}\r\n"
        f"content-length: {length}\r\n\r\nx"
    )
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as connection:
        connection.sendall(request.encode())
        status = connection.recv(64).split()[1]
    assert status in (b"400", b"413")
