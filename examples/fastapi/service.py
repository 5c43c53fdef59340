"""A FastAPI service: each request starts tasks, and streams what becomes of them (server-sent events).

In a clone of the repository; the last line in another terminal:

    pip install . fastapi uvicorn
    uvicorn --app-dir examples/fastapi service:app
    curl -N 'http://127.0.0.1:8000/count?text=ants&text=bees'
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import StreamingResponse
from subactors.runtime import AsyncRuntime
from words import count

__all__ = ["app"]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Have one runtime for as long as the server runs."""
    async with AsyncRuntime() as runtime:
        yield {"runtime": runtime}


app = FastAPI(lifespan=lifespan)


@app.get("/count")
async def count_words(request: Request, text: Annotated[list[str], Query()]) -> StreamingResponse:
    """Count the words of each text, in a process each; they are stopped if the client goes away."""
    runtime: AsyncRuntime = request.state.runtime

    async def lines() -> AsyncIterator[str]:
        async with runtime.group(on_error="collect") as group:
            tasks = [await group.submit(count, one) for one in text]
            async for event in runtime.events(tasks):
                yield f"id: {event.cursor}\ndata: {json.dumps(event.as_data())}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/tasks")
async def tasks(request: Request) -> list[dict[str, str]]:
    """List all tasks, as they are now."""
    views = await request.state.runtime.list()
    return [{"id": view.id, "agent": view.agent, "status": view.status} for view in views]
