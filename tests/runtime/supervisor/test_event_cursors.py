"""Cursors: readers that go and come back, at any place, and miss nothing and get nothing twice."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from first_forms import first_always
from subactors.runtime import Event, EventStream, Lagged, TaskCalledTool, TaskOutput
from subactors.runtime.runs import output_text
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.supervisor.cursor import Position
from subactors.runtime.supervisor.events import EventHub

TIME = "2026-01-31T12:00:00.000Z"

TASKS = ("agent_task_1", "agent_task_2", "agent_task_3")

TEXT = "a naïve 你好 𝄞 ﷽ \n" * 40


class Talkers:
    """Tasks that say something and call tools, in bytes that end anywhere."""

    def __init__(self, hub: EventHub, folder: Path, seed: int, *, limit: int = 1_000_000) -> None:
        self._hub = hub
        self._random = random.Random(seed)  # noqa: S311 - which events come is no secret
        self.outputs = {task: OutputFiles(folder, task, limit) for task in TASKS}
        self._left = {task: TEXT.encode() for task in TASKS}
        self._calls = 0

    @property
    def have_more(self) -> bool:
        return any(self._left.values())

    def go_on(self) -> None:
        """Let one of them do something."""
        task = self._random.choice([task for task, left in self._left.items() if left])
        if self._random.random() < 0.2:
            self._calls += 1
            self._hub.publish(called(self._calls, task))
            return
        data = self._left[task][: self._random.choice([1, 1, 2, 3, 10, 40])]
        self._left[task] = self._left[task][len(data) :]
        self.outputs[task].write(data)
        self._hub.output(task, self.outputs[task], data)

    def close(self) -> None:
        for output in self.outputs.values():
            output.close()


@pytest.fixture
def traced_growth() -> Callable[[Callable[[], None]], int]:
    """Returns by how many bytes what Python has allocated has grown over a call."""

    def growth(call: Callable[[], None]) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            call()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    return growth


def called(number: int, task_id: str = "agent_task_1") -> TaskCalledTool:
    return TaskCalledTool(task_id, "tool", str(number), time=TIME)


def told(events: list[Event]) -> tuple[dict[str, str], list[str]]:
    """What readers must agree on, however it came in pieces."""
    texts: dict[str, str] = defaultdict(str)
    for event in events:
        if isinstance(event, TaskOutput):
            assert not event.missed
            assert "\ufffd" not in event.text
            texts[event.task_id] += event.text
    assert not any(isinstance(event, Lagged) for event in events)
    return dict(texts), [event.arguments for event in events if isinstance(event, TaskCalledTool)]


def read(stream: EventStream, most: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < most and (event := stream.next(timeout=0)) is not None:
        events.append(event)
    return events


@first_always("seed", range(20), keep=5)
@pytest.mark.parametrize("piece", [5, 64, 256_000])
def test_a_reader_that_comes_back_again_and_again_is_told_what_one_that_stays_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int, piece: int
) -> None:
    monkeypatch.setattr(output_text, "_PIECE", piece)
    hub = EventHub()
    staying, others = EventStream(hub.open()), [EventStream(hub.open()) for _ in range(2)]
    talkers = Talkers(hub, tmp_path, seed)
    chance = random.Random(seed + 1)  # noqa: S311 - chance is all that is wanted
    stayed: list[Event] = []
    came_back: list[list[Event]] = [[], []]
    since: list[str | None] = [None, None]

    while talkers.have_more:
        for _ in range(chance.randrange(12)):
            if talkers.have_more:
                talkers.go_on()
        stayed += read(staying, chance.randrange(5))
        for number, stream in enumerate(others):
            events = read(stream, chance.randrange(5))
            came_back[number] += events
            since[number] = events[-1].cursor if events else since[number]
            if since[number] is not None and chance.random() < 0.5:
                stream.close()
                others[number] = EventStream(hub.open(since=since[number]))
    stayed += read(staying, sys.maxsize)
    came_back = [events + read(stream, sys.maxsize) for events, stream in zip(came_back, others, strict=True)]
    talkers.close()

    assert told(stayed)[0] == dict.fromkeys(TASKS, TEXT)
    assert [told(events) for events in came_back] == [told(stayed)] * 2


def test_cursors_rise(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    talkers = Talkers(hub, tmp_path, 1)
    while talkers.have_more:
        talkers.go_on()
    talkers.close()

    numbers = [Position.of(event.cursor, hub._token) for event in read(stream, sys.maxsize)]

    assert None not in numbers
    assert numbers == sorted(set(numbers))  # type: ignore[type-var]  # none of them is None


def test_a_reader_that_comes_back_too_late_learns_how_many_events_it_has_missed() -> None:
    hub = EventHub()
    first = EventStream(hub.open())
    hub.publish(called(1))
    (seen,) = read(first, 1)
    for number in range(2, 10_502):
        hub.publish(called(number))

    lagged, *events = read(EventStream(hub.open(since=seen.cursor)), sys.maxsize)

    assert isinstance(lagged, Lagged)
    assert lagged.missed == 500
    assert told(events)[1] == [str(number) for number in range(502, 10_502)]
    assert told(read(EventStream(hub.open(since=lagged.cursor)), 1))[1] == ["502"]


@pytest.mark.parametrize(
    "cursor", ["", ".", "7", "0123abcd.1", "TOKEN", "TOKEN.", "TOKEN.x", "TOKEN.-1", "TOKEN.1.", "TOKEN.1.x",
               "TOKEN.1.2.3", "TOKEN.99", "TOKEN.1-x", "TOKEN.²", "TOKEN." + "9" * 5000, "\n", "TOKEN.1 "]
)  # fmt: skip
def test_a_cursor_of_another_run_or_none_at_all_begins_with_what_is_kept(cursor: str) -> None:
    hub = EventHub()
    hub.open()
    hub.publish(called(1))

    lagged, *events = read(EventStream(hub.open(since=cursor.replace("TOKEN", hub._token))), sys.maxsize)

    assert isinstance(lagged, Lagged)
    assert lagged.missed == 0
    assert told(events)[1] == ["1"]


def test_what_a_cursor_leaves_out_of_a_piece_of_output_is_within_that_piece(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    output = OutputFiles(tmp_path, "agent_task_1", 1000)
    output.write(b"hello")
    hub.output("agent_task_1", output, b"hello")
    hub.publish(called(1))
    output.close()
    assert len(read(stream, 2)) == 2

    def again(cursor: str) -> list[str]:
        stream = EventStream(hub.open(since=f"{hub._token}.{cursor}"))
        return [event.text for event in read(stream, 9) if isinstance(event, TaskOutput)]

    assert [again("0"), again("0.3"), again("0.5"), again("0.99"), again("1.3")] == [["hello"], ["lo"], [], [], []]


def test_a_slow_reader_loses_the_oldest_and_learns_how_many() -> None:
    hub = EventHub()
    stream = EventStream(hub.open(limit=3))
    for number in range(10):
        hub.publish(called(number))

    lagged, *events = read(stream, 9)

    assert isinstance(lagged, Lagged)
    assert lagged.missed == 7
    assert told(events)[1] == ["7", "8", "9"]
    assert told(read(EventStream(hub.open(since=lagged.cursor)), 9)) == told(events)
    hub.publish(called(10))
    assert told(read(stream, 9))[1] == ["10"]


def test_a_slow_reader_of_one_task_does_not_lag_for_others_that_are_busy(tmp_path: Path) -> None:
    hub = EventHub()
    fast = EventStream(hub.open())
    slow = EventStream(hub.open(limit=2))
    output = OutputFiles(tmp_path, "agent_task_1", 100_000)
    for number in range(2):
        hub.publish(called(number))
        read(fast, 9)
    read(slow, 2)
    for _ in range(1000):  # it grows in place for as long as nobody takes it
        output.write(b"x")
        hub.output("agent_task_1", output, b"x")
    output.close()

    assert told(read(slow, 9)) == ({"agent_task_1": "x" * 1000}, [])


def test_what_another_reader_has_taken_in_pieces_is_one_event_for_a_slow_one(tmp_path: Path) -> None:
    hub = EventHub()
    fast, slow = EventStream(hub.open()), EventStream(hub.open())
    output = OutputFiles(tmp_path, "agent_task_1", 100_000)
    pieces = 0
    for _ in range(100):
        output.write(b"x")
        hub.output("agent_task_1", output, b"x")
        pieces += len(read(fast, 9))
    output.close()

    (event,) = read(slow, 999)

    assert pieces == 100
    assert isinstance(event, TaskOutput)
    assert event.text == "x" * 100
    assert read(EventStream(hub.open(since=event.cursor)), 9) == []


def test_output_that_grows_while_a_reader_that_lost_its_beginning_waits_reaches_it(tmp_path: Path) -> None:
    hub = EventHub()
    stream = EventStream(hub.open(limit=1))
    output = OutputFiles(tmp_path, "agent_task_1", 100_000)

    def say(data: bytes) -> None:
        output.write(data)
        hub.output("agent_task_1", output, data)

    say(b"lost")
    hub.publish(called(1))  # drops the output
    say(b"kept")
    output.close()

    lagged, event = read(stream, 9)

    assert isinstance(lagged, Lagged)
    assert isinstance(event, TaskOutput)
    assert event.text == "kept"


# --- what it costs --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_readers_that_never_read_share_what_waits_for_them(traced_growth: Callable[[Callable[[], None]], int]) -> None:
    hub = EventHub()
    streams = [EventStream(hub.open()) for _ in range(50)]
    arguments = "x" * 10_000

    def flood() -> None:
        for number in range(4_000):
            hub.publish(TaskCalledTool("agent_task_1", "tool", arguments + str(number), time=TIME))

    grown = traced_growth(flood)

    assert grown < 25_000_000  # 40 MB were published, and 16 MB of them are kept
    assert sum(len(read(stream, sys.maxsize)) for stream in streams) < 50 * 2_000


def test_a_flood_of_output_costs_a_reader_that_never_reads_next_to_nothing(
    tmp_path: Path, traced_growth: Callable[[Callable[[], None]], int]
) -> None:
    hub = EventHub()
    stream = EventStream(hub.open())
    output = OutputFiles(tmp_path, "agent_task_1", 1_000_000)

    def flood() -> None:
        for _ in range(3_000):
            output.write(b"x" * 10_000)
            hub.output("agent_task_1", output, b"x" * 10_000)

    grown = traced_growth(flood)
    output.close()

    assert grown < 100_000  # of 30 MB
    seen = [event for event in read(stream, 99) if isinstance(event, TaskOutput)]
    assert sum(event.missed + len(event.text) for event in seen) == 30_000_000


def test_a_stream_that_is_dropped_leaves_nothing(traced_growth: Callable[[Callable[[], None]], int]) -> None:
    hub = EventHub()

    def come_and_go() -> None:
        for number in range(2_000):
            EventStream(hub.open()).next(timeout=0)
            hub.publish(called(number))

    come_and_go()
    hub.publish(called(0))
    assert not any(hub._readers.values())
    assert traced_growth([EventStream(hub.open()) for _ in range(1000)].clear) < 10_000


def test_a_hub_that_nobody_has_read_from_keeps_nothing(tmp_path: Path) -> None:
    hub = EventHub()
    output = OutputFiles(tmp_path, "agent_task_1", 1000)
    output.write(b"x")
    hub.output("agent_task_1", output, b"x")
    hub.publish(called(1))
    output.close()

    assert (hub._last, len(hub._kept), hub._said) == (0, 0, {})
