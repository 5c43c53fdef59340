"""The web service of the examples: many requests, clients that go away, reloads; nothing is left behind."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import psutil
import pytest
from processes_and_waits import wait_until

ROOT: Final = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

EXAMPLE: Final = ROOT / "examples" / "web"

PARTS: Final = 5

PATIENCE: Final = 60.0


class Service(NamedTuple):
    """A server that runs the example in a process of its own.

    Attributes:
        process: the server's; with `--reload` that of its watcher.
        url: where it is.
        folder: holds the modules, which may be changed.
    """

    process: psutil.Process
    url: str
    folder: Path


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service; with a parameter `--reload` it is started anew whenever a file of it changes."""
    folder = tmp_path / "web"
    folder.mkdir()
    for module in EXAMPLE.glob("*.py"):
        (folder / module.name).write_text(module.read_text())
    log = tmp_path / "log"
    arguments = ["--app-dir", str(folder), "--port", "0"]
    if getattr(request, "param", None) == "--reload":
        arguments += ["--reload", "--reload-dir", str(folder)]
    environment = {**os.environ, "SERVICE_STATE": str(tmp_path / "state")}
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *arguments, "service:app"], env=environment, stdout=output, stderr=output
        ) as program,
    ):
        try:
            wait_until(lambda: "startup complete" in log.read_text() or program.poll() is not None, "it listens", 30)
            port = log.read_text().partition("running on http://127.0.0.1:")[2].split()[0]
            yield Service(psutil.Process(program.pid), f"http://127.0.0.1:{port}", folder)
            program.send_signal(signal.SIGTERM)
            program.wait(PATIENCE)
        finally:
            program.kill()
            print(log.read_text())
    assert "Traceback" not in log.read_text()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        yield client


async def events_of(
    client: httpx2.AsyncClient, path: str, parameters: Any, since: str | None = None
) -> AsyncIterator[dict[str, Any]]:
    """What a stream of server-sent events brings."""
    headers = {} if since is None else {"Last-Event-ID": since}
    async with client.stream("GET", path, params=parameters, headers=headers) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def texts(events: list[dict[str, Any]]) -> dict[str, str]:
    said: dict[str, str] = defaultdict(str)
    for event in events:
        if event["event"] == "output":
            said[event["task_id"]] += event["text"]
    return dict(said)


def says_all(topic: str, events: list[dict[str, Any]]) -> bool:
    """Whether the events are those of five tasks from their starts to their ends."""
    kinds = [event["event"] for event in events]
    lines = sorted(line for text in texts(events).values() for line in text.splitlines())
    return (
        kinds.count("started") == kinds.count("ended") == PARTS
        and all(event["task"]["status"] == "completed" for event in events if event["event"] == "ended")
        and len(lines) == PARTS * 3
        and all(f"of {topic}: step" in line for line in lines)
    )


class Held(NamedTuple):
    """What a server holds of its machine."""

    processes: int
    threads: int
    descriptors: int


def held_by(process: psutil.Process) -> Held:
    return Held(len(process.children(recursive=True)), process.num_threads(), process.num_fds())


async def storm(url: str, chance: random.Random) -> None:
    """Fifty requests at once; half of the clients go away, each at another moment."""

    async def visit(client: httpx2.AsyncClient, number: int) -> None:
        patience = chance.random() * 3 if number % 2 else None
        topic = f"topic{number}"
        try:
            async with asyncio.timeout(patience):
                events = [event async for event in events_of(client, "/ask", {"topic": topic})]
        except TimeoutError:
            return
        assert says_all(topic, events)

    async with client_of(url) as client, asyncio.TaskGroup() as visits:
        for number in range(50):
            visits.create_task(visit(client, number))


async def running(url: str) -> list[dict[str, str]]:
    async with client_of(url) as client:
        tasks = (await client.get("/tasks")).json()
    return [task for task in tasks if task["status"] not in {"completed", "failed", "stopped"}]


AT_REST: Final = 3
"""Processes below the one that reloads: the server, its zygote and the tracker; any others are tasks."""


def is_calm(url: str) -> bool:
    """Whether all tasks have ended."""
    return asyncio.run(running(url)) == []


@pytest.mark.slow
def test_clients_that_go_away_leave_no_task_process_thread_or_descriptor(service: Service) -> None:
    chance = random.Random(os.urandom(8))  # noqa: S311 - chance is all that is wanted
    asyncio.run(storm(service.url, chance))  # the first opens what stays open, such as a client's pool
    wait_until(lambda: is_calm(service.url), "all tasks have ended", PATIENCE)
    before = held_by(service.process)

    asyncio.run(storm(service.url, chance))

    wait_until(lambda: is_calm(service.url), "all tasks have ended", PATIENCE)
    wait_until(
        lambda: all(now <= then for now, then in zip(held_by(service.process), before, strict=True)),
        f"the server holds no more than {before}",
        PATIENCE,
    )


@pytest.mark.slow
@pytest.mark.parametrize("service", ["--reload"], indirect=True)
def test_a_server_that_is_reloaded_or_stopped_in_the_midst_leaves_nothing(service: Service) -> None:
    old: list[psutil.Process] = []

    async def interrupted(interrupt: Callable[[], object]) -> None:
        """Fifty requests, and an interrupt when half of them are answered and tasks are at work."""
        begun, is_due = 0, True

        async def visit(client: httpx2.AsyncClient, number: int) -> None:
            nonlocal begun, is_due
            is_counted = False
            with contextlib.suppress(httpx2.TransportError):
                async for _ in events_of(client, "/ask", {"topic": f"topic{number}"}):
                    if not is_counted:
                        is_counted, begun = True, begun + 1
                    # Those that have answered may all have ended: then it is the next event's turn.
                    if is_due and begun >= 25:
                        old[:] = service.process.children(recursive=True)
                        if len(old) > AT_REST:
                            is_due = False
                            interrupt()

        async with client_of(service.url) as client, asyncio.TaskGroup() as visits:
            for number in range(50):
                visits.create_task(visit(client, number))

    asyncio.run(interrupted((service.folder / "work.py").touch))
    assert len(old) > AT_REST
    wait_until(lambda: sum(process.is_running() for process in old) <= 1, "all but the tracker are gone", PATIENCE)
    wait_until(lambda: is_calm(service.url), "the next one serves", PATIENCE)
    asyncio.run(interrupted(service.process.terminate))
    service.process.wait(PATIENCE)

    wait_until(lambda: not any(process.is_running() for process in old), "all of the second are gone", PATIENCE)


def test_a_browser_that_comes_back_goes_on_where_it_was(service: Service) -> None:
    chance = random.Random(os.urandom(8))  # noqa: S311 - chance is all that is wanted

    async def visit() -> None:
        async with client_of(service.url) as client:
            started = await client.post("/start", params={"topic": "ants"})
            assert (await client.post("/start", params={"topic": "ants"})).json() == started.json()
            tasks = {"task": started.json()}
            events: list[dict[str, Any]] = []
            while not says_all("ants", events):
                async for event in events_of(client, "/follow", tasks, events[-1]["cursor"] if events else None):
                    events.append(event)
                    if chance.random() < 0.2:
                        break
            assert [event async for event in events_of(client, "/follow", tasks, events[-1]["cursor"])] == []
            results = (await client.get("/results", params=tasks)).json()
            assert sorted(results) == sorted(tasks["task"])
            assert "all about the history of ants" in results.values()
            assert (await client.get("/follow", params={"task": "agent_task_0"})).status_code == 404

    asyncio.run(visit())


@pytest.mark.parametrize("handler", ["ask", "start", "follow", "results", "tasks"])
def test_no_handler_is_longer_than_fifteen_lines(handler: str) -> None:
    tree = ast.parse((EXAMPLE / "service.py").read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.AsyncFunctionDef) and node.name == handler)

    assert found.end_lineno is not None
    assert found.end_lineno - found.lineno < 15
