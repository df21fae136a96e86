# SPDX-License-Identifier: Apache-2.0
"""A mirror on the loopback interface, and a cache folder of its own for each test."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


class Mirror:
    """What the server answers: `files` by path, `script` of faults served first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes] = {}
        self.script: list[str] = []
        self.requests: list[str] = []
        self.barrier: threading.Barrier | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror = self.mirror
        mirror.requests.append(self.path)
        if mirror.barrier is not None:
            mirror.barrier.wait(timeout=10)
        fault = mirror.script.pop(0) if mirror.script else ""
        body = mirror.files.get(self.path)
        if fault.isdigit() or body is None:
            self.send_error(int(fault) if fault.isdigit() else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "truncate" else body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output quiet."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("FASTNN_HOME", str(folder))
    return folder


@pytest.fixture
def mirror(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    mirror = Mirror(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("_Bound", (_Handler,), {"mirror": mirror})
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}
    )
    thread.start()
    monkeypatch.setenv("FASTNN_DATASETS_URL", mirror.url)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("fastnn.utils.downloads._PAUSES_SECONDS", (0.0, 0.0))
    yield mirror
    server.shutdown()
    thread.join()
    server.server_close()
