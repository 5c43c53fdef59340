"""Published MCP servers for tests; those of npm are installed once, into a cache folder of the user."""

from __future__ import annotations

import sys
from pathlib import Path

from installed_programs import NotInstalledError, from_npm

__all__ = ["NotInstalledError", "npm_server", "pypi_server"]

_VERSION = "2026.8.31"
_PACKAGES = ("server-everything", "server-filesystem")


def pypi_server(name: str) -> str:
    """Return the program of a server that the `dev` extra installs."""
    program = Path(sys.executable).with_name(f"mcp-server-{name}")
    if not program.exists():
        raise NotInstalledError(f"mcp-server-{name} is not installed here")
    return str(program)


def npm_server(name: str) -> tuple[str, str]:
    """Return the command and the first argument of a server of the scope `@modelcontextprotocol`."""
    node, modules = from_npm(_VERSION, [f"@modelcontextprotocol/{package}@{_VERSION}" for package in _PACKAGES])
    return node, str(modules / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js")
