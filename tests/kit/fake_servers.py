"""Fake OpenAI servers that others have published, started for tests on loopback; see
`tests/runtime/models/test_fake_servers.py`."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from installed_programs import from_npm, from_pypi

__all__ = ["FakeServer", "aimock", "fakellm", "llmock"]

_PYPI = ("fakellm==0.3.5", "llmock==0.2.2")
_AIMOCK = "1.43.0"


class FakeServer:
    """A server that runs.

    Attributes:
        base_url: what a model's `base_url` has to be.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def call(self, method: str, path: str, data: Any = None) -> Any:
        """Call the server's own interface, with JSON, and return what it answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20.0)
        try:
            body = None if data is None else json.dumps(data)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status < 300, text
        return json.loads(text)


@contextlib.contextmanager
def fakellm(rules: list[dict[str, Any]], folder: Path) -> Iterator[FakeServer]:
    """Start `fakellm` with rules as its configuration has them."""
    config = folder / "fakellm.yaml"
    config.write_text(json.dumps({"version": 1, "rules": rules}))
    python = from_pypi("fake-servers-1", _PYPI)
    port = _free_port()
    command = [str(python), "-c", "from fakellm.cli import main; main()", "serve"]
    with _running([*command, "--port", str(port), "--config", str(config)], port, folder) as server:
        yield server


@contextlib.contextmanager
def llmock(folder: Path, *options: str) -> Iterator[FakeServer]:
    """Start `llmock`; faults are queued at `/_llmock/scenario`, its verdict on the client is at `/_llmock/verdict`."""
    python = from_pypi("fake-servers-1", _PYPI)
    port = _free_port()
    command = [str(python), "-c", "from llmock.cli import app; app()", "serve", "--port", str(port), *options]
    with _running(command, port, folder) as server:
        yield server


@contextlib.contextmanager
def aimock(fixtures: list[dict[str, Any]], folder: Path, *options: str) -> Iterator[FakeServer]:
    """Start `@copilotkit/aimock` with fixtures as its files have them."""
    node, modules = from_npm(f"aimock-{_AIMOCK}", [f"@copilotkit/aimock@{_AIMOCK}"])
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    port = _free_port()
    program = modules / "@copilotkit" / "aimock" / "dist" / "cli.js"
    command = [node, str(program), "--port", str(port), "--fixtures", str(folder / "fixtures.json"), *options]
    with _running(command, port, folder) as server:
        yield server


@contextlib.contextmanager
def _running(command: Sequence[str], port: int, folder: Path) -> Iterator[FakeServer]:
    log = folder / "server.log"
    with log.open("wb") as output:
        program = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
        try:
            _wait_for(program, port, log)
            yield FakeServer(port)
        finally:
            program.kill()
            program.wait()


def _wait_for(program: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
        except OSError:
            assert program.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
