"""A lab served on a free port of this machine, for the tests of its server and its page."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import uvicorn

from convlens.lab import Lab, application
from convlens.lab.server import listen

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


@contextlib.contextmanager
def served(lab: Lab) -> Iterator[Served]:
    """Serve a lab from a thread until the block ends."""
    with listen(0) as listening:
        port = listening.getsockname()[1]
        hosts = frozenset((f"127.0.0.1:{port}", f"localhost:{port}"))
        config = uvicorn.Config(
            application(lab, TOKEN, hosts), log_level="error", lifespan="off", ws="none"
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
