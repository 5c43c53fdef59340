"""Face: an MCP server over a host: tools, the progress of calls, notices of ends. It serves any number of clients.

A client of the protocol of 2026-07-28 may have the background tasks as tasks of the protocol, too (`task_extension`).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from mcp.server import Server, ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    DiscoverResult,
    ElicitResult,
    EmptyResult,
    InputResponses,
    ListToolsResult,
    PaginatedRequestParams,
    RequestParams,
    SetLevelRequestParams,
    TextContent,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from ..toolsets.base import ToolAnswer
from .client import takes_input
from .kept_calls import KeptCall, KeptCalls
from .notices import Notices
from .offer import MAP, RUN
from .progress import telling_progress
from .task_extension import EXTENSION, TaskExtension, is_declared

if TYPE_CHECKING:
    from .client import Client
    from .offer import Offer

__all__ = ["Face"]

Context = ServerRequestContext[Any, Any]

_GIVEN_UP: Final = (
    "This server keeps no such call by that `requestState`. It may have been made: look at your tasks, and call again "
    "without `requestState` if it was not."
)


class Face:
    """See the module. Made in the event loop of the server.

    Args:
        offer: what clients get.
        client_of: returns the client whose request it is.
        prefers_sessions: whether a client that does not have the extension for tasks is to begin with a handshake: a
            connection without a session tells the server neither whose tasks to list, nor whom to ask.
    """

    def __init__(self, offer: Offer, client_of: Callable[[Context], Client], *, prefers_sessions: bool) -> None:
        self._client_of = client_of
        self._prefers_sessions = prefers_sessions
        self._notices = Notices()
        self._kept = KeptCalls()
        self.server: Server[Any] = Server(
            "subactors",
            version=importlib.metadata.version("subactors"),
            instructions=offer.instructions,
            on_list_tools=self._list_tools,
        )
        self.server.add_request_handler("tools/call", CallToolRequestParams, self._call_tool)
        self._tasks = TaskExtension(client_of)
        self._tasks.add_to(self.server)
        self.server.add_request_handler("server/discover", RequestParams, self._discover)
        self.server.add_request_handler("logging/setLevel", SetLevelRequestParams, self._set_level)

    async def close(self) -> None:
        """Give up what waits."""
        for task in self._notices.waiting:
            task.cancel()
        await asyncio.gather(*self._notices.waiting, self._kept.close(), return_exceptions=True)

    async def _discover(self, context: Context, _: RequestParams) -> DiscoverResult:
        capabilities = self.server.get_capabilities(
            protocol_version=context.protocol_version, extensions={EXTENSION: {}}
        )
        is_steered = self._prefers_sessions and not is_declared(context)
        modern = () if is_steered else MODERN_PROTOCOL_VERSIONS
        return DiscoverResult(
            supported_versions=[*HANDSHAKE_PROTOCOL_VERSIONS, *modern],
            capabilities=capabilities,
            instructions=self.server.instructions,
        )

    async def _set_level(self, context: Context, level: SetLevelRequestParams) -> EmptyResult:
        self._notices.set_level(self._client_of(context), level.level)
        return EmptyResult()

    async def _list_tools(self, context: Context, _: PaginatedRequestParams | None) -> ListToolsResult:
        client = self._client_of(context)
        client.seen(context.session)
        return ListToolsResult(tools=[*client.tools])

    async def _call_tool(self, context: Context, call: CallToolRequestParams) -> CallToolResult | dict[str, Any]:
        client = self._client_of(context)
        client.seen(context.session)
        arguments = call.arguments or {}
        asks = takes_input(context.session)
        about = client.named(arguments)
        if asks and call.input_responses:
            await self._take(client, about, call.input_responses)
        made = self._kept.take(call.request_state, client, call.name, arguments)
        if made is None:
            if call.request_state and client.box.may_change(call.name):
                return CallToolResult(content=[TextContent(type="text", text=_GIVEN_UP)], is_error=True)
            before = frozenset(question.id for question in client.questions())
            work = asyncio.create_task(client.call(call.name, arguments, asks=asks))
            made = KeptCall(client, call.name, arguments, work, before)
        try:
            async with telling_progress(client, context, about):
                with client.reach.call(context):
                    required = await self._done_or_asked(made, about) if asks else {}
                    if not required:
                        await asyncio.wait([made.work])
        except BaseException:
            made.work.cancel()
            raise
        if required:
            return {"resultType": "input_required", "inputRequests": required, "requestState": self._kept.keep(made)}
        return await self._answered(client, context, call.name, await made.work)

    async def _take(self, client: Client, task_ids: list[str] | None, responses: InputResponses) -> None:
        """Hand in what the user has answered: to questions of the tasks that the call is about, and to no others."""
        asked = client.inputs.requests(client.questions(task_ids))
        await client.inputs.take(
            {key: each for key, each in responses.items() if key in asked and isinstance(each, ElicitResult)}
        )

    async def _answered(
        self, client: Client, context: Context, name: str, answer: ToolAnswer
    ) -> CallToolResult | dict[str, Any]:
        data = answer.data if isinstance(answer.data, dict) else None
        if data is not None and not answer.is_error and name in {RUN, MAP}:
            if name == RUN and is_declared(context):
                return await self._tasks.created(client, data["task_id"])
            self._notices.await_end(client, data["task_id"])
        content = [TextContent(type="text", text=answer.text)]
        return CallToolResult(content=[*content], structured_content=data, is_error=answer.is_error)

    async def _done_or_asked(self, call: KeptCall, task_ids: list[str] | None) -> dict[str, dict[str, Any]]:
        """Wait until a call is done, or its client's user is to be asked something; return what, by keys.

        A call that only looks is held back for whatever is asked. One that may change something is never made twice,
        so it is held back for what it asks itself: nobody might come back for its answer.
        """
        client = call.client
        may_change = client.box.may_change(call.name)
        while True:
            client.asked.clear()
            if may_change and call.work.done():
                return {}
            questions = client.questions(None if may_change else task_ids)
            if may_change:
                questions = [each for each in questions if each.task_id == client.id and each.id not in call.before]
            if required := client.inputs.requests(questions):
                return required
            if call.work.done():
                return {}
            asked = asyncio.create_task(client.asked.wait())
            try:
                await asyncio.wait((call.work, asked), return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asked
