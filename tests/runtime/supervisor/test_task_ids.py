"""Ids of tasks."""

from __future__ import annotations

import re

from subactors.runtime.supervisor.briefing import TaskIds


def test_no_task_of_a_host_has_the_id_of_another() -> None:
    ids = TaskIds()
    given = [ids.new() for _ in range(300_000)]  # of random ones, ten or so would be there twice

    assert len({*given}) == len(given)
    assert all(re.fullmatch("agent_task_[0-9a-f]{8}", each) for each in given)


def test_ids_of_two_hosts_are_not_the_same() -> None:
    one, other = TaskIds(), TaskIds()

    assert [one.new() for _ in range(3)] != [other.new() for _ in range(3)]
