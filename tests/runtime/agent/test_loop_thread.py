"""Loop thread: its end."""

from __future__ import annotations

import threading

import pytest
from processes_and_waits import wait_until
from subactors.runtime import RuntimeClosedError
from subactors.runtime.agent import loop_thread
from subactors.runtime.agent.loop_thread import LoopThread

PATIENCE = 30.0


async def nothing() -> None:
    pass


def test_closing_does_not_wait_without_end_for_code_that_keeps_the_loop_busy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop_thread, "_TIME_TO_CLOSE", 0.1)
    begun, go = threading.Event(), threading.Event()

    async def busy() -> None:
        begun.set()
        go.wait()

    tools = LoopThread("subactors-busy", "The toolset")
    tools.start(busy)
    assert begun.wait(PATIENCE)

    tools.close(nothing)

    assert "The toolset could not be closed: something of it keeps its event loop busy." in caplog.text
    with pytest.raises(RuntimeClosedError, match="The toolset is closed"):
        tools.run(nothing)
    go.set()
    wait_until(lambda: all(thread.name != "subactors-busy" for thread in threading.enumerate()), "its thread to end")


def test_what_closing_raises_leaves_no_thread() -> None:
    async def fails() -> None:
        raise TimeoutError("no answer")

    tools = LoopThread("subactors-failing", "The toolset")
    tools.run(nothing)

    with pytest.raises(TimeoutError, match="no answer"):
        tools.close(fails)

    assert all(thread.name != "subactors-failing" for thread in threading.enumerate())
