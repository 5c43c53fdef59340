"""When the next request may go to a limited model, played through with servers that count; no time passes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from subactors.runtime.models.rate_pace import RatePace, pause_before, spread


@dataclass
class Windows:
    """A server that takes so many requests in each window of so many seconds."""

    most: int
    seconds: float
    after: Callable[[float], float | None]
    _taken: dict[int, int] = field(default_factory=dict)

    def takes(self, now: float) -> tuple[bool, float | None]:
        window = int(now // self.seconds)
        self._taken[window] = self._taken.get(window, 0) + 1
        return self._taken[window] <= self.most, self.after((window + 1) * self.seconds - now)


def fan_out(server: Windows, tasks: int, at_once: int) -> tuple[int, float]:
    """Send one request for each task, as the host lets them go; return how many it took, and until when."""
    pace = RatePace()
    order = itertools.count()
    events: list[tuple[float, int, str, float | None]] = [(0.0, next(order), "sent", None) for _ in range(at_once)]
    ahead, requests, waiting, end = tasks - at_once, 0, 0, 0.0
    while events:
        now, _, what, let_go = heapq.heappop(events)
        if what == "sent":
            requests += 1
            taken, after = server.takes(now)
            end = now
            if taken and ahead:
                ahead -= 1
                heapq.heappush(events, (now + 0.05, next(order), "sent", None))
            elif not taken:
                pace.refuse(now, after, let_go)
                waiting += 1
                heapq.heappush(events, (pace.next_time(), next(order), "due", None))
        elif waiting and pace.next_time() <= now:
            waiting -= 1
            pace.let_go(now)
            heapq.heappush(events, (now, next(order), "sent", now))
        elif waiting:
            heapq.heappush(events, (pace.next_time(), next(order), "due", None))
    assert waiting == ahead == 0
    return requests, end


def silent(_: float) -> None:
    return None


@pytest.mark.parametrize("at_once", [50, 20, 5])
@pytest.mark.parametrize(
    "server",
    [
        Windows(5, 1.0, silent),
        Windows(5, 1.0, lambda _: 1.0),
        Windows(5, 1.0, lambda _: 0.0),
        Windows(20, 60.0, silent),
        Windows(20, 60.0, lambda left: left),
    ],
    ids=["5/s", "5/s, says 1 s", "5/s, says 0 s", "20/min", "20/min, says when"],
)
def test_a_fan_out_costs_at_most_twice_the_requests_and_few_times_the_time(server: Windows, at_once: int) -> None:
    requests, end = fan_out(Windows(server.most, server.seconds, server.after), 50, at_once)

    assert requests <= 100
    assert end <= 4 * 50 / server.most * server.seconds


def test_a_burst_of_refusals_is_one() -> None:
    pace = RatePace()
    for _ in range(45):
        pace.refuse(10.0, None, None)

    assert 11.0 <= pace.next_time() <= 11.25


def test_the_longest_time_that_a_server_asks_for_counts() -> None:
    pace = RatePace()
    pace.refuse(10.0, 1.0, None)
    pace.refuse(10.1, 30.0, None)
    pace.refuse(10.2, 2.0, None)

    assert pace.next_time() >= 40.1


def test_a_pause_that_was_too_short_is_doubled_and_the_interval_stays() -> None:
    pace = RatePace()
    pace.refuse(0.0, None, None)
    interval = pace.interval
    for pause in (2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        now = pace.next_time()
        pace.let_go(now)
        pace.refuse(now, None, now)
        assert pause <= pace.next_time() - now <= pause * 1.25

    assert pace.interval == interval


def test_an_interval_that_was_too_short_is_doubled_and_the_pause_begins_anew() -> None:
    pace = RatePace()
    pace.refuse(0.0, None, None)
    for _ in range(10):
        now = pace.next_time()
        pace.let_go(now)
    interval = pace.interval
    pace.refuse(now, None, now)

    assert pace.interval == pytest.approx(2 * interval)
    assert pace.refusals == 1


@pytest.mark.parametrize(
    ("refusals", "after", "expected"),
    [(1, None, 1.0), (4, None, 8.0), (50, None, 60.0), (1, 0.0, 0.05), (1, 7.0, 7.0), (2, 7.0, 14.0), (9, 300, 300)],
)
def test_a_pause_is_longer_with_each_refusal(refusals: int, after: float | None, expected: float) -> None:
    assert pause_before(refusals, after) == expected


@pytest.mark.parametrize(("pause", "most"), [(1.0, 1.25), (300.0, 310.0)])
def test_jitter_only_adds_to_a_pause_and_is_bounded(pause: float, most: float) -> None:
    pauses = {spread(pause) for _ in range(50)}

    assert len(pauses) > 1
    assert all(pause <= one <= most for one in pauses)
