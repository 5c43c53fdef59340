"""API: what the dashboard's page asks, as JSON. What reads leaves no trace; what changes something is a POST.

Endpoints that may wait for a host run in threads of the server's.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..control.finding import find
from ..control.other_hosts import ForeignTask
from ..errors import RunError, RuntimeClosedError, StateError, TaskEndedError, UnknownQuestionError, UnknownTaskError
from ..terminal.control_sequences import clean
from ..text import bounded
from ..watching import details, steering
from ..watching.resumed import Resumed
from .feed import Feed, encoded

__all__ = ["Api"]

_MOST_BODY: Final = 1_000_000
"""Bytes of what is posted."""

_PING: Final = 15
"""Seconds between two signs of life of a stream."""

_GRACE: Final = 0.7
"""Seconds that a stream has to end by itself when the server ends, which waits for it a second."""

_SHOWN: Final = 60
"""Characters of what is no number that are shown."""

_NUMBER: Final = re.compile("-?[0-9]{1,15}")

_FROM_THE_END: Final = -200_000
"""Where output begins that is followed, unless somebody says where."""


class _Said(msgspec.Struct, frozen=True):
    """What is posted.

    Attributes:
        text: what is said, or the answer.
        question: the id of the question that is answered.
    """

    text: str = ""
    question: str = ""


class Api:
    """See the module.

    Args:
        feed: what is known.
        read_only: whether nothing can be changed.
        resumed: starts programs that continue tasks.
    """

    def __init__(self, feed: Feed, resumed: Resumed, *, read_only: bool) -> None:
        self._feed = feed
        self._resumed = resumed
        self._read_only = read_only

    def routes(self) -> list[Route]:
        """Return where what is answered."""
        looks = [
            Route("/api/tasks", self._tasks),
            Route("/api/events", self._events),
            Route("/api/tasks/{id}", self._task),
            Route("/api/tasks/{id}/output", self._output),
            Route("/api/tasks/{id}/messages", self._messages),
        ]
        if self._read_only:
            return looks
        posts: dict[str, Callable[[ForeignTask, _Said], object]] = {
            "stop": lambda task, _: steering.stop(task),
            "steer": _steer,
            "answer": lambda task, said: steering.answer(task, said.question, said.text),
            "resume": self._resume,
        }
        return [
            *looks,
            *(Route(f"/api/tasks/{{id}}/{verb}", self._post(act), methods=["POST"]) for verb, act in posts.items()),
        ]

    # --- looks ------------------------------------------------------------------------------------------------------

    async def _tasks(self, request: Request) -> Response:
        former = request.query_params.get("past", "0") not in {"", "0"}
        async with self._feed.looking(former=former):
            return _json(await run_in_threadpool(self._feed.everything, former=former, read_only=self._read_only))

    async def _events(self, request: Request) -> Response:
        cursor = request.headers.get("last-event-id") or request.query_params.get("after", "")
        offset = _number(request, "from", _FROM_THE_END)
        task_id = request.query_params.get("task", "")
        warned = _number(request, "warned", 0)
        return _stream(self._feed.events(cursor, task_id, offset, warned))

    async def _task(self, request: Request) -> Response:
        return await self._of_task(request, lambda task: {**details.details(task), "samples": self._samples(task.id)})

    async def _messages(self, request: Request) -> Response:
        after = _number(request, "after", 0)
        return await self._of_task(request, lambda task: {"messages": details.messages(task, after)})

    async def _output(self, request: Request) -> Response:
        offset = _number(request, "from", 0)
        try:
            _, task_id = await run_in_threadpool(self._meant, request.path_params["id"])
        except UnknownTaskError as error:
            return _error(404, str(error))
        except StateError as error:
            return _error(500, str(error))
        return _stream(self._feed.output(task_id, offset))

    def _samples(self, task_id: str) -> list[Any]:
        return list(self._feed.model.samples(task_id))

    # --- changes ----------------------------------------------------------------------------------------------------

    def _post(self, act: Callable[[ForeignTask, _Said], object]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_BODY:
                    return _error(413, f"That is more than {_MOST_BODY:,} bytes.")
            try:
                said = msgspec.json.decode(body or b"{}", type=_Said)
            except msgspec.MsgspecError as error:
                return _error(400, _misunderstood(body, error))
            return await self._of_task(request, lambda task: act(task, said), status=202)

        return endpoint

    def _resume(self, task: ForeignTask, said: _Said) -> object:
        return {"run": self._resumed.start(task.id, said.text)}

    def _meant(self, part: str) -> tuple[str, str]:
        """Return the run and the id of the task that a part of its id stands for, as for every command.

        Raises:
            UnknownTaskError: there is none, or there are several.
            StateError: the state folder cannot be read.
        """
        known = self._feed.model.task(part)
        if known is not None:
            return known.run, part
        found = find(self._feed.root, part)
        return found.run.name, found.id

    async def _of_task(self, request: Request, act: Callable[[ForeignTask], object], status: int = 200) -> Response:
        """Do something with a task in a thread, and answer with what comes of it."""
        task_id = request.path_params["id"]

        def done() -> Response:
            run, whole = self._meant(task_id)
            with details.foreign(self._feed.root, run, whole) as task:
                return _json(act(task) or {}, status)

        try:
            return await run_in_threadpool(done)
        except UnknownTaskError as error:
            return _error(404, str(error))
        except (TaskEndedError, UnknownQuestionError) as error:
            return _error(409, str(error))
        except RunError as error:
            return _error(400, str(error))
        except (RuntimeClosedError, OSError):
            return _error(410, f"The host of {task_id} is gone, or does not answer.")
        except StateError as error:
            return _error(500, str(error))


def _steer(task: ForeignTask, said: _Said) -> object:
    receipt = steering.steer(task, said.text)
    if receipt.outcome == "ended":
        raise TaskEndedError(str(receipt))
    return {"receipt": str(receipt)}


def _number(request: Request, name: str, otherwise: int) -> int:
    """Return a number of a request.

    Raises:
        HTTPException: it is not a number.
    """
    text = request.query_params.get(name, "")
    if text and not _NUMBER.fullmatch(text):
        raise HTTPException(400, f"{name}={bounded(clean(text), _SHOWN)}: that is not a whole number.")
    return int(text) if text else otherwise


def _misunderstood(body: bytes, error: Exception) -> str:
    """Return a sentence on what was posted and is not what it should be."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "What was sent has half of a character in it, such as \\ud83d alone. Send whole ones."
    except (ValueError, RecursionError):
        """It is not even JSON; the error says where."""
    return f"What was sent cannot be understood: {error}."


def _stream(events: AsyncIterator[ServerSentEvent | bytes]) -> Response:
    return EventSourceResponse(events, ping=_PING, shutdown_grace_period=_GRACE)


def _json(value: Any, status: int = 200) -> Response:
    return Response(encoded(value), status, media_type="application/json")


def _error(status: int, why: str) -> Response:
    return _json({"error": why}, status)
