"""MCP toolset: the tools of one MCP server, over a connection that belongs to one task and ends with it.

A failure before the task has begun ends the task, with a reason. A failure in a call is the answer to that call. A lost
connection is made anew at the next call, a few times.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError

from ...errors import ToolsetError
from ...team.mcp_definition import McpDefinition
from ...text import bounded, one_line
from ..base import Tool, ToolAnswer, Toolset
from ..shell.command import inherited
from .connection import ConnectionLostError, McpConnection, words_of
from .content import answer_of, arguments_for, schema_of, tool_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["McpToolset"]

_MADE_ANEW: Final = "[The connection to the MCP server was lost and made anew; what it kept in memory may be gone.]"
_LONGEST_INSTRUCTION: Final = 8000
"""Characters of what a server says about itself, and about one tool."""

_SHOWN_ERROR: Final = 2000


class McpToolset(Toolset):
    """The tools of an MCP server. Called in one event loop; calls may run at the same time.

    Args:
        working_directory: where a server that is a program starts.
        environ: what references in the server's values mean, and what its program's environment is made of.
        withheld: names of variables in it that the program does not inherit.
        server: the fields of `McpDefinition`.
        tools: the names of the tools to have, with or without the prefix; None is all.
        name: stands before the names of the tools, with a `_`; empty for none.
        timeout: seconds that a call may take.
        startup_timeout: seconds from the start of a connection to the list of tools.
        max_restarts: how often in a row, without an answer in between, a lost connection is made anew; None: always.
    """

    needs_opening = True

    def __init__(
        self,
        *,
        working_directory: Path,
        environ: Mapping[str, str],
        withheld: Collection[str] = (),
        server: Mapping[str, Any],
        tools: Sequence[str] | None = None,
        name: str = "",
        timeout: float = 120.0,
        startup_timeout: float = 60.0,
        max_restarts: int | None = 5,
    ) -> None:
        self._config = McpDefinition(**server)
        self._working_directory = working_directory
        self._environ = dict(environ)
        self._inherited = inherited(environ, withheld)
        self._wanted = tools
        self._prefix = name
        self._timeout = timeout
        self._startup_timeout = startup_timeout
        self._max_restarts = max_restarts
        self._tools: tuple[Tool, ...] = ()
        self._connection: McpConnection | None = None
        self._connecting = asyncio.Lock()
        self._restarts = 0

    @property
    def tools(self) -> Sequence[Tool]:
        """The server's tools, in its order, as they were when it was opened."""
        return self._tools

    async def open(self) -> None:
        """Connect to the server and read its list of tools."""
        missing = self._config.missing(self._environ, self._working_directory)
        if missing:
            raise ToolsetError(missing)
        self._connection = await self._connect()
        self._tools = tuple(self._offered(self._connection))
        if self._connection.instructions:
            said = bounded(self._connection.without_secrets(self._connection.instructions), _LONGEST_INSTRUCTION)
            self.instruction = f"## {self._config.title}\n\n{said}"

    async def close(self) -> None:
        """Close the connection; a server that is a program is gone then."""
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> McpConnection:
        try:
            server = self._config.resolve(self._environ, self._working_directory)
        except ValueError as error:
            raise ToolsetError(str(error)) from None
        connection = McpConnection(server, self._inherited, startup_timeout=self._startup_timeout)
        await connection.open()
        return connection

    def _offered(self, connection: McpConnection) -> list[Tool]:
        title, tools = self._config.title, connection.tools
        if not tools:
            raise ToolsetError(f"The MCP server {title} has no tools. Remove it from the agent's toolsets.")
        offered: dict[str, Tool] = {}
        known: set[str] = set()
        for tool in tools:
            # All that the server says of itself reaches a model, and may quote what it was given.
            name = tool_name(self._prefix, connection.without_secrets(tool.name), offered)
            known |= {tool.name, name}
            if self._wanted is not None and not {tool.name, name} & set(self._wanted):
                continue
            schema = schema_of(connection.data_without_secrets(tool.input_schema))
            offered[name] = Tool(
                name=name,
                description=bounded(
                    connection.without_secrets(tool.description or tool.title or ""), _LONGEST_INSTRUCTION
                ),
                parameters=schema,
                handler=functools.partial(self._call, tool.name, schema),
            )
        absent = [name for name in self._wanted or () if name not in known]
        if absent:
            available = connection.without_secrets(", ".join(tool.name for tool in tools))
            raise ToolsetError(
                f"The MCP server {title} has no tool {', '.join(map(repr, absent))}, which `tools` names. "
                f"Its tools are: {one_line(available, _SHOWN_ERROR)}."
            )
        return list(offered.values())

    async def _call(self, tool: str, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> ToolAnswer:
        title = self._config.title
        try:
            connection, note = await self._connected()
        except ToolsetError as error:
            return ToolAnswer(str(error), is_error=True)
        try:
            result = await connection.call(tool, arguments_for(schema, arguments), timeout=self._timeout)
        except TimeoutError:
            text = f"The MCP server {title} did not answer in {self._timeout:g} s. What the call has done is unknown."
            return ToolAnswer(text, is_error=True)
        except ConnectionLostError as error:
            text = (
                f"The connection to the MCP server {title} was lost during the call. {error} What the call has done is "
                f"unknown.{'' if self._is_given_up else ' The next call connects again.'}"
            )
            return ToolAnswer(text, is_error=True)
        # Secrets are blotted out before anything is cut: the cut could leave a part of one.
        except MCPError as error:
            words = one_line(connection.without_secrets(error.message), _SHOWN_ERROR)
            return ToolAnswer(f"The MCP server {title} refused the call: {words}", is_error=True)
        except Exception as error:  # noqa: BLE001 - whatever a server says is an answer to a model, which may go on
            words = one_line(connection.without_secrets(words_of(error)), _SHOWN_ERROR)
            return ToolAnswer(f"The answer of the MCP server {title} could not be used: {words}", is_error=True)
        self._restarts = 0
        answer = answer_of(result)
        text = connection.without_secrets(answer.text)
        data = connection.data_without_secrets(answer.data)
        return ToolAnswer(f"{note}\n\n{text}" if note else text, data, is_error=answer.is_error)

    @property
    def _is_given_up(self) -> bool:
        """Whether a connection that is lost is not made anew any more."""
        return self._max_restarts is not None and self._restarts >= self._max_restarts

    async def _connected(self) -> tuple[McpConnection, str]:
        """Return a connection that has not been lost, and a word to the model if it is a new one."""
        async with self._connecting:
            old = self._connection
            if old is not None and not old.is_lost:
                return old, ""
            if old is not None:
                await old.close()
            if self._is_given_up:
                often = f" {self._restarts + 1} times in a row" if self._restarts else ""
                raise ToolsetError(
                    f"The connection to the MCP server {self._config.title} was lost{often} and is not made again. Go "
                    "on without its tools."
                )
            self._restarts += 1
            self._connection = await self._connect()
            return self._connection, _MADE_ANEW
