"""Calls of the tools of an MCP server over a pipe, which misbehaves when asked to and speaks the oldest protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime import ToolAnswer, ToolsetError
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset

SCRIPT = str(Path(__file__).parent / "mcp_server_stdio.py")


def script(*options: str, **server: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": (SCRIPT, *options), **server}


@contextlib.asynccontextmanager
async def opened(
    server: dict[str, Any], *, environ: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[ToolBox]:
    environ = {**os.environ, **(environ or {})}
    box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=environ, server=server, **options)])
    try:
        await box.open()
        yield box
    finally:
        await box.close()


def call(tool: str, arguments: Any = None, *, server: dict[str, Any] | None = None, **options: Any) -> ToolAnswer:
    """Open a toolset, call one tool, and close it."""

    async def work() -> ToolAnswer:
        async with opened(server or script(), **options) as box:
            return await box.call(tool, json.dumps(arguments or {}))

    return asyncio.run(work())


def run(work: Callable[[ToolBox], Awaitable[Any]], server: dict[str, Any] | None = None, **options: Any) -> Any:
    async def main() -> Any:
        async with opened(server or script(), **options) as box:
            return await work(box)

    return asyncio.run(main())


def failure(server: dict[str, Any], **options: Any) -> str:
    """Why a toolset cannot be opened."""
    with pytest.raises(ToolsetError) as raised:
        call("echo", server=server, **options)
    return str(raised.value)


async def names_of(box: ToolBox) -> list[str]:
    return [schema["function"]["name"] for schema in box.schemas]
