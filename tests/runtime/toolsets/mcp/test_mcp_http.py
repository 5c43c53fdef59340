"""The `mcp` toolset over HTTP, with real servers in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_web_servers import PATHS, web
from subactors.runtime import ToolAnswer, ToolsetError
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset

SECRET = "s3cret-value"  # noqa: S105 - of a test


def call(
    url: str, *tools: str, transport: str, headers: dict[str, str] | None = None, **options: Any
) -> list[ToolAnswer]:
    """Open a toolset, call its tools one after the other, and close it."""

    async def work() -> list[ToolAnswer]:
        server = {"url": url, "transport": transport, "headers": headers or {}}
        environ = {**os.environ, "WEB_TOKEN": SECRET}
        box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=environ, server=server, **options)])
        try:
            await box.open()
            return [await box.call(*tool.partition(" ")[::2]) for tool in tools]
        finally:
            await box.close()

    return asyncio.run(work())


USUAL, OTHER = PATHS


@pytest.fixture(params=[USUAL, pytest.param(OTHER, marks=pytest.mark.slow)])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=list(PATHS))
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A transport, and a server on it that no test ends."""
    with web(request.param) as url:
        yield request.param, url


def test_tools_of_a_remote_server_can_be_called(shared: tuple[str, str]) -> None:
    transport, url = shared
    first, second = call(url, "pid", "pid", transport=transport)
    assert first.text.isdecimal()
    assert first == second


def test_a_long_answer_of_a_remote_server_comes_through_and_is_bounded(shared: tuple[str, str]) -> None:
    transport, url = shared
    (answer,) = call(url, 'long {"length": 300000}', transport=transport)
    assert "characters left out here" in answer.text
    assert not answer.is_error


def test_headers_go_with_every_request_and_references_in_them_are_replaced(transport: str) -> None:
    with web(transport, "--secret", SECRET) as url:
        headers = {"Authorization": "Bearer ${env.WEB_TOKEN}"}
        (answer,) = call(url, "pid", transport=transport, headers=headers)
    assert answer.text.isdecimal()


def test_a_remote_server_that_refuses_fails_the_start_without_a_word_of_the_secret(transport: str) -> None:
    with web(transport, "--secret", "another") as url, pytest.raises(ToolsetError) as raised:
        call(url, "pid", transport=transport, headers={"Authorization": "Bearer ${env.WEB_TOKEN}"})
    assert f"The MCP server {url} cannot be used" in str(raised.value)
    assert "answered with HTTP status 401" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_remote_server_that_is_not_there_fails_the_start(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ToolsetError, match=f"The MCP server http://127.0.0.1:{port}/x cannot be used: .*connection"):
        call(f"http://127.0.0.1:{port}/x?key=private", "pid", transport=transport)


def test_a_remote_server_that_says_nothing_fails_the_start_when_its_time_is_up(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        with pytest.raises(ToolsetError, match=r"was not ready after 0.5 s|cannot be used"):
            call(url, "pid", transport=transport, startup_timeout=0.5)


def test_a_call_of_a_remote_server_without_an_answer_ends_when_its_time_is_up(shared: tuple[str, str]) -> None:
    transport, url = shared
    hung, after = call(url, "hang", "pid", transport=transport, timeout=1.0)
    assert hung.is_error
    assert "did not answer in 1 s" in hung.text
    assert after.text.isdecimal()


def test_a_remote_server_that_is_killed_in_a_call_is_an_error_and_so_is_the_next_call(transport: str) -> None:
    with web(transport) as url:
        died, after = call(url, "die", "pid", transport=transport, timeout=20.0)
    assert died.is_error
    assert "was lost during the call" in died.text
    assert after.is_error
    assert "cannot be used" in after.text


def test_a_remote_server_that_hangs_holds_up_neither_a_call_nor_the_end(transport: str) -> None:
    async def work(url: str) -> ToolAnswer:
        server = {"url": url, "transport": transport}
        box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=os.environ, server=server, timeout=0.2)])
        try:
            await box.open()
            pid = int((await box.call("pid", "")).text)
            os.kill(pid, signal.SIGSTOP)
            async with asyncio.timeout(4.0):
                return await box.call("pid", "")
        finally:
            async with asyncio.timeout(4.0):
                await box.close()

    with web(transport) as url:
        assert "did not answer in 0.2 s" in asyncio.run(work(url)).text


def test_a_call_to_a_remote_server_can_be_cancelled(shared: tuple[str, str]) -> None:
    transport, url = shared

    async def work() -> None:
        server = {"url": url, "transport": transport}
        box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=os.environ, server=server)])
        try:
            await box.open()
            calling = asyncio.create_task(box.call("hang", json.dumps({})))
            await asyncio.sleep(0.1)
            calling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await calling
        finally:
            await box.close()

    asyncio.run(work())
