"""MCP servers over HTTP, each a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PATHS = {"streamable-http": "mcp", "sse": "sse"}


@contextlib.contextmanager
def web(transport: str, *options: str) -> Iterator[str]:
    """Run a server and yield its address."""
    program = [sys.executable, str(Path(__file__).with_name("mcp_server_http.py")), transport, *options]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/{PATHS[transport]}"
        finally:
            process.kill()
