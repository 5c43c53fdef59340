"""What becomes of tasks, as a stream of events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from processes_and_waits import wait_until
from subactors.runtime import (
    Event,
    EventStream,
    Lagged,
    Runtime,
    TaskCalledTool,
    TaskEnded,
    TaskGotToolAnswer,
    TaskOutput,
    TaskStarted,
    TaskView,
)
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.supervisor.events import EventHub
from subactors.runtime.supervisor.task import Task
from subactors.runtime.tasks.views import iso_time
from teams import entrypoint_team, model, plan, run_and_wait, shared_runtime
from waiting_threads import in_threads

TIME = "2026-01-31T12:00:00.000Z"


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    planner = model("follows_a_plan", toolsets=[{"type": "think"}, {"type": "background_agents"}], sub_agents=["echo"])
    team = entrypoint_team(planner=planner, streamer=model("streams"))
    settings = {"stop_grace": 0.5, "max_tasks": 10_000, "max_output": 200_000, "standby": 0, **place}
    with Runtime.from_mapping(team, **settings) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


def until_end_of(events: EventStream, task_id: str) -> list[Event]:
    """All events up to the end of a task."""
    seen: list[Event] = []
    while (event := events.next(timeout=30)) is not None:
        seen.append(event)
        if isinstance(event, TaskEnded) and event.task.id == task_id:
            return seen
    raise AssertionError(f"{task_id} has not ended: {seen}")


def kinds(events: list[Event]) -> list[str]:
    return [event.__class__.__name__ for event in events]


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TaskOutput))


def output(text: str, task_id: str = "agent_task_1") -> TaskOutput:
    return TaskOutput(task_id, text, time=TIME)


def at_any_time(event: Event | None) -> Event | None:
    """An event, with a time and a place that can be compared."""
    return event if event is None else msgspec.structs.replace(event, time=TIME, cursor="")


# --- in a runtime ---------------------------------------------------------------------------------------------------


def test_a_task_is_started_speaks_and_has_ended(runtime: Runtime) -> None:
    with runtime.events() as events:
        task_id = runtime.run("says", "hello")
        started, spoke, ended = until_end_of(events, task_id)

    assert isinstance(started, TaskStarted)
    assert (started.task.id, started.task.agent, started.task.task) == (task_id, "says", "hello")
    assert started.task.status == "starting"
    assert at_any_time(spoke) == output("hello", task_id)
    assert isinstance(ended, TaskEnded)
    assert (ended.task.status, ended.task.result, ended.task.output) == ("completed", "said", "hello")


def test_tool_calls_and_their_answers_come_in_their_order(runtime: Runtime) -> None:
    turns = plan([["think", {"thought": "one"}]], [["no_such_tool", {}]], {"answer": "done"})

    with runtime.events() as events:
        task_id = runtime.run("planner", turns)
        seen = until_end_of(events, task_id)

    # Output takes another way than tool calls, so where it comes between them is left open.
    seen = [event for event in seen if not isinstance(event, TaskOutput)]
    assert kinds(seen) == [
        "TaskStarted",
        "TaskCalledTool",
        "TaskGotToolAnswer",
        "TaskCalledTool",
        "TaskGotToolAnswer",
        "TaskEnded",
    ]
    _, called, answered, _, refused, _ = seen
    assert at_any_time(called) == TaskCalledTool(task_id, "think", '{"thought": "one"}', time=TIME)
    assert at_any_time(answered) == TaskGotToolAnswer(
        task_id, "think", "Thoughts so far:\none", is_error=False, time=TIME
    )
    assert isinstance(refused, TaskGotToolAnswer)
    assert refused.is_error


def test_every_event_says_when_it_happened(runtime: Runtime) -> None:
    before = iso_time(time.time())
    with runtime.events() as events:
        seen = until_end_of(events, runtime.run("planner", plan([["think", {"thought": "one"}]], {"answer": "done"})))
    after = iso_time(time.time())

    assert {"TaskStarted", "TaskCalledTool", "TaskGotToolAnswer", "TaskOutput", "TaskEnded"} <= set(kinds(seen))
    assert all(before <= event.time <= after for event in seen)


def test_events_tell_of_what_tasks_have_started(runtime: Runtime) -> None:
    with runtime.events() as events:
        task_id = runtime.run("planner", plan([["transfer_task", {"agent": "echo", "task": "x"}]], {"answer": "done"}))
        seen = until_end_of(events, task_id)

    parents = [event.task.parent for event in seen if isinstance(event, TaskStarted)]
    assert parents == [None, task_id]
    ended = [event.task.agent for event in seen if isinstance(event, TaskEnded)]
    assert ended == ["echo", "planner"]


@pytest.mark.parametrize("agent", ["says_at_length", "says_from_threads", "says_after_its_answer", "exits_at_once"])
def test_all_output_of_a_task_comes_before_its_end(runtime: Runtime, agent: str) -> None:
    with runtime.events() as events:
        task_id = runtime.run(agent, "150000" if agent == "says_at_length" else "3")
        seen = until_end_of(events, task_id)
        assert events.next(timeout=0) is None

    assert said(seen) == runtime.view(task_id).output


def test_characters_that_arrive_in_two_pieces_stay_whole(runtime: Runtime) -> None:
    with runtime.events() as events:
        seen = until_end_of(events, runtime.run("says_at_length", "180000"))  # more than one frame

    assert sum(isinstance(event, TaskOutput) for event in seen) >= 1
    assert said(seen) == "x" + "é" * 90_000


def test_output_comes_while_the_task_runs(runtime: Runtime, tmp_path: Path) -> None:
    gates = [tmp_path / "first", tmp_path / "second"]
    steps = [{"after": str(gate), "text": gate.name} for gate in gates]
    with runtime.events() as events:
        task_id = runtime.run("says_in_steps", json.dumps(steps))
        assert isinstance(events.next(timeout=30), TaskStarted)
        for gate in gates:
            gate.touch()
            assert at_any_time(events.next(timeout=30)) == output(gate.name, task_id)
        assert isinstance(events.next(timeout=30), TaskEnded)


def test_every_reader_gets_everything(runtime: Runtime) -> None:
    with runtime.events() as one, runtime.events() as other:
        task_id = runtime.run("says", "hello")

        first, second = until_end_of(one, task_id), until_end_of(other, task_id)

    assert (said(first), said(second)) == ("hello", "hello")
    assert kinds(first) == kinds(second)


def test_a_reader_gets_what_happens_from_now_on(runtime: Runtime) -> None:
    run_and_wait(runtime, "says", "before")

    with runtime.events() as events:
        seen = until_end_of(events, runtime.run("says", "after"))

    assert said(seen) == "after"


def test_a_reader_that_is_behind_misses_output_but_learns_how_much(runtime: Runtime) -> None:
    with runtime.events() as events:
        view = run_and_wait(runtime, "floods", "2000")  # ten times what is kept

        seen = until_end_of(events, view.id)

    outputs = [event for event in seen if isinstance(event, TaskOutput)]
    assert sum(event.missed + len(event.text) for event in outputs) == view.output_size == 2_000_000
    assert outputs[0].text.startswith("000000000 ")
    assert outputs[-1].text.splitlines()[-1].startswith("000001999 ")
    assert sum(event.missed > 0 for event in outputs) <= 1
    assert kinds(seen)[-1] == "TaskEnded"


def test_a_reader_that_is_behind_does_not_hold_up_others(runtime: Runtime) -> None:
    with runtime.events(), runtime.events() as events:
        view = run_and_wait(runtime, "floods", "500")

        assert kinds(until_end_of(events, view.id))[-1] == "TaskEnded"


def test_iteration_ends_when_the_runtime_is_closed_after_the_last_event() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        events = runtime.events()
        runtime.run("waits", "x")

    assert kinds(list(events))[-1] == "TaskEnded"
    assert list(events) == []


# --- streams --------------------------------------------------------------------------------------------------------


def called(number: int) -> TaskCalledTool:
    return TaskCalledTool("agent_task_1", "tool", str(number), time=TIME)


def say(hub: EventHub, buffer: OutputFiles, data: bytes) -> None:
    """Have a task say something."""
    buffer.write(data)
    hub.output("agent_task_1", buffer, data)


def test_next_gives_up_when_the_time_is_over() -> None:
    stream = EventStream(EventHub().open())

    assert stream.next(timeout=0) is None
    assert stream.next(timeout=0.01) is None


def test_closing_a_stream_from_another_thread_ends_its_iteration() -> None:
    stream = EventStream(EventHub().open())
    seen: list[Event] = []
    reader = threading.Thread(target=lambda: seen.extend(stream))
    reader.start()

    stream.close()
    reader.join()

    assert seen == []


def test_what_was_published_before_a_stream_was_closed_can_still_be_read() -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    hub.publish(called(1))
    stream.close()
    stream.close()
    hub.publish(called(2))

    assert [at_any_time(event) for event in stream] == [called(1)]


def test_a_closed_hub_opens_streams_that_have_ended() -> None:
    hub = EventHub()
    hub.close()

    assert list(EventStream(hub.open())) == []


def test_a_reader_that_never_reads_costs_little_and_learns_what_was_dropped() -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    for number in range(10_500):
        hub.publish(called(number))
    stream.close()

    lagged, *seen = list(stream)

    assert isinstance(lagged, Lagged)
    assert lagged.missed == 500
    assert [at_any_time(event) for event in seen] == [called(number) for number in range(500, 10_500)]


def test_output_has_the_time_when_it_came_however_late_it_is_read(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    buffer = OutputFiles(tmp_path, "agent_task_1", 1000)
    say(hub, buffer, b"x")
    later = TaskCalledTool("agent_task_1", "tool", "{}")
    hub.publish(later)
    stream.close()
    buffer.close()
    came, *_ = list(stream)

    assert isinstance(came, TaskOutput)
    assert came.time <= later.time


def test_output_is_read_from_where_the_task_keeps_it(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    buffer = OutputFiles(tmp_path, "agent_task_1", 1000)
    for _ in range(100):
        say(hub, buffer, b"x")
    stream.close()
    buffer.close()

    assert [at_any_time(event) for event in stream] == [output("x" * 100)]


def test_a_character_that_is_cut_waits_for_its_rest(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    buffer = OutputFiles(tmp_path, "agent_task_1", 1000)
    say(hub, buffer, "aé".encode()[:2])
    first = stream.next(timeout=0)
    say(hub, buffer, "éb".encode()[1:])

    assert (at_any_time(first), at_any_time(stream.next(timeout=0))) == (output("a"), output("éb"))
    buffer.close()


def test_a_gap_in_the_output_lies_between_two_events(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    buffer = OutputFiles(tmp_path, "agent_task_1", 10)
    say(hub, buffer, "12345é".encode())  # cut where the head ends
    say(hub, buffer, b"x" * 65_536)
    say(hub, buffer, b"y" * 4)
    stream.close()
    buffer.close()

    head, *tail = list(stream)

    assert at_any_time(head) == output("12345")
    assert isinstance(tail[0], TaskOutput)
    assert tail[0].missed > 65_000
    assert "".join(event.text for event in tail if isinstance(event, TaskOutput)).endswith("yyyy")
    assert [event.missed for event in tail[1:] if isinstance(event, TaskOutput)] == [0] * (len(tail) - 1)


def test_waiting_for_an_event_ends_when_it_comes() -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    seen: list[Event | None] = []
    reader = threading.Thread(target=lambda: seen.append(stream.next(timeout=30)))
    reader.start()

    hub.publish(called(1))

    wait_until(lambda: seen, "the event")
    reader.join()
    assert [at_any_time(event) for event in seen] == [called(1)]


def test_what_had_become_of_tasks_is_looked_at_by_who_reads_it_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[bool] = []

    def view(task: Task, **more: Any) -> TaskView:
        (is_free,) = in_threads(lambda: lock.acquire(blocking=False) and (lock.release() or True))
        looked.append(is_free)
        return as_it_was(task, **more)

    with shared_runtime() as runtime:
        tasks = [runtime.run("says", str(number)) for number in range(3)]
        runtime.wait(tasks)
        lock, as_it_was = runtime._host.hub.lock, Task.view
        monkeypatch.setattr(Task, "view", view)
        events = list(runtime.events(tasks))

    assert kinds(events) == ["TaskStarted", "TaskOutput", "TaskEnded"] * 3
    assert looked == [True] * 6
    assert len({event.cursor for event in events}) == 9
