"""Threads that wait at the same time, and how many wait for tasks of a runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from subactors.runtime import Runtime


def in_threads(*actions: Callable[[], Any]) -> list[Any]:
    """Do things at the same time, and return what came of each: its value, or its exception."""
    outcomes: list[Any] = [None] * len(actions)

    def act(number: int, action: Callable[[], Any]) -> None:
        try:
            outcomes[number] = action()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcomes[number] = error

    threads = [threading.Thread(target=act, args=(number, action)) for number, action in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def waiters(runtime: Runtime) -> int:
    supervisor = runtime._host.supervisor._actor_weakref()
    return len(supervisor._answers._waiters.all) if supervisor is not None else 0
