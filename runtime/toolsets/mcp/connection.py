"""MCP connection: to one server, opened, used, and closed in one event loop.

It holds the connection's time limits, and says in a sentence what went wrong. It knows nothing of agents and models.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pydantic
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED, CallToolResult, Implementation, Tool

from ...errors import ToolsetError
from ...net.certificates import authorities
from ...net.proxies import Proxy, ProxyError, connection_options, proxy_for
from ...team.secrets import blotted
from ...text import one_line
from .intake import Intake
from .stdio import StdioServer

if TYPE_CHECKING:
    from ...team.mcp_definition import ResolvedServer

__all__ = ["ConnectionLostError", "McpConnection", "words_of"]

_MOST_PAGES: Final = 100
"""Of a list of tools: a server that always has one more must not keep a task for ever."""

_TIME_TO_CLOSE: Final = 1.8
"""Seconds; less than the grace period of a task that is stopped."""

_TIME_TO_BE_KILLED: Final = 0.5
"""Seconds, when closing has taken too long."""

_REFUSALS: Final = frozenset({"Session terminated", "Server returned an error response"})
"""What the package says where a server answers with an HTTP status and no message: it was started again, say, and does
not know the session any more. A new session may help."""

_LARGEST_EVENT: Final = 16 * 2**20
"""Bytes of one message over HTTP."""

_LONGEST_SILENCE: Final = 86_400.0
"""Seconds; a server that nobody asks has nothing to say. Calls have a limit of their own."""

_SHOWN_REASON: Final = 1000

_QUOTED_FAULTS: Final = re.compile(r":? \d+ validation errors? for .*", re.DOTALL)
"""How an error of the package goes on where it has taken in one about a shape: with what the server sent."""

# Without this, Python writes what the package logs of broken connections to standard error, where no program configured
# logging otherwise; what went wrong is in the errors here.
for _name in ("mcp", "httpx2"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class ConnectionLostError(Exception):
    """The connection has ended, before or during a call; the message says how."""


class McpConnection:
    """A connection. `open` first, `close` last, whatever `open` did; calls may run at the same time.

    Args:
        server: what to connect to.
        environ: what a program's environment is made of.
        startup_timeout: seconds from the start to the list of tools.
    """

    def __init__(self, server: ResolvedServer, environ: Mapping[str, str], *, startup_timeout: float) -> None:
        self._server = server
        self._environ = environ
        self._startup_timeout = startup_timeout
        self._stdio: StdioServer | None = None
        self._proxy: Proxy | None = None
        self._refusal = ""
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._calls: set[asyncio.Task[CallToolResult]] = set()
        self.tools: Sequence[Tool] = ()
        self.instructions = ""

    async def open(self) -> None:
        """Connect and read the list of tools.

        Raises:
            ToolsetError: the server cannot be started, reached or understood, in the time that it has; says why.
        """
        if self._server.url:
            try:
                self._proxy = proxy_for(self._server.url, self._environ)
            except ProxyError as error:
                raise ToolsetError(f"The MCP server {self._server.title} cannot be reached: {error}") from None
        try:
            async with asyncio.timeout(self._startup_timeout):
                try:
                    await self._connect("auto")
                except ToolsetError:
                    if self._stdio is None:
                        raise
                    # Some older servers end at the first message that is not the greeting they know.
                    await self._connect("legacy")
        except TimeoutError:
            await self.close()
            raise ToolsetError(
                f"The MCP server {self._server.title} was not ready after {self._startup_timeout:g} s. "
                f"{self._how_it_ended()}Give it more time with `startup_timeout`, or see whether it works by itself."
            ) from None
        except BaseException:
            await self.close()
            raise

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended, as far as is known without asking the server."""
        over = self._task is None or self._task.done() or self._closing.is_set()
        return over or (self._stdio is not None and self._stdio.has_ended)

    async def call(self, tool: str, arguments: Mapping[str, Any], *, timeout: float) -> CallToolResult:  # noqa: ASYNC109 - the limit is the tool's, and belongs into its message
        """Call a tool and return what the server answered, an error of the tool included.

        Raises:
            ConnectionLostError: the connection ended before the answer came.
            TimeoutError: no answer in time; the server was told that nobody waits any more.
            MCPError: the server refused the call.
            Exception: the answer was not what the server's own description promises.
        """
        client = self._client
        if client is None or self.is_lost:
            raise ConnectionLostError(await self._epitaph())
        # A task of its own, left to itself when nobody waits any more: it then tells the server, which takes its
        # time where the server reads nothing.
        calling = asyncio.create_task(client.call_tool(tool, dict(arguments)), name=f"mcp call {tool}")
        self._calls.add(calling)
        calling.add_done_callback(self._calls.discard)
        calling.add_done_callback(_look_at)
        try:
            await asyncio.wait({calling}, timeout=timeout)
            if not calling.done():
                raise TimeoutError
            if calling.cancelled():
                raise ConnectionLostError(await self._epitaph())  # by the connection: nobody else knows of it
            return calling.result()
        except MCPError as error:
            if error.code != CONNECTION_CLOSED and error.message not in _REFUSALS:
                raise
            reason = self._refusal or _sentence(error, self.without_secrets)
            raise ConnectionLostError(await self._epitaph(reason)) from None
        finally:
            calling.cancel()

    async def close(self) -> None:
        """End the connection, and the server if it is a program; returns when it is gone, in bounded time."""
        task = self._task
        if task is None:
            return
        if self._client is None:
            task.cancel()  # it waits for an answer to its greeting
        self._closing.set()
        # Shielded: a task that is stopped twice must not leave the server behind.
        waiting = asyncio.ensure_future(asyncio.wait({task, *self._calls}, timeout=_TIME_TO_CLOSE))
        try:
            await asyncio.shield(waiting)
        finally:
            if not task.done():
                task.cancel()  # nothing is asked any more: what still runs of the server is killed
        await asyncio.wait({task}, timeout=_TIME_TO_BE_KILLED)

    def without_secrets(self, text: str) -> str:
        """Return text of the server as it may be shown."""
        of_proxy = self._proxy.secrets if self._proxy is not None else ()
        return blotted(text, (*self._server.secrets, *of_proxy), "***")

    def data_without_secrets(self, data: Any) -> Any:
        """Return plain data of the server as it may be shown."""
        match data:
            case str():
                return self.without_secrets(data)
            case dict():
                return {self.without_secrets(name): self.data_without_secrets(value) for name, value in data.items()}
            case list():
                return [self.data_without_secrets(item) for item in data]
            case _:
                return data

    async def _connect(self, mode: str) -> None:
        self._closing = asyncio.Event()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A task of its own, because the package wants a connection closed where it was opened.
        self._task = asyncio.create_task(self._live(mode, opened), name=f"mcp {self._server.title}")
        self._task.add_done_callback(_look_at)
        await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
        failure = None if self._task.cancelled() or not self._task.done() else self._task.exception()
        if self._task.done():
            raise ToolsetError(self._why_not(failure)) from None

    async def _live(self, mode: str, opened: asyncio.Future[None]) -> None:
        """The life of the connection."""
        if self._server.arguments:
            self._stdio = StdioServer(self._server, self._environ)
        transport = Intake(self.without_secrets).over(self._stdio.run() if self._stdio is not None else self._remote())
        info = Implementation(name="subactors", version=importlib.metadata.version("subactors"))
        async with Client(transport, mode=mode, client_info=info) as client:
            self.tools = await _all_tools(client)
            self.instructions = client.instructions or ""
            self._client = client
            if not opened.done():
                opened.set_result(None)
            await self._closing.wait()

    @contextlib.asynccontextmanager
    async def _remote(self) -> Any:
        server = self._server
        if server.transport == "sse":
            async with sse_client(
                server.url,
                headers=dict(server.headers),
                timeout=self._startup_timeout,
                sse_read_timeout=_LONGEST_SILENCE,
                httpx_client_factory=self._http_client,
            ) as streams:
                yield streams
            return
        # Calls have a limit of their own, so reading needs none here.
        limits = httpx2.Timeout(self._startup_timeout, read=None)
        async with (
            self._http_client(headers=dict(server.headers), timeout=limits) as http_client,
            streamable_http_client(server.url, http_client=http_client, max_sse_event_size=_LARGEST_EVENT) as streams,
        ):
            yield streams

    def _http_client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=headers,
            timeout=timeout,
            auth=auth,
            # Also without TLS: the package follows a redirect to the same host with it.
            verify=authorities(),
            event_hooks={"response": [self._answered]},
            **connection_options(self._proxy),
        )

    async def _answered(self, response: httpx2.Response) -> None:
        """Note what the package keeps to itself: with which status a server refuses."""
        status = response.status_code
        self._refusal = f"It answered with HTTP status {status}." if status >= httpx2.codes.BAD_REQUEST else ""

    async def _epitaph(self, reason: str = "") -> str:
        """Close what is left of the connection and say how it ended."""
        task = self._task
        await self.close()
        if self._stdio is not None:
            return self._stdio.how_it_ended()
        failure = task.exception() if task is not None and task.done() and not task.cancelled() else None
        return _sentence(failure, self.without_secrets) if failure is not None else reason

    def _how_it_ended(self) -> str:
        ending = self._stdio.how_it_ended() if self._stdio is not None else ""
        return f"{ending} " if ending else ""

    def _why_not(self, failure: BaseException | None) -> str:
        title = self._server.title
        reason = _sentence(failure, self.without_secrets) if failure is not None else ""
        if self._stdio is not None:
            ending = self._stdio.how_it_ended()
            if not ending:
                return f"The MCP server {title} cannot be started: {reason}"
            lost = isinstance(_innermost(failure), MCPError) and _innermost(failure).code == CONNECTION_CLOSED
            return f"The MCP server {title} did not start. {ending}" + (
                "" if lost else f" The session failed: {reason}"
            )
        if self._proxy is not None:
            blamed = self._proxy.blame(_innermost(failure))
            reason = f"{blamed or reason} {'' if blamed else self._proxy.way}".rstrip()
        return f"The MCP server {title} cannot be used: {reason} {self._refusal}".rstrip()


async def _all_tools(client: Client) -> list[Tool]:
    if client.server_capabilities.tools is None:
        return []
    tools: list[Tool] = []
    names: set[str] = set()
    cursors: set[str | None] = {None}
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        new = {tool.name for tool in page.tools} - names
        if page.tools and not new:  # a server that knows nothing of pages gives its first one again
            break
        tools += page.tools
        names |= new
        cursor = page.next_cursor
        if not cursor or cursor in cursors:
            break
        cursors.add(cursor)
    return tools


def _look_at(task: asyncio.Task[Any]) -> None:
    """Look at a task's exception, so that asyncio does not write it to standard error."""
    if not task.cancelled():
        task.exception()


def _innermost(failure: BaseException | None) -> Any:
    """Return what a group of exceptions is about: the first one that is not a cancellation."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def words_of(error: BaseException) -> str:
    """Return what an error says, without the pieces that one about a shape quotes: they may end within a secret."""
    if isinstance(error, pydantic.ValidationError):
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    return _QUOTED_FAULTS.sub("", str(error))


def _sentence(failure: BaseException, blotted: Callable[[str], str]) -> str:
    """Return a failure as a sentence, with secrets blotted out before it is cut."""
    inner = _innermost(failure)
    text = blotted(words_of(inner))
    if isinstance(inner, httpx2.HTTPStatusError):
        text = f"it answered with HTTP status {inner.response.status_code}"
    elif isinstance(inner, httpx2.TransportError):
        text = f"{text or 'the connection failed'} ({type(inner).__name__})"
    elif not isinstance(inner, MCPError | OSError | ValueError) or not text:
        text = f"{type(inner).__name__}: {text}" if text else type(inner).__name__
    text = one_line(text, _SHOWN_REASON)
    return text if text.endswith((".", "!", "?")) else f"{text}."
