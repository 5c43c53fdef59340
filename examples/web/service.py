"""A web service that gives each request to five tasks, and streams what becomes of them (server-sent events).

In a clone of the repository; the last line in another terminal:

    pip install . starlette sse-starlette uvicorn
    uvicorn --app-dir examples/web service:app
    curl -N 'http://127.0.0.1:8000/ask?topic=ants'
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from subactors.runtime import AsyncRuntime, Event, UnknownTaskError
from work import PARTS, research

__all__ = ["app"]


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Have one runtime for as long as the server runs; its end is the end of every task."""
    async with AsyncRuntime(state_dir=os.environ.get("SERVICE_STATE")) as runtime:
        yield {"runtime": runtime}


def sent(event: Event) -> ServerSentEvent:
    """Make an event fit for a browser, which sends the id of the last one when it comes back."""
    fields = event.as_data()
    return ServerSentEvent(id=event.cursor, event=fields["event"], data=json.dumps(fields))


async def ask(request: Request) -> Response:
    """Answer with what five tasks do; they are stopped if whoever asked goes away."""
    runtime, topic = request.state.runtime, request.query_params.get("topic", "ants")

    async def events() -> AsyncIterator[ServerSentEvent]:
        async with runtime.group() as group:
            tasks = [await group.submit(research, topic, part) for part in PARTS]
            async for event in runtime.events(tasks):
                yield sent(event)

    return EventSourceResponse(events())


async def start(request: Request) -> Response:
    """Start five tasks that go on, whoever looks; a request that is sent twice starts nothing twice."""
    runtime, topic = request.state.runtime, request.query_params.get("topic", "ants")
    tasks = [await runtime.submit(research, topic, part, key=f"{topic}/{part}") for part in PARTS]
    return JSONResponse([task.id for task in tasks], status_code=202)


async def follow(request: Request) -> Response:
    """Answer with what becomes of tasks; a browser that comes back goes on where it was."""
    tasks, since = request.query_params.getlist("task"), request.headers.get("Last-Event-ID")
    try:
        events = request.state.runtime.events(tasks, since=since)
    except UnknownTaskError as error:
        return PlainTextResponse(str(error), status_code=404)
    return EventSourceResponse(sent(event) async for event in events)


async def results(request: Request) -> Response:
    """Answer with the results of tasks, once they have ended; from then on the runtime may forget them."""
    try:
        views = await request.state.runtime.wait(request.query_params.getlist("task"))
    except UnknownTaskError as error:
        return PlainTextResponse(str(error), status_code=404)
    return JSONResponse({view.id: view.result if view.status == "completed" else view.reason for view in views})


async def tasks(request: Request) -> Response:
    """Answer with all tasks, as they are now."""
    views = await request.state.runtime.list()
    return JSONResponse([{"id": view.id, "agent": view.agent, "status": view.status} for view in views])


app = Starlette(
    routes=[
        Route("/ask", ask),
        Route("/start", start, methods=["POST"]),
        Route("/follow", follow),
        Route("/results", results),
        Route("/tasks", tasks),
    ],
    lifespan=lifespan,
)
