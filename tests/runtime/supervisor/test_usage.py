"""What tasks use: counted while they run, however they end, and for those who started them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, Chunks, ModelServer, Refusal, Reply, Request, Stall, Text
from processes_and_waits import wait_until
from run_folders import past_run, task_row
from subactors.runtime import Runtime
from subactors.runtime.models.base import Usage
from subactors.runtime.runs.reader import JournalReader
from subactors.runtime.tasks.wording import describe_view

pytestmark = pytest.mark.usefixtures("zygote_for_models")

COST = {"input": 15_625, "output": 31_250}
"""Ten tokens in and five out cost 5/16: figures that add up without rounding."""


def team(server: ModelServer, **limits: Any) -> dict[str, Any]:
    """Make a team of a lead, which has a worker, which has a helper; each named as its model."""
    names = {"lead": ["worker"], "worker": ["helper"], "helper": []}
    return {
        "agents": {
            name: {"model": name, "sub_agents": subs, "limits": limits, "toolsets": [{"type": "think"}]}
            for name, subs in names.items()
        },
        "models": {
            name: {"provider": "acme", "model": name, "base_url": server.base_url, "cost": COST} for name in names
        },
    }


def passing_on(request: Request) -> Reply:
    """Have the lead and the worker pass their tasks on, and the helper answer."""
    following = {"lead": "worker", "worker": "helper"}.get(request.model)
    if following is None or request.turn:
        return Text("done", usage=(10, 5))
    arguments = {"agent": following, "task": "go", "expected_output": "anything"}
    return Calls(("transfer_task", arguments), usage=(100, 50))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(passing_on) as server:
        yield server


def test_what_a_task_uses_counts_for_those_who_started_it_too(server: ModelServer, tmp_path: Path) -> None:
    with Runtime.from_mapping(team(server), state_dir=tmp_path, standby=0) as runtime:
        runtime.wait([runtime.run("lead", "go")], timeout=50)
        views = {view.agent: view for view in runtime.list()}

    own = Usage(110, 55, 2, 3.4375)
    assert [views[name].usage for name in ("lead", "worker", "helper")] == [own, own, Usage(10, 5, 1, 0.3125)]
    assert views["helper"].total_usage == views["helper"].usage
    assert views["worker"].total_usage == Usage(120, 60, 3, 3.75)
    assert views["lead"].total_usage == Usage(230, 115, 5, 7.1875)

    (journal,) = tmp_path.rglob("journal.sqlite")
    with JournalReader(journal, live=False) as reader:
        for kept in reader.tasks():
            shown = views[kept.agent]
            assert (kept.usage, kept.total_usage) == (shown.usage, shown.total_usage)
            alone = reader.task(kept.id)
            assert alone is not None
            assert (alone.usage, alone.total_usage) == (shown.usage, shown.total_usage)


def test_a_model_reads_in_lists_what_its_tasks_have_cost(server: ModelServer, tmp_path: Path) -> None:
    with Runtime.from_mapping(team(server), state_dir=tmp_path, standby=0) as runtime:
        task = runtime.run("worker", "go")
        runtime.wait([task], timeout=50)
        view = runtime.view(task)

    assert " · 110 tokens in, 55 out, $3.44 · with its tasks 120 tokens in, 60 out, $3.75" in describe_view(view, 5000)


def usage_chunk(**delta: Any) -> dict[str, Any]:
    """Make an event of a server that counts as it goes."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return {"choices": [{"index": 0, "delta": delta}], "usage": usage}


@pytest.mark.parametrize("reply", [Refusal("no"), Chunks(usage_chunk(content="a"), {"error": {"message": "overload"}})])
def test_a_task_that_its_model_fails_has_used_what_the_answer_cost(reply: Reply, tmp_path: Path) -> None:
    with ModelServer([reply]) as server, Runtime.from_mapping(team(server), state_dir=tmp_path, standby=0) as runtime:
        (view,) = runtime.wait([runtime.run("helper", "go")], timeout=50)

    assert view.status == "failed"
    assert view.usage == Usage(10, 5, 1, 0.3125)


def test_a_task_that_is_stopped_in_an_answer_has_used_what_the_server_has_counted(tmp_path: Path) -> None:
    reply = Stall(after="so far", usage=(10, 5))
    with ModelServer([reply]) as server, Runtime.from_mapping(team(server), state_dir=tmp_path, standby=0) as runtime:
        task = runtime.run("helper", "go")
        wait_until(lambda: "so far" in runtime.view(task).output, "its first words")
        view = runtime.stop(task)[0]

    assert view.status == "stopped"
    assert view.usage == Usage(10, 5, 1, 0.3125)


def test_what_is_used_is_seen_while_the_task_runs(tmp_path: Path) -> None:
    with (
        ModelServer([Calls(("think", {"thought": "hm"}), usage=(10, 5)), Stall()]) as server,
        Runtime.from_mapping(team(server), state_dir=tmp_path, standby=0) as runtime,
    ):
        task = runtime.run("helper", "go")
        wait_until(lambda: runtime.view(task).usage == Usage(10, 5, 1, 0.3125), "its first turn")
        assert runtime.view(task).status == "running"
        runtime.stop(task)


def test_cached_tokens_have_a_price_of_their_own(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 60}}
    reply = Chunks({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}], "usage": usage})
    with ModelServer([reply]) as server:
        file = team(server)
        file["models"]["helper"]["cost"] = {"input": 1000, "output": 2000, "cache_read": 100}
        with Runtime.from_mapping(file, state_dir=tmp_path, standby=0) as runtime:
            (view,) = runtime.wait([runtime.run("helper", "go")], timeout=50)

    assert view.usage == Usage(100, 10, 1, pytest.approx(0.04 + 0.006 + 0.02))


def test_a_journal_of_an_earlier_version_has_no_costs_and_is_read(tmp_path: Path) -> None:
    run = past_run(tmp_path, ("ALTER TABLE task DROP COLUMN cost", ()), task_row(1, input_tokens=7, requests=1))
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        assert [view.total_usage for view in reader.tasks()] == [Usage(7, 0, 1)]
        view = reader.task("agent_task_00000001")
    assert view is not None
    assert view.total_usage == Usage(7, 0, 1)


def test_figures_beyond_all_bounds_add_up_to_the_bound() -> None:
    assert Usage(2**63, 2**62, 1) + Usage(2**63, 2**62, 2) == Usage(2**63 - 1, 2**63 - 1, 3)
