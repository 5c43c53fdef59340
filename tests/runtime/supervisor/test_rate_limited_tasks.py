"""Tasks that meet a rate limit: they take turns, show that they wait, and can be stopped meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from model_server import Calls, ModelServer, Reply, Request, Status, Text
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from subactors.runtime.tasks.wording import describe_view

pytestmark = pytest.mark.usefixtures("zygote_for_models")

LONG = Status(429, "slow down", {"retry-after": "300"})


class Windows:
    """Answers so many requests in each window of time, and refuses all others."""

    def __init__(self, most: int, seconds: float, headers: dict[str, str] | None = None, turns: int = 1) -> None:
        self._most, self._seconds, self._turns = most, seconds, turns
        self._refusal = Status(429, "slow down", headers or {})
        self._lock = threading.Lock()
        self._taken: dict[int, int] = {}

    def __call__(self, request: Request) -> Reply:
        window = int(time.monotonic() // self._seconds)
        with self._lock:
            self._taken[window] = taken = self._taken.get(window, 0) + 1
        if taken > self._most:
            return self._refusal
        return Calls(("think", {"thought": "."})) if request.turn + 1 < self._turns else Text("done")


def runtime(server: ModelServer, folder: Path, **settings: Any) -> Runtime:
    models = {"m": {"provider": "acme", "model": "large", "base_url": server.base_url}}
    agent: dict[str, Any] = {"model": "m", "toolsets": [{"type": "think"}]}
    limits = settings.pop("limits", {})
    team = {"agents": {"a": {**agent, "limits": limits}}, "models": models}
    return Runtime.from_mapping(team, state_dir=folder, **{"standby": 0, "max_running": 50, **settings})


@first_always("headers", [{}, {"retry-after-ms": "500"}], ids=["silent", "says when"])
def test_a_fan_out_beyond_the_rate_finishes_with_at_most_twice_the_requests(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with ModelServer(Windows(5, 0.5, headers)) as server, runtime(server, tmp_path) as running:
        views = running.wait([running.run("a", "go") for _ in range(20)], timeout=120)

        assert [view.reason for view in views if view.status != "completed"] == []
        assert len(views) == 20
        assert len(server.requests) <= 40


def test_later_turns_of_limited_tasks_wait_for_theirs_and_are_not_refused_each_time(tmp_path: Path) -> None:
    with ModelServer(Windows(5, 0.5, turns=3)) as server, runtime(server, tmp_path) as running:
        views = running.wait([running.run("a", "go") for _ in range(8)], timeout=120)

        assert [view.result for view in views] == ["done"] * 8
        assert len(server.requests) <= 40


def test_a_task_that_waits_for_a_rate_says_so_wherever_it_is_looked_at(tmp_path: Path) -> None:
    with ModelServer(lambda _: LONG) as server, runtime(server, tmp_path) as running:
        task = running.run("a", "go")
        wait_until(lambda: running.view(task).doing.startswith("waiting for the rate limit of m, "), "it is seen")

        assert running.view(task).output == "[waiting for the rate limit of m, 300 s]\n"
        assert "waiting for the rate limit of m, " in describe_view(running.view(task), 10_000).splitlines()[0]


def test_a_wait_for_a_rate_ends_at_once_when_the_task_is_stopped(tmp_path: Path) -> None:
    with ModelServer(lambda _: LONG) as server, runtime(server, tmp_path, stop_grace=30.0) as running:
        task = running.run("a", "go")
        wait_until(lambda: "rate limit" in running.view(task).doing, "it waits")
        view = running.stop(task)[0]

        assert view.status == "stopped"
        assert "30 s" not in view.reason
        assert len(server.requests) == 1


def test_a_task_that_dies_while_it_waits_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    replies = iter([Status(429, "slow", {"retry-after": "1"})] * 2)
    with ModelServer(lambda _: next(replies, Text("done"))) as server, runtime(server, tmp_path) as running:
        first = running.run("a", "go")
        wait_until(lambda: "rate limit" in running.view(first).doing, "the first waits")
        second = running.run("a", "go")
        wait_until(lambda: "rate limit" in running.view(second).doing, "the second waits")
        running.stop(first)

        assert running.wait([second], timeout=30)[0].result == "done"


def test_a_wait_counts_against_the_time_that_a_task_may_take(tmp_path: Path) -> None:
    with ModelServer(lambda _: LONG) as server, runtime(server, tmp_path, limits={"wall_clock": 1}) as running:
        (view,) = running.wait([running.run("a", "go")], timeout=30)

    assert view.status == "failed"
    assert "The limit wall_clock of 1 s was reached" in view.reason


def test_a_rate_that_is_not_over_in_time_is_the_reason_of_the_failure(tmp_path: Path) -> None:
    slow = Status(429, "slow down", {"retry-after-ms": "50"})
    with ModelServer(lambda _: slow) as server, runtime(server, tmp_path, rate_patience=0.3) as running:
        (view,) = running.wait([running.run("a", "go")], timeout=30)

    assert view.status == "failed"
    assert "a rate limit is reached (429: slow down)" in view.reason
    assert "`rate_patience` is 0.3 s" in view.reason
