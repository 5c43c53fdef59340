"""Slots and queue as bookkeeping: who is next, at which place, and that the counts are right whatever happens."""

from __future__ import annotations

import random

import pytest
from booked_tasks import AGENTS, TEAM, new_task
from subactors.runtime.supervisor.admission import admit, take_next
from subactors.runtime.supervisor.registry import TaskRegistry
from subactors.runtime.supervisor.task import Task
from subactors.runtime.supervisor.task_queue import Claim, TaskQueue
from subactors.runtime.tasks.gateway import Caller
from subactors.runtime.tasks.messages import RunTask
from subactors.runtime.team.config import Settings, Team

# --- turns ----------------------------------------------------------------------------------------------------------


def drained(queue: TaskQueue) -> list[str]:
    """Take all tasks as if each could have any slot, and return their ids in order."""
    order = []
    while (task := queue.first(Claim.MORE)) is not None:
        queue.remove(task)
        queue.had_its_turn(task.parent)
        order.append(task.id)
    return order


def test_an_owner_that_queues_one_comes_after_the_first_of_another_that_has_queued_five_hundred() -> None:
    queue = TaskQueue()
    for number in range(500):
        queue.put(new_task(number), Claim.ALL)
    queue.put(late := new_task(1000, owner="orchestrator_1"), Claim.ALL)

    assert queue.place(late) == 2
    assert drained(queue)[:3] == ["agent_task_0", "agent_task_1000", "agent_task_1"]


def test_places_tell_the_order_in_which_tasks_are_taken() -> None:
    queue = TaskQueue()
    tasks = [new_task(number, owner=f"orchestrator_{number % 3 if number < 7 else 3}") for number in range(20)]
    for task in tasks:
        queue.put(task, Claim.ALL)
    for taken in range(20):
        places = queue.places()
        assert places == {task.id: queue.place(task) for task in tasks if task.id in places}
        assert sorted(places.values()) == list(range(1, 21 - taken))
        first = queue.first(Claim.ALL)
        assert first is not None
        assert places[first.id] == 1
        queue.remove(first)
        queue.had_its_turn(first.parent)


def test_an_owner_with_a_weaker_claim_keeps_its_turn_and_nobody_behind_waits_for_it() -> None:
    queue = TaskQueue()
    queue.put(weak := new_task(1, owner="agent_task_weak"), Claim.MORE)
    queue.put(strong := new_task(2), Claim.ALL)

    assert queue.first(Claim.ALL) is strong
    assert queue.first(Claim.MORE) is weak


def test_an_owner_whose_claim_has_grown_keeps_its_turn_before_those_who_came_later() -> None:
    queue = TaskQueue()
    queue.put(early := new_task(1, owner="agent_task_early"), Claim.MORE)
    queue.put(late := new_task(2, owner="agent_task_late"), Claim.FIRST)
    queue.put(last := new_task(3), Claim.ALL)

    queue.is_alone("agent_task_early")

    assert queue.places() == {early.id: 1, late.id: 2, last.id: 3}
    assert queue.first(Claim.FIRST) is early
    queue.remove(early)
    assert queue.first(Claim.FIRST) is late


def test_what_has_been_stopped_in_the_queue_and_not_told_yet_is_not_forgotten_for_others() -> None:
    registry = TaskRegistry()
    for number in range(3):
        registry.add(task := new_task(number))
        registry.leave_queue(task)
        task.leave_queue(starts=False)
    team = Team(source="", agents=TEAM.agents, root=TEAM.root, settings=Settings(max_tasks=1))

    admission = admit(RunTask(AGENTS[0], "x"), Caller(), None, team=team, registry=registry, working_directory="")

    assert admission.has_slot
    assert len(registry.unended_tasks()) == 3


@pytest.mark.parametrize("way", ["forget_oldest", "forget_oldest_of"])
def test_of_tasks_that_are_forgotten_nothing_is_kept(way: str) -> None:
    registry = TaskRegistry()
    registry.add(parent := new_task(0, is_queued=False))
    for number in range(1, 2001):
        registry.add(task := new_task(number, parent, is_queued=False))
        task.status = "completed"
        registry.ended(task)
        registry.note_read(task)
        assert registry.forget_oldest_of(parent.id) if way == "forget_oldest_of" else registry.forget_oldest()
        assert registry.get(task.id) is None

    assert sum(len(books) for books in vars(registry).values() if isinstance(books, dict | list)) < 200
    assert sum(map(len, registry._forgettable_of.values())) == 0
    assert not registry.forget_oldest_of(parent.id)


# --- whatever happens -----------------------------------------------------------------------------------------------


class Runs:
    """Tasks that come and go as they would under a supervisor."""

    def __init__(self, settings: Settings, chance: random.Random) -> None:
        self.registry = TaskRegistry()
        self.settings = settings
        self.chance = chance
        self.count = 0
        self.started: list[Task] = []

    def running(self) -> list[Task]:
        """The tasks that have slots, as their own marks tell."""
        return [task for task in self.registry.unended_tasks() if task.has_slot]

    def run(self) -> None:
        """Have the host, or a task, run one more."""
        parents = [task for task in self.running() if len(task.chain) < len(AGENTS)]
        parent = self.chance.choice(parents) if parents and self.chance.random() < 0.8 else None
        caller = Caller() if parent is None else Caller(parent.id, parent.agent)
        request = RunTask(AGENTS[len(parent.chain)] if parent is not None else AGENTS[0], "x")
        team = Team(source="", agents=TEAM.agents, root=TEAM.root, settings=self.settings)
        admission = admit(request, caller, parent, team=team, registry=self.registry, working_directory="")
        self.count += 1
        task = new_task(self.count, parent, is_queued=not admission.has_slot)
        self.registry.add(task)
        self.fill()

    def fill(self) -> None:
        """Give slots to who is next."""
        while (task := take_next(settings=self.settings, registry=self.registry)) is not None:
            task.status = "running"
            self.started.append(task)

    def end(self, task: Task) -> None:
        """End a task, with all that it owns, last started first, as a stop does."""
        for each in reversed([task, *self.registry.unended_tasks(task.id)]):
            if each.status == "queued":
                self.registry.leave_queue(each)
            each.status = "stopped"
            self.registry.ended(each)
            self.registry.note_read(each)
        self.fill()


def check(runs: Runs) -> None:
    """Compare the registry's counts with those of its tasks, and see that nobody waits in vain."""
    registry, settings = runs.registry, runs.settings
    unended = registry.unended_tasks()
    running, queued = runs.running(), [task for task in unended if task.status == "queued"]
    assert (registry.running, registry.queued) == (len(running), len(queued))
    for task in unended:
        owned = registry.unended_tasks(task.id)
        assert task.running_below == sum(each.has_slot for each in owned)
        assert task.queued_below == sum(each.status == "queued" for each in owned)
    assert registry.all_wait_for_queued == (bool(running) and all(task.queued_below for task in running))
    assert len(running) <= settings.max_running + settings.max_depth
    assert not queued or running
    # A task that runs and has nothing queued will end one day, and so make room.
    assert not queued or not all(task.queued_below for task in running)
    if len(running) < settings.max_running:
        for first in (task for task in running if not task.owners):
            branch = [task for task in running if task is first or first.id in task.owners]
            assert not all(task.queued_below for task in branch), "there is a slot, and a branch waits for it"
    if any(task.parent is None for task in queued):
        assert len(running) >= settings.max_running


@pytest.mark.parametrize("slots", [1, 2, 5, 20])
def test_whatever_comes_and_goes_counts_are_right_and_one_that_waits_for_nobody_runs(slots: int) -> None:
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted
    runs = Runs(Settings(max_running=slots, max_queued=10_000, max_tasks=10, max_depth=len(AGENTS)), chance)
    for _ in range(2000):
        if chance.random() < 0.6 or not runs.running():
            runs.run()
        else:
            runs.end(chance.choice(runs.registry.unended_tasks()))
        check(runs)
    while unended := runs.registry.unended_tasks():
        runs.end(next(task for task in unended if task.has_slot and not task.queued_below))
        check(runs)
