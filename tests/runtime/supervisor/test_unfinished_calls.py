"""Tool calls that had begun when their process died, and what the next attempt is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from journals import conversation_in
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from subactors.runtime.agent.continuation import EFFECTS_UNKNOWN
from teams import PATIENCE, run_and_wait

SHELL: Final = [{"type": "shell"}]
TEAM: Final[dict[str, Any]] = {
    "agents": {
        "dies": {
            "model": "python/crashing_entrypoints:dies_in_a_call",
            "toolsets": SHELL,
            "restart": {"policy": "transient", "backoff": 0.01},
        },
        "plans": {"model": "python/python_models:follows_a_plan", "toolsets": SHELL},
        "echo": {"entrypoint": "entrypoints:echo"},
    }
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, place: dict[str, Any]) -> Iterator[Runtime]:
    state = tmp_path_factory.mktemp("unfinished")
    with Runtime.from_mapping(TEAM, state_dir=state, stop_grace=1.0, standby=0, **place) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def answers_in_journal(runtime: Runtime, task_id: str) -> list[str]:
    return [message["content"] for message in conversation_in(runtime, task_id) if message["role"] == "tool"]


def died_in_a_call(runtime: Runtime, folder: Path) -> TaskView:
    """Run a task whose first process dies once one of its two calls has ended, and that is in the journal."""
    task = runtime.run("dies", json.dumps({"folder": str(folder)}))
    wait_until(lambda: answers_in_journal(runtime, task.id), "one call has ended", limit=PATIENCE)
    (folder / "die").touch()
    (view,) = runtime.wait([task], timeout=PATIENCE)
    return view


def test_a_call_that_its_process_died_in_has_unknown_effects_and_one_that_had_ended_keeps_its_answer(
    runtime: Runtime, tmp_path: Path
) -> None:
    view = died_in_a_call(runtime, tmp_path)

    assert (view.status, view.attempts) == ("completed", 2), view.reason
    unfinished, ended = json.loads(view.result)
    assert unfinished == EFFECTS_UNKNOWN
    assert "Effects unknown" not in ended
    assert sorted((tmp_path / "calls").read_text().split()) == ["first", "second"]


def test_the_journal_has_a_turn_before_its_calls_have_ended(runtime: Runtime, tmp_path: Path) -> None:
    wait = f"until [ -e '{tmp_path / 'end'}' ]; do sleep 0.01; done"
    task = runtime.run("plans", json.dumps([[["shell", {"cmd": wait}]], {"answer": "done"}]))

    wait_until(lambda: len(conversation_in(runtime, task.id)) > 2, "the call has begun", limit=PATIENCE)
    *_, last = conversation_in(runtime, task.id)
    (tmp_path / "end").touch()

    assert [call["function"]["name"] for call in last["tool_calls"]] == ["shell"]
    assert task.result(PATIENCE) == "done"
    assert [message["role"] for message in conversation_in(runtime, task.id)[-3:]] == ["assistant", "tool", "assistant"]


def test_answers_have_the_order_of_their_calls_in_the_journal_whichever_ends_first(
    runtime: Runtime, tmp_path: Path
) -> None:
    last = f"until [ -e '{tmp_path / 'end'}' ]; do sleep 0.01; done; echo slow"
    turn = [["shell", {"cmd": last}], ["shell", {"cmd": f"touch '{tmp_path / 'end'}'; echo quick"}]]
    task = runtime.run("plans", json.dumps([turn, {"answer": "done"}]))
    task.result(PATIENCE)

    slow, quick = answers_in_journal(runtime, task.id)
    assert "slow" in slow
    assert "quick" in quick
    calling, *_ = (message for message in conversation_in(runtime, task.id) if message.get("tool_calls"))
    ids = [message["tool_call_id"] for message in conversation_in(runtime, task.id) if message["role"] == "tool"]
    assert ids == [call["id"] for call in calling["tool_calls"]]


def test_a_stop_leaves_its_calls_without_an_answer_in_the_journal(runtime: Runtime) -> None:
    task = runtime.run("plans", json.dumps([[["shell", {"cmd": "sleep 600"}]], {"answer": "done"}]))
    wait_until(lambda: "in shell" in task.view().doing, "the call has begun", limit=PATIENCE)
    task.stop()

    *_, last = conversation_in(runtime, task.id)
    assert len(last["tool_calls"]) == 1
