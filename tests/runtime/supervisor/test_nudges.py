"""That one who waits for the ends of its tasks hears that there is something else, whichever of the two comes first."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from booked_tasks import new_task
from subactors.runtime.supervisor.notices import Notices
from subactors.runtime.supervisor.registry import TaskRegistry
from subactors.runtime.tasks.gateway import Caller
from subactors.runtime.tasks.news import News, TakeNews


class Reply(Future[News]):
    """Where an answer comes."""

    def set(self, value: News) -> None:
        """It comes."""
        self.set_result(value)


@pytest.mark.parametrize("first", ["nudge", "take"])
def test_what_somebody_waits_for_is_answered_whether_it_is_nudged_before_or_afterwards(first: str) -> None:
    registry = TaskRegistry()
    registry.add(lead := new_task(0, is_queued=False))
    registry.add(new_task(1, lead, is_queued=False))
    no_mailbox: Any = None  # as nothing has ended, nothing is due later
    notices, reply, next_reply = Notices(registry, no_mailbox), Reply(), Reply()
    steps = {
        "nudge": lambda: notices.nudge(lead.id),
        "take": lambda: notices.take(TakeNews(60.0), Caller(lead.id, lead.agent), reply),
    }
    for step in sorted(steps, key=lambda step: step != first):
        steps[step]()
    notices.take(TakeNews(60.0), Caller(lead.id, lead.agent), next_reply)

    assert reply.result(0).running == 1
    assert not next_reply.done()
