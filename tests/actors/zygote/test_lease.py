"""The lease of a zygote: what is silence of its owner, and what is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from subactors.actors.zygote.lease import Lease


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that is passed on by whoever changes it."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_lease_ends_when_nothing_was_heard_for_its_time_and_not_before(clock: list[float]) -> None:
    lease = Lease(10.0)
    turns = []
    for _ in range(11):
        clock[0] += 1.0
        turns.append(lease.has_ended(is_heard=False))

    assert turns == [False] * 10 + [True]


def test_whatever_is_heard_begins_a_lease_anew_however_late_it_is_read(clock: list[float]) -> None:
    lease = Lease(10.0)
    clock[0] += 9.0
    assert not lease.has_ended(is_heard=False)
    clock[0] += 60.0  # chores
    assert not lease.has_ended(is_heard=True)
    for _ in range(10):
        clock[0] += 1.0
        assert not lease.has_ended(is_heard=False)


def test_time_that_a_machine_was_suspended_for_ends_no_lease(clock: list[float]) -> None:
    lease = Lease(10.0)
    clock[0] += 3600.0

    assert not lease.has_ended(is_heard=False)


def test_an_owner_that_stands_still_for_as_long_again_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as owner:
        owner.send_signal(signal.SIGSTOP)
        pidfd = os.pidfd_open(owner.pid)
        try:
            Lease(0.1).end_owner(pidfd)
        finally:
            os.close(pidfd)

        assert owner.wait() == -signal.SIGKILL
