"""Awaited verbs: a program that awaits them runs in a new event loop, with a runtime that it shares or has alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import submitted
import trio
from subactors.runtime import AsyncRuntime
from teams import entrypoint_team

__all__ = ["InLoop", "in_loop", "shared_in_loops"]

Program: TypeAlias = Callable[[AsyncRuntime], Awaitable[Any]]


class InLoop(Protocol):
    """Runs a program to its end in a new event loop, and returns what it returns."""

    def __call__(self, program: Program, backend: str = "asyncio") -> Any: ...


def in_loop(program: Program, state: Path, backend: str = "asyncio") -> Any:
    """Run a program with a runtime of its own."""

    async def main() -> Any:
        async with AsyncRuntime.from_mapping(entrypoint_team(), state_dir=state, standby=0, stop_grace=0.5) as runtime:
            return await program(runtime)

    return trio.run(main) if backend == "trio" else asyncio.run(main())


@contextlib.contextmanager
def shared_in_loops() -> Iterator[InLoop]:
    """Give what runs programs with one runtime, all of whose threads are there before the first test counts any.

    No program finds tasks at work that are not its own: those that one has left are stopped.
    """
    runtime = AsyncRuntime.from_mapping(entrypoint_team(), standby=0, stop_grace=0.5, max_tasks=10_000)

    async def main(program: Program) -> Any:
        try:
            return await program(runtime)
        finally:
            await runtime.stop([view.id for view in await runtime.list() if not view.ended])

    async def warm_up(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(submitted.add, 1)
        called = asyncio.get_running_loop().create_future()
        task.add_done_callback(called.set_result)
        await called

    def run(program: Program, backend: str = "asyncio") -> Any:
        return trio.run(main, program) if backend == "trio" else asyncio.run(main(program))

    try:
        run(warm_up)
        yield run
    finally:
        asyncio.run(runtime.close())
