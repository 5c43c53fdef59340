"""Published MCP servers for tests; those of npm are installed once, into a cache folder of the user."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["NotInstalledError", "npm_server", "pypi_server"]

_VERSION = "2026.8.31"
_PACKAGES = ("server-everything", "server-filesystem")


class NotInstalledError(Exception):
    """The server cannot be had on this machine; the message says why."""


def pypi_server(name: str) -> str:
    """Return the program of a server that the `dev` extra installs."""
    program = Path(sys.executable).with_name(f"mcp-server-{name}")
    if not program.exists():
        raise NotInstalledError(f"mcp-server-{name} is not installed here")
    return str(program)


def npm_server(name: str) -> tuple[str, str]:
    """Return the command and the first argument of a server of the scope `@modelcontextprotocol`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotInstalledError("node and npm are not installed here")
    folder = _folder(npm)
    if isinstance(folder, str):
        raise NotInstalledError(folder)
    return node, str(folder / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js")


@functools.cache
def _folder(npm: str) -> Path | str:
    """Return where the servers of npm are, or why they are not there; tried once, as it may take long to fail."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subactors-tests" / f"npm-{_VERSION}"
    if not cache.exists():
        try:
            _install(npm, cache)
        except NotInstalledError as error:
            return str(error)
    return cache


def _install(npm: str, cache: Path) -> None:
    """Install beside the cache and move there, so that two test runs at once do no harm."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        packages = [f"@modelcontextprotocol/{name}@{_VERSION}" for name in _PACKAGES]
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", folder, *packages]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        except subprocess.TimeoutExpired:
            raise NotInstalledError("npm could not install the servers in 90 s") from None
        if done.returncode:
            raise NotInstalledError(f"npm could not install the servers: {done.stderr[-300:]}")
        try:
            Path(folder).rename(cache)
        except OSError:
            assert cache.exists()  # another run was quicker
        Path(folder).mkdir(exist_ok=True)  # for the context manager to remove
