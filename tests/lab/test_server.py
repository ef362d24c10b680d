"""The application: the page's files and nothing else, pictures taken, answers and refusals."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
from concurrent.futures import Future
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from convlens.lab import Lab, application
from convlens.lab.server import MEDIA_TYPES, WEB, page_files
from convlens.learn.opening import open_network
from tests.cases.lab_networks import noise
from tests.running.serving import TOKEN, Served, served, unpacked

PAGE = Path(str(files("convlens.lab"))) / "web"


# The page's files


def test_every_file_of_the_page_is_served(client: httpx.Client) -> None:
    paths = [path for path in PAGE.rglob("*") if path.suffix in MEDIA_TYPES]
    assert len(paths) > 25
    for path in paths:
        name = path.relative_to(PAGE).as_posix()
        answer = client.get("/" if name == "index.html" else f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == MEDIA_TYPES[path.suffix]
        assert answer.content == path.read_bytes()
    assert len(page_files(WEB)) == len(paths)


def test_a_file_that_is_put_into_the_folder_is_served_and_no_other_kind(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "index.html").write_text("<p>")
    (tmp_path / "parts" / "new.js").write_text("new")
    for name in ("package.json", "lit.d.ts", "LICENSE.txt", "LICENSE", ".js~", "server.py"):
        (tmp_path / name).write_text("not served")
    assert page_files(tmp_path) == {
        "/": (b"<p>", "text/html"),
        "/parts/new.js": (b"new", "text/javascript"),
    }


@pytest.mark.parametrize(
    "path", ["/package.json", "/vendor/lit-html.d.ts", "/vendor/lit-html-LICENSE.txt"]
)
def test_what_only_developers_read_is_not_served(client: httpx.Client, path: str) -> None:
    assert (PAGE / path[1:]).exists()
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "/vendor/../../server.py",
        "/vendor/%2e%2e/%2e%2e/server.py",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/file:///etc/passwd",
        "/vendor/",
        "/vendor",
        "/stage.js/",
        "/stage.js%00",
        "/server.py",
        "/api/../lab/server.py",
        "/api/look/../../etc/passwd",
    ],
)
def test_path_tricks_find_nothing(site: Served, path: str) -> None:
    # http.client sends the path as it is; other clients tidy it first.
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"x-convlens-token": TOKEN})
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status in (404, 307)
    assert b"import" not in body
    assert b"root:" not in body


def test_the_page_has_no_inline_script_or_style() -> None:
    index = (PAGE / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", index)
    for path in PAGE.glob("*.js"):
        assert not re.search(r"[^.]style=[\"$]|eval\(|new Function|https?://", path.read_text()), (
            path
        )


# Pictures


def test_a_new_picture_is_a_new_recording(networks: Path) -> None:
    lab = Lab(open_network(f"{networks}:Residual", size=24))
    with served(lab) as site, site.client() as client:
        _two_pictures(client)


def _two_pictures(client: httpx.Client) -> None:
    assert unpacked(client.post("/api/look", content=noise())) == {"recording": 1}
    headers = {"x-convlens-name": "a%20cat%3F.png"}
    assert unpacked(client.post("/api/look", content=noise(), headers=headers)) == {"recording": 2}
    network = unpacked(client.get("/api/network"))
    assert (network["recording"], network["picture_name"]) == (2, "a cat?.png")
    for kept in (1, 2):
        assert client.get(f"/api/sheet?recording={kept}&value=0").status_code == 200
    stale = client.get("/api/sheet?recording=3&value=0")
    assert stale.status_code == 409
    assert "another picture" in stale.json()["error"]


@pytest.mark.parametrize(
    "content", [b"", b"no picture", noise()[:200], b"\x93NUMPY", b"\x80\x04\x95."]
)
def test_a_bad_picture_is_one_sentence_and_changes_nothing(
    client: httpx.Client, content: bytes
) -> None:
    before = unpacked(client.get("/api/network"))
    answer = client.post("/api/look", content=content)
    assert answer.status_code == 422
    sentence = answer.json()["error"]
    assert sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert unpacked(client.get("/api/network")) == before


# Answers


def test_an_answer_is_one_envelope(client: httpx.Client, digits: Lab) -> None:
    answer = client.get("/api/sheet?recording=1&value=0")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    found, known = unpacked(answer), digits.sheet(1, 0)
    assert (found["shape"], found["axes"]) == (known["shape"], known["axes"])
    for name in ("low", "high", "codes", "exact"):
        np.testing.assert_array_equal(found[name], known[name], strict=True)


def test_weights_that_cannot_be_had_are_a_sentence_on_the_page() -> None:
    lab: Future[Lab] = Future()
    lab.set_exception(ConnectionError("`weights` (a.pth) must be downloaded once"))
    app: Any = application(lab, TOKEN, frozenset({"127.0.0.1"}))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"x-convlens-token": TOKEN}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/api/network", headers=headers)

    answer = asyncio.run(ask())
    assert answer.status_code == 400
    assert answer.json() == {"error": "`weights` (a.pth) must be downloaded once"}
