"""Fair to all: what one task asks, reports or starts keeps neither the host nor other tasks waiting, nor fills it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from first_forms import first_always
from processes_and_waits import wait_until
from subactors.actors import Timer
from subactors.runtime import CapacityError, Runtime
from subactors.runtime.supervisor import waiting
from subactors.runtime.supervisor.messages import RateDue
from subactors.runtime.supervisor.purse import TurnBook
from subactors.runtime.supervisor.rate_keeper import RateKeeper
from subactors.runtime.tasks.messages import AwaitRate
from teams import entrypoint, run_and_wait, speaking

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

PATIENCE = 60.0


def unfair(name: str) -> dict[str, Any]:
    """Return the agent whose model is that function of `unfair_models`."""
    return {
        "model": f"python/unfair_models:{name}",
        "sub_agents": ["waits", "echo"],
        "toolsets": [{"type": "background_agents", "on_finish": "stop"}],
    }


NAMES = (
    *("takes_all_slots", "starts_one", "names_the_same_task_often", "waits_for_many", "names_too_many"),
    *("asks_at_length", "hands_over_much", "ends_and_goes_on"),
)
TEAM = {
    "agents": {name: unfair(name) for name in NAMES}
    | {"waits": entrypoint("waits"), "echo": entrypoint("echo"), "floods": {"entrypoint": "flooding_entrypoint:floods"}}
}


def opened(**settings: Any) -> Runtime:
    """Return a runtime with that team."""
    return Runtime.from_mapping(
        TEAM, **{"max_tasks": 1000, "max_queued": 0, "stop_grace": 0.5, "standby": 0, **settings}
    )


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with opened() as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def said(runtime: Runtime, agent: str, text: str = "go") -> Any:
    """Run an agent and return the JSON that it answered with."""
    view = run_and_wait(runtime, agent, text)
    assert view.status == "completed", view.reason
    return json.loads(view.result)


# --- slots ----------------------------------------------------------------------------------------------------------


@first_always(("slots", "taken"), [(12, 8), (2, 1), (40, 35), (20, 15), (4, 2), (3, 2)], keep=2)
def test_a_task_that_starts_all_it_may_leaves_slots_for_others(slots: int, taken: int) -> None:
    with opened(max_running=slots) as runtime:
        count, refusal = said(runtime, "takes_all_slots")
    assert count == taken
    assert "CapacityError" in refusal


def test_the_host_and_a_task_that_has_none_may_start_one_when_another_has_taken_all_it_may() -> None:
    with opened(max_running=12) as runtime:
        runtime.run("takes_all_slots", "hold")
        wait_until(lambda: len(runtime.list()) == 9, "it has taken all that it may")
        assert run_and_wait(runtime, "echo", "hello").result == "hello"
        modest = run_and_wait(runtime, "starts_one")
        assert modest.status == "completed", modest.reason


def test_many_tasks_that_start_all_they_may_leave_the_host_one() -> None:
    with opened(max_running=8) as runtime:
        for _ in range(3):
            runtime.run("takes_all_slots", "hold")
        wait_until(lambda: len(runtime.list()) >= 6, "they have taken all that they may")
        assert run_and_wait(runtime, "echo", "hello").result == "hello"


@first_always(("places", "taken"), [(8, 6), (1, 1), (40, 30), (4, 3), (3, 3)], keep=2)
def test_a_task_that_queues_all_it_may_leaves_places_for_others(places: int, taken: int) -> None:
    with opened(max_running=1, max_queued=places) as runtime:
        greedy = runtime.run("takes_all_slots", "hold")
        # The first of those that it starts has a slot beyond the only one: all that ran would have waited for it.
        wait_until(lambda: len(runtime.list()) == 2 + taken, "it has taken all that it may")
        left = [runtime.run("echo", "x") for _ in range(places - taken)]
        assert {task.view().status for task in left} <= {"queued"}
        with pytest.raises(CapacityError, match=rf"2 of 1 tasks are running and {places} of {places} are queued"):
            runtime.run("echo", "x")
        runtime.stop(greedy)
        assert [view.result for view in runtime.wait(left, timeout=PATIENCE)] == ["x"] * len(left)


def test_a_task_that_fills_its_share_of_the_queue_is_told_what_is_kept_for_others() -> None:
    with opened(max_running=1, max_queued=8) as runtime:
        count, refusal = said(runtime, "takes_all_slots")
    assert count == 7
    assert "2 of 1 tasks are running and 6 of 8 are queued, and the rest is kept for others than you" in refusal


def test_what_is_queued_with_large_texts_is_bounded_for_each_task() -> None:
    with opened(max_running=1, max_queued=1000) as runtime:
        refusal, *_ = said(runtime, "hands_over_much")
    assert "The texts and results of the tasks that this one has started take up" in refusal


# --- requests -------------------------------------------------------------------------------------------------------


def test_a_task_that_a_wait_names_often_is_counted_and_answered_once(runtime: Runtime) -> None:
    assert said(runtime, "names_the_same_task_often") == [1] * 30


def test_what_all_waits_of_a_task_wait_for_together_is_bounded(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_MOST_WAITED", 200)
    refusals = said(runtime, "waits_for_many")
    assert len(refusals) == 10
    assert all("would wait for 210 tasks in all, and 200 is the limit" in words for words in refusals)


def test_a_wait_that_names_more_tasks_than_any_may_breaks_the_protocol(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "names_too_many")
    assert view.status == "failed"
    assert "broke the protocol: a request that fits none of the declared types" in view.reason


def test_a_refusal_does_not_repeat_what_was_sent(runtime: Runtime) -> None:
    view, stop, wait, run, long_text = said(runtime, "asks_at_length")
    for words in (view, stop, wait):
        assert "There is no task 'xxx" in words
    assert "There is no agent 'xxx" in run
    assert "has 1,100," in long_text
    assert "1,048,576 is the limit" in long_text
    assert max(map(len, (view, stop, wait, run, long_text))) < 1000


def test_texts_and_results_of_what_a_task_has_started_are_not_kept_without_end(runtime: Runtime) -> None:
    refusal, knows_first, knows_last = said(runtime, "hands_over_much")
    assert "The texts and results of the tasks that this one has started take up" in refusal
    assert (knows_first, knows_last) == (False, True)


def test_a_long_text_is_whole_in_a_view_and_short_in_a_list(runtime: Runtime) -> None:
    task_id = runtime.run("echo", "x" * 50_000)
    assert runtime.wait([task_id], timeout=PATIENCE)[0].task == "x" * 50_000
    (listed,) = [view for view in runtime.list() if view.id == task_id]
    assert "[40,000 of 50,000 characters left out here.]" in listed.task


def test_what_comes_after_a_last_report_is_not_even_decoded(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "ends_and_goes_on")
    assert (view.status, view.result) == ("completed", "first")


@first_always("what", ["output", "reports", "turns", "requests", "frames", "attributes"], keep=2)
def test_while_tasks_flood_others_run_and_the_host_is_answered(runtime: Runtime, what: str) -> None:
    floods = [speaking(runtime, "floods", what) for _ in range(2)]
    for number in range(2):
        assert run_and_wait(runtime, "echo", str(number)).result == str(number)
    assert {view.status for view in runtime.list() if view.id in floods} == {"running"}
    for task_id in floods:
        assert runtime.stop(task_id)[0].status in {"stopped", "failed"}


# --- rate limits ----------------------------------------------------------------------------------------------------


class Answers:
    """Where an answer goes."""

    def __init__(self) -> None:
        self.count = 0

    def set(self, value: Any) -> None:
        del value
        self.count += 1

    def set_exception(self, error: BaseException) -> None:
        raise error


@pytest.fixture
def timers() -> list[Timer]:
    return []


@pytest.fixture
def keeper(timers: list[Timer]) -> RateKeeper:
    def later(delay: float, message: RateDue) -> Timer:
        del message
        timers.append(Timer(delay, lambda: None))
        return timers[-1]

    return RateKeeper(later)


def ask(keeper: RateKeeper, caller: str, server: str, after: float | None = 100.0) -> Answers:
    """Have a caller say that a server has refused it."""
    answers = Answers()
    keeper.ask(AwaitRate("model", server, refused=True, after=after), caller, None, answers)
    return answers


def test_a_caller_that_names_servers_without_end_pushes_out_its_own_only(
    keeper: RateKeeper, timers: list[Timer]
) -> None:
    honest = ask(keeper, "honest", "the server")
    answers = [ask(keeper, "other", f"server {number}") for number in range(1000)]
    assert honest.count == 0
    assert sum(each.count for each in answers) == 1000 - 8
    assert sum(not timer.cancelled for timer in timers) == 9


@pytest.mark.parametrize("after", [math.nan, math.inf, 1e300])
def test_a_time_that_is_none_holds_up_a_model_no_longer_than_any(
    keeper: RateKeeper, timers: list[Timer], after: float
) -> None:
    ask(keeper, "other", "the server", after)
    assert timers[0].due <= 3600.0 + 60.0


def test_a_task_that_has_waited_for_a_rate_limit_is_not_silent_for_as_long(keeper: RateKeeper) -> None:
    answers = Answers()
    task: Any = SimpleNamespace(
        agent="a",
        setup=SimpleNamespace(agent=SimpleNamespace(models=[])),
        rate_wait=None,
        last_sign=0.0,
        turns=TurnBook(),
    )
    keeper.ask(AwaitRate("model", "the server", refused=True, after=0.0), "worker", task, answers)
    keeper.ask(AwaitRate("model", "the server", refused=True, after=100.0), "worker", task, answers)
    assert task.rate_wait is not None
    for number in range(9):  # pushes that server out, so who waits for it may go
        keeper.ask(AwaitRate("model", f"server {number}", refused=True, after=100.0), "worker", None, Answers())

    assert task.rate_wait is None
    assert task.last_sign > 0
