"""Released files arrive whole and checked, whatever the server, disk and connection do."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from convlens.zoo import Weights, weights
from convlens.zoo.weights import downloading
from convlens.zoo.weights.downloading import fetch, weights_folder

CONTENT = random.Random(0).randbytes(700_001)
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]
FILE = f"resnet18-{DIGEST}.pth"


@dataclass
class Server:
    """A web server on this machine, and how it behaves.

    `breaks`: after how many bytes it breaks off each answer, one after the other. `ranges`: what
    it does when asked for a part: "sent", "ignored", or "wrong", when it sends another part.
    `seconds`: how long it waits with the last byte, or until `on`.
    """

    content: bytes = CONTENT
    breaks: list[int] = field(default_factory=list)
    ranges: str = "sent"
    status: int = 200
    seconds: float = 0
    on: threading.Event = field(default_factory=threading.Event)
    asked: list[str | None] = field(default_factory=list)
    port: int = 0

    def entry(self) -> Weights:
        url = f"http://127.0.0.1:{self.port}/models/{FILE}"
        return dataclasses.replace(weights("resnet18"), url=url)

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        if self.status != 200:
            request.send_error(self.status)
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.ranges != "ignored" else 0
        if start and start >= len(self.content):
            request.send_error(416)
            return
        if start and self.ranges == "wrong":
            start += 1
        rest = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if self.breaks:
            rest = rest[: self.breaks.pop(0)]
        request.wfile.write(rest[:-1])
        request.wfile.flush()
        self.on.wait(self.seconds)
        request.wfile.write(rest[-1:])


@pytest.fixture
def server() -> Iterator[Server]:
    behaviour = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client was killed, as a test wants
                behaviour.answer(self)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    behaviour.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield behaviour
    behaviour.on.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no proxy, and no waiting between tries."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloading, "PAUSE", 0.0)
    return tmp_path / "hub" / "checkpoints"


def test_a_file_is_downloaded_once_into_the_folder_of_torch_hub(
    server: Server, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = fetch(server.entry())
    assert path == folder / FILE == weights_folder() / FILE
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == [FILE]
    assert fetch(server.entry()) == path
    assert server.asked == [None]
    assert capfd.readouterr() == ("", "")  # no terminal, no bar


def test_torch_hub_finds_what_was_fetched(server: Server, tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "weights.pth")
    server.content = (tmp_path / "weights.pth").read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()[:8]
    url = server.entry().url.replace(DIGEST, digest)
    fetch(dataclasses.replace(server.entry(), url=url))
    loaded = torch.hub.load_state_dict_from_url(url, check_hash=True, weights_only=True)
    assert torch.equal(loaded["a"], torch.ones(3))
    assert server.asked == [None]


def test_a_bar_is_drawn_on_a_terminal(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    fetch(server.entry(), progress=False)
    assert capsys.readouterr().err == ""
    (weights_folder() / FILE).unlink()
    server.seconds = 0.2
    fetch(server.entry())
    printed = capsys.readouterr()
    assert FILE[:8] in printed.err
    assert printed.out == ""


def test_a_download_that_breaks_off_goes_on_by_itself(server: Server) -> None:
    server.breaks = [100_000, 0, 250_000]
    assert fetch(server.entry()).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=100000-", "bytes=350000-"]


def test_a_server_that_always_breaks_off_is_given_up_and_the_part_kept(
    server: Server, folder: Path
) -> None:
    server.breaks = [100_000, 0, 0, 0]
    with pytest.raises(ConnectionError, match=r"broke off after 100,000 bytes .* run it again"):
        fetch(server.entry())
    assert (folder / f"{FILE}.part").read_bytes() == CONTENT[:100_000]
    server.asked.clear()
    assert fetch(server.entry()).read_bytes() == CONTENT
    assert server.asked == ["bytes=100000-"]


@pytest.mark.parametrize("ranges", ["ignored", "wrong"])
def test_a_server_that_does_not_send_the_rest_sends_all_anew(
    server: Server, folder: Path, ranges: str
) -> None:
    folder.mkdir(parents=True)
    (folder / f"{FILE}.part").write_bytes(CONTENT[:5000])
    server.ranges = ranges
    assert fetch(server.entry()).read_bytes() == CONTENT
    assert server.asked == ["bytes=5000-", None][: 1 if ranges == "ignored" else 2]


def test_a_server_that_ignores_ranges_and_breaks_off_is_given_up(server: Server) -> None:
    server.ranges, server.breaks = "ignored", [1000] * 9
    with pytest.raises(ConnectionError, match="broke off after 1,000 bytes"):
        fetch(server.entry())
    assert len(server.asked) == 1 + downloading.TRIES


def test_a_part_that_is_whole_already_is_taken(server: Server, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"{FILE}.part").write_bytes(CONTENT)
    assert fetch(server.entry()).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_dropped(server: Server, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"{FILE}.part").write_bytes(CONTENT + b"more")
    assert fetch(server.entry()).read_bytes() == CONTENT


def test_a_file_of_another_sha256_is_deleted_and_refused(server: Server, folder: Path) -> None:
    server.content = b"<html>log in first</html>"
    found = hashlib.sha256(server.content).hexdigest()[:8]
    with pytest.raises(ValueError, match=f"begins with {DIGEST}, and .* begins with {found}"):
        fetch(server.entry())
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []
    # Able to fail: the right bytes are taken.
    server.content = CONTENT
    assert fetch(server.entry()).is_file()


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403"), (503, "503")])
def test_a_server_that_refuses_is_named(server: Server, status: int, words: str) -> None:
    server.status = status
    with pytest.raises(ConnectionError, match=f"answered {words}.*get {FILE} elsewhere"):
        fetch(server.entry())
    assert len(server.asked) == 1


def test_offline_one_sentence_says_which_file_to_put_where_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen: a connection is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/models/{FILE}"
        monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it tried again"))
        with pytest.raises(ConnectionError) as caught:
            fetch(dataclasses.replace(weights("resnet18"), url=url))
    for word in (FILE, url, str(folder), "refused"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(CONTENT)
    assert fetch(dataclasses.replace(weights("resnet18"), url=url)) == folder / FILE


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/models/{FILE}"
        with pytest.raises(ConnectionError, match=r"cannot be reached \(.*timed out\)"):
            fetch(dataclasses.replace(weights("resnet18"), url=url))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_said_in_a_sentence(server: Server, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"{FILE}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device.*make room there") as caught:
        fetch(server.entry())
    assert not isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("blocked", ["file", "folder"])
def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(
    server: Server, folder: Path, blocked: str
) -> None:
    if blocked == "file":  # a file is where the folder should be
        folder.parent.write_bytes(b"")
    else:
        folder.mkdir(parents=True)
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        if os.access(folder, os.W_OK):
            pytest.skip("root may write everywhere")
    with pytest.raises(OSError, match=r"must be written into .*set TORCH_HOME"):
        fetch(server.entry())


def test_several_at_once_download_once(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.seconds = 100
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(server.entry()).read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    output, waiting = "", f"waiting for another process that downloads {FILE}"
    while output.count(waiting) < 3:
        assert all(thread.is_alive() for thread in threads), output
        time.sleep(0.01)
        output += capsys.readouterr().err
    server.on.set()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert server.asked == [None]


CHILD = """
import dataclasses, signal, sys, torch
from convlens.zoo.weights import downloading
from convlens.zoo import weights
# A shell's job in the background ignores Ctrl-C, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
downloading.SECONDS = 200
torch.hub.set_dir(sys.argv[1])
downloading.fetch(dataclasses.replace(weights("resnet18"), url=sys.argv[2]))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_what_a_killed_process_left_is_gone_on_with(
    server: Server, folder: Path, sent: signal.Signals
) -> None:
    server.breaks, server.seconds = [524_288], 100
    words = [sys.executable, "-c", CHILD, str(folder.parent), server.entry().url]
    child = subprocess.Popen(words, stderr=subprocess.PIPE)
    part = folder / f"{FILE}.part"
    while not part.exists() or part.stat().st_size < 262_144:
        assert child.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)
    child.send_signal(sent)
    _, said = child.communicate()
    assert child.returncode != 0
    if sent == signal.SIGINT:
        assert b"KeyboardInterrupt" in said
    kept = part.stat().st_size
    assert CONTENT.startswith(part.read_bytes())
    server.seconds = 0
    assert fetch(server.entry()).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={kept}-"]
