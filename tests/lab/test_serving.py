"""The process: where it listens, how it ends, what it says of a port that is taken."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from convlens.lab import serve
from convlens.learn.opening import open_network
from convlens.zoo.weights import DATA
from tests.running.serving import unpacked


def test_the_command_listens_on_loopback_only_and_drops_those_still_connected(
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
        assert "<title>convlens</title>" in httpx.get(base, trust_env=False, timeout=60).text
        header = {"x-convlens-token": token}
        answer = httpx.get(f"{base}/api/network", headers=header, trust_env=False, timeout=60)
        assert unpacked(answer)["name"] == f"{network}:Waits"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
            other.settimeout(2)
            # 127.0.0.2 reaches a server that listens on every address of this machine.
            assert other.connect_ex(("127.0.0.2", port)) != 0
        # The terminal says nothing of a browser that leaves in the middle of an upload; nor, at
        # the end, of one that still uploads and one that waits for an answer.
        cat = (DATA / "cat.jpg").read_bytes()
        for sent in (cat[:1000], cat[:1000], cat):
            one = socket.create_connection(("127.0.0.1", port))
            request = f"POST /api/look HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
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


def test_the_server_loads_without_torch_so_that_a_taken_port_is_reported_at_once() -> None:
    code = (
        "import sys; from convlens.lab import serve; print({'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"`port` \\(={port}\\) cannot be used"):
            serve(open_network("digits"), port=port, open_browser=False)
