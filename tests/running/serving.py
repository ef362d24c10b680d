"""A lab served on a free port of this machine, and its envelopes read, as its page does both."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import uvicorn

from convlens.lab import Lab, application
from convlens.lab.following import FollowedRun
from convlens.lab.serving import listen

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Served:
    """Where a lab answers."""

    lab: Lab
    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"http://{self.host}/#token={TOKEN}"

    def client(self, token: str | None = TOKEN) -> httpx.Client:
        headers = {} if token is None else {"x-convlens-token": token}
        # trust_env off: a proxy of the machine is not asked for loopback addresses.
        return httpx.Client(
            base_url=f"http://{self.host}", headers=headers, trust_env=False, timeout=60
        )


def unpacked(answer: httpx.Response | bytes) -> dict[str, Any]:
    """The answer in an envelope, with its arrays and its numbers that are not finite."""
    content = answer if isinstance(answer, bytes) else answer.content
    (length,) = struct.unpack("<I", content[:4])
    head = json.loads(content[4 : 4 + length])
    found: dict[str, Any] = head["answer"]
    at = 4 + length
    for name, kind, count in head["buffers"]:
        array = np.frombuffer(content, np.dtype(kind).newbyteorder("<"), count, at)
        _put(found, name, array)
        at += -(-array.nbytes // 8) * 8
    assert at == len(content)
    for name, number in head["odd"]:
        _put(found, name, float(number))
    return found


def _put(answer: Any, name: str, part: object) -> None:
    *path, last = (int(step) if step.isdigit() else step for step in name.split("."))
    for step in path:
        answer = answer[step]
    assert answer[last] is None
    answer[last] = part


@contextlib.contextmanager
def served(lab: Lab, run: FollowedRun | None = None) -> Iterator[Served]:
    """Serve a lab from a thread until the block ends."""
    with listen(0) as listening:
        port = listening.getsockname()[1]
        hosts = frozenset((f"127.0.0.1:{port}", f"localhost:{port}"))
        config = uvicorn.Config(
            application(lab, TOKEN, hosts, run), log_level="error", lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Served(lab, port)
        finally:
            server.should_exit = True
            thread.join(10)
