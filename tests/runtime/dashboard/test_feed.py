"""The dashboard's feed in a loop of its own: what it does for streams that end, and between them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import wait_until
from run_folders import past_run, task_row
from subactors.runtime.dashboard import feed as module
from subactors.runtime.dashboard.feed import Feed
from subactors.runtime.runs.output import Piece
from subactors.runtime.watching import details
from subactors.runtime.watching.model import RunSeen
from watched import watched

PATIENCE = 20.0


def test_nobody_looks_any_more_who_was_cancelled_before_the_first_look_was_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.0)

    async def looks(feed: Feed) -> None:
        async with feed.looking():
            await asyncio.Event().wait()

    async def cancelled(feed: Feed) -> None:
        looker = asyncio.create_task(looks(feed))
        await asyncio.sleep(0)
        while not feed.watcher.is_wanted():  # the loop does not turn meanwhile, so it is not in the block yet
            time.sleep(0.001)  # noqa: ASYNC251 - see above
        looker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looker
        async with asyncio.timeout(PATIENCE):
            while feed.watcher.is_wanted():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    feed = Feed(tmp_path)
    try:
        asyncio.run(cancelled(feed))
    finally:
        feed.close()


def test_a_page_hears_what_has_changed_beside_output_that_never_ends_and_the_loop_waits_for_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past_run(tmp_path, task_row(1))
    foreign, threads = details.foreign, set()

    def noted(*arguments: Any) -> Any:
        threads.add(threading.current_thread())
        return foreign(*arguments)

    monkeypatch.setattr(details, "foreign", noted)
    monkeypatch.setattr(details, "output", lambda _, offset, __: Piece(b"more\n", offset + 5, more=True))

    async def heard(feed: Feed) -> list[str]:
        async with feed.looking():
            cursor = feed.everything(former=False, read_only=True)["cursor"]
        names: list[str] = []
        async for event in feed.events(cursor, "agent_task_00000001", 0):
            told = (event if isinstance(event, bytes) else event.encode()).decode()
            names += [line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event: ")]
            if len(names) == 1:
                feed.model.put_run(RunSeen(id="run_2", path="", live=True))
            if "tasks" in names or len(names) > 100:
                break
        return names

    feed = Feed(tmp_path)
    try:
        names = asyncio.run(heard(feed))
    finally:
        feed.close()
    assert (names[0], names[-1]) == ("output", "tasks")
    assert threading.current_thread() not in threads


def test_a_page_that_connects_again_hears_no_warning_that_it_knows(tmp_path: Path) -> None:
    (past_run(tmp_path) / "journal.sqlite").write_text("nothing")

    async def heard(feed: Feed) -> list[dict[str, Any]]:
        async with feed.looking(former=True):
            told = feed.everything(former=True, read_only=True)
        found = []
        async for event in feed.events(told["cursor"], warned=told["warned"]):
            if isinstance(event, bytes) or event.event is not None:
                found.append(event)
            if not found:
                feed.watcher._warn("One more.")
                feed.ring()
            else:
                break
        return [json.loads(str(event.data)) for event in found if not isinstance(event, bytes)]

    feed = Feed(tmp_path)
    try:
        assert asyncio.run(heard(feed)) == [{"text": "One more.", "warned": 2}]
    finally:
        feed.close()


def test_output_of_a_task_that_is_not_watched_yet_goes_on_for_as_long_as_its_host_lives(tmp_path: Path) -> None:
    more = tmp_path / "more"

    async def heard(feed: Feed, task_id: str) -> list[str]:
        names = []
        async for event in feed.output(task_id, 0):
            names.append(event.event or "")
            more.write_text("second\n")
            if len(names) == 2:
                break
        return names

    with watched(tmp_path) as host:
        task_id = host.start("speaks", "first", {"file": str(more)})
        wait_until(lambda: b"first" in said(tmp_path, task_id), "it speaks", PATIENCE)
        feed = Feed(tmp_path, "another")
        try:
            assert asyncio.run(heard(feed, task_id)) == ["output", "output"]
        finally:
            feed.close()


def said(root: Path, task_id: str) -> bytes:
    with details.foreign(root, "", task_id) as task:
        return details.output(task, 0).data
