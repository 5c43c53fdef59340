"""Task extension: background tasks as tasks of the protocol, for clients that declare `io.modelcontextprotocol/tasks`.

SEP-2663, with the protocol of 2026-07-28. `run_background_agent` is answered with a task; the client asks for it with
`tasks/get`, brings what its user has answered with `tasks/update`, and ends it with `tasks/cancel`. It never gets a
task for a request that does not declare the extension.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    ClientCapabilities,
    ElicitResult,
    Notification,
    RequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from ..errors import RuntimeClosedError, SubactorsError, UnknownTaskError
from ..tasks.messages import StopTasks, ViewTask
from ..tasks.questions import Question
from ..tasks.views import TaskView
from ..tasks.wording import describe_view, result_text
from ..text import bounded, without_tags
from ..toolsets.asking import ask
from ..toolsets.background import BYTES_FOR_A_CHARACTER
from .client import takes_input
from .progress import last_words

if TYPE_CHECKING:
    from .client import Client

__all__ = ["EXTENSION", "TaskExtension", "is_declared"]

Context = ServerRequestContext[Any, Any]

EXTENSION: Final = "io.modelcontextprotocol/tasks"

_DECLARED: Final = ClientCapabilities(extensions={EXTENSION: {}})

_POLL: Final = 1000
"""Milliseconds between two requests for a task that the client is asked to leave."""

_LOOK: Final = 0.5
"""Seconds between two looks at tasks of which a client wants to be told."""

_LIVE: Final = 1000
"""Bytes of output of a task that is at work that are asked for: its last words are in them."""

_LONGEST_LISTEN: Final = 1000
"""Tasks of which one request wants to be told."""


def is_declared(context: Context) -> bool:
    """Whether a request declares the extension."""
    is_modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    return is_modern and context.session.check_client_capability(_DECLARED)


class _TaskParams(RequestParams):
    task_id: str


class _UpdateParams(_TaskParams):
    input_responses: dict[str, ElicitResult] = Field(default_factory=dict)


class TaskExtension:
    """See the module.

    Args:
        client_of: returns the client whose request it is.
    """

    def __init__(self, client_of: Callable[[Context], Client]) -> None:
        self._client_of = client_of

    def add_to(self, server: Server[Any]) -> None:
        """Have a server answer the requests of the extension."""
        server.add_request_handler("tasks/get", _TaskParams, self._get)
        server.add_request_handler("tasks/update", _UpdateParams, self._update)
        server.add_request_handler("tasks/cancel", _TaskParams, self._cancel)
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self._listen)

    async def created(self, client: Client, given: str) -> dict[str, Any]:
        """Return the answer to a call that has started a task, which is in the journal by now.

        One that has ended at once is `working`, too: it is asked for as any other, and has its result then.
        """
        return {**_described(client, await self._view(client, given), given), "resultType": "task"}

    # --- requests ---------------------------------------------------------------------------------------------------

    async def _get(self, context: Context, params: _TaskParams) -> dict[str, Any]:
        client = self._checked(context, params)
        with client.holding([params.task_id]):
            task = await self._detailed(client, params.task_id, asks=takes_input(context.session))
        _acknowledge(client, task)
        return task

    async def _update(self, context: Context, params: _UpdateParams) -> dict[str, Any]:
        client = self._checked(context, params)
        with client.holding([params.task_id]):
            view = await self._view(client, params.task_id)
            asked = client.inputs.requests(_questions(client, view)) if takes_input(context.session) else {}
            await client.inputs.take({key: each for key, each in params.input_responses.items() if key in asked})
        return {}

    async def _cancel(self, context: Context, params: _TaskParams) -> dict[str, Any]:
        client = self._checked(context, params)
        view = await self._view(client, params.task_id)
        if not view.ended:
            client.gateway.ask(StopTasks([view.id], peek=True))
        return {}

    async def _listen(self, context: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Tell of tasks until all of them have ended. Nothing else changes here of which a client could be told."""
        wanted = (params.notifications.model_extra or {}).get("taskIds")
        meta = {SUBSCRIPTION_ID_META_KEY: context.request_id}
        honored = SubscriptionFilter()
        known: list[str] = []
        if wanted is not None:
            client = self._checked(context, None)
            if not isinstance(wanted, list) or len(wanted) > _LONGEST_LISTEN:
                raise MCPError(INVALID_PARAMS, f"taskIds must be a list of {_LONGEST_LISTEN} ids at most.")
            known = [given for given in wanted if isinstance(given, str) and await self._is_known(client, given)]
            honored = SubscriptionFilter.model_validate({"taskIds": known})
        acknowledged = SubscriptionsAcknowledgedNotificationParams.model_validate(
            {"notifications": honored, "_meta": meta}
        )
        await context.session.send_notification(
            SubscriptionsAcknowledgedNotification(params=acknowledged), related_request_id=context.request_id
        )
        if wanted is None:
            await asyncio.Event().wait()  # as the client has wanted, until it has enough
        with client.holding(known):
            await self._tell(context, client, known, meta)
        return SubscriptionsListenResult.model_validate({"_meta": meta})

    async def _tell(self, context: Context, client: Client, known: list[str], meta: dict[str, Any]) -> None:
        told: dict[str, object] = {}
        asks = takes_input(context.session)
        while known:
            try:
                views = {view.id: view for view in (await client.tasks(filter(None, map(client.own_id, known)))).tasks}
            except SubactorsError:
                return  # the host ends
            for given in list(known):
                view = views.get(client.own_id(given) or "")
                state = view and (view.ended, asks and client.inputs.requests(_questions(client, view)))
                if view is not None and told.get(given) == state:
                    continue  # one look at all tasks has shown that
                told[given] = state
                if not await self._tell_of(context, client, given, meta):
                    known.remove(given)
            await asyncio.sleep(_LOOK if known else 0)

    async def _tell_of(self, context: Context, client: Client, given: str, meta: dict[str, Any]) -> bool:
        """Tell of one task; return whether there may be more to tell of it."""
        try:
            task = await self._detailed(client, given, asks=takes_input(context.session))
        except MCPError:
            return False
        await self._send(context, {**task, "_meta": meta})
        return not _acknowledge(client, task)

    async def _send(self, context: Context, task: dict[str, Any]) -> None:
        # The package knows the notifications of the protocol itself only, and sends any.
        notification: Any = Notification[Any, Any](method="notifications/tasks", params=task)
        await context.session.send_notification(notification, related_request_id=context.request_id)

    def _checked(self, context: Context, params: _TaskParams | None) -> Client:
        """Return the client of a request that may be made.

        Raises:
            MCPError: it does not declare the extension, or its header names another task.
        """
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)
        if not is_declared(context):
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                f"Missing required client capability: declare {EXTENSION} with this request.",
                {"requiredCapabilities": {"extensions": {EXTENSION: {}}}},
            )
        named = None if context.request is None else context.request.headers.get("mcp-name")
        if params is not None and named is not None and named != params.task_id:
            raise MCPError(HEADER_MISMATCH, "The header Mcp-Name names another task than taskId.")
        client = self._client_of(context)
        client.seen(context.session)
        return client

    # --- a task as the protocol has it ------------------------------------------------------------------------------

    async def _is_known(self, client: Client, given: str) -> bool:
        try:
            await self._view(client, given)
        except MCPError:
            return False
        return True

    async def _view(self, client: Client, given: str, limit: int = _LIVE) -> TaskView:
        task_id = client.own_id(given)
        try:
            if task_id is None:
                raise UnknownTaskError("")
            return await ask(client.gateway, ViewTask(task_id, limit, peek=True))
        except RuntimeClosedError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from None
        except SubactorsError:
            raise MCPError(
                INVALID_PARAMS, "There is no task of this client with that id, or it is forgotten by now."
            ) from None

    async def _detailed(self, client: Client, given: str, *, asks: bool = False) -> dict[str, Any]:
        view = await self._view(client, given)
        task = _described(client, view, given)
        if view.ended:
            return {**task, **await self._ended(client, view, given)}
        if asks and (required := client.inputs.requests(_questions(client, view))):
            return {**task, "status": "input_required", "inputRequests": required}
        return task

    async def _ended(self, client: Client, view: TaskView, given: str) -> dict[str, Any]:
        """Return what the call would have been answered; a failed task is an error of the tool, not of the protocol."""
        if view.status == "stopped":
            return {"status": "cancelled"}
        limit = client.offer.limit
        view = await self._view(client, given, limit * BYTES_FOR_A_CHARACTER)
        is_error = view.status == "failed"
        text = describe_view(view, limit) if is_error or not view.has_result else bounded(result_text(view), limit)
        data = view.as_data()
        result = {
            "resultType": "complete",
            "content": [{"type": "text", "text": without_tags(text).replace(view.id, given)}],
            "structuredContent": {**data, "id": given},
            "isError": is_error,
        }
        return {"status": "completed", "result": result}


def _described(client: Client, view: TaskView, given: str) -> dict[str, Any]:
    """Return what any task has, as one that is at work."""
    created = view.queued_at or view.started_at
    changed = [created, view.started_at, view.doing_began_at or "", *(each.asked_at for each in view.questions)]
    lasts = None
    if client.linger is not None:  # from now on; the protocol counts from when it was created
        lasts = round((time.time() - datetime.fromisoformat(created).timestamp() + client.linger) * 1000)
    return {
        "taskId": given,
        "status": "working",
        "statusMessage": _status_message(view),
        "createdAt": created,
        "lastUpdatedAt": view.ended_at or max(changed),
        "ttlMs": lasts,
        "pollIntervalMs": _POLL,
    }


def _status_message(view: TaskView) -> str:
    if view.ended:
        return view.reason or f"{view.agent} has {view.status}."
    return f"{view.agent}: {last_words(view)}"


def _acknowledge(client: Client, task: dict[str, Any]) -> bool:
    """Return whether a task has ended; if so its end has been seen, now that its answer is there."""
    has_ended = task["status"] in {"completed", "cancelled"}
    if has_ended and (task_id := client.own_id(task["taskId"])) is not None:
        client.gateway.acknowledge([task_id])
    return has_ended


def _questions(client: Client, view: TaskView) -> list[Question]:
    """Return what a task asks, and those that it has started, and that somebody at the client has to answer."""
    of_owner = [question for question in view.questions if question.to == "owner"]
    return [*client.questions([view.id]), *of_owner]
