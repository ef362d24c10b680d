"""The lab's server: who is let in, and that every number it tells is the tensor's number."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import http.client
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import nn

from convlens.lab import Lab, answering, serve
from convlens.lab.arithmetic import GROUPS
from convlens.lab.guarding import LARGEST_BODY, StaleRecordingError, checked_host
from convlens.lab.outline import outline
from convlens.lab.server import FILES, QUESTIONS, application
from convlens.learn.opening import open_network, opened_module, read_inputs
from convlens.learn.predicting.running import predict
from convlens.lens import Recording, explain_value, record
from convlens.zoo.weights import DATA
from tests.running.serving import TOKEN, Served, served

NETWORKS = '''
import torch
from torch import nn


class Residual(nn.Module):
    """A shared module, an in-place step, a skip, and 40 channels to rank."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 40, 3, padding=1)
        self.shared = nn.Conv2d(40, 40, 3, padding=1, groups=2)
        self.relu = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(40, 4, 1), nn.MaxPool2d(2), nn.Flatten())

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = self.relu(x + self.shared(x))
        x = self.shared(x)
        return self.block(x)


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


class Strange(nn.Module):
    """Numbers that are not finite, integers, truths, and nothing at all."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        x = self.conv(x)
        x = torch.log(x - x.mean())
        y = torch.where(x > 0, x / 0, x)
        return y, (y > 0), y.nan_to_num().argmax(1), y[:, :0]
'''


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "nets.py"
    path.write_text(NETWORKS)
    return path


def _noise() -> bytes:
    """A picture of random bytes as PNG."""
    pixels = np.random.default_rng(3).integers(0, 256, (24, 24, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def residual(written: Path) -> Lab:
    lab = Lab(open_network(f"{written}:Residual", size=24))
    lab.look(_noise(), "noise.png")
    return lab


@pytest.fixture(scope="module")
def digits() -> Lab:
    opened = open_network("digits")
    lab = Lab(opened)
    assert opened.example is not None
    lab.look(opened.example)
    return lab


@pytest.fixture(scope="module")
def site(digits: Lab) -> Iterator[Served]:
    with served(digits) as site:
        yield site


@pytest.fixture
def client(site: Served) -> Iterator[httpx.Client]:
    with site.client() as client:
        yield client


# Who is let in


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
        assert client.post("/api/picture", content=_noise()).status_code == 401
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
@pytest.mark.parametrize("path", ["/", "/lab.js", "/api/network"])
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


def test_only_the_listed_files_are_served(client: httpx.Client) -> None:
    for path, (name, media) in FILES.items():
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == media
        assert answer.content == (files("convlens.lab") / "web" / name).read_bytes()


def test_every_file_of_the_page_is_listed() -> None:
    web = Path(str(files("convlens.lab") / "web"))
    there = {str(path.relative_to(web)) for path in web.rglob("*") if path.is_file()}
    assert {name for name, _ in FILES.values()} == there - {"vendor/lit-html-LICENSE.txt"}


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
        "/lab.js/",
        "/lab.js%00",
        "/server.py",
        "/api/../lab/server.py",
        "/api/picture/../../etc/passwd",
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
    web = Path(str(files("convlens.lab") / "web"))
    index = (web / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", index)
    for path in web.glob("*.js"):
        assert not re.search(r"[^.]style=[\"$]|eval\(|new Function|https?://", path.read_text()), (
            path
        )


# Bodies


def _large(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(2**20)


@pytest.mark.parametrize("counted", [True, False])
def test_33_mebibytes_are_refused(client: httpx.Client, counted: bool) -> None:
    content: Any = bytes(33 * 2**20) if counted else _large(33)
    answer = client.post("/api/picture", content=content)
    assert answer.status_code == 413
    assert answer.json()["error"].count(".") == 0
    assert "32 MiB" in answer.json()["error"]


def test_32_mebibytes_are_read(client: httpx.Client) -> None:
    answer = client.post("/api/picture", content=_large(LARGEST_BODY // 2**20))
    assert answer.status_code == 422  # read, and found to be no picture


@pytest.mark.parametrize("length", ["-1", "1e9", "33554433", "99999999999999999999", "+5"])
def test_strange_lengths_are_refused(site: Served, length: str) -> None:
    request = (
        f"POST /api/picture HTTP/1.1\r\nhost: {site.host}\r\nx-convlens-token: {TOKEN}\r\n"
        f"content-length: {length}\r\n\r\nx"
    )
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as connection:
        connection.sendall(request.encode())
        status = connection.recv(64).split()[1]
    assert status in (b"400", b"413")


# Pictures


def test_a_new_picture_is_a_new_recording(written: Path) -> None:
    lab = Lab(open_network(f"{written}:Residual", size=24))
    with served(lab) as site, site.client() as client:
        _two_pictures(client)


def _two_pictures(client: httpx.Client) -> None:
    assert client.post("/api/picture", content=_noise()).json() == {"recording": 1}
    headers = {"x-convlens-name": "a%20cat%3F.png"}
    assert client.post("/api/picture", content=_noise(), headers=headers).json()["recording"] == 2
    network = client.get("/api/network").json()
    assert (network["recording"], network["picture_name"]) == (2, "a cat?.png")
    assert client.get("/api/sheet?recording=2&value=0").status_code == 200
    stale = client.get("/api/sheet?recording=1&value=0")
    assert stale.status_code == 409
    assert "another picture" in stale.json()["error"]


@pytest.mark.parametrize(
    "content", [b"", b"no picture", _noise()[:200], b"\x93NUMPY", b"\x80\x04\x95."]
)
def test_a_bad_picture_is_one_sentence_and_changes_nothing(
    client: httpx.Client, content: bytes
) -> None:
    before = client.get("/api/network").json()
    answer = client.post("/api/picture", content=content)
    assert answer.status_code == 422
    sentence = answer.json()["error"]
    assert sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert client.get("/api/network").json() == before


def test_without_a_picture_the_page_says_what_to_do(written: Path) -> None:
    lab = Lab(open_network(f"{written}:Residual"))
    lab.skip()
    network = lab.network()
    assert network["recording"] == 0
    assert "drop a picture" in network["failure"]
    with pytest.raises(StaleRecordingError):
        lab.sheet(0, 0)


def test_the_shown_picture_is_what_the_network_read() -> None:
    opened = open_network("digits")
    assert opened.example is not None
    lab = Lab(opened)
    lab.look(opened.example)
    png = lab.picture(1)
    assert png is not None
    _, shown = read_inputs(opened, opened.example)
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), shown)


# The outline


def _steps(nodes: list[dict[str, Any]]) -> list[int]:
    return [
        step
        for node in nodes
        for step in ([node["step"]] if "step" in node else []) + _steps(node.get("children", []))
    ]


@pytest.mark.parametrize("name", ["Residual", "Raises", "Strange"])
def test_every_step_is_in_the_outline_once(written: Path, name: str) -> None:
    opened = open_network(f"{written}:{name}", size=24)
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    assert _steps(outline(recording)) == list(range(len(recording.steps)))
    assert record(opened.network, inputs).names == recording.names


def test_names_are_those_of_the_recording(residual: Lab, written: Path) -> None:
    opened = open_network(f"{written}:Residual", size=24)
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    assert {id: name for id, name, *_ in residual.network()["values"]} == recording.names


def test_the_outline_reads_like_the_network(residual: Lab) -> None:
    nodes = residual.network()["nodes"]
    assert [node["name"] for node in nodes] == [
        "stem",
        "relu",
        "shared",
        "add@3",
        "relu#2",
        "shared#2",
        "block",
    ]
    assert [node["name"] for node in nodes[-1]["children"]] == ["0", "1", "2"]
    assert nodes[0]["parameters"] == 40 * 3 * 9 + 40
    assert nodes[-1]["parameters"] == 4 * 40 + 4


def test_an_error_stands_at_its_step(written: Path) -> None:
    lab = Lab(open_network(f"{written}:Raises", size=24))
    lab.look(_noise())
    network = lab.network()
    head = network["nodes"][-1]
    assert head["name"] == "head"
    assert "error" in head["children"][-1]
    assert "linear" in network["error"]
    assert network["steps"] == 3
    assert network["output"] is None


def test_scores_are_ranked_with_their_names(digits: Lab) -> None:
    network = digits.network()
    scores = [score["score"] for score in network["scores"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 10
    best = network["scores"][0]
    assert best["label"] == str(best["index"][-1])
    found = digits.explain(1, network["output"], tuple(best["index"]))
    assert found["recorded"] == best["score"]


@pytest.mark.parametrize("end", [nn.Identity(), nn.Softmax(1), nn.Sigmoid(), nn.LogSoftmax(1)])
@pytest.mark.parametrize(("classes", "surplus"), [(1, 0), (3, 0), (3, -1), (1, 1)])
@pytest.mark.parametrize("flat", [True, False])
def test_an_answer_is_told_as_predict_tells_it(
    end: nn.Module, classes: int, surplus: int, flat: bool
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, classes, 8), end).eval()
    if flat:
        network.insert(1, nn.Flatten())
    names = ("a", "b", "c")[: classes + surplus]
    opened = dataclasses.replace(opened_module(network, size=8), categories=names)
    lab = Lab(opened)
    recording = lab.look(DATA / "cat.jpg")
    (found,) = predict(opened, DATA / "cat.jpg")
    scores = lab.network()["scores"]
    told = [f"{one['told']}  {one['label'].removeprefix('class ')}" for one in scores]
    told += [f"! {sentence}" for sentence in lab.network()["said"]]
    assert told == [line.strip() for line in str(found).splitlines()[1:]]
    for one in scores:  # and the number recorded is still the one that is followed
        answer = lab.explain(recording, lab.network()["output"], tuple(one["index"]))
        assert answer["recorded"] == one["score"]


@pytest.mark.parametrize(
    "end",
    [
        lambda y: torch.cat([y[:, :1], y[:, 1:]], 1),
        lambda y: (y + y.flip(1)) / 2,
        lambda y: y.clamp(1e-6, 0.9).half(),
        lambda y: torch.where(y > 0.01, y * y, 0.0),
        lambda y: y[..., None, None].expand(-1, -1, 2, 2).mean((2, 3)),
        lambda y: y * 9 - 4,
        lambda y: y + torch.zeros(3),
    ],
)
def test_scores_made_of_a_sigmoids_are_told_as_predict_tells_them(end: Any) -> None:
    class Scored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 8)

        def forward(self, x: torch.Tensor) -> Any:
            return end((self.layer(x).flatten(1) - 2).sigmoid())

    torch.manual_seed(0)
    opened = opened_module(Scored().eval(), size=8)
    lab = Lab(opened)
    lab.look(str(DATA / "cat.jpg"))
    (found,) = predict(opened, DATA / "cat.jpg")
    told = [
        f"{one['told']}  {one['label'].removeprefix('class ')}" for one in lab.network()["scores"]
    ]
    assert told == [line.strip() for line in str(found).splitlines()[1:]]
    assert lab.network()["picture_name"] == "cat.jpg"


def test_maps_are_an_answer_as_predict_takes_them() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1)).eval()
    opened = dataclasses.replace(opened_module(network, size=8), categories=("sky", "sea"))
    lab = Lab(opened)
    lab.look(DATA / "cat.jpg")
    (found,) = predict(opened, DATA / "cat.jpg")
    segments = lab.network()["segments"]
    assert segments is not None
    assert {each["name"] for each in segments["classes"]} <= {"sky", "sea"}
    assert {found.category(label) for label in found.labels} <= {"sky", "sea"}


def test_a_question_waits_until_all_of_the_first_answer_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told before, the page would show nothing, and ask no more."""
    begun, go = threading.Event(), threading.Event()

    def found(recording: Recording) -> None:
        begun.set()
        go.wait(60)

    monkeypatch.setattr(answering, "findings_of", found)
    lab = Lab(open_network("digits"))
    with ThreadPoolExecutor(2) as threads:
        looking = threads.submit(lab.look, DATA / "digit-3.png")
        begun.wait(60)
        asked = threads.submit(lab.network)
        try:
            with pytest.raises(TimeoutError):
                asked.result(0.1)
        finally:
            go.set()
        assert (looking.result(), asked.result()["recording"]) == (1, 1)


def test_what_must_be_known_of_an_answer_is_said() -> None:
    lab = Lab(open_network("digits", weights="none"))
    lab.look(DATA / "digit-3.png")
    network = lab.network()
    assert network["said"] == ["weights drawn at random: the answer means nothing"]
    assert network["warnings"][0] == network["said"][0]
    broken = opened_module(nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()).eval(), size=8)
    with torch.no_grad():
        next(broken.network.parameters()).fill_(torch.nan)
    lab = Lab(broken)
    lab.look(DATA / "cat.jpg")
    network = lab.network()
    assert network["scores"] == []
    assert "weights that are no finite numbers" in network["said"][0]
    assert "no finite numbers for 2 of 2 scores" in network["said"][1]


# Sheets


def _unpacked(
    content: bytes,
) -> tuple[dict[str, Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Header, lows, highs and codes of a sheet, as the page reads them."""
    (length,) = struct.unpack("<I", content[:4])
    header = json.loads(content[4 : 4 + length])
    maps, size = header["maps"], header["rows"] * header["columns"]
    low = np.frombuffer(content, "<f4", maps, 4 + length)
    high = np.frombuffer(content, "<f4", maps, 4 + length + 4 * maps)
    codes = np.frombuffer(content, np.uint8, maps * size, 4 + length + 8 * maps)
    return header, low, high, codes.reshape(maps, size)


def _check_codes(
    low: npt.NDArray[Any], high: npt.NDArray[Any], codes: npt.NDArray[Any], maps: npt.NDArray[Any]
) -> None:
    """Low and high are the maps' own, and every code is its number within half a step."""
    np.testing.assert_array_equal(low, maps.min(1))
    np.testing.assert_array_equal(high, maps.max(1))
    step = (high.astype(float) - low) / 254
    told = low[:, None] + (codes - 1.0) * step[:, None]
    assert (codes >= 1).all()
    assert (np.abs(told - maps) <= 0.5001 * step[:, None] + 1e-7 * np.abs(maps)).all()


def test_sheets_tell_the_tensors_numbers(residual: Lab, written: Path) -> None:
    opened = open_network(f"{written}:Residual", size=24)
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    for value in recording.values:
        header, low, high, codes = _unpacked(residual.sheet(1, value.id))
        assert header["shape"] == list(value.shape)
        tensor = value.tensor[0] if header["sliced"] else value.tensor
        maps = tensor.reshape(codes.shape).double().numpy()
        _check_codes(low, high, codes, maps)
        for number in {0, len(maps) // 2, len(maps) - 1}:
            exact = np.frombuffer(residual.numbers(1, value.id, 0, number), "<f8")
            np.testing.assert_array_equal(exact, maps[number])
        assert header["largest"] == float(value.tensor.abs().max())


def test_the_check_of_codes_can_fail(residual: Lab) -> None:
    value = residual.network()["values"][-1][0]
    stem = next(v[0] for v in residual.network()["values"] if v[1] == "stem")
    assert value != stem
    _, low, high, codes = _unpacked(residual.sheet(1, stem))
    maps = np.stack(
        [np.frombuffer(residual.numbers(1, stem, 0, i), "<f8") for i in range(len(codes))]
    )
    _check_codes(low, high, codes, maps)
    for wrong in (np.roll(maps, 1, 0), np.roll(maps, 1, 1), maps * 1.01):
        with pytest.raises(AssertionError):
            _check_codes(low, high, codes, wrong)


def test_weights_are_one_output_channel_a_sheet(residual: Lab) -> None:
    weight = next(v for v in residual.network()["values"] if v[1] == "shared.weight")
    assert weight[3] == [40, 20, 3, 3]
    header, *_ = _unpacked(residual.sheet(1, weight[0], 7))
    assert header["sliced"]
    assert header["first"] == 7
    assert header["maps"] == 20
    assert header["axes"] == ["output channel", "input channel", "row", "column"]
    with pytest.raises(ValueError, match="`first` \\(=40\\) must be below 40"):
        residual.sheet(1, weight[0], 40)


def test_what_is_not_finite_is_marked(written: Path) -> None:
    opened = open_network(f"{written}:Strange", size=24)
    lab = Lab(opened)
    lab.look(_noise())
    network = lab.network()
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    seen = set()
    for id, _, _, shape, dtype in network["values"]:
        header, low, high, codes = _unpacked(lab.sheet(1, id))
        tensor = recording.values[id].tensor
        part = tensor[0] if header["sliced"] and tensor.numel() else tensor
        maps = part.double().numpy().reshape(codes.shape) if tensor.numel() else codes
        if tensor.numel():
            np.testing.assert_array_equal(codes == 0, ~np.isfinite(maps))
            assert np.isfinite(low).all()
            assert np.isfinite(high).all()
        seen |= {dtype, "empty" if 0 in shape else "", "bad" if (codes == 0).any() else ""}
    assert {"float32", "bool", "int64", "empty", "bad"} <= seen


def test_answers_are_strict_json(written: Path) -> None:
    lab = Lab(open_network(f"{written}:Strange", size=24))
    lab.look(_noise())
    divided = next(v for v in lab.network()["values"] if v[1].startswith("div"))
    found = set()
    for row in range(24):
        text = json.dumps(lab.explain(1, divided[0], (0, 0, row, 3)), allow_nan=False)
        answer = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        found.add(answer.get("recorded") if isinstance(answer.get("recorded"), str) else "finite")
    assert found & {"NaN", "Infinity", "-Infinity"}


# Explanations


def test_explanations_close_and_equal_the_lens(residual: Lab, written: Path) -> None:
    opened = open_network(f"{written}:Residual", size=24)
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    generator = np.random.default_rng(0)
    for value in recording.values:
        index = tuple(int(generator.integers(n)) for n in value.shape)
        told = residual.explain(1, value.id, index)
        known = explain_value(recording, value.id, index)
        assert told["recorded"] == known.recorded == float(value.tensor[index])
        assert (told["total"], told["bound"], told["bias"]) == (
            known.total,
            known.bound,
            known.bias,
        )
        sums = [group["sum"] for group in told["groups"]]
        assert sums == sorted(sums, key=lambda x: -abs(x))
        if known.rule == "sum":
            closed = sum(sums) + told["rest"] + told["bias"]
            assert abs(closed - told["total"]) <= 1e-12 * (1 + np.abs(known.terms.product).sum())


def test_further_groups_complete_the_terms(residual: Lab, written: Path) -> None:
    opened = open_network(f"{written}:Residual", size=24)
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    conv = next(v for v in residual.network()["values"] if v[1] == "block.0")
    known = explain_value(recording, conv[0], (0, 1, 5, 5))
    first = residual.explain(1, conv[0], (0, 1, 5, 5))
    assert first["group_count"] == 40
    assert len(first["groups"]) == GROUPS
    rest = residual.explain(1, conv[0], (0, 1, 5, 5), GROUPS)
    groups = first["groups"] + rest["groups"]
    assert sorted(group["channel"] for group in groups) == list(range(40))
    assert rest["rest_count"] == 0
    products = np.zeros(len(known.terms))
    for group in groups:
        products[group["first"] : group["first"] + len(group["product"])] = group["product"]
    np.testing.assert_array_equal(products, known.terms.product)


def test_grouped_convolutions_name_the_channels_they_read(residual: Lab) -> None:
    shared = next(v for v in residual.network()["values"] if v[1] == "shared")
    told = residual.explain(1, shared[0], (0, 33, 5, 5))
    assert {group["channel"] for group in told["groups"]} <= set(range(20, 40))
    assert told["window"] == [3, 3]


def test_the_lit_region_is_the_lens_region(residual: Lab, written: Path) -> None:
    opened = open_network(f"{written}:Residual", size=24)
    inputs, _ = read_inputs(opened, _noise())
    recording = record(opened.network, inputs)
    shared = next(v for v in residual.network()["values"] if v[1] == "shared")
    told = residual.region(1, shared[0], (0, 3, 0, 12))
    mask = explain_value(recording, shared[0], (0, 3, 0, 12)).pixels().mask.any(0).any(0)
    (top, bottom), (left, right) = told["box"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(told["mask"]), np.uint8))
    size = (bottom - top, right - left)
    lit = np.zeros(told["space"], bool)
    lit[top:bottom, left:right] = bits[: size[0] * size[1]].reshape(size)
    np.testing.assert_array_equal(lit, mask.numpy())
    assert told["count"] == int(mask.sum()) == 3 * 5


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("value=99999&index=0", "`value` (=99999)"),
        ("value=-1&index=0", "`value`"),
        ("value=0&index=0,0", "`index`"),
        ("value=0&index=0,0,0,99", "`index`"),
        ("value=0&index=-1,0,0,0", "`index`"),
        ("value=0&index=a", "`index`"),
        ("value=０&index=0", "`value`"),
        ("index=0", "`value`"),
        ("value=0&index=" + "1," * 300, "`index`"),
        ("value=" + "9" * 400, "`value`"),
    ],
)
def test_bad_questions_get_a_sentence(client: httpx.Client, query: str, says: str) -> None:
    for question in ("explain", "region"):
        answer = client.get(f"/api/{question}?recording=1&{query}")
        assert answer.status_code == 400
        assert says in answer.json()["error"]


def test_a_wrong_recording_is_stale(digits: Lab) -> None:
    with pytest.raises(StaleRecordingError, match="recording 7 is gone"):
        digits.explain(7, 0, ())


def test_the_network_scale_is_its_largest_number(digits: Lab) -> None:
    opened = open_network("digits")
    assert opened.example is not None
    inputs, _ = read_inputs(opened, opened.example)
    recording = record(opened.network, inputs)
    computed = [v.tensor for v in recording.values if v.kind == "computed"]
    assert digits.scale(1)["largest"] == max(float(t.abs().max()) for t in computed)


# The process


def test_the_command_listens_on_loopback_only_and_ends_whoever_is_still_there(
    tmp_path: Path,
) -> None:
    network = tmp_path / "waits.py"
    network.write_text("""
import time
from torch import nn
class Waits(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 2, 8)
        self.pictures = 0
    def forward(self, x):
        self.pictures += 1
        time.sleep(1e6 if self.pictures > 1 else 0)
        return super().forward(x)
""")
    process = subprocess.Popen(
        [sys.executable, "-m", "convlens", "lab", f"{network}:Waits", "--size", "16", "--no-open"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    open_ones: list[socket.socket] = []
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/#token=([\w-]+)", process.stdout.readline())
        assert found is not None
        port, token = int(found[1]), found[2]
        assert len(token) == 32  # 192 bits, six to a character
        base = f"http://127.0.0.1:{port}"
        assert "convlens lab" in httpx.get(base, trust_env=False, timeout=60).text
        header = {"x-convlens-token": token}
        answer = httpx.get(f"{base}/api/network", headers=header, trust_env=False, timeout=60)
        assert answer.json()["name"] == f"{network}:Waits"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
            other.settimeout(2)
            # 127.0.0.2 reaches whoever listens on every address of this machine.
            assert other.connect_ex(("127.0.0.2", port)) != 0
        # A browser that leaves in the middle of an upload is no matter of the terminal; nor, at
        # the end, are one that uploads on and one that waits for what is computed.
        cat = (DATA / "cat.jpg").read_bytes()
        for sent in (cat[:1000], cat[:1000], cat):
            one = socket.create_connection(("127.0.0.1", port))
            request = f"POST /api/picture HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            request += f"x-convlens-token: {token}\r\ncontent-length: {len(cat)}\r\n\r\n"
            one.sendall(request.encode() + sent)
            open_ones.append(one)
        open_ones.pop(0).close()
        assert httpx.get(base, trust_env=False, timeout=60).status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            for one in open_ones:
                one.close()
    # Ctrl-C is how one leaves: no error, nothing said.
    assert (process.returncode, errors) == (0, "")


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"`port` \\(={port}\\) cannot be used"):
            serve(open_network("digits"), port=port, open_browser=False)


def test_unpacking_reads_what_torch_wrote() -> None:
    value = torch.arange(6.0).reshape(1, 2, 1, 3)
    recording = record(lambda x: x * 2, value)
    from convlens.lab.sheets import sheet

    header, low, high, codes = _unpacked(sheet(recording, recording.values[-1]))
    assert header["axes"] == ["sample", "channel", "row", "column"]
    np.testing.assert_array_equal(low, [0, 6])
    np.testing.assert_array_equal(high, [4, 10])
    np.testing.assert_array_equal(codes, [[1, 128, 255], [1, 128, 255]])


def test_the_guide_names_every_key() -> None:
    keys = (files("convlens.lab") / "web" / "keys.js").read_text()
    guide = (Path(__file__).parents[2] / "docs" / "lab.md").read_text()
    pairs = re.findall(r'\["([^"]+)", "([^"]+)"\]', keys)
    assert len(pairs) > 15
    for key, does in pairs:
        assert f"| {key} | {does} |" in guide


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
