"""Clients of `subactors mcp --http` without a session, in this process: what one of them may do to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp.client.extension import advertise
from mcp_face import EXTENSION, MODERN
from subactors.runtime.host import Host
from subactors.runtime.serve import sessionless as sessionless_module
from subactors.runtime.serve import task_extension as extension_module
from subactors.runtime.serve.face import Face
from subactors.runtime.serve.offer import LIST, RUN, VIEW, WAIT, Offer
from subactors.runtime.serve.sessionless import SessionlessClient
from subactors.runtime.serve.task_extension import TaskExtension
from subactors.runtime.tasks.gateway import HostGateway
from subactors.runtime.tasks.messages import ListTasks, ViewTask, WaitTasks
from subactors.runtime.teamfile.load import team_from_mapping
from subactors.runtime.toolsets import looks as looks_module
from subactors.runtime.toolsets.asking import ask
from subactors.runtime.toolsets.background import BackgroundAgentsToolset
from subactors.runtime.toolsets.base import ToolAnswer
from teams import entrypoint_team, model


def with_client(folder: Path, work: Callable[[SessionlessClient], Awaitable[Any]]) -> Any:
    """Do something as all clients without a session of one host."""
    team = team_from_mapping(entrypoint_team(waits=model("waits")))

    async def main() -> Any:
        client = SessionlessClient(host, Offer(host, next(iter(team.agents))), lambda: None, linger=600.0)
        try:
            return await work(client)
        finally:
            client.close()

    with Host(team, state_dir=folder, standby=0, for_many=False) as host:
        return asyncio.run(main())


def started(answer: ToolAnswer) -> str:
    """Return the name of a task that was started."""
    return str(answer.data["task_id"])


def looks_at(client: SessionlessClient, name: str) -> looks_module.Looks:
    """Return what holds looks at a task back."""
    (toolset,) = client._box_of(frozenset([client._ids[name]]))._toolsets
    assert isinstance(toolset, BackgroundAgentsToolset)
    return toolset._looks


async def unread(client: SessionlessClient) -> list[str]:
    """Return the ended tasks that nobody has read."""
    tasks = (await ask(client.gateway, ListTasks())).tasks  # after whatever was said to the supervisor before
    seen = map(client._host.registry.get, [task.id for task in tasks])
    return [task.id for task in seen if task is not None and task.is_over and not task.read]


def test_names_of_ended_tasks_make_room_for_new_ones_and_those_of_others_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessionless_module, "_REMEMBERED", 2)

    async def work(client: SessionlessClient) -> None:
        first = started(await client.call(RUN, {"agent": "waits", "task": "x"}))
        for _ in range(3):
            ended = started(await client.call(RUN, {"agent": "echo", "task": "x"}))
            await client.call(WAIT, {"task_ids": [ended]})
        second = started(await client.call(RUN, {"agent": "waits", "task": "x"}))
        assert "There is no task" in (await client.call(VIEW, {"task_id": ended})).text
        refused = await client.call(RUN, {"agent": "echo", "task": "x"})
        assert "tasks of clients without a session have not ended" in refused.text
        for name in (first, second):
            assert (await client.call(VIEW, {"task_id": name})).data["status"] in {"starting", "running"}

    with_client(tmp_path, work)


def test_a_task_that_has_ended_before_its_client_is_told_of_it_keeps_its_result(tmp_path: Path) -> None:
    async def work(client: SessionlessClient) -> None:
        name = started(await client.call(RUN, {"agent": "echo", "task": "x"}))
        task_id = client.own_id(name)
        assert task_id is not None
        await ask(client.gateway, WaitTasks([task_id], peek=True))
        created = await TaskExtension(lambda _: client).created(client, name)
        assert (created["status"], "result" in created) == ("working", False)
        assert await unread(client) == [task_id]

    with_client(tmp_path, work)


def test_looks_at_a_task_in_vain_hold_up_nobody_who_looks_at_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks_module, "_FIRST", 0.1)

    async def work(client: SessionlessClient) -> None:
        name, other = [started(await client.call(RUN, {"agent": "waits", "task": "x"})) for _ in range(2)]
        while looks_at(client, name)._hold == 0.1:
            await client.call(VIEW, {"task_id": name})
        await client.call(VIEW, {"task_id": other})
        assert looks_at(client, other)._hold == 0.1

    with_client(tmp_path, work)


def test_the_error_for_a_task_that_is_forgotten_names_no_task_of_others(tmp_path: Path) -> None:
    async def work(client: SessionlessClient) -> None:
        name = started(await client.call(RUN, {"agent": "echo", "task": "x"}))
        await client.call(RUN, {"agent": "waits", "task": "x"})
        client._ids[name] = "agent_task_00000000"  # as if it were forgotten
        for tool, arguments in (
            (VIEW, {"task_id": name}),
            (WAIT, {"task_ids": [name]}),
            ("stop_background_agent", {"task_id": name}),
        ):
            refused = await client.call(tool, arguments)
            assert (refused.is_error, refused.text) == (True, "There is no such task here, or it is forgotten by now.")
        assert (await client.call(LIST, {"task_ids": [name]})).data["tasks"] == []

    with_client(tmp_path, work)


def test_who_listens_to_tasks_that_do_nothing_has_one_look_at_a_time_taken_at_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension_module, "_LOOK", 0.01)
    asked: list[type] = []
    looked = asyncio.Event()
    asking = HostGateway.ask

    def noting(gateway: HostGateway, request: Any) -> Any:
        asked.append(type(request))
        if asked.count(ListTasks) == 10:
            looked.set()
        return asking(gateway, request)

    monkeypatch.setattr(HostGateway, "ask", noting)

    async def work(client: SessionlessClient) -> None:
        names = [started(await client.call(RUN, {"agent": "waits", "task": "x"})) for _ in range(5)]
        face = Face(client.offer, lambda _: client, prefers_sessions=False)
        async with Client(face.server, mode=MODERN, extensions=[advertise(EXTENSION)]) as connected:
            params = types.SubscriptionsListenRequestParams.model_validate({"notifications": {"taskIds": names}})
            request = types.SubscriptionsListenRequest(params=params)
            listening = asyncio.create_task(connected.session.send_request(request, types.SubscriptionsListenResult))
            await looked.wait()
            assert asked.count(ViewTask) == 2 * len(names)  # whether it is there, and how it is
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    with_client(tmp_path, work)
