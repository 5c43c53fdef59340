"""Ids of tasks, of orchestrators and of questions: none is there twice in a host."""

from __future__ import annotations

import re
from pathlib import Path

from subactors.runtime import Runtime
from subactors.runtime.supervisor import briefing, questions
from subactors.runtime.tasks.views import Ids


def test_no_id_of_a_host_is_given_twice() -> None:
    ids = Ids("agent_task_")
    given = [ids.new() for _ in range(300_000)]  # of random ones, ten or so would be there twice

    assert len({*given}) == len(given)
    assert all(re.fullmatch("agent_task_[0-9a-f]{8}", each) for each in given)


def test_ids_of_two_hosts_are_not_the_same() -> None:
    one, other = Ids("agent_task_"), Ids("agent_task_")

    assert [one.new() for _ in range(3)] != [other.new() for _ in range(3)]


def test_no_two_orchestrators_of_a_host_are_the_same(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0) as runtime:
        given = [runtime._host.gateway(None).caller.id for _ in range(50_000)]

    assert len({*given}) == len(given)


def test_tasks_and_questions_have_their_ids_from_the_same_place() -> None:
    assert briefing.Ids is questions.Ids is Ids
